"""One call at the channel: what has come of it so far, and who waits for it. Internal.

Job:    gather a response from events, and turn every way it can end into a message or one GRPCStatusError.
Layer:  transport/grpc, under client_connection.py, which feeds the events.
See:    grpc/grpc: doc/PROTOCOL-HTTP2.md, "Responses" and "Errors".
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING

import anyio

from mm_plugin.exceptions import LocalProtocolError, RemoteProtocolError, StatusCode
from mm_plugin.transport.grpc.bodies import Bell, MessageQueue, UnaryBody
from mm_plugin.transport.grpc.errors import GRPCStatusError
from mm_plugin.transport.link import FailureKind
from mm_plugin.wire.grpc import (
    GZIP,
    OK_TRAILERS,
    FramingError,
    FramingFault,
    Status,
    decode_metadata,
    is_grpc_content_type,
    read_status,
    status_of_http,
    status_of_reset,
)
from mm_plugin.wire.http2 import ErrorCode

if TYPE_CHECKING:
    from mm_plugin.transport.grpc.client_connection import ClientConnection
    from mm_plugin.wire.grpc import Metadata
    from mm_plugin.wire.http2 import DataReceived, Head, Stream

__all__ = ("ClientCall", "StreamingClientCall", "UnaryClientCall")


class ClientCall:
    """What unary and streaming calls share.

    Attributes:
        connection: Where the call is made.
        deadline: When the caller stops waiting, on the clock of ``anyio.current_time()``.
        head: The response's head, once it is there; None where the response is a status only.
        ended: The call is over, well or not.
        failure: Why it ended without status OK.
        trailing_metadata: What came with the status.
        stream: Set by the connection that opens the call.
    """

    __slots__ = ("connection", "deadline", "ended", "failure", "head", "stream", "trailing_metadata")

    stream: Stream

    def __init__(self, connection: ClientConnection, deadline: float) -> None:
        self.connection = connection
        self.deadline = deadline
        self.head: Head | None = None
        self.ended = False
        self.failure: GRPCStatusError | None = None
        self.trailing_metadata: Metadata = ()

    def wake(self) -> None:
        """Wake who waits for what this call has just got."""
        raise NotImplementedError

    # -- events -----------------------------------------------------------------------------------------------

    def receive_head(self, head: Head, end_stream: bool) -> None:
        """Take the response's head; alone, it is the whole response."""
        if head.status != 200:
            text = f"the peer answered with HTTP status {head.status}"
            self._conclude(head, Status(status_of_http(head.status or 0), text))
        elif not is_grpc_content_type(head.content_type):
            text = f"the peer answered with content type {head.content_type.decode('latin-1')!r}, not application/grpc"
            self._conclude(head, Status(StatusCode.UNKNOWN, text))
        elif end_stream:
            self._conclude(head)
        else:
            if head.get(b"grpc-encoding") == GZIP:
                self.take_gzip()
            self.head = head
            self.wake()

    def take_gzip(self) -> None:
        """Take note that the response's messages may be compressed."""
        raise NotImplementedError

    def receive_data(self, piece: DataReceived) -> None:
        """Take a piece of the body."""
        raise NotImplementedError

    def receive_trailers(self, head: Head | None) -> None:
        """Take the end of the response; None where it ends without a status."""
        self._conclude(head)

    def receive_reset(self, code: ErrorCode, *, by_peer: bool) -> None:
        """Take note that the stream is gone: the peer has reset it, or we had to."""
        if not by_peer:
            self.fail(StatusCode.INTERNAL, f"the answer broke HTTP/2 ({code.name})", FailureKind.LOST)
        elif code is ErrorCode.REFUSED_STREAM and self.head is None:  # one that has begun to answer has looked at it
            self.fail(StatusCode.UNAVAILABLE, "the peer did not take the call", FailureKind.REFUSED)
        elif code is ErrorCode.CANCEL and anyio.current_time() >= self.deadline:
            self.fail_deadline()  # the server, which knows the deadline, was the first to act on it; grpc-go does so
        else:
            self.fail(status_of_reset(code), f"the peer reset the call ({code.name})", FailureKind.LOST)

    # -- the end ----------------------------------------------------------------------------------------------

    def _conclude(self, head: Head | None, default: Status | None = None) -> None:
        if head is not None and head.fields == OK_TRAILERS:  # nearly always: nothing else in it to read
            self.end(None)
            return
        status = None if head is None else read_status(head.fields)
        kind = FailureKind.LOST if status is None else FailureKind.STATUS
        status = status or default or Status(StatusCode.UNKNOWN, "the response ended without a status")
        if head is not None:
            try:
                self.trailing_metadata = decode_metadata(head.fields)
            except RemoteProtocolError as error:
                status, kind = Status(StatusCode.INTERNAL, str(error)), FailureKind.LOST
        if status.code is StatusCode.OK:
            self.end(None)
        else:
            if kind is FailureKind.STATUS and status.code is StatusCode.DEADLINE_EXCEEDED:
                kind = FailureKind.DEADLINE
            self.fail(status.code, status.text, kind)

    def fail(self, code: StatusCode, text: str, kind: FailureKind = FailureKind.STATUS) -> None:
        """End the call with a failure, unless it has ended."""
        self.end(GRPCStatusError(code, text, kind=kind, metadata=self.trailing_metadata))

    def fail_deadline(self) -> None:
        """End the call because its time is over."""
        self.fail(StatusCode.DEADLINE_EXCEEDED, "the deadline passed", FailureKind.DEADLINE)

    def end(self, failure: GRPCStatusError | None) -> None:
        """End the call, unless it has ended; what is open of its stream is reset."""
        if not self.ended:
            self.ended = True
            self.failure = failure
            self.close()
            self.wake()

    def close(self) -> None:
        """Let the stream go; a peer that is still at work is told CANCEL."""
        self.stream.user = None
        if not self.stream.closed:
            self.connection.http2.reset(self.stream, ErrorCode.CANCEL)
            self.connection.write_soon()
        self.connection.call_closed()


