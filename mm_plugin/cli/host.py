"""``mm-plugin host``: several plugins side by side, their states shown, until Ctrl-C.

Layer:  cli, over the devserver, or with ``--no-api`` over the host and its gateway alone.
Output: each change of a plugin's state on standard output; for exit codes see ``loop``, 1 with ``--once`` where a
        plugin does not run.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from mm_plugin.cli.held_log import HeldLog
from mm_plugin.cli.hints import server_fields
from mm_plugin.cli.loop import host_options, run_until_signal
from mm_plugin.cli.output import Output
from mm_plugin.devserver.server import open_devserver, open_doorway
from mm_plugin.host.api_receiver import HandlerAPI
from mm_plugin.host.gateway import Gateway, Session
from mm_plugin.host.host import Host, open_host
from mm_plugin.host.state import PluginState

if TYPE_CHECKING:
    from mm_plugin.host.options import HostOptions
    from mm_plugin.host.running_plugin import RunningPlugin
    from mm_plugin.types import Backend

__all__ = ("HostCommandOptions", "run_host")

_PORT = 8065


@dataclass(frozen=True, slots=True, kw_only=True)
class HostCommandOptions:
    """What ``mm-plugin host`` was asked for; see its ``--help``."""

    paths: tuple[Path, ...]
    backend: Backend = "asyncio"
    host: str = "127.0.0.1"
    port: int | None = None
    state: Path | None = None
    api: bool = True
    once: bool = False
    as_json: bool = False
    faults: tuple[str, ...] = ()
    log_level: str = "warning"
    install: bool = True
    debugger: bool = False

    @property
    def host_options(self) -> HostOptions:
        """What the host is told."""
        return host_options(self.backend, self.log_level, self.faults, install=self.install, debugger=self.debugger)

    @property
    def chosen_port(self) -> int:
        """The port to listen on; nobody is told the address of a run that ends by itself, so that may be any."""
        if self.port is not None:
            return self.port
        return 0 if self.once else _PORT


class NoAPI:
    """Answers no API method, so that each is UNIMPLEMENTED."""


def run_host(options: HostCommandOptions) -> int:
    """Run the command and return its exit code."""

    async def run() -> int:
        output = Output(as_json=options.as_json)
        opened = _open_with_api if options.api else _open_without_api
        log = HeldLog()
        log.install()

        def note(plugin: RunningPlugin) -> None:
            log.follow(plugin)
            output.changed_state(plugin)

        async with opened(options, output, note) as (host, curl):
            plugins = await host.start_all(Path(os.path.abspath(path)) for path in options.paths)  # noqa: ASYNC240
            running = sum(plugin.state is PluginState.RUNNING for plugin in plugins)
            output.event("started", running=running, failed=len(plugins) - running)
            for plugin in plugins:
                if host.http_link(plugin.id) is not None:
                    output.say(f"  {curl}/plugins/{plugin.id}/")
            output.say(f"{running} of {len(plugins)} plugins run{'' if options.once else '; Ctrl-C stops them'}.")
            if not options.once:
                await anyio.sleep_forever()
            return 0 if running == len(plugins) else 1

    return run_until_signal(run, backend=options.backend, log_level=options.log_level)


@asynccontextmanager
async def _open_with_api(
    options: HostCommandOptions, output: Output, note: Callable[[RunningPlugin], None]
) -> AsyncGenerator[tuple[Host, str]]:
    async with open_devserver(
        [],
        state=options.state,
        host=options.host,
        port=options.chosen_port,
        options=options.host_options,
        on_change=note,
    ) as server:
        output.event("server", **server_fields(server))
        output.say(f"Plugins at {server.url}/plugins/ID/, REST at {server.url}/api/v4/")
        signed_in = f"curl -H 'Authorization: Bearer {server.seed.tokens['ada']}'"
        output.say(f"As ada: {signed_in} {server.url}/api/v4/users/me")
        yield server.app.host, f"{signed_in} -N {server.url}"


@asynccontextmanager
async def _open_without_api(
    options: HostCommandOptions, output: Output, note: Callable[[RunningPlugin], None]
) -> AsyncGenerator[tuple[Host, str]]:
    async def find_session(_token: str) -> Session | None:
        return None

    absent = "this host, which was started with --no-api; leave that out"
    async with open_host(
        lambda _manifest: HandlerAPI(NoAPI(), absent=absent), options=options.host_options, on_change=note
    ) as host:
        gateway = Gateway(host.http_link, find_session)
        async with open_doorway(gateway, options.host, options.chosen_port) as url:
            output.event("server", url=url)
            output.say(f"Plugins at {url}/plugins/ID/, nobody signed in; API calls are UNIMPLEMENTED")
            yield host, f"curl -N {url}"
