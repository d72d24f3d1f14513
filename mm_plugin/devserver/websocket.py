"""The WebSocket of Mattermost's clients, ``/api/v4/websocket``: signing in, actions, events, and what plugins hear.

Job:    one connection from its handshake to its end.
Layer:  devserver, over starlette, ``clients`` and ``websocket_actions``.
Tasks:  each connection owns a *reader* and a *writer*, siblings; who has signed in also has a *teller*, which calls
        the plugins' hooks in order, one message after the other, and outlives both for what was said before the end.
        The writer alone sends, the farewell too; a client that does not take that in time is cut off.
Errors: none comes out; a client that breaks the rules is closed with a reason, a plugin's failure is logged.
See:    RFC 6455; docs/reference/devserver.md, "The WebSocket"
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio

from mm_plugin import limits
from mm_plugin.devserver.api_server import SERVER_VERSION
from mm_plugin.devserver.clients import POLICY_VIOLATION, Audience, Client
from mm_plugin.devserver.errors import denied, failed, unauthenticated
from mm_plugin.devserver.rest_request import context_of, error_json, error_response, token_of
from mm_plugin.devserver.websocket_actions import (
    CHALLENGE,
    CUSTOM,
    ClientMessage,
    answer,
    check_addressed,
    parse_message,
)
from mm_plugin.exceptions import PluginAPIError
from mm_plugin.hooks.names import HookName

if TYPE_CHECKING:
    from anyio.abc import TaskGroup
    from starlette.websockets import WebSocket

    from mm_plugin.devserver.app import App
    from mm_plugin.types import JSONObject

__all__ = ("serve_client",)

logger = logging.getLogger("mm_plugin.devserver")

_NORMAL, _NO_TEXT, _NO_MESSAGE, _TOO_LONG, _FAILED = 1000, 1003, 1007, 1009, 1011  # RFC 6455, section 7.4.1
_LOCAL = {"localhost", "127.0.0.1", "::1"}
_FAULT = failed("api.context.internal.app_error", "The server failed; its log says why.")


async def serve_client(app: App, websocket: WebSocket) -> None:
    """Serve one client until its end; cancellation closes it with 1001, as the server going away."""
    origin = websocket.headers.get("origin", "")
    if not _may_connect(origin, websocket.headers.get("host", "")):
        text = f"A page of {origin[:200]!r} may not connect: only pages of this server's host and of localhost may."
        await websocket.send_denial_response(error_response(denied(text)))
        return
    await websocket.accept()
    await _Connection(app, websocket).run()


def _may_connect(origin: str, host: str) -> bool:
    """Tell whether a browser's page may: it sends its user's cookie along, whoever has written the page."""
    if not origin:
        return True  # no browser
    try:
        page, here = urlsplit(origin).hostname, urlsplit(f"//{host}").hostname
    except ValueError:
        return False
    return page is not None and (page == here or page in _LOCAL or page.endswith(".localhost"))


class _Connection:
    def __init__(self, app: App, websocket: WebSocket) -> None:
        self._app = app
        self._websocket = websocket
        self._client = Client()
        self._parting = anyio.CancelScope(shield=True)
        self._parted = anyio.Event()
        # What plugins are still to be told.
        self._said, self._heard = anyio.create_memory_object_stream[ClientMessage](
            limits.devserver_websocket_told_messages
        )

    async def run(self) -> None:
        with self._heard:
            async with anyio.create_task_group() as hooks:
                with self._said, self._app.clients.connected(self._client):
                    await self._exchange(hooks)

    async def _exchange(self, hooks: TaskGroup) -> None:
        """Read and write until one of both ends, and say farewell."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._write, name="WebSocket writer")
            tasks.start_soon(self._read, hooks, name="WebSocket reader")
            try:
                await self._client.over.wait()
            finally:
                tasks.cancel_scope.cancel()
                with anyio.move_on_after(limits.cleanup_s, shield=True):
                    await self._parted.wait()
                if not self._parted.is_set():
                    from mm_plugin.host.websocket_streams import cut_off  # takes hypercorn, which commands load late

                    cut_off(self._websocket.scope)
                    self._parting.cancel()

    async def _write(self) -> None:
        try:
            async for text in self._client.outgoing:
                await self._websocket.send_text(text)
        finally:
            with self._parting:
                await self._websocket.close(*self._client.farewell)
            self._parted.set()

    # -- from the client --------------------------------------------------------------------------------------

    async def _read(self, hooks: TaskGroup) -> None:
        try:
            await self._converse(hooks)
        except Exception:
            logger.exception("a WebSocket connection ended by a fault of the server")
            self._client.end(_FAILED, "the server failed; its log says why")

    async def _converse(self, hooks: TaskGroup) -> None:
        """Let somebody sign in, then take one message after the other."""
        client = self._client
        with anyio.move_on_after(limits.devserver_websocket_sign_in_s):
            await self._sign_in(token_of(self._websocket))
            while client.session is None and (message := await self._receive()) is not None:
                await self._challenge(message)
        if client.session is None:
            client.end(POLICY_VIOLATION, f"nobody has signed in: send {CHALLENGE} with a token")
            return
        data = {"server_version": SERVER_VERSION, "connection_id": client.connection_id}
        client.send_event("hello", data, Audience(user_id=client.user_id))
        hooks.start_soon(self._tell, name="WebSocket teller")
        while (message := await self._receive()) is not None and await self._app.clients.is_signed_in(client):
            await self._take(message)

    async def _receive(self) -> ClientMessage | None:
        """Return the client's next message; None where there is none, and the connection is to end."""
        client = self._client
        if client.over.is_set():
            return None
        received = await self._websocket.receive()
        text = received.get("text")
        if received["type"] == "websocket.disconnect":
            client.end(_NORMAL, "")
        elif text is None:
            client.end(_NO_TEXT, "binary messages are not understood: send JSON as text")
        elif len(text.encode()) > limits.devserver_websocket_message_octets:
            client.end(_TOO_LONG, f"a message has at most {limits.devserver_websocket_message_octets} octets")
        else:
            try:
                return parse_message(text)
            except ValueError as error:
                logger.warning("a WebSocket client sent what is no message: %s", error)
                client.end(_NO_MESSAGE, 'a message is a JSON object: {"seq": number, "action": text, "data": object}')
        return None

    async def _sign_in(self, token: str) -> None:
        self._client.session = await self._app.accounts.session_of(token)

    async def _challenge(self, message: ClientMessage) -> None:
        """Take a message of a client that nobody has signed in to."""
        client = self._client
        try:
            check_addressed(message)
            if message.action != CHALLENGE:
                text = f"Send {CHALLENGE} with a token first."
                raise unauthenticated("api.web_socket_router.not_authenticated.app_error", text)
        except PluginAPIError as error:
            self._refuse(message, error)
            return
        token = message.data.get("token")
        await self._sign_in(token if isinstance(token, str) else "")
        if client.session is None:
            client.end(POLICY_VIOLATION, "the token is of no session")
        client.send({"status": "OK", "seq_reply": message.seq})

    async def _take(self, message: ClientMessage) -> None:
        """Answer a message, and have the plugins told of it; waits where they are behind, as the server does."""
        if message.action == CHALLENGE:
            return  # signed in already; the server says nothing to that either
        if not message.action.startswith(CUSTOM):
            try:
                check_addressed(message)
                data = await answer(self._app, self._client.user_id, message)
            except PluginAPIError as error:
                self._refuse(message, error)
            except Exception:
                logger.exception("the WebSocket action %s failed", message.action)
                self._refuse(message, _FAULT)
            else:
                reply: JSONObject = {"status": "OK", "seq_reply": message.seq}
                self._client.send({**reply, "data": data} if data else reply)
        await self._said.send(message)

    def _refuse(self, message: ClientMessage, error: PluginAPIError) -> None:
        self._client.send({"status": "FAIL", "seq_reply": message.seq, "error": error_json(error)})

    # -- to the plugins ---------------------------------------------------------------------------------------

    async def _tell(self) -> None:
        """Call the hooks: the connection is there, each message in order, it is gone; failures are logged."""
        host, connection_id, user_id = self._app.host, self._client.connection_id, self._client.user_id
        context = context_of(self._websocket, self._client.session)
        try:
            await host.notify(HookName.OnWebSocketConnect, context=context, web_conn_id=connection_id, user_id=user_id)
            async for message in self._heard:
                await host.notify(
                    HookName.WebSocketMessageHasBeenPosted,
                    context=context,
                    web_conn_id=connection_id,
                    user_id=user_id,
                    request=message.as_request(),
                )
        finally:
            self._app.events.tell(
                HookName.OnWebSocketDisconnect, context=context, web_conn_id=connection_id, user_id=user_id
            )
