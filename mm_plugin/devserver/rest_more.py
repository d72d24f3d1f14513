"""REST for what goes beyond posts: direct channels, pictures, emoji, public links, what was read, what was sent.

Layer:  devserver, beside ``rest``, which serves these routes; on Mattermost's own v4 paths, but for the outbox.
See:    https://api.mattermost.com
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, cast
from urllib.parse import quote

from starlette.responses import JSONResponse, Response

from mm_plugin import limits
from mm_plugin.devserver.api_emoji import create_emoji, delete_emoji
from mm_plugin.devserver.errors import denied, failed, invalid
from mm_plugin.devserver.json_forms import json_of, parse_object, parse_strings
from mm_plugin.devserver.outbox import OutboxKind
from mm_plugin.devserver.outgoing import send
from mm_plugin.devserver.pictures import format_of
from mm_plugin.devserver.public_links import is_public_link
from mm_plugin.devserver.reading import mark_viewed
from mm_plugin.devserver.rest_request import Call
from mm_plugin.types import JSONValue

if TYPE_CHECKING:
    from email.message import Message as MIMEMessage

__all__ = ("MORE_ROUTES", "RESTRoute")

_SUBMISSION = frozenset({"callback_id", "state", "submission", "channel_id", "team_id"})

_NUMBER = re.compile("[0-9]{1,18}")

_Answer: TypeAlias = Callable[[Call], Awaitable[Response]]


class RESTRoute(NamedTuple):
    """A path of the REST door, who answers it, and whether without a login."""

    method: str
    path: str
    answer: _Answer
    public: bool = False


def _ok() -> Response:
    return JSONResponse({"status": "OK"})


# -- pictures -------------------------------------------------------------------------------------------------


def _picture(data: bytes) -> Response:
    return Response(data, media_type=f"image/{format_of(data) or 'png'}", headers={"X-Content-Type-Options": "nosniff"})


async def _user_image(call: Call) -> Response:
    return _picture(await call.api.get_profile_image(call.path("user_id")))


async def _team_image(call: Call) -> Response:
    return _picture(await call.api.get_team_icon(call.path("team_id")))


async def _emoji_image(call: Call) -> Response:
    return _picture((await call.api.get_emoji_image(call.path("emoji_id")))[0])


# -- emoji ----------------------------------------------------------------------------------------------------


async def _emoji_list(call: Call) -> Response:
    page, per_page = call.paging()
    found = await call.api.get_emoji_list(call.query("sort"), page=page, per_page=per_page)
    return JSONResponse([json_of(emoji) for emoji in found])


async def _emoji(call: Call) -> Response:
    return JSONResponse(json_of(await call.api.get_emoji(call.path("emoji_id"))))


async def _emoji_by_name(call: Call) -> Response:
    return JSONResponse(json_of(await call.api.get_emoji_by_name(call.path("name"))))


async def _create_emoji(call: Call) -> Response:
    """Take a form with the parts ``image`` (a file) and ``emoji`` (JSON with the name)."""
    octets = await call.octets(limits.devserver_picture_octets + limits.devserver_body_octets)
    parts = _form_parts(call.header("content-type"), octets)
    try:
        name, image = str(parse_object(parts["emoji"])["name"]), parts["image"]
    except (KeyError, ValueError):
        text = "Expected a form with the file image, and emoji as JSON with a name."
        raise invalid("api.emoji.create.parse.app_error", text, "createEmoji") from None
    return JSONResponse(json_of(await create_emoji(call.app.store, call.user_id, name, image)), status_code=201)


async def _delete_emoji(call: Call) -> Response:
    emoji = await call.api.get_emoji(call.path("emoji_id"))
    if emoji.creator_id != call.user_id and not await call.api.has_permission_to(call.user_id, "delete_others_emojis"):
        raise denied("You can delete your own emoji only.")
    await delete_emoji(call.app.store, emoji.id)
    return _ok()


def _form_parts(content_type: str, octets: bytes) -> dict[str, bytes]:
    """Return the parts of a multipart form by name; empty for what is none. Forms are MIME (RFC 7578)."""
    from email.parser import BytesParser  # slow to load, and seldom needed

    head = f"MIME-Version: 1.0\r\nContent-Type: {content_type}\r\n\r\n".encode("latin-1", "replace")
    form = BytesParser().parsebytes(head + octets)
    parts = cast("list[MIMEMessage]", form.get_payload()) if form.is_multipart() else []
    named = {part.get_param("name", header="content-disposition"): part.get_payload(decode=True) for part in parts}
    return {str(name): data for name, data in named.items() if isinstance(data, bytes)}


# -- links, reading, sent -------------------------------------------------------------------------------------


async def _public_file(call: Call) -> Response:
    file_id = call.path("file_id")
    if not await is_public_link(call.app.store, file_id, call.query("h")):
        raise invalid("api.file.get_public_link.bad_hash.app_error", "This is no link of this server.", "GetPublicFile")
    info = await call.api.get_file_info(file_id)
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(info.name, safe='')}"}
    return Response(await call.api.get_file(file_id), media_type=info.mime_type, headers=headers)


async def _ids(call: Call) -> list[str]:
    try:
        return parse_strings(await call.octets(limits.devserver_body_octets))
    except ValueError as error:
        text = f"The body must be a JSON array of users' ids: {error}."
        raise invalid("api.context.invalid_body_param.app_error", text) from None


async def _create_direct(call: Call) -> Response:
    """Return the channel of two users, one of whom asks; how somebody writes to a bot."""
    user_ids = await _ids(call)
    if len(user_ids) != 2:
        raise invalid("api.context.invalid_body_param.app_error", "The body must be the ids of two users.")
    if call.user_id not in user_ids:
        raise denied("Only one of the two may do that.")
    return JSONResponse(json_of(await call.api.get_direct_channel(*user_ids)), 201)


async def _create_group(call: Call) -> Response:
    """Return the channel of three to eight users; whoever asks is one of them, named or not."""
    return JSONResponse(json_of(await call.api.get_group_channel([*await _ids(call), call.user_id])), 201)


async def _view_channel(call: Call) -> Response:
    await call.check_self(call.path("user_id"))
    channel = await call.api.get_channel(str((await call.json()).get("channel_id", "")))
    await call.check_channel(channel.id)
    await mark_viewed(call.app.store, channel, call.path("user_id"))
    return JSONResponse({"status": "OK", "last_viewed_at_times": {channel.id: channel.last_post_at}})


async def _unread(call: Call) -> Response:
    await call.check_self(call.path("user_id"))
    unread = await call.api.get_teams_unread_for_user(call.path("user_id"))
    return JSONResponse([json_of(team) for team in unread])


async def _outbox(call: Call) -> Response:
    """Show what the server sent: mails, pushes, events, dialogs, audit records. Mattermost has no such path."""
    if not await call.api.has_permission_to(call.user_id, "manage_system"):
        raise denied("The outbox is for administrators.")
    kind, after = call.query("kind"), call.query("after", "0")
    if kind not in {"", *OutboxKind} or not _NUMBER.fullmatch(after):
        text = f"kind is empty or one of {', '.join(OutboxKind)}; after is a number."
        raise invalid("api.context.invalid_url_param.app_error", text)
    sent = await call.app.store.outbox.newest(OutboxKind(kind) if kind else None, after=int(after))
    shown: list[JSONValue] = [
        {
            "id": entry.id,
            "kind": entry.kind,
            "plugin_id": entry.plugin_id,
            "create_at": entry.create_at,
            "content": entry.content,
        }
        for entry in sent
    ]
    return JSONResponse(shown)


async def _submit_dialog(call: Call) -> Response:
    """Send what a user filled into a dialog to the dialog's url, and show what it answers."""
    body = await call.json()
    url, cancelled = str(body.get("url", "")), bool(body.get("cancelled"))
    sent = {key: value for key, value in body.items() if key in _SUBMISSION}
    content = {**sent, "type": "dialog_submission", "user_id": call.user_id, "cancelled": cancelled}
    headers = {"Content-Type": "application/json"}
    answer = await send(call.app, "POST", url, json.dumps(content).encode(), headers, user_id=call.user_id)
    if answer.status != 200:
        text = f"The dialog's url answered {answer.status}."
        raise failed("api.post.do_action.action_integration.app_error", text, "SubmitInteractiveDialog")
    return Response(answer.body or b"{}", media_type="application/json")


