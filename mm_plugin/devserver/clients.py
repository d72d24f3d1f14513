"""The clients that are connected by WebSocket, and who of them gets an event.

Job:    know the connections of those who have signed in; put each event into the queues of those who may see it.
Layer:  devserver, over the store; ``websocket`` has the connections themselves.
Output: Mattermost's events as JSON, numbered for each connection.
Errors: none: a client that does not read is ended, and whoever publishes waits for the state's file only.
See:    docs/reference/devserver.md, "The WebSocket"
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio

from mm_plugin import limits
from mm_plugin.messages.helpers import new_id

if TYPE_CHECKING:
    from mm_plugin.devserver.store import Store
    from mm_plugin.messages.users import Session
    from mm_plugin.types import JSONValue

__all__ = ("GOING_AWAY", "POLICY_VIOLATION", "Audience", "Client", "Clients")

#: RFC 6455, section 7.4.1.
GOING_AWAY, POLICY_VIOLATION = 1001, 1008


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """Who gets an event; everybody where nothing is said. The server's ``broadcast``.

    Attributes:
        user_id: Only this user, whatever the other fields but ``omit_connection_id`` say.
        channel_id: Only members of this channel, whatever ``team_id`` says.
        team_id: Only members of this team.
        omit_users: Not these users.
        omit_connection_id: Not this connection.
    """

    user_id: str = ""
    channel_id: str = ""
    team_id: str = ""
    omit_users: frozenset[str] = frozenset()
    omit_connection_id: str = ""

    def as_json(self) -> dict[str, JSONValue]:
        """Return it as clients see it."""
        omitted: dict[str, JSONValue] = dict.fromkeys(sorted(self.omit_users), True)
        return {
            "omit_users": omitted or None,
            "user_id": self.user_id,
            "channel_id": self.channel_id,
            "team_id": self.team_id,
            "connection_id": "",
            "omit_connection_id": self.omit_connection_id,
        }


class Client:
    """One connection: what waits to be sent to it, and how it is to end.

    Attributes:
        connection_id: Its id.
        session: Whose it is; None before somebody has signed in.
        outgoing: What is to be sent, in order.
        over: Set when the connection is to end.
        farewell: The close code and reason then.
    """

    def __init__(self) -> None:
        self.connection_id = new_id()
        self.session: Session | None = None
        self.over = anyio.Event()
        self.farewell = (GOING_AWAY, "the server stops")
        self._queue, self.outgoing = anyio.create_memory_object_stream[str](limits.devserver_websocket_queue)
        self._next_seq = 0

    @property
    def user_id(self) -> str:
        """Whose it is; "" before somebody has signed in."""
        return "" if self.session is None else self.session.user_id

    def send_event(self, event: str, data: Mapping[str, JSONValue], audience: Audience) -> None:
        """Send an event, with the connection's next number."""
        self.send({"event": event, "data": dict(data), "broadcast": audience.as_json(), "seq": self._next_seq})
        self._next_seq += 1

    def send(self, message: Mapping[str, JSONValue]) -> None:
        """Send a message; a client for which too many wait is ended instead, one that is over gets nothing."""
        if self.over.is_set():
            return
        try:
            self._queue.send_nowait(json.dumps(message))
        except anyio.WouldBlock:
            self.end(POLICY_VIOLATION, "the client reads too slowly")

    def end(self, code: int, reason: str) -> None:
        """End the connection; who says so first says how. A reason has at most 123 octets (RFC 6455, section 5.5)."""
        if not self.over.is_set():
            self.farewell = (code, reason)
            self.over.set()

    def close(self) -> None:
        """Forget what waits; called once nothing is sent any more."""
        self.over.set()
        self._queue.close()
        self.outgoing.close()


class Clients:
    """All connections; those that nobody has signed in to get no events.

    Args:
        store: Who is in which channel and team.
        find_session: Gives the session of a token; None where it has ended.
    """

    def __init__(self, store: Store, find_session: Callable[[str], Awaitable[Session | None]]) -> None:
        self._store = store
        self._find_session = find_session
        self._clients: dict[str, Client] = {}
        self._turn = anyio.Lock()

    @property
    def is_empty(self) -> bool:
        """Whether nobody is connected, so that events need not be put together."""
        return not self._clients

    @contextmanager
    def connected(self, client: Client) -> Generator[None]:
        """Give a client events while the context is open, once somebody has signed in; nothing is sent to it after."""
        self._clients[client.connection_id] = client
        try:
            yield
        finally:
            del self._clients[client.connection_id]
            client.close()

    def end_all(self) -> None:
        """End all connections, as the server stops."""
        for client in self._clients.values():
            client.end(*client.farewell)

    async def publish(self, event: str, data: Mapping[str, JSONValue], audience: Audience) -> None:
        """Send an event to those who may see it; all get events in the order in which they were published."""
        if not self._clients:
            return
        async with self._turn:
            may_see: dict[str, bool] = {}
            for client in list(self._clients.values()):
                if client.connection_id == audience.omit_connection_id or not await self.is_signed_in(client):
                    continue
                if client.user_id not in may_see:
                    may_see[client.user_id] = await self._may_see(client.user_id, audience)
                if may_see[client.user_id]:
                    client.send_event(event, data, audience)

    async def is_signed_in(self, client: Client) -> bool:
        """Tell whether a client's session still holds; a client whose session has ended is ended, too."""
        if client.session is None:
            return False
        if await self._find_session(client.session.token) is None:
            client.end(POLICY_VIOLATION, "the session has ended")
        return not client.over.is_set()

    async def _may_see(self, user_id: str, audience: Audience) -> bool:
        """Decide in the server's order (reference: WebConn.ShouldSendEvent)."""
        if audience.user_id:
            return user_id == audience.user_id
        if user_id in audience.omit_users:
            return False
        if audience.channel_id:
            return await self._store.channel_members.get(audience.channel_id, user_id) is not None
        if audience.team_id:
            member = await self._store.team_members.get(audience.team_id, user_id)
            return member is not None and not member.delete_at
        return True
