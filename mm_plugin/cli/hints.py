"""What to try with a plugin that runs: lines to copy into a shell."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

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
        lines.append(f"  {signed_in} -N {server.url}/plugins/{plugin.id}/")
    return "\n".join([*lines, ""])


def _json(**fields: str) -> str:
    return shlex.quote(json.dumps(fields))
