"""A WebSocket client for tests, on a raw socket: wsproto's state machine and nothing of the server's own."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

import anyio
from anyio.abc import SocketStream
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)

Message = dict[str, Any]

PATH = "/api/v4/websocket"


class RejectedError(Exception):
    """The server refused the handshake.

    Attributes:
        status: HTTP status.
        body: The answer's body, as JSON.
    """

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(status, body)
        self.status = status
        self.body: Message = json.loads(body) if body else {}


class ClosedError(Exception):
    """The server closed the connection.

    Attributes:
        code: The close code; None where it went without a word.
        reason: The server's words.
    """

    def __init__(self, code: int | None, reason: str = "") -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class WebSocketClient:
    """One connection, after its handshake."""

    def __init__(self, stream: SocketStream, connection: WSConnection) -> None:
        self.stream = stream
        self._connection = connection
        self._events: deque[Event] = deque()
        self._seq = 0
        self.connection_id = ""

    async def send(self, data: str | bytes) -> None:
        """Send a message as it is."""
        message = TextMessage(data) if isinstance(data, str) else BytesMessage(data)
        await self.stream.send(self._connection.send(message))

    async def act(self, action: str, data: Mapping[str, object] | None = None, **more: object) -> int:
        """Send an action with the next number, and return the number."""
        self._seq += 1
        message = {"seq": self._seq, "action": action, **more}
        await self.send(json.dumps(message if data is None else {**message, "data": data}))
        return self._seq

    async def ask(self, action: str, data: Mapping[str, object] | None = None) -> Message:
        """Send an action and return its reply, which must be the next message."""
        seq = await self.act(action, data)
        reply = await self.receive()
        assert reply["seq_reply"] == seq
        return reply

    async def receive(self) -> Message:
        """Return the next message.

        Raises:
            ClosedError: The server has closed the connection.
        """
        text = ""
        while True:
            event = await self._next_event()
            match event:
                case TextMessage():
                    text += event.data
                    if event.message_finished:
                        return cast("Message", json.loads(text))
                case CloseConnection():
                    raise ClosedError(event.code, event.reason or "")
                case _:
                    raise AssertionError(event)

    async def hello(self) -> None:
        """Take the greeting, which must be the first event."""
        message = await self.receive()
        assert (message["event"], message["seq"]) == ("hello", 0)
        self.connection_id = message["data"]["connection_id"]

    async def close(self) -> None:
        """Close in good order, and wait for the server's answer."""
        await self.stream.send(self._connection.send(CloseConnection(code=1000)))
        while not isinstance(await self._next_event(), CloseConnection):
            pass

    async def _next_event(self) -> Event:
        while not self._events:
            try:
                self._connection.receive_data(await self.stream.receive())
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                raise ClosedError(None) from None
            self._events.extend(self._connection.events())
        return self._events.popleft()


@asynccontextmanager
async def open_client(
    url: str,
    token: str = "",
    *,
    cookie: str = "",
    origin: str = "",
    stale: str = "",
    path: str = PATH,
    limit_s: float = 20,
) -> AsyncGenerator[WebSocketClient]:
    """Connect to a server's WebSocket; signed in and greeted already where a token or cookie is given.

    Raises:
        RejectedError: The server refused the handshake.
    """
    host, _, port = url.rpartition("//")[2].rpartition(":")
    fields = {
        "Authorization": token and f"Bearer {token}",
        "Cookie": stale or (cookie and f"MMAUTHTOKEN={cookie}"),
        "Origin": origin,
    }
    with anyio.fail_after(limit_s):
        async with await anyio.connect_tcp(host, int(port)) as stream:
            connection = WSConnection(ConnectionType.CLIENT)
            head = [(name.encode(), value.encode()) for name, value in fields.items() if value]
            request = Request(host=f"{host}:{port}", target=path, extra_headers=head)
            await stream.send(connection.send(request))
            client = WebSocketClient(stream, connection)
            await _shake_hands(client)
            if token or cookie:
                await client.hello()
            yield client


async def _shake_hands(client: WebSocketClient) -> None:
    status, body = 0, b""
    while True:
        match await client._next_event():
            case AcceptConnection():
                return
            case RejectConnection(status_code=status, has_body=has_body):
                if not has_body:
                    raise RejectedError(status, b"")
            case RejectData(data=data, body_finished=finished):
                body += data
                if finished:
                    raise RejectedError(status, body)
            case event:
                raise AssertionError(event)