#: In the order in which they are tried.
MORE_ROUTES = (
    RESTRoute("GET", "/api/v4/users/{user_id}/image", _user_image),
    RESTRoute("GET", "/api/v4/users/{user_id}/teams/unread", _unread),
    RESTRoute("GET", "/api/v4/teams/{team_id}/image", _team_image),
    RESTRoute("GET", "/api/v4/emoji", _emoji_list),
    RESTRoute("POST", "/api/v4/emoji", _create_emoji),
    RESTRoute("GET", "/api/v4/emoji/name/{name}", _emoji_by_name),
    RESTRoute("GET", "/api/v4/emoji/{emoji_id}", _emoji),
    RESTRoute("GET", "/api/v4/emoji/{emoji_id}/image", _emoji_image),
    RESTRoute("DELETE", "/api/v4/emoji/{emoji_id}", _delete_emoji),
    RESTRoute("GET", "/files/{file_id}/public", _public_file, public=True),
    RESTRoute("POST", "/api/v4/channels/direct", _create_direct),
    RESTRoute("POST", "/api/v4/channels/group", _create_group),
    RESTRoute("POST", "/api/v4/channels/members/{user_id}/view", _view_channel),
    RESTRoute("POST", "/api/v4/actions/dialogs/submit", _submit_dialog),
    RESTRoute("GET", "/api/v4/devserver/outbox", _outbox),
)
