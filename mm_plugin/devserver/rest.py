"""The REST door: Mattermost's own v4 paths and JSON, as far as a developer needs them.

Layer:  devserver, over starlette; what is asked is answered by ``api``, the same object that plugins ask.
Output: an ASGI app for ``/api/v4/…``; every error is Mattermost's JSON with id, message and request_id.
See:    https://api.mattermost.com
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute

from mm_plugin.devserver.api_posts import post_list
from mm_plugin.devserver.api_server import SERVER_VERSION, manifest_message, plugin_status
from mm_plugin.devserver.custom_commands import execute
from mm_plugin.devserver.errors import denied, failed, invalid
from mm_plugin.devserver.json_forms import fill_message, json_of
from mm_plugin.devserver.rest_files import readable_file, send_file, upload_file
from mm_plugin.devserver.rest_more import MORE_ROUTES
from mm_plugin.devserver.rest_request import COOKIE, Call, answer_unknown, error_response
from mm_plugin.devserver.websocket import serve_client
from mm_plugin.exceptions import PluginAPIError
from mm_plugin.messages.commands import CommandArgs
from mm_plugin.messages.posts import Post

if TYPE_CHECKING:
    from collections.abc import Iterable

    from google.protobuf.message import Message
    from starlette.requests import Request
    from starlette.websockets import WebSocket

    from mm_plugin.devserver.app import App

__all__ = ("rest_app",)

logger = logging.getLogger("mm_plugin.devserver")

_Answer = Callable[[Call], Awaitable[Response]]
_FAULT = failed("api.context.internal.app_error", "The server failed; its log says why.")


def rest_app(app: App) -> Starlette:
    """Return the ASGI app of a server's REST door."""

    def route(method: str, path: str, answer: _Answer, *, public: bool = False, prefix: str = "/api/v4") -> Route:
        async def endpoint(request: Request) -> Response:
            call = Call(app, request)
            try:
                if not public:
                    await call.sign_in()
                response = await answer(call)
            except PluginAPIError as error:
                response = error_response(error, call.request_id)
            except Exception:
                logger.exception("%s %s failed, request %s", method, request.url.path, call.request_id)
                response = error_response(_FAULT, call.request_id)
            response.headers["X-Request-Id"] = call.request_id
            response.headers["X-Version-Id"] = SERVER_VERSION
            return response

        return Route(f"{prefix}{path}", endpoint, methods=[method])

    async def connect(websocket: WebSocket) -> None:
        await serve_client(app, websocket)

    return Starlette(
        routes=[
            WebSocketRoute("/api/v4/websocket", connect),
            route("GET", "/websocket", _no_upgrade, public=True),
            route("GET", "/system/ping", _ping, public=True),
            route("POST", "/users/login", _log_in, public=True),
            route("POST", "/users/logout", _log_out),
            route("GET", "/users", _users),
            route("GET", "/users/username/{name}", _user_by_name),
            route("GET", "/users/{user_id}", _user),
            route("GET", "/users/{user_id}/teams", _teams_of_user),
            route("GET", "/users/{user_id}/teams/{team_id}/channels", _channels_of_user),
            route("GET", "/teams", _teams),
            route("GET", "/teams/name/{name}", _team_by_name),
            route("GET", "/teams/name/{team_name}/channels/name/{name}", _channel_by_names),
            route("GET", "/teams/{team_id}", _team),
            route("GET", "/teams/{team_id}/channels", _channels),
            route("GET", "/teams/{team_id}/channels/name/{name}", _channel_by_name),
            route("GET", "/channels/{channel_id}", _channel),
            route("GET", "/channels/{channel_id}/posts", _posts),
            route("POST", "/posts", _create_post),
            route("GET", "/posts/{post_id}", _post),
            route("GET", "/posts/{post_id}/thread", _thread),
            route("PUT", "/posts/{post_id}", _update_post),
            route("DELETE", "/posts/{post_id}", _delete_post),
            route("POST", "/files", upload_file),
            route("GET", "/files/{file_id}", send_file),
            route("GET", "/files/{file_id}/info", _file_info),
            route("GET", "/commands", _commands),
            route("POST", "/commands/execute", _execute_command),
            route("GET", "/config", _config),
            route("PUT", "/config/patch", _patch_config),
            route("GET", "/plugins", _plugins),
            route("GET", "/plugins/statuses", _plugin_statuses),
            route("POST", "/plugins/{plugin_id}/enable", _enable_plugin),
            route("POST", "/plugins/{plugin_id}/disable", _disable_plugin),
            route("DELETE", "/plugins/{plugin_id}", _remove_plugin),
            *(route(more.method, more.path, more.answer, public=more.public, prefix="") for more in MORE_ROUTES),
        ],
        exception_handlers={HTTPException: answer_unknown},
    )


