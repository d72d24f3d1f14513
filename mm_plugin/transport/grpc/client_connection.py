"""One connection at the channel: which call an event belongs to. Internal.

Job:    open calls, feed them, and fail those that are left when the connection is over.
Layer:  transport/grpc, on the engine; channel.py decides when there is a connection.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import TYPE_CHECKING

import anyio
from anyio.lowlevel import checkpoint_if_cancelled, current_token

from mm_plugin import limits
from mm_plugin.exceptions import StatusCode
from mm_plugin.transport.grpc.client_calls import ClientCall, UnaryClientCall
from mm_plugin.transport.grpc.engine import Engine
from mm_plugin.transport.link import FailureKind
from mm_plugin.wire.http2 import (
    ConnectionClosed,
    DataReceived,
    GoAwayReceived,
    ResponseReceived,
    Role,
    RoomChanged,
    StreamReset,
    StreamWritable,
    TrailersReceived,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio.abc import ByteStream

    from mm_plugin.transport.grpc.client_calls import StreamingClientCall
    from mm_plugin.wire.http2 import Event

__all__ = ("ClientConnection",)


class ClientConnection(Engine):
    """A connection to one server.

    Attributes:
        end_text: Why the connection is over, once it is.
        new_event: As ``anyio.Event``.
        now: As ``anyio.current_time``.

    Args:
        byte_stream: To the server.
        ready: Called once the server has greeted and takes calls; none may be opened before.
    """

    def __init__(self, byte_stream: ByteStream, ready: Callable[[], None]) -> None:
        super().__init__(byte_stream, Role.CLIENT)
        self.end_text = "it did not speak HTTP/2"
        self._ready: Callable[[], None] | None = ready
        backend = current_token().backend_class  # AnyIO's own functions look for it at every call
        self.new_event = backend.create_event
        self.now = backend.current_time
        self._watch = anyio.CancelScope()
        self._watched_until = math.inf
        self._waiting: OrderedDict[anyio.Event, None] = OrderedDict()  # who waits for room, the first come first
        self._woken = 0  # those of them for whom room is kept, since they have not run yet

    def begin(self) -> None:
        """Start to watch deadlines."""
        self.tasks.start_soon(self._watch_deadlines)

    @property
    def takes_calls(self) -> bool:
        """Whether a call can be opened now."""
        return not self.over and self.has_room and self.http2.output_octets < limits.http2_output_octets

    @property
    def has_room(self) -> bool:
        """Whether there is room for a call that nobody else has waited for."""
        return self.http2.room > self._woken

    @property
    def usable(self) -> bool:
        """Whether new calls may be opened, now or when there is room."""
        return not (self.over or self.http2.draining or self.http2.terminated)

    async def wait_room(self) -> None:
        """Wait until there is room for a call, or never will be; whoever gives up has to call ``offer_room``.

        As many are woken as there is room for: were it all of them each time, thousands would cost quadratic work.
        """
        turn = self.new_event()
        self._waiting[turn] = None
        try:
            await turn.wait()
        finally:
            self._woken -= turn.is_set()
            self._waiting.pop(turn, None)
        await checkpoint_if_cancelled()  # who is cancelled in the very turn that wakes it has not heard of it

    def offer_room(self) -> None:
        """Wake those who wait, as far as there is room, or all where there never will be any."""
        while self._waiting and (self.has_room or not self.usable):
            turn, _ = self._waiting.popitem(last=False)
            turn.set()
            self._woken += 1

    def open(self, call: StreamingClientCall, head: bytes) -> None:
        """Open the stream of a streaming call; there must be room."""
        call.stream = self.http2.open_stream(head)
        call.stream.user = call
        self.write_soon()

    def open_unary(self, call: UnaryClientCall, head: bytes, message: bytes, prefix: bytes) -> None:
        """Send a unary call and watch its deadline; there must be room."""
        call.stream = stream = self.http2.send_request(head, message, prefix=prefix)
        stream.user = call
        if call.deadline < self._watched_until:
            self._watched_until = self._watch.deadline = call.deadline
        self.write_soon()

    async def _watch_deadlines(self) -> None:
        """Fail unary calls whose deadline passes; one timer for all, since a scope for each costs a fifth of a call."""
        while True:
            with anyio.CancelScope(deadline=self._watched_until) as self._watch:
                await anyio.sleep_forever()
            self._fail_late_calls()

    def _fail_late_calls(self) -> None:
        now = self.now()
        self._watched_until = math.inf
        for stream in list(self.http2.streams.values()):
            call = stream.user
            if isinstance(call, UnaryClientCall):
                if call.deadline <= now:
                    call.fail_deadline()
                else:
                    self._watched_until = min(self._watched_until, call.deadline)

    def call_closed(self) -> None:
        """Take note that a call has left; it may have been the last one."""
        self.offer_room()
        if self.http2.draining and not self.http2.streams:
            self.close_soon()

    def handle(self, event: Event) -> None:
        """Act on one event."""
        if isinstance(event, DataReceived):
            if isinstance(call := event.stream.user, ClientCall):
                call.receive_data(event)
                if event.end_stream:
                    call.receive_trailers(None)
        elif isinstance(event, ResponseReceived):
            if isinstance(call := event.stream.user, ClientCall):
                call.receive_head(event.head, event.end_stream)
        elif isinstance(event, TrailersReceived):
            if isinstance(call := event.stream.user, ClientCall):
                call.receive_trailers(event.head)
        elif isinstance(event, StreamReset):
            if isinstance(call := event.stream.user, ClientCall):
                call.receive_reset(event.code, by_peer=event.by_peer)
        elif isinstance(event, StreamWritable):
            if isinstance(call := event.stream.user, ClientCall):
                call.wake()
        elif isinstance(event, RoomChanged):
            self.offer_room()
        elif isinstance(event, GoAwayReceived):
            self.end_text = f"the peer closed the connection ({event.code.name}{event.text and ': ' + event.text})"
            self.offer_room()
            if not self.http2.streams:
                self.close_soon()
        elif isinstance(event, ConnectionClosed):
            self.end_text = event.text if event.by_peer else f"the peer broke the protocol: {event.text}"

    def handle_burst(self) -> None:
        """Let calls come once the server has greeted and takes some."""
        if self._ready is not None and self.http2.greeted and self.takes_calls:
            self.end_text = "the connection was closed here"
            self._ready()
            self._ready = None

    def handle_over(self) -> None:
        """Fail the calls that are left; whether the peer has carried them out is unknown."""
        for stream in list(self.http2.streams.values()):
            if isinstance(stream.user, ClientCall):
                stream.user.fail(StatusCode.UNAVAILABLE, self.end_text, FailureKind.LOST)
        self.offer_room()
