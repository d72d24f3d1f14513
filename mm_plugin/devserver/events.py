"""Tell plugins what has happened, without keeping whoever made it happen waiting.

Job:    run hooks that have no answer in tasks of the server's group, so many at once and no more.
Layer:  devserver, over the host.
Errors: RateLimitedError before something happens that plugins could not be told of.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial

import anyio
from anyio.abc import TaskGroup

from mm_plugin import limits
from mm_plugin.devserver.errors import too_many
from mm_plugin.exceptions import PluginAPIError
from mm_plugin.hooks.names import HookName
from mm_plugin.host.hook_client import HookContext
from mm_plugin.host.host import Host
from mm_plugin.transport.link import CallFailure

__all__ = ("Events",)

logger = logging.getLogger("mm_plugin.devserver")


class Events:
    """What the plugins are still to be told.

    Args:
        host: The plugins.
        tasks: Where the telling lives; must outlive the host, whose plugins still act while they stop.
    """

    def __init__(self, host: Host, tasks: TaskGroup) -> None:
        self._host = host
        self._tasks = tasks
        self._pending = 0

    def check_room(self) -> None:
        """Make sure that one more event can be told; to be asked before whatever is told changes the state.

        Raises:
            RateLimitedError: ``limits.devserver_pending_events`` are under way. Waiting here could wait for ever: a
                plugin that posts inside MessageHasBeenPosted would wait for itself.
        """
        if self._pending >= limits.devserver_pending_events:
            raise too_many("The plugins are behind with what has happened already; try again later.")

    def tell(self, name: HookName, /, *, context: HookContext | None = None, **fields: object) -> None:
        """Call a hook of all plugins in the background; failures are logged."""
        self._start(
            str(name), partial(self._host.notify, name, context=context, timeout_s=limits.host_hook_timeout_s, **fields)
        )

    def tell_configuration_changed(self, plugin_id: str = "") -> list[anyio.Event]:
        """Call OnConfigurationChange in the background, of one plugin or of all.

        Returns:
            What is set as they come to an end, failed or not, each within the hook's deadline.
        """
        return [
            self._start(f"OnConfigurationChange of {plugin.id}", plugin.hooks.on_configuration_change)
            for plugin in self._host.plugins.values()
            if plugin.hooks is not None and plugin_id in {"", plugin.id}
        ]

    def start_soon(self, what: str, call: Callable[[], Awaitable[None]]) -> None:
        """Do something in the background that whoever asks for it cannot wait for; its failure is logged.

        Args:
            what: What it is, for the log.
            call: Raises PluginAPIError and CallFailure only.
        """
        self._start(what, call)

    def _start(self, what: str, call: Callable[[], Awaitable[None]]) -> anyio.Event:
        self._pending += 1
        over = anyio.Event()
        self._tasks.start_soon(self._run, what, call, over, name=what)
        return over

    async def _run(self, what: str, call: Callable[[], Awaitable[None]], over: anyio.Event) -> None:
        try:
            await call()
        except (PluginAPIError, CallFailure) as error:
            logger.warning("%s failed: %s", what, error)
        finally:
            self._pending -= 1
            over.set()
