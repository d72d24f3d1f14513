"""Other plugins as plugins see them: switched on and off, and taken away.

A plugin that stops itself is answered first: its own call could not outlive it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from mm_plugin.devserver.api_base import APIBase
from mm_plugin.devserver.errors import failed, missing
from mm_plugin.exceptions import ConfigurationError, PluginStartError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ("PluginsHandler",)


class PluginsHandler(APIBase):
    """Plugins."""

    async def enable_plugin(self, id: str) -> None:  # noqa: A002 - the wire's own name
        """Start a plugin that does not run, from its folder as it is now."""
        self._check_known(id, "EnablePlugin")
        try:
            await self._app.host.enable(id)
        except KeyError:  # removed meanwhile
            raise _unknown(id, "EnablePlugin") from None
        except (ConfigurationError, PluginStartError) as error:
            raise failed(
                "app.plugin.activate.app_error", f"The plugin {id} did not start: {error}", "EnablePlugin"
            ) from None

    async def disable_plugin(self, id: str) -> None:  # noqa: A002 - the wire's own name
        """Stop a plugin until it is enabled; the next start of this server starts it again."""
        self._check_known(id, "DisablePlugin")
        await self._end(id, partial(self._app.plugins.stop, id))

    async def remove_plugin(self, id: str) -> None:  # noqa: A002 - the wire's own name
        """Stop a plugin and forget it; its folder, which is its author's, stays."""
        self._check_known(id, "RemovePlugin")
        await self._end(id, partial(self._remove, id))

    async def _remove(self, plugin_id: str) -> None:
        await self._app.plugins.stop(plugin_id)
        await self._app.host.remove(plugin_id)

    async def _end(self, plugin_id: str, end: Callable[[], Awaitable[None]]) -> None:
        async def end_once() -> None:
            try:
                await end()
            except KeyError:
                pass  # somebody else has removed it meanwhile

        if plugin_id == self._plugin_id:
            self._app.events.check_room()
            self._app.events.start_soon(f"the end of {plugin_id}", end_once)
        else:
            await end_once()

    def _check_known(self, plugin_id: str, where: str) -> None:
        if plugin_id not in self._app.host.plugins:
            raise _unknown(plugin_id, where)


def _unknown(plugin_id: str, where: str) -> Exception:
    return missing("app.plugin.not_installed.app_error", f"The plugin {plugin_id!r}", where)
