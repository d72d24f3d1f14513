"""``mm-plugin call``: start a plugin, call one hook, print its answer, stop it.

Layer:  cli, over the devserver.
Output: the answer as JSON on standard output, exit code 0; one sentence on standard error, exit code 1.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import anyio

from mm_plugin import limits
from mm_plugin.cli.held_log import HeldLog
from mm_plugin.cli.hook_json import answer_json, find_hook, hook_fields
from mm_plugin.cli.loop import complain, host_options, run_until_signal
from mm_plugin.cli.output import with_code, write_line
from mm_plugin.cli.plugin_settings import hinting, read_settings
from mm_plugin.devserver.server import DevServer, open_devserver
from mm_plugin.exceptions import PluginAPIError
from mm_plugin.host.hook_client import HookContext
from mm_plugin.host.state import PluginState
from mm_plugin.messages.declared_settings import unknown_settings
from mm_plugin.messages.manifest import load_manifest
from mm_plugin.transport.link import CallFailure, FailureKind

if TYPE_CHECKING:
    from mm_plugin.hooks.names import HookName
    from mm_plugin.types import Backend

__all__ = ("CallOptions", "run_call")


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOptions:
    """What ``mm-plugin call`` was asked for; see its ``--help``."""

    path: Path
    hook: str
    text: str = "{}"
    username: str = "ada"
    backend: Backend = "asyncio"
    state: Path | None = None
    faults: tuple[str, ...] = ()
    log_level: str = "warning"
    install: bool = True
    debugger: bool = False
    settings: tuple[str, ...] = ()
    config_file: Path | None = None


def run_call(options: CallOptions) -> int:
    """Run the command and return its exit code."""
    try:
        name = find_hook(options.hook)
        text = sys.stdin.read() if options.text == "-" else options.text
        # Looked at before anything is started: ids that only the server knows come in later.
        hook_fields(name, text, {})
    except ValueError as error:
        return complain(str(error), code=1)

    async def run() -> int:
        manifest = load_manifest(options.path)
        settings = read_settings(options.settings, options.config_file, manifest)
        for told in unknown_settings(settings, [manifest]):
            complain(told)
        log = HeldLog()
        log.install()
        choices = host_options(
            options.backend, options.log_level, options.faults, install=options.install, debugger=options.debugger
        )
        async with open_devserver([], state=options.state, options=choices, on_change=log.follow) as server:
            await server.app.configuration.preset(manifest, settings)
            with hinting(options.settings, manifest):
                await server.app.plugins.start(Path(os.path.abspath(options.path)))  # noqa: ASYNC240
            return await _call(server, name, text, options.username)

    return run_until_signal(run, backend=options.backend, log_level=options.log_level)


async def _call(server: DevServer, name: HookName, text: str, username: str) -> int:
    seed = server.seed
    user = seed.users[username]
    ids = {"user_id": user.id, "channel_id": seed.channel.id, "team_id": seed.team.id}
    (plugin,) = server.app.host.plugins.values()
    hooks = plugin.hooks
    if hooks is None:
        return complain(f"{plugin.id} does not run any more: {plugin.reason}", code=1)
    if name not in hooks.implemented:
        known = ", ".join(sorted(hooks.implemented))
        return complain(f"{plugin.id} does not implement {name}; it has {known}", code=1)
    fields = cast("dict[str, Any]", hook_fields(name, text, ids))
    try:
        answer = await hooks.call(name, context=HookContext(user_id=user.id), **fields)
    except PluginAPIError as error:
        return complain(with_code(f"{name} was answered with an error: {error}", error), code=1)
    except CallFailure as failure:
        if failure.kind in {FailureKind.LOST, FailureKind.UNREACHABLE}:
            with anyio.move_on_after(limits.host_exit_grace_s + limits.cleanup_s):
                while plugin.state in {PluginState.RUNNING, PluginState.STOPPING}:
                    await plugin.wait_change()
            told = plugin.reason or "the connection to it is lost"
            return complain(with_code(f"{name} failed, and the plugin with it: {told}", failure), code=1)
        return complain(with_code(f"{name} failed: {failure}", failure), code=1)
    write_line(json.dumps(answer_json(answer), indent=2, ensure_ascii=False))
    return 0
