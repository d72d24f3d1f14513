"""What WebSocket clients may ask for: their messages read, and the actions that the server itself answers.

Layer:  devserver; ``websocket`` has the connections.
Errors: ValueError for what is no message; PluginAPIError where an action is refused.
See:    https://api.mattermost.com, "WebSocket API"
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mm_plugin.devserver.api import DevServerAPI
from mm_plugin.devserver.api_server import SERVER_VERSION
from mm_plugin.devserver.errors import failed, invalid
from mm_plugin.devserver.json_forms import parse_object
from mm_plugin.messages.helpers import now_ms
from mm_plugin.messages.structs import fill_struct
from mm_plugin.messages.websocket import WebSocketRequest
from mm_plugin.types import JSONObject

if TYPE_CHECKING:
    from mm_plugin.devserver.app import App

__all__ = ("CHALLENGE", "CUSTOM", "ClientMessage", "answer", "check_addressed", "parse_message")

logger = logging.getLogger("mm_plugin.devserver")

#: By this action a client says who it is.
CHALLENGE = "authentication_challenge"
#: Actions that begin so are for plugins alone.
CUSTOM = "custom_"
_NOTHING: JSONObject = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientMessage:
    """A client's message.

    Attributes:
        seq: Its number, from 1; 0 where it has none.
        action: What is asked for; "" where nothing is.
        data: With what.
    """

    seq: int
    action: str
    data: JSONObject

    def as_request(self) -> WebSocketRequest:
        """Return it as plugins see it; without data where plugins cannot be told of them, as on the server."""
        request = WebSocketRequest(seq=self.seq, action=self.action)
        try:
            fill_struct(request.data, self.data, "data")
        except (TypeError, ValueError) as error:
            logger.warning("plugins get the action %s without its data: %s", self.action, error)
            request.ClearField("data")
        return request


def parse_message(text: str) -> ClientMessage:
    """Read a message.

    Raises:
        ValueError: It is none.
    """
    value = {name: given for name, given in parse_object(text.encode()).items() if given is not None}
    seq, action, data = value.get("seq", 0), value.get("action", ""), value.get("data", _NOTHING)
    if type(seq) is not int or not isinstance(action, str) or not isinstance(data, Mapping) or abs(seq) >= 2**63:
        raise ValueError("seq is a whole number, action is text, data is an object")
    return ClientMessage(seq=seq, action=action, data=data)


def check_addressed(message: ClientMessage) -> None:
    """Make sure that a message can be answered: that it has an action, and a number.

    Raises:
        ValidationError: It has not.
    """
    if not message.action:
        text = f"A message has an action, such as {', '.join(_known())}."
        raise invalid("api.web_socket_router.no_action.app_error", text)
    if message.seq <= 0:
        text = "A message has a seq: 1 for the first, then rising; its reply carries it as seq_reply."
        raise invalid("api.web_socket_router.bad_seq.app_error", text)


async def answer(app: App, user_id: str, message: ClientMessage) -> JSONObject:
    """Do what a client asks for.

    Returns:
        The reply's data; empty where it has none.

    Raises:
        PluginAPIError: It cannot be done; HTTP 500 for an action that is not known, as on the server.
    """
    action = _ACTIONS.get(message.action)
    if action is None:
        text = (
            f"Unknown action {message.action[:100]!r}. This server knows {', '.join(_known())};"
            " plugins hear of all others in WebSocketMessageHasBeenPosted,"
            f" and an action that begins with {CUSTOM}<plugin id>_ gets no reply."
        )
        raise failed("api.web_socket_router.bad_action.app_error", text)
    return await action(app, user_id, message.data)


async def _ping(_app: App, _user_id: str, _data: JSONObject) -> JSONObject:
    return {"text": "pong", "version": SERVER_VERSION, "server_time": now_ms(), "node_id": ""}


async def _user_typing(app: App, user_id: str, data: JSONObject) -> JSONObject:
    channel_id, parent_id = data.get("channel_id"), data.get("parent_id")
    api = DevServerAPI(app)
    if not isinstance(channel_id, str) or not await api.has_permission_to_channel(user_id, channel_id, "create_post"):
        text = "Invalid channel_id: user_typing needs the id of a channel that its user may post in."
        raise invalid("api.websocket_handler.invalid_param.app_error", text)
    await api.publish_user_typing(user_id, channel_id, parent_id if isinstance(parent_id, str) else "")
    return {}


_ACTIONS: dict[str, Callable[[App, str, JSONObject], Awaitable[JSONObject]]] = {
    "ping": _ping,
    "user_typing": _user_typing,
}


def _known() -> list[str]:
    return [CHALLENGE, *_ACTIONS]
