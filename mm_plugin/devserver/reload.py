"""Restart a plugin whenever its files change, while the server and its state stay.

Job:    from a save to a plugin that runs again; a newer save takes over from a restart under way.
Layer:  devserver, over ``watch`` and ``plugin_control``.
Output: one Reload for each restart that came to an end.
Errors: none; what a start raises is told, and the next save tries again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from mm_plugin.devserver.own_files import OwnFiles
from mm_plugin.exceptions import ConfigurationError, PluginStartError

if TYPE_CHECKING:
    from mm_plugin.devserver.plugin_control import PluginControl
    from mm_plugin.devserver.watch import Changes
    from mm_plugin.host.running_plugin import RunningPlugin

__all__ = ("Reload", "Reloader")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reload:
    """What came of a change.

    Attributes:
        files: What has changed, relative to the bundle, sorted.
        seconds: From the change to the end of the restart.
        plugin: The plugin that runs now, or why it does not.
    """

    files: tuple[str, ...]
    seconds: float
    plugin: RunningPlugin | ConfigurationError | PluginStartError


class Reloader:
    """Keeps one plugin up to date with its files.

    Args:
        plugins: Restarts it.
        bundle: Its folder, absolute.
        changes: What changes in that folder.
        ended: Called after each restart that no newer change has overtaken.
        told: Called with each place where the plugin itself writes while it starts, and that no longer counts.
    """

    def __init__(
        self,
        plugins: PluginControl,
        bundle: Path,
        changes: Changes,
        *,
        ended: Callable[[Reload], Awaitable[None]],
        told: Callable[[str], None],
    ) -> None:
        self._plugins = plugins
        self._bundle = bundle
        self._changes = changes
        self._ended = ended
        self._own = OwnFiles(told)
        self._news: set[Path] = set()

    async def run(self) -> None:
        """Restart the plugin at each change until cancelled; its first start has just ended."""
        own, files = self._own, set[Path]()
        own.start_ends(anyio.current_time())
        while True:
            while not self._news:
                await self._collect()
            begun_at = anyio.current_time()
            own.start_begins()
            files |= self._news
            self._news = set()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._cancel_at_change, tasks.cancel_scope)
                plugin = await self._restart()
                ended_at = anyio.current_time()
                own.start_ends(ended_at)
                changed = tuple(sorted(map(str, files)))
                files.clear()
                await self._ended(Reload(files=changed, seconds=ended_at - begun_at, plugin=plugin))
                tasks.cancel_scope.cancel()

    async def _cancel_at_change(self, restart: anyio.CancelScope) -> None:
        while not self._news:
            await self._collect()
        restart.cancel()

    async def _collect(self) -> None:
        await self._changes.wait()
        self._news |= self._own.sift(self._changes.take(), anyio.current_time())

    async def _restart(self) -> RunningPlugin | ConfigurationError | PluginStartError:
        try:
            return await self._plugins.restart(self._bundle)
        except (ConfigurationError, PluginStartError) as error:
            return error
