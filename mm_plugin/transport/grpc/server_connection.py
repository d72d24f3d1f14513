"""One connection at the server: which call an event belongs to, and which calls there may be. Internal.

Job:    examine request heads, start calls, feed them, cancel them.
Layer:  transport/grpc, on the engine; server.py owns the connections.
See:    grpc/grpc: doc/PROTOCOL-HTTP2.md, "Requests"; RFC 9113, section 8.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import anyio
from anyio.abc import SocketAttribute

from mm_plugin import limits
from mm_plugin.exceptions import RemoteProtocolError, StatusCode
from mm_plugin.transport.grpc.bodies import Bell
from mm_plugin.transport.grpc.engine import Engine
from mm_plugin.transport.grpc.errors import GRPCStatusError
from mm_plugin.transport.grpc.handlers import CallInfo
from mm_plugin.transport.grpc.server_calls import ServerCall, StreamingCall, UnaryCall
from mm_plugin.transport.link import CallFault
from mm_plugin.wire.grpc import (
    ACCEPTED_ENCODINGS,
    GZIP,
    FramingError,
    FramingFault,
    is_grpc_content_type,
    parse_timeout,
    trailers_only,
)
from mm_plugin.wire.http2 import (
    DataReceived,
    ErrorCode,
    PingAcknowledged,
    RequestReceived,
    Role,
    StreamReset,
    StreamWritable,
    TrailersReceived,
)

if TYPE_CHECKING:
    from anyio.abc import ByteStream

    from mm_plugin.transport.grpc.server import GRPCServer
    from mm_plugin.transport.grpc.server_calls import Bound
    from mm_plugin.wire.http2 import Event, Stream

__all__ = ("ServerConnection",)

_ENCODINGS = {None, b"identity", GZIP}
_DRAIN_PING = b"draining"
_OVER = GRPCStatusError(StatusCode.CANCELLED, "the call is over")


class _Refusal:
    """A request that is no gRPC call: answered with plain HTTP once it is complete, or has had its time."""

    __slots__ = ("complete", "status", "text")

    def __init__(self, status: bytes, text: bytes) -> None:
        self.status = status
        self.text = text
        self.complete = anyio.Event()


class ServerConnection(Engine):
    """One client's connection."""

    def __init__(self, server: GRPCServer, byte_stream: ByteStream) -> None:
        super().__init__(byte_stream, Role.SERVER)
        self._server = server
        self._peer = _peer_of(byte_stream)
        # Handlers that run, those of streams that the peer has reset included: a peer that opens and resets for ever
        # must not get more of them than streams (CVE-2023-44487).
        self._running: set[ServerCall] = set()
        self._call_over = Bell()
        self._starting: list[ServerCall] = []  # those of them whose task begins when the burst has been looked through
        self._held_octets = 0
        self._heads_octets = 0  # of calls under way, with those that have ended since they were counted last
        self._held_limit_octets = max(limits.grpc_requests_octets, server.message_limit_octets)
        self._leaving = False
        self._announced = False
        self._standing: set[int] = set()  # streams that stood still at the last look

    def drain_soon(self) -> None:
        """Begin to leave: announce it, and close for new streams once the peer has heard of it.

        Calls that come before that are served: their caller could not know.
        """
        self._announced = True
        self.http2.announce_shutdown()
        self.http2.ping(_DRAIN_PING)
        self.write_soon()

    def reset_stalled(self) -> None:
        """Reset the streams that stood still at the last look, too, while it was the peer's turn all the time.

        Those are unary requests that do not end, and responses that get no credit: both hold memory.
        """
        standing: set[int] = set()
        for stream in list(self.http2.streams.values()):
            call = stream.user
            awaited = isinstance(call, UnaryCall) and call.task is None and stream.remote_open
            if awaited or (self.http2.awaits_credit(stream) and not stream.moved):
                if stream.id in self._standing:
                    self.http2.reset(stream, ErrorCode.CANCEL)
                    if isinstance(call, ServerCall):
                        self._drop(call)
                else:
                    standing.add(stream.id)
            stream.moved = False
        self._standing = standing
        self.write_soon()
        self._close_if_left()

    def policy_calls(self) -> list[UnaryCall]:
        """Return the calls without an answer whose handlers have a policy for that."""
        calls = [stream.user for stream in self.http2.streams.values()]
        return [call for call in calls if isinstance(call, UnaryCall) and call.has_policy and not call.stream.ending]

    @property
    def unheard(self) -> bool:
        """Whether the peer has not yet heard that we are leaving, so that it may still send calls in good faith."""
        return self._announced and not (self._leaving or self.over)

    # -- events -----------------------------------------------------------------------------------------------

    def handle(self, event: Event) -> None:
        """Act on one event."""
        if isinstance(event, RequestReceived):
            event.stream.user = self._accept(event.stream)
            if event.end_stream:
                self._request_complete(event.stream.user)
        elif isinstance(event, DataReceived):
            if isinstance(event.stream.user, ServerCall):
                event.stream.user.receive(event)
            else:
                self.http2.consumed(event.stream, event.credit_octets)
            if event.end_stream:
                self._request_complete(event.stream.user)
        elif isinstance(event, TrailersReceived):
            self._request_complete(event.stream.user)
        elif isinstance(event, StreamReset):
            if isinstance(event.stream.user, ServerCall):
                self._drop(event.stream.user)
        elif isinstance(event, StreamWritable):
            if isinstance(event.stream.user, ServerCall):
                event.stream.user.wake()
        elif isinstance(event, PingAcknowledged) and event.payload == _DRAIN_PING:
            self.http2.goaway(ErrorCode.NO_ERROR)
            self._leaving = True
            self._server.connection_heard()
            self._close_if_left()

    def handle_burst(self) -> None:
        """Start the calls of the burst; those it has also reset never begin. Leave with the last stream."""
        if self._starting:
            dead = self.http2.terminated
            for call in self._starting:
                if dead or call.stream.closed:
                    self.call_finished(call)
                else:
                    # Named, since AnyIO would make up a name from the coroutine's frame.
                    call.task = self.tasks.create_task(call.run(), name=call.info.path)
            self._starting.clear()
        if self._leaving:
            self._close_if_left()

    def handle_over(self) -> None:
        """Let no call wait for a peer that has gone; their tasks are cancelled with the connection's."""
        for call in self._running:
            call.wake()
        for stream in self.http2.streams.values():
            stream.user = None  # of calls that have not begun nothing else would; see call_finished

    async def outlive(self) -> None:
        """Let unary calls finish while the server stops, though nobody hears their answers; all others are cut.

        A host closes its connection as soon as it has asked for the stop, and the stop has a grace for what runs.
        """
        if not self._server.stopping:
            return
        self._server.connection_heard()  # there is nobody to hear
        for call in self._running:
            if isinstance(call, StreamingCall):
                call.cancel()
        while any(isinstance(call, UnaryCall) for call in self._running):
            await self._call_over.wait()

    def _request_complete(self, user: object) -> None:
        if isinstance(user, ServerCall):
            user.receive_end()
        elif isinstance(user, _Refusal):
            user.complete.set()

    def _accept(self, stream: Stream) -> ServerCall | _Refusal | None:
        """Return what the events of a new stream go to; None where it has been answered."""
        head, deadline = stream.head, None
        if head.user is not None:  # clients repeat a handful of heads; this one has been looked at
            return self._open(stream, cast("Bound", head.user), None, None)
        if head.method != b"POST":
            return self._refuse(stream, b"405", b"gRPC calls are POST requests\n")
        if not is_grpc_content_type(head.content_type):
            return self._refuse(stream, b"415", b"this server takes application/grpc\n")
        bound = self._server.bound.get(head.path)
        if bound is None:
            self._answer(stream, StatusCode.UNIMPLEMENTED, f"there is no method {head.path.decode('latin-1')}")
            return None
        encoding = head.get(b"grpc-encoding")
        if encoding not in _ENCODINGS:
            text = "messages may be compressed by gzip, or not at all"
            self._answer(stream, StatusCode.UNIMPLEMENTED, text, (b"grpc-accept-encoding", ACCEPTED_ENCODINGS))
            return None
        timeout = head.get(b"grpc-timeout")
        if timeout is not None:
            try:
                deadline = anyio.current_time() + parse_timeout(timeout)
            except RemoteProtocolError as error:
                self._answer(stream, StatusCode.INTERNAL, str(error))
                return None
        elif encoding is None:
            head.user = bound
        self._heads_octets += head.kept_octets
        if self._heads_octets > limits.grpc_heads_octets:
            self._check_heads()
        return self._open(stream, bound, deadline, encoding)

    def _open(self, stream: Stream, bound: Bound, deadline: float | None, encoding: bytes | None) -> ServerCall | None:
        """Return a new call, unless there are too many."""
        if len(self._running) >= limits.http2_concurrent_streams:
            self.http2.reset(stream, ErrorCode.REFUSED_STREAM)
            return None
        call = bound.call(self, stream, CallInfo(bound.path, stream.head, deadline, self._peer))
        if encoding == GZIP:
            call.take_gzip()
        if self._server.draining and (self._server.closing or not self._announced) and not call.background:
            call.answer_fault(CallFault.DRAINING, CallFault.DRAINING.value)
        elif isinstance(call, StreamingCall):
            self.start(call)
        return call

    def _check_heads(self) -> None:
        """Count the heads that are still kept; end the connection where they are too much for a peer of good faith."""
        streams = [*self.http2.streams.values(), *(call.stream for call in self._running)]
        self._heads_octets = sum(head.kept_octets for head in {id(each.head): each.head for each in streams}.values())
        if self._heads_octets > limits.grpc_heads_octets:
            self.http2.goaway(ErrorCode.ENHANCE_YOUR_CALM, "the heads of the calls under way are too large")
            self.close_soon()

    def _answer(self, stream: Stream, code: StatusCode, text: str, field: tuple[bytes, bytes] | None = None) -> None:
        """Answer a request from its head alone."""
        fields = trailers_only(code, text)
        self.http2.send_headers(stream, fields if field is None else [*fields, field], end_stream=True)
        self.http2.stop_request(stream)

    def _refuse(self, stream: Stream, status: bytes, text: bytes) -> _Refusal | None:
        refusal = _Refusal(status, text)
        if stream.remote_open:
            self.tasks.start_soon(self._refuse_later, stream, refusal)
            return refusal
        self._send_refusal(stream, refusal)  # many may come at once: a task each would cost kilobytes
        return None

    async def _refuse_later(self, stream: Stream, refusal: _Refusal) -> None:
        with anyio.move_on_after(limits.connection_linger_s):
            await refusal.complete.wait()
        self._send_refusal(stream, refusal)

    def _send_refusal(self, stream: Stream, refusal: _Refusal) -> None:
        if not stream.closed:
            self.http2.send_headers(
                stream,
                [
                    (b":status", refusal.status),
                    (b"content-type", b"text/plain"),
                    (b"content-length", b"%d" % len(refusal.text)),
                ],
            )
            self.http2.send_data(stream, refusal.text, end_stream=True)
            self.http2.stop_request(stream)
            self.write_soon()

    # -- calls ------------------------------------------------------------------------------------------------

    def start(self, call: ServerCall) -> None:
        """Run a call in a task of its own, from the end of this burst on."""
        self._running.add(call)
        self._server.call_started(call)
        self._starting.append(call)

    def hold(self, call: ServerCall, octets: int) -> None:
        """Count octets that a call holds until it ends.

        Raises:
            FramingError: The connection holds too many.
        """
        call.held_octets += octets
        self._held_octets += octets
        if self._held_octets > self._held_limit_octets:
            text = f"the requests under way on this connection are over {self._held_limit_octets} octets"
            raise FramingError(FramingFault.TOO_LARGE, text)

    def credit(self, stream: Stream, octets: int) -> None:
        """Tell the peer that octets of a stream have been taken."""
        self.http2.consumed(stream, octets)
        self.write_soon()

    def release(self, call: ServerCall) -> None:
        """Uncount what a call holds."""
        self._held_octets -= call.held_octets
        call.held_octets = 0

    def _drop(self, call: ServerCall) -> None:
        """Let go of a call whose stream was reset; where it runs, its task does the rest.

        While the server stops a unary call runs on: libraries reset what is open before they close a connection.
        """
        if not (self._server.stopping and isinstance(call, UnaryCall)):
            call.cancel()
        if call not in self._running:
            call.stream.user = None
            self.release(call)

    def call_finished(self, call: ServerCall) -> None:
        """Forget a call whose task ends; a stream that it has left open was cancelled, by the peer or by our end."""
        stream = call.stream
        self._running.discard(call)
        if call.held_octets:
            self.release(call)
        stream.user = None
        if isinstance(call, StreamingCall):
            call.incoming.drop(_OVER)  # what a handler has left unread; an error that somebody keeps may lead to it
        call.task = None  # its exception leads back to the call by its frames: a cycle, which only the collector ends
        self._server.call_finished(call)
        self._call_over.ring()
        if stream.ending:
            if stream.remote_open:
                self.http2.stop_request(stream)
        elif self.over:
            call.finish(StatusCode.UNAVAILABLE, "the server closed the connection")
        else:
            self.http2.reset(stream, ErrorCode.CANCEL)
        self.write_soon()
        if self._leaving:
            self._close_if_left()

    def _close_if_left(self) -> None:
        if self._leaving and not self.http2.streams and not any(isinstance(call, UnaryCall) for call in self._running):
            self.close_soon()


def _peer_of(byte_stream: ByteStream) -> str:
    try:
        address = cast("object", byte_stream.extra(SocketAttribute.remote_address, None))  # noqa: S610 - AnyIO's
    except OSError:
        return "gone"  # it has reset the connection before we took it
    if isinstance(address, tuple):
        host, port = cast("tuple[object, ...]", address)[:2]
        return f"{host}:{port}"
    return "memory" if address is None else "unix"
