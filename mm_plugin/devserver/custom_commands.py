"""Custom slash commands: those that call a URL, as people make them on the server.

Job:    run a command line: a plugin's command by its hook, a custom one by its URL.
Layer:  devserver, over ``slash_commands`` and ``outgoing``.
Errors: those of ``SlashCommands.execute``; HTTP 500 where the URL gives no answer that can be used.
See:    https://developers.mattermost.com/integrate/slash-commands/custom/
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from mm_plugin.devserver.errors import failed
from mm_plugin.devserver.json_forms import fill_message, parse_object
from mm_plugin.devserver.outgoing import send
from mm_plugin.devserver.triggers import new_trigger_id
from mm_plugin.messages.commands import Command, CommandArgs, CommandResponse

if TYPE_CHECKING:
    from mm_plugin.devserver.app import App
    from mm_plugin.host.hook_client import HookContext

__all__ = ("execute",)


async def execute(app: App, args: CommandArgs, *, context: HookContext | None = None) -> CommandResponse:
    """Run a slash command, a plugin's or a custom one, and show its answer to whom it is meant for.

    Args:
        app: The server.
        args: ``command`` is the whole line, from the slash on.
        context: For whom.

    Raises:
        PluginAPIError: It is none, or nobody answered; see ``SlashCommands.execute``.
    """
    words = args.command.split(maxsplit=1)
    trigger = words[0].removeprefix("/").lower() if args.command.startswith("/") and words else ""
    found = await app.store.custom_commands.find("team_id = ? AND trigger = ?", args.team_id, trigger)
    if not found:
        return await app.commands.execute(args, context=context)
    response = await _call(app, found[0], args, words[1] if len(words) > 1 else "")
    await app.commands.show(args, response)
    return response


async def _call(app: App, command: Command, args: CommandArgs, text: str) -> CommandResponse:
    users = {user.id: user for user in await app.store.users.find("id = ?", args.user_id)}
    teams = await app.store.teams.find("id = ?", args.team_id)
    channels = await app.store.channels.find("id = ?", args.channel_id)
    form = {
        "token": command.token,
        "team_id": args.team_id,
        "team_domain": teams[0].name if teams else "",
        "channel_id": args.channel_id,
        "channel_name": channels[0].name if channels else "",
        "user_id": args.user_id,
        "user_name": users[args.user_id].username if args.user_id in users else "",
        "command": f"/{command.trigger}",
        "text": text,
        "trigger_id": new_trigger_id(args.user_id),
    }
    headers = {"Accept": "application/json", "Authorization": f"Token {command.token}"}
    query = urlencode(form)
    if command.method == "G":
        url = command.url + ("&" if "?" in command.url else "?") + query
        answer = await send(app, "GET", url, b"", headers, user_id=args.user_id)
    else:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        answer = await send(app, "POST", command.url, query.encode(), headers, user_id=args.user_id)
    if answer.status != 200:
        raise _failed(command, f"answered {answer.status}")
    if "json" not in answer.content_type:
        return CommandResponse(text=answer.body.decode(errors="replace"))
    try:
        return fill_message(CommandResponse(), parse_object(answer.body))
    except ValueError as error:
        raise _failed(command, f"answered no JSON object: {error}") from None


def _failed(command: Command, what: str) -> Exception:
    text = f"The URL of /{command.trigger} {what}."
    return failed("api.command.execute_command.failed_resp.app_error", text, "command")
