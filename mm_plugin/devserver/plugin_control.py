"""Start, stop and restart the plugins of the server while it runs.

Job:    keep what a plugin leaves behind in order, and let requests to it wait while it is being restarted.
Layer:  devserver, over the host and ``slash_commands``.
Errors: those of ``Host.start``.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from mm_plugin import limits
from mm_plugin.messages.manifest import load_manifest

if TYPE_CHECKING:
    from mm_plugin.devserver.slash_commands import SlashCommands
    from mm_plugin.host.host import Host
    from mm_plugin.host.running_plugin import RunningPlugin

__all__ = ("PluginControl",)


class PluginControl:
    """What the server does with its plugins."""

    def __init__(self, host: Host, commands: SlashCommands) -> None:
        self._host = host
        self._commands = commands
        self._restarting: dict[str, anyio.Event] = {}

    async def start(self, bundle: Path) -> RunningPlugin:
        """Start the plugin of a bundle; raises what ``Host.start`` raises."""
        return await self._host.start(bundle)

    async def stop(self, plugin_id: str) -> None:
        """Stop a plugin and forget its commands.

        Raises:
            KeyError: There is no plugin of that id.
        """
        await self._host.stop(plugin_id)
        await self._commands.unregister(plugin_id)

    async def restart(self, bundle: Path) -> RunningPlugin:
        """Stop a plugin and start it from its files as they are now, its manifest included.

        A manifest that cannot be read leaves the plugin as it is. Cancellation leaves it stopped, or stopping.

        Args:
            bundle: The plugin's folder, absolute; a plugin that does not run is only started.

        Raises:
            ManifestError: plugin.json is missing or wrong; the plugin runs on.
            ConfigurationError: It cannot be started.
            PluginStartError: It did not start.
        """
        new_id = load_manifest(bundle).id  # a manifest may give itself another id
        old_ids = [plugin.id for plugin in self._host.plugins.values() if plugin.bundle == bundle]
        with self._hold({*old_ids, new_id}):
            for old_id in old_ids:
                with suppress(KeyError):  # somebody else may take it away meanwhile
                    await self.stop(old_id)
                    if old_id != new_id:
                        await self._host.remove(old_id)
            return await self._host.start(bundle)

    async def wait_restarted(self, plugin_id: str) -> None:
        """Wait while a plugin is being restarted, at most ``limits.devserver_restart_wait_s``."""
        with anyio.move_on_after(limits.devserver_restart_wait_s):
            while plugin_id in self._restarting:
                await self._restarting[plugin_id].wait()

    @contextmanager
    def _hold(self, plugin_ids: Iterable[str]) -> Generator[None]:
        done = anyio.Event()
        self._restarting |= dict.fromkeys(plugin_ids, done)
        try:
            yield
        finally:
            self._restarting = {key: event for key, event in self._restarting.items() if event is not done}
            done.set()
