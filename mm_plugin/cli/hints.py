"""What to try with a plugin that runs: lines to copy into a shell."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from mm_plugin import limits
from mm_plugin.cli.declared_code import DeclaredCode, declared_code
from mm_plugin.devserver.seed import PASSWORD, USER_NAMES
from mm_plugin.hooks.names import HookName

if TYPE_CHECKING:
    from mm_plugin.devserver.server import DevServer
    from mm_plugin.host.running_plugin import RunningPlugin
    from mm_plugin.types import JSONValue

__all__ = ("hints", "http_lines", "server_fields")


def server_fields(server: DevServer) -> dict[str, JSONValue]:
    """Return what programs need to know of a server that runs: its address, and the seed's ids and tokens."""
    seed = server.seed
    return {
        "url": server.url,
        "team_id": seed.team.id,
        "channel_id": seed.channel.id,
        "users": {name: {"id": user.id, "token": seed.tokens[name]} for name, user in seed.users.items()},
    }


async def hints(server: DevServer, plugin: RunningPlugin, backend: str, *, reload: bool) -> str:
    """Return the text that is printed once the plugin runs."""
    seed, code = server.seed, declared_code(plugin.bundle)
    signed_in = f"curl -H 'Authorization: Bearer {seed.tokens['ada']}'"
    lines = [
        f"{plugin.manifest.name} runs on {backend} in a development server at {server.url}; Ctrl-C stops it.",
        *(["It is restarted when its files change."] if reload else []),
        f"People: {', '.join(USER_NAMES)}, password {PASSWORD}; the first is the administrator. As ada you may try:",
        "",
        f"  {signed_in} {server.url}/api/v4/posts -d {_json(channel_id=seed.channel.id, message='Hello')}",
        f"  {signed_in} {server.url}/api/v4/channels/{seed.channel.id}/posts",
    ]
    for command in await server.app.commands.list(seed.team.id):
        body = _json(channel_id=seed.channel.id, command=f"/{command.trigger}")
        lines.append(f"  {signed_in} {server.url}/api/v4/commands/execute -d {body}")
    if plugin.hooks is not None and HookName.ServeHTTP in plugin.hooks.implemented:
        lines += [f"  {signed_in} {line}" for line in http_lines(f"{server.url}/plugins/{plugin.id}", code)]
    if plugin.manifest.settings_schema.get("settings"):
        change = {"PluginSettings": {"Plugins": {plugin.id: _first_setting(plugin)}}}
        admin = f"curl -H 'Authorization: Bearer {seed.tokens[USER_NAMES[0]]}'"
        patch = f"{server.url}/api/v4/config/patch -d {shlex.quote(json.dumps(change))}"
        lines += ["", "Settings change, and the plugin hears of it, by:", "", f"  {admin} -X PUT {patch}"]
    elif code.settings is not None:
        lines += ["", *_schema_lines(plugin, *code.settings)]
    return "\n".join([*lines, ""])


def http_lines(url: str, code: DeclaredCode) -> list[str]:
    """Return what to give curl for each route and mounted app, and for the plugin itself where something answers there.

    Args:
        url: The plugin's.
        code: What its code declares; one that declares nothing answers in a way of its own.
    """
    methods = {"GET": "-N ", "HEAD": "-I "}
    asked = [*code.routes, *(("GET", f"{place.rstrip('/')}/") for place in code.mounts)]
    if code.serves_http or not asked:
        asked.append(("GET", "/"))
    return [
        f"{methods.get(method, f'-X {method} ')}{shlex.quote(url + path)}"
        for method, path in list(dict.fromkeys(asked))[: limits.cli_routes]
    ]


def _schema_lines(plugin: RunningPlugin, module: str, settings: str) -> list[str]:
    program = (
        f"import json; from mm_plugin import settings_schema_of; from {module} import {settings}; "
        f"print(json.dumps(settings_schema_of({settings}), indent=4))"
    )
    return [
        f"{settings} holds the plugin's settings, but plugin.json has no settings_schema: the System Console will show",
        "nothing to set. What belongs there is printed by:",
        "",
        f"  cd {shlex.quote(str(plugin.bundle))} && python3 -c {shlex.quote(program)}",
    ]


def _first_setting(plugin: RunningPlugin) -> dict[str, JSONValue]:
    first = cast("list[Mapping[str, JSONValue]]", plugin.manifest.settings_schema["settings"])[0]
    return {str(first.get("key", "Key")): first.get("default", "")}


def _json(**fields: str) -> str:
    return shlex.quote(json.dumps(fields))
