"""What to try with a plugin that runs: lines to copy into a shell."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from mm_plugin import limits
from mm_plugin.cli.plugin_routes import declared_routes
from mm_plugin.devserver.seed import PASSWORD, USER_NAMES
from mm_plugin.hooks.names import HookName

if TYPE_CHECKING:
    from mm_plugin.devserver.server import DevServer
    from mm_plugin.host.running_plugin import RunningPlugin
    from mm_plugin.types import JSONValue

__all__ = ("hints", "server_fields")


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
    seed = server.seed
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
        lines += [f"  {signed_in} {line}" for line in _http_lines(f"{server.url}/plugins/{plugin.id}", plugin)]
    if plugin.manifest.settings_schema.get("settings"):
        change = {"PluginSettings": {"Plugins": {plugin.id: _first_setting(plugin)}}}
        admin = f"curl -H 'Authorization: Bearer {seed.tokens[USER_NAMES[0]]}'"
        patch = f"{server.url}/api/v4/config/patch -d {shlex.quote(json.dumps(change))}"
        lines += ["", "Settings change, and the plugin hears of it, by:", "", f"  {admin} -X PUT {patch}"]
    return "\n".join([*lines, ""])


def _http_lines(url: str, plugin: RunningPlugin) -> list[str]:
    """Return what to give curl for each route that the plugin's code declares, else for the plugin itself."""
    routes = declared_routes(plugin.bundle)[: limits.cli_routes]
    if not routes:
        return [f"-N {url}/"]
    methods = {"GET": "-N ", "HEAD": "-I "}
    return [f"{methods.get(method, f'-X {method} ')}{shlex.quote(url + path)}" for method, path in routes]


def _first_setting(plugin: RunningPlugin) -> dict[str, JSONValue]:
    first = cast("list[Mapping[str, JSONValue]]", plugin.manifest.settings_schema["settings"])[0]
    return {str(first.get("key", "Key")): first.get("default", "")}


def _json(**fields: str) -> str:
    return shlex.quote(json.dumps(fields))