def _one(message: Message, status_code: int = 200) -> Response:
    return JSONResponse(json_of(message), status_code=status_code)


def _many(messages: Iterable[Message]) -> Response:
    return JSONResponse([json_of(message) for message in messages])


def _ok() -> Response:
    return JSONResponse({"status": "OK"})


# -- system, users --------------------------------------------------------------------------------------------


async def _ping(_call: Call) -> Response:
    return _ok()


async def _no_upgrade(_call: Call) -> Response:
    text = "This path speaks WebSocket: connect with ws:// and the headers of RFC 6455."
    raise invalid("api.web_socket.connect.upgrade.app_error", text, "connect")


async def _log_in(call: Call) -> Response:
    body = await call.json()
    login_id, password = str(body.get("login_id", "")), str(body.get("password", ""))
    user, session = await call.app.accounts.log_in(login_id, password, call.context)
    response = _one(user)
    response.headers["Token"] = session.token
    response.set_cookie(COOKIE, session.token, httponly=True, samesite="lax")
    return response


async def _log_out(call: Call) -> Response:
    await call.api.revoke_session(call.session.id)
    response = _ok()
    response.delete_cookie(COOKIE)
    return response


async def _users(call: Call) -> Response:
    page, per_page = call.paging()
    found = await call.api.get_users(
        in_team_id=call.query("in_team"), in_channel_id=call.query("in_channel"), page=page, per_page=per_page
    )
    return _many(found)


async def _user(call: Call) -> Response:
    return _one(await call.api.get_user(call.path("user_id")))


async def _user_by_name(call: Call) -> Response:
    return _one(await call.api.get_user_by_username(call.path("name")))


# -- teams, channels ------------------------------------------------------------------------------------------


async def _teams(call: Call) -> Response:
    return _many(await call.api.get_teams())


async def _team(call: Call) -> Response:
    return _one(await call.api.get_team(call.path("team_id")))


async def _team_by_name(call: Call) -> Response:
    return _one(await call.api.get_team_by_name(call.path("name")))


async def _teams_of_user(call: Call) -> Response:
    await call.check_self(call.path("user_id"))
    return _many(await call.api.get_teams_for_user(call.path("user_id")))


async def _channels_of_user(call: Call) -> Response:
    await call.check_self(call.path("user_id"))
    return _many(await call.api.get_channels_for_team_for_user(call.path("team_id"), call.path("user_id")))


async def _channels(call: Call) -> Response:
    page, per_page = call.paging()
    return _many(await call.api.get_public_channels_for_team(call.path("team_id"), page=page, per_page=per_page))


async def _channel(call: Call) -> Response:
    channel = await call.api.get_channel(call.path("channel_id"))
    await call.check_channel(channel.id)
    return _one(channel)


async def _channel_by_name(call: Call) -> Response:
    channel = await call.api.get_channel_by_name(call.path("team_id"), call.path("name"))
    await call.check_channel(channel.id)
    return _one(channel)


async def _channel_by_names(call: Call) -> Response:
    channel = await call.api.get_channel_by_name_for_team_name(call.path("team_name"), call.path("name"))
    await call.check_channel(channel.id)
    return _one(channel)


# -- posts ----------------------------------------------------------------------------------------------------


