"""``mm-plugin host``: several plugins side by side, their states shown, until Ctrl-C.

Layer:  cli, over the devserver, or with ``--no-api`` over the host and its gateway alone.
Output: each change of a plugin's state on standard output; for exit codes see ``loop``, 1 with ``--once`` where a
        plugin does not run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import anyio

from mm_plugin.cli.declared_code import declared_code
from mm_plugin.cli.held_log import HeldLog
from mm_plugin.cli.hints import http_lines, server_fields
from mm_plugin.cli.loop import complain, host_options, run_until_signal
from mm_plugin.cli.output import Output
from mm_plugin.cli.plugin_settings import quoting_hint, read_settings
from mm_plugin.devserver.server import open_devserver, open_doorway
from mm_plugin.exceptions import ConfigurationError
from mm_plugin.host.api_receiver import HandlerAPI
from mm_plugin.host.gateway import Gateway, Session
from mm_plugin.host.host import Host, open_host
from mm_plugin.host.state import PluginState
from mm_plugin.messages.declared_settings import unknown_settings
from mm_plugin.messages.manifest import load_manifest

if TYPE_CHECKING:
    from mm_plugin.host.options import HostOptions
    from mm_plugin.host.running_plugin import RunningPlugin
    from mm_plugin.messages.manifest import Manifest
    from mm_plugin.types import Backend, JSONObject

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
    settings: tuple[str, ...] = ()
    config_file: Path | None = None

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


_Settings: TypeAlias = "list[tuple[Manifest, JSONObject]]"


class NoAPI:
    """Answers no API method, so that each is UNIMPLEMENTED."""


def run_host(options: HostCommandOptions) -> int:
    """Run the command and return its exit code."""

    async def run() -> int:
        output = Output(as_json=options.as_json)
        opened = _open_with_api if options.api else _open_without_api
        bundles = [Path(os.path.abspath(path)) for path in options.paths]  # noqa: ASYNC240
        settings = _settings(options, bundles)
        log = HeldLog()
        log.install()

        def note(plugin: RunningPlugin) -> None:
            log.follow(plugin)
            output.changed_state(plugin)

        async with opened(options, output, note, settings) as (host, curl, url):
            plugins = await host.start_all(bundles)
            sys.stderr.write("".join(quoting_hint(options.settings, each.manifest, each.reason) for each in plugins))
            running = sum(plugin.state is PluginState.RUNNING for plugin in plugins)
            output.event("started", running=running, failed=len(plugins) - running)
            for plugin in plugins:
                if host.http_link(plugin.id) is not None:
                    for line in http_lines(f"{url}/plugins/{plugin.id}", declared_code(plugin.bundle)):
                        output.say(f"  {curl} {line}")
            output.say(f"{running} of {len(plugins)} plugins run{'' if options.once else '; Ctrl-C stops them'}.")
            if not options.once:
                await anyio.sleep_forever()
            return 0 if running == len(plugins) else 1

    return run_until_signal(run, backend=options.backend, log_level=options.log_level)


def _settings(options: HostCommandOptions, bundles: list[Path]) -> _Settings:
    """Return each plugin's settings: all that were given, for those whose manifest can be read."""
    manifests: list[Manifest] = []
    for bundle in bundles:
        with suppress(ConfigurationError):  # its start says why
            manifests.append(load_manifest(bundle))
    settings = [(manifest, read_settings(options.settings, options.config_file, manifest)) for manifest in manifests]
    for told in unknown_settings(settings[0][1] if settings else (), manifests):
        complain(told)
    return settings


@asynccontextmanager
async def _open_with_api(
    options: HostCommandOptions, output: Output, note: Callable[[RunningPlugin], None], settings: _Settings
) -> AsyncGenerator[tuple[Host, str, str]]:
    async with open_devserver(
        [],
        state=options.state,
        host=options.host,
        port=options.chosen_port,
        options=options.host_options,
        on_change=note,
    ) as server:
        for manifest, values in settings:
            await server.app.configuration.preset(manifest, values)
        output.event("server", **server_fields(server))
        output.say(f"Plugins at {server.url}/plugins/ID/, REST at {server.url}/api/v4/")
        signed_in = f"curl -H 'Authorization: Bearer {server.seed.tokens['ada']}'"
        output.say(f"As ada: {signed_in} {server.url}/api/v4/users/me")
        yield server.app.host, signed_in, server.url


@asynccontextmanager
async def _open_without_api(
    options: HostCommandOptions, output: Output, note: Callable[[RunningPlugin], None], settings: _Settings
) -> AsyncGenerator[tuple[Host, str, str]]:
    if any(values for _, values in settings):
        raise ConfigurationError("--config and --config-file: plugins get settings by the API; leave out --no-api")

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
            yield host, "curl", url