class UnaryClientCall(ClientCall):
    """A call with one request and one response; the connection watches its deadline."""

    __slots__ = ("_body", "_over")

    def __init__(self, connection: ClientConnection, limit_octets: int, deadline: float) -> None:
        super().__init__(connection, deadline)
        self._body = UnaryBody(limit_octets)
        self._over = connection.new_event()

    def wake(self) -> None:
        """Wake the caller, who waits for the end only."""
        if self.ended:
            self._over.set()

    def take_gzip(self) -> None:
        """Take note that the response may be compressed."""
        self._body.gzip = True

    def receive_data(self, piece: DataReceived) -> None:
        """Take a piece of the response."""
        self.connection.http2.consumed(self.stream, piece.credit_octets)
        try:
            self._body.feed(piece.octets, piece.start, piece.end)
        except FramingError as error:
            self.end(_broken(error))

    async def result(self) -> bytes:
        """Wait for the response.

        Cancellation gives the call up: the peer is told.

        Raises:
            GRPCStatusError: There is none.
        """
        try:
            await self._over.wait()
        finally:
            if not self.ended:
                self.close()
        failure, self.failure = self.failure, None
        if failure is not None:
            try:
                raise failure
            finally:
                del failure  # its traceback leads to this frame, and the frames hold the request
        try:
            return self._body.finish()
        except FramingError as error:
            raise _broken(error) from error


class StreamingClientCall(ClientCall):
    """A call with streams of messages.

    Attributes:
        gzip: The server has been told that requests may be compressed.
    """

    __slots__ = ("_bell", "_incoming", "gzip")

    def __init__(self, connection: ClientConnection, limit_octets: int, deadline: float, *, gzip: bool = False) -> None:
        super().__init__(connection, deadline)
        self.gzip = gzip
        self._incoming = MessageQueue(limit_octets, self._credit)
        self._bell = Bell()

    def wake(self) -> None:
        """Wake whoever waits for head, end or room."""
        self._bell.ring()

    def take_gzip(self) -> None:
        """Take note that the responses may be compressed."""
        self._incoming.gzip = True

    def receive_data(self, piece: DataReceived) -> None:
        """Keep a piece of the response for whoever takes it."""
        self._incoming.feed(piece.octets, piece.start, piece.end, piece.credit_octets)

    def end(self, failure: GRPCStatusError | None) -> None:
        """End the call; what has arrived may still be taken."""
        super().end(failure)
        self._incoming.end(self.failure)

    def cancel(self) -> None:
        """Give the call up."""
        self.fail(StatusCode.CANCELLED, "the call was cancelled here")

    async def initial(self) -> Metadata:
        """Wait for the head and return its metadata; empty where the response is a status only."""
        with anyio.CancelScope(deadline=self.deadline) as scope:
            while self.head is None and not self.ended:
                await self._bell.wait()
        if scope.cancelled_caught:
            self.fail_deadline()
        if self.head is not None:
            try:
                return decode_metadata(self.head.fields)
            except RemoteProtocolError as error:
                self.fail(StatusCode.INTERNAL, str(error), FailureKind.LOST)
        if self.failure is not None:
            raise self._failed()
        return ()

    async def receive(self) -> bytes | None:
        """Wait for the next message; None at the good end."""
        try:
            if not self.ended:  # then nothing is waited for any more
                with anyio.CancelScope(deadline=self.deadline):
                    return await self._incoming.receive()
                self.fail_deadline()  # unless the end has come in this very turn
            return await self._incoming.receive()
        except FramingError as error:
            self.end(_broken(error))
            raise _broken(error) from error

    async def wait_end(self) -> Metadata:
        """Wait for the status and return its metadata."""
        with anyio.CancelScope(deadline=self.deadline) as scope:
            while not self.ended:
                await self._bell.wait()
        if scope.cancelled_caught:
            self.fail_deadline()
        if self.failure is not None:
            raise self._failed()
        return self.trailing_metadata

    async def send(self, message: bytes, prefix: bytes, *, end: bool = False) -> None:
        """Send a message behind its prefix; waits while the peer does not take more."""
        with anyio.CancelScope(deadline=self.deadline) as scope:
            await self.connection.wait_writable(self.stream, self._bell)
        if scope.cancelled_caught:
            self.fail_deadline()
        if self.failure is not None:
            raise self._failed()
        if not self.ended:
            if self.stream.ending:
                raise LocalProtocolError("the end of the requests has been sent already")
            self.connection.http2.send_data(self.stream, message, prefix=prefix, end_stream=end)
            self.connection.write_soon()

    def send_end(self) -> None:
        """End the requests, unless that has been said."""
        if not self.ended and not self.stream.ending:
            self.connection.http2.send_data(self.stream, b"", end_stream=True)
            self.connection.write_soon()

    def _failed(self) -> GRPCStatusError:
        """Return a copy of the failure: what is raised leads to frames that hold this call, which keeps its own."""
        assert self.failure is not None
        return copy(self.failure)

    def _credit(self, octets: int) -> None:
        self.connection.http2.consumed(self.stream, octets)
        self.connection.write_soon()


def _broken(error: FramingError) -> GRPCStatusError:
    """Return what a call fails with whose response is not the message it should be."""
    if error.fault is FramingFault.TOO_LARGE:
        return GRPCStatusError(error.code, f"the response: {error}; the server may have carried the call out")
    return GRPCStatusError(error.code, f"the response: {error}", kind=FailureKind.LOST)
