"""``mm-plugin dev``: a plugin in a development server until Ctrl-C, restarted when its files change.

Job:    open the server, start the plugin, print what to try, keep the plugin up to date, and end well.
Layer:  cli, over the devserver.
Output: standard output for people, or JSON lines for programs; logs and errors on standard error. For exit codes see
        ``loop``; a failed tour is 1.
"""

from __future__ import annotations

import os
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from mm_plugin.cli.held_log import HeldLog
from mm_plugin.cli.hints import hints, server_fields
from mm_plugin.cli.loop import complain, host_options, run_until_signal
from mm_plugin.cli.output import Output
from mm_plugin.cli.plugin_settings import hinting, read_settings
from mm_plugin.cli.slow_start import SlowStarts, open_slow_starts
from mm_plugin.cli.tour import PLUGIN_ID, run_tour
from mm_plugin.devserver.reload import Reload, Reloader
from mm_plugin.devserver.server import open_devserver
from mm_plugin.devserver.watch import Changes, watch_bundle
from mm_plugin.exceptions import PluginStartError
from mm_plugin.host.running_plugin import RunningPlugin
from mm_plugin.host.state import PluginState
from mm_plugin.messages.declared_settings import unknown_settings
from mm_plugin.messages.manifest import load_manifest

if TYPE_CHECKING:
    from mm_plugin.devserver.server import DevServer
    from mm_plugin.types import Backend

__all__ = ("DevOptions", "run_dev")

_PORT = 8065


@dataclass(frozen=True, slots=True, kw_only=True)
class DevOptions:
    """What ``mm-plugin dev`` was asked for; see its ``--help``."""

    path: Path
    backend: Backend = "asyncio"
    host: str = "127.0.0.1"
    port: int | None = None
    state: Path | None = None
    reload: bool = True
    tour: bool = False
    once: bool = False
    as_json: bool = False
    faults: tuple[str, ...] = ()
    log_level: str | None = None
    install: bool = True
    debugger: bool = False
    settings: tuple[str, ...] = ()
    config_file: Path | None = None
    ignore: tuple[str, ...] = ()

    @property
    def chosen_log_level(self) -> str:
        """The log level; a tour is there to be read, and says itself what goes wrong."""
        return self.log_level or ("error" if self.tour and self.once else "info")

    @property
    def chosen_port(self) -> int:
        """The port to listen on; nobody is told the address of a run that ends by itself, so that may be any."""
        if self.port is not None:
            return self.port
        return 0 if self.once else _PORT


def run_dev(options: DevOptions) -> int:
    """Run the command and return its exit code."""
    return run_until_signal(_Dev(options).run, backend=options.backend, log_level=options.chosen_log_level)


class _Dev:
    """One run of the command."""

    def __init__(self, options: DevOptions) -> None:
        self._options = options
        self._bundle = Path(os.path.abspath(options.path))
        self._output = Output(as_json=options.as_json)
        self._log = HeldLog()
        self._hinted = False
        self._starts: SlowStarts | None = None

    async def run(self) -> int:
        """Run until cancelled, or to the end that was asked for."""
        options = self._options
        manifest = load_manifest(self._bundle)
        settings = read_settings(options.settings, options.config_file, manifest)
        for told in unknown_settings(settings, [manifest]):
            complain(told)
        if options.tour and manifest.id != PLUGIN_ID:
            return complain(f"--tour shows {PLUGIN_ID} (examples/guard), but {options.path} holds {manifest.id}")
        self._log.install()
        async with AsyncExitStack() as stack:
            self._starts = await stack.enter_async_context(open_slow_starts(self._tell_slow_start))
            changes: Changes | None = None
            if options.reload and not options.once:
                ignored = () if options.state is None else (options.state,)
                changes = await stack.enter_async_context(
                    watch_bundle(self._bundle, ignored=ignored, patterns=options.ignore)
                )
            server = await stack.enter_async_context(
                open_devserver(
                    [],
                    state=options.state,
                    host=options.host,
                    port=options.chosen_port,
                    options=host_options(
                        options.backend,
                        options.chosen_log_level,
                        options.faults,
                        install=options.install,
                        debugger=options.debugger,
                    ),
                    on_change=self._note_state,
                )
            )
            self._output.event("server", **server_fields(server))
            await server.app.configuration.preset(manifest, settings)
            passed = True
            try:
                with hinting(options.settings, manifest):
                    plugin = await server.app.plugins.start(self._bundle)
                passed = not options.tour or await run_tour(server, options.backend, self._output.say)
                if not options.once:
                    await self._show_hints(server, plugin)
            except PluginStartError as error:
                if changes is None:
                    raise
                self._output.start_failed(error)
            if not options.once:
                await self._keep_up(server, changes)
            return 0 if passed else 1

    async def _keep_up(self, server: DevServer, changes: Changes | None) -> None:
        """Restart the plugin as its files change, until cancelled."""
        if changes is None:
            await anyio.sleep_forever()
            return

        async def ended(reload: Reload) -> None:
            self._output.reloaded(reload)
            if isinstance(reload.plugin, RunningPlugin) and not self._hinted:
                await self._show_hints(server, reload.plugin)

        await Reloader(server.app.plugins, self._bundle, changes, ended=ended, told=self._output.ignored).run()

    async def _show_hints(self, server: DevServer, plugin: RunningPlugin) -> None:
        self._hinted = True
        self._output.say(await hints(server, plugin, self._options.backend, reload=self._options.reload))

    def _note_state(self, plugin: RunningPlugin) -> None:
        self._log.follow(plugin)
        self._output.state(plugin)
        self._output.installing(plugin)
        if self._starts is not None:
            self._starts.follow(plugin)
        if plugin.state is PluginState.FAILED_TO_STAY_RUNNING and self._options.reload:
            self._output.say("The plugin is off, for it does not stay up; the next save starts it again.")

    def _tell_slow_start(self, plugin: RunningPlugin, seconds: float) -> None:
        self._output.say(f"The plugin has been starting for {seconds:.0f} s; what it logs from its start on:")
        self._log.let_go(plugin.id)