async def _posts(call: Call) -> Response:
    await call.check_channel(call.path("channel_id"))
    page, per_page = call.paging()
    channel_id = call.path("channel_id")
    posts = await call.api.get_posts_for_channel(channel_id, page=page, per_page=per_page)
    if page == 0:  # where a client shows what came in since it was opened
        shown = [*posts.posts.values(), *call.app.ephemeral.seen_by(call.user_id, channel_id)]
        place = {post_id: number for number, post_id in enumerate(reversed(posts.order))}
        posts = post_list(sorted(shown, key=lambda post: (post.create_at, place.get(post.id, len(place))))[::-1])
    return _one(posts)


async def _create_post(call: Call) -> Response:
    post = fill_message(Post(), await call.json())
    await call.check_channel(post.channel_id)
    post.user_id = call.user_id
    return _one(await call.app.posting.create(post, context=call.context), 201)


async def _post(call: Call) -> Response:
    return _one(await _readable_post(call))


async def _thread(call: Call) -> Response:
    post = await _readable_post(call)
    return _one(await call.api.get_post_thread(post.id))


async def _update_post(call: Call) -> Response:
    post = await _own_post(call)
    changed = fill_message(post, {**await call.json(), "id": post.id})
    return _one(await call.app.posting.update(changed, context=call.context))


async def _delete_post(call: Call) -> Response:
    post = await _own_post(call)
    await call.app.posting.delete(post.id, context=call.context)
    return _ok()


async def _readable_post(call: Call) -> Post:
    post = await call.api.get_post(call.path("post_id"))
    await call.check_channel(post.channel_id)
    return post


async def _own_post(call: Call) -> Post:
    post = await _readable_post(call)
    if post.user_id != call.user_id and not await call.api.has_permission_to(call.user_id, "edit_others_posts"):
        raise denied("You can change your own posts only.")
    return post


# -- files, commands, configuration, plugins ----------------------------------------------------------------------


async def _file_info(call: Call) -> Response:
    return _one(await readable_file(call))


async def _commands(call: Call) -> Response:
    commands = await call.api.list_commands(call.query("team_id"))
    for command in commands:  # whom a command calls, and by what secret, is for those who made it
        for field in ("token", "creator_id", "method", "username", "url", "icon_url"):
            command.ClearField(field)
    return _many(commands)


async def _execute_command(call: Call) -> Response:
    args = fill_message(CommandArgs(), await call.json())
    await call.check_channel(args.channel_id)
    args.user_id = call.user_id
    team_id = (await call.api.get_channel(args.channel_id)).team_id
    if not team_id and args.team_id:  # a direct channel belongs to no team, so any of the user's may be meant
        await call.check_team(args.team_id)
    args.team_id = team_id or args.team_id
    args.site_url = call.app.site_url
    return _one(await execute(call.app, args, context=call.context))


async def _config(call: Call) -> Response:
    await _check_administrator(call)
    return JSONResponse(await call.app.configuration.read())


async def _patch_config(call: Call) -> Response:
    await _check_administrator(call)
    return JSONResponse(await call.app.configuration.patch(await call.json(), context=call.context))


async def _check_administrator(call: Call) -> None:
    if not await call.api.has_permission_to(call.user_id, "manage_system"):
        raise denied("Only an administrator may do that.")


async def _plugins(call: Call) -> Response:
    plugins = call.app.host.plugins.values()
    return JSONResponse(
        {
            "active": [json_of(manifest_message(plugin)) for plugin in plugins if plugin.hooks is not None],
            "inactive": [json_of(manifest_message(plugin)) for plugin in plugins if plugin.hooks is None],
        }
    )


async def _plugin_statuses(call: Call) -> Response:
    return _many(plugin_status(plugin) for plugin in call.app.host.plugins.values())


async def _enable_plugin(call: Call) -> Response:
    await _check_administrator(call)
    await call.api.enable_plugin(call.path("plugin_id"))
    return _ok()


async def _disable_plugin(call: Call) -> Response:
    await _check_administrator(call)
    await call.api.disable_plugin(call.path("plugin_id"))
    return _ok()


async def _remove_plugin(call: Call) -> Response:
    await _check_administrator(call)
    await call.api.remove_plugin(call.path("plugin_id"))
    return _ok()
