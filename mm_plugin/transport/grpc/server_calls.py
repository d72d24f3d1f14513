"""One call at the server: from its request to its status. Internal.

Job:    run a handler in its own task and scope, and turn whatever comes of it into frames.
Layer:  transport/grpc, under server_connection.py, which feeds the events.
Errors: none leave a call; an exception of a handler becomes a status, once logged where it is a fault of the handler.

Who cancels whom: the peer's reset, the end of the connection and the server's close cancel the call's task; its
deadline cancels the handler only, and the task then answers DEADLINE_EXCEEDED.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from mm_plugin import limits
from mm_plugin.exceptions import LocalProtocolError, StatusCode
from mm_plugin.transport.grpc.bodies import Bell, MessageQueue, UnaryBody
from mm_plugin.transport.grpc.errors import GRPCStatusError, status_error_of
from mm_plugin.transport.grpc.handlers import Handler, Streaming, Unary, decoder_of, encoder_of
from mm_plugin.transport.grpc.streams import ServerStream
from mm_plugin.transport.link import CallFault
from mm_plugin.wire.grpc import (
    GZIP,
    OK_TRAILERS,
    RESPONSE_HEAD,
    FramingError,
    FramingFault,
    compress,
    encode_metadata,
    prefix,
    trailers,
    trailers_only,
)
from mm_plugin.wire.http2 import ErrorCode, encode

if TYPE_CHECKING:
    from anyio import TaskHandle

    from mm_plugin.transport.grpc.handlers import CallInfo
    from mm_plugin.transport.grpc.server_connection import ServerConnection
    from mm_plugin.wire.grpc import Metadata
    from mm_plugin.wire.http2 import DataReceived, Stream

__all__ = ("Bound", "ServerCall", "StreamingCall", "UnaryCall")

logger = logging.getLogger(__name__)

# Header blocks that nearly every response has, made once.
_HEAD = encode(RESPONSE_HEAD)
_OK = encode(OK_TRAILERS)
_GZIP_FIELDS = (*RESPONSE_HEAD, (b"grpc-encoding", GZIP))
_GZIP_HEAD = encode(_GZIP_FIELDS)

_CODE_OF_FAULT = {
    CallFault.TOO_LARGE: StatusCode.RESOURCE_EXHAUSTED,
    CallFault.UNDECODABLE: StatusCode.INTERNAL,
    CallFault.DRAINING: StatusCode.UNAVAILABLE,
}


@dataclass(frozen=True, slots=True)
class Bound:
    """A handler made ready for one path of one server; what its calls share."""

    path: str
    handler: Handler
    limit_octets: int
    decode: Callable[[bytes], Any]
    encode: Callable[[Any], bytes]

    @classmethod
    def of(cls, path: str, handler: Handler, limit_octets: int) -> Bound:
        """Prepare what every call of the method needs."""
        return cls(path, handler, limit_octets, decoder_of(handler.request_type), encoder_of(handler.response_type))

    def call(self, connection: ServerConnection, stream: Stream, info: CallInfo) -> UnaryCall | StreamingCall:
        """Return a new call of the method; nothing runs yet."""
        if isinstance(self.handler, Unary):
            return UnaryCall(connection, stream, info, self, self.handler)
        return StreamingCall(connection, stream, info, self, self.handler)


class ServerCall(ABC):
    """What unary and streaming calls share.

    Attributes:
        task: Runs the handler; None before it has started.
        background: A drain neither refuses this call nor waits for it.
        trailing: Metadata that goes with the status.
        held_octets: What the connection counts as held by this call.
    """

    trailing: Metadata = ()
    held_octets = 0

    def __init__(self, connection: ServerConnection, stream: Stream, info: CallInfo, background: bool) -> None:
        self.connection = connection
        self.stream = stream
        self.info = info
        self.background = background
        self.task: TaskHandle[None] | None = None

    @abstractmethod
    def receive(self, piece: DataReceived) -> None:
        """Take a piece of the request's body."""

    @abstractmethod
    def take_gzip(self) -> None:
        """Take note that the request's messages may be compressed."""

    @abstractmethod
    def receive_end(self) -> None:
        """Take note that the request is complete."""

    @abstractmethod
    async def answer(self) -> None:
        """Run the handler and send what it answers; exceptions become the status."""

    @abstractmethod
    def send_status(self, code: StatusCode, text: str = "") -> None:
        """End the response."""

    async def run(self) -> None:
        """Serve the call within its deadline; the body of its task."""
        try:
            if self.info.deadline is None:
                await self.answer()
            else:
                # The backend's own class, which costs a microsecond or two less than anyio.CancelScope.
                new_scope = type(self.connection.tasks.cancel_scope)
                with new_scope(deadline=self.info.deadline) as scope:
                    await self.answer()
                if scope.cancelled_caught:
                    self.finish(StatusCode.DEADLINE_EXCEEDED, "the deadline passed")
        except Exception as error:  # noqa: BLE001 - it becomes the status, and is logged where it is nobody's intent
            self.finish_by(error)
        except anyio.get_cancelled_exc_class() as cancelled:
            # AnyIO keeps a task's last cancellation, on asyncio for long: without the frames, which hold the request.
            cancelled.__traceback__ = None
            raise
        except BaseExceptionGroup as group:  # Trio's: tasks of the handler were cancelled, one crashed over that
            crash, rest = group.split(Exception)
            if crash is not None:
                self.finish_by(crash)
            raise rest or group from None
        finally:
            self.connection.call_finished(self)
            del self

    def wake(self) -> None:  # noqa: B027 - a unary call's never waits for its stream
        """Have a handler that waits to send look again."""

    def cancel(self) -> None:
        """Stop the handler: nobody waits for it any more."""
        self.wake()
        if self.task is not None:
            self.task.cancel()

    def abandon(self) -> None:
        """Drop the stream, should it still be open, telling the peer that the call was cancelled."""
        self.connection.http2.reset(self.stream, ErrorCode.CANCEL)
        self.wake()
        self.connection.write_soon()

    def finish(self, code: StatusCode, text: str = "") -> None:
        """End the response, unless it has ended."""
        if not self.stream.ending and not self.stream.closed:
            self.send_status(code, text)

    def finish_by(self, error: Exception) -> None:
        """End the response with what a handler's exception stands for."""
        status = status_error_of(error)
        if status is None:
            logger.error("%s crashed", self.info.path, exc_info=error)
            status = GRPCStatusError(StatusCode.INTERNAL, f"the handler of {self.info.path} crashed")
        self.info.octets = b""  # who keeps the error keeps its frames, and they lead to the request
        try:
            self.set_metadata(status.metadata)
            self.finish(status.code, status.text)
        except LocalProtocolError:
            logger.exception("%s: the status could not be sent", self.info.path)
            self.abandon()

    def answer_fault(self, fault: CallFault, text: str, code: StatusCode | None = None) -> None:
        """Answer a call that cannot be handed to its handler; ``code`` where the status is not the one of ``fault``."""
        self.finish(code or _CODE_OF_FAULT[fault], text)
        self.connection.http2.stop_request(self.stream)
        self.connection.write_soon()

    def set_metadata(self, metadata: Metadata) -> None:
        """Keep the metadata for the status, where there is any."""
        if metadata:
            encode_metadata(metadata)  # raises now what could not be sent later
            self.trailing = metadata


class UnaryCall(ServerCall):
    """A call with one request and one response, whose task starts when the request is there."""

    def __init__(
        self, connection: ServerConnection, stream: Stream, info: CallInfo, bound: Bound, handler: Unary[Any, Any]
    ) -> None:
        super().__init__(connection, stream, info, handler.background)
        self._bound = bound
        self._handler = handler
        self._body = UnaryBody(bound.limit_octets)
        self._fault: tuple[CallFault, str] | None = None

    def receive(self, piece: DataReceived) -> None:
        """Take a piece of the request; one over the limit is answered from its prefix."""
        if self.stream.remote_open:  # nobody needs credit for the last piece
            self.connection.http2.consumed(self.stream, piece.credit_octets)
        if self._fault is None:
            try:
                self._body.feed(piece.octets, piece.start, piece.end)
                if self._body.in_pieces:
                    self.connection.hold(self, piece.end - piece.start)
            except FramingError as error:
                self._refuse(error)

    def take_gzip(self) -> None:
        """Take note that the request may be compressed."""
        self._body.gzip = True

    def receive_end(self) -> None:
        """Start the handler."""
        if self._fault is None:
            try:
                octets = self._body.finish()
                if self._body.gzip:
                    self.connection.hold(self, len(octets))  # what it has grown to
            except FramingError as error:
                self._refuse(error)
            else:
                self.info.octets = octets
                self.connection.start(self)

    async def answer(self) -> None:
        """Decode, call the handler, send its response in one go."""
        if self._fault is not None:
            await self._answer_by_policy(*self._fault)
            return
        try:
            request = self._bound.decode(self.info.octets)
        except Exception as error:  # noqa: BLE001 - each message library has its own
            await self._answer_by_policy(CallFault.UNDECODABLE, f"the request cannot be decoded: {error}")
        else:
            response = self._bound.encode(await self._handler.func(request, self.info))
            if self.connection.http2.output_octets >= limits.http2_output_octets:
                await self.connection.wait_output()
            self._respond(response)

    def answer_fault(self, fault: CallFault, text: str, code: StatusCode | None = None) -> None:
        """Answer by the handler's policy where it has one, in the call's task."""
        self._fault = fault, text
        if self._handler.on_fault is None:
            super().answer_fault(fault, text, code)
        else:
            self.connection.start(self)

    @property
    def has_policy(self) -> bool:
        """Whether the handler has an answer for calls that it cannot finish."""
        return self._handler.on_fault is not None

    async def answer_stopping(self) -> None:
        """Answer by the handler's policy since the server closes, then cancel the handler.

        The answer comes first: a handler that resists its cancellation must not hold a decision up.
        """
        try:
            await self._answer_by_policy(CallFault.DRAINING, "the plugin stopped before its handler had finished")
        except Exception as error:  # noqa: BLE001 - as in run
            self.finish_by(error)
        self.connection.http2.stop_request(self.stream)
        self.connection.write_soon()
        self.cancel()

    async def _answer_by_policy(self, fault: CallFault, text: str) -> None:
        if self._handler.on_fault is None:
            super().answer_fault(fault, text)
        else:
            response = self._bound.encode(await self._handler.on_fault(fault, text, self.info))
            await self.connection.wait_output()
            self._respond(response)

    def send_status(self, code: StatusCode, text: str = "") -> None:
        """End the response without a message."""
        self.connection.http2.send_headers(self.stream, trailers_only(code, text, self.trailing), end_stream=True)

    def _refuse(self, error: FramingError) -> None:
        self._body = UnaryBody(0)  # what it holds is of no use any more
        self.connection.release(self)
        fault = CallFault.TOO_LARGE if error.fault is FramingFault.TOO_LARGE else CallFault.UNDECODABLE
        self.answer_fault(fault, str(error), error.code)

    def _respond(self, response: bytes) -> None:
        if not self.stream.local_open or self.stream.ending:
            return  # the policy was faster, since the server closes
        if len(response) > self._bound.limit_octets:
            text = f"the response has {len(response)} octets, the limit is {self._bound.limit_octets}"
            self.finish(StatusCode.RESOURCE_EXHAUSTED, text)
        elif self.info.compress and self.info.takes_gzip:
            data = compress(response)
            self.connection.http2.send_response(
                self.stream, _GZIP_HEAD, data, _OK, prefix=prefix(data, compressed=True)
            )
        else:
            self.connection.http2.send_response(self.stream, _HEAD, response, _OK, prefix=prefix(response))


class StreamingCall(ServerCall):
    """A call with a stream of messages, whose task starts with the request's head."""

    def __init__(
        self, connection: ServerConnection, stream: Stream, info: CallInfo, bound: Bound, handler: Streaming[Any, Any]
    ) -> None:
        super().__init__(connection, stream, info, handler.background)
        # Not a method of this call: that would be a cycle, which only the collector ends.
        self.incoming = MessageQueue(bound.limit_octets, partial(connection.credit, stream))
        self._writable = Bell()
        self.decode = bound.decode
        self.encode = bound.encode
        self._handler = handler
        self._head_sent = False
        self._gzip = False

    def wake(self) -> None:
        """Have the handler, should it wait to send, look again."""
        self._writable.ring()

    def cancel(self) -> None:
        """Stop the handler, and hold nothing for it meanwhile: it may resist, and there may be many."""
        super().cancel()  # first: a handler that waits for a message sees its cancellation, not the error
        self.incoming.drop(GRPCStatusError(StatusCode.CANCELLED, "the call was cancelled"))

    def take_gzip(self) -> None:
        """Take note that the requests may be compressed."""
        self.incoming.gzip = True

    def receive(self, piece: DataReceived) -> None:
        """Keep a piece of the request for the handler."""
        self.incoming.feed(piece.octets, piece.start, piece.end, piece.credit_octets)

    def receive_end(self) -> None:
        """Tell the handler, once it has taken all."""
        self.incoming.end()

    async def answer(self) -> None:
        """Run the handler; its return is status OK."""
        await self._handler.func(ServerStream(self))
        self.finish(StatusCode.OK)

    def send_head(self, metadata: Iterable[tuple[str, str | bytes]] = ()) -> None:
        """Send the response's head.

        Raises:
            LocalProtocolError: It has been sent.
        """
        if self._head_sent:
            raise LocalProtocolError("the response's head has been sent")
        fields = encode_metadata(metadata)
        if self.info.compress and self.info.takes_gzip:
            self._gzip = True
            self.connection.http2.send_headers(self.stream, [*_GZIP_FIELDS, *fields])
        else:
            self.connection.http2.send_headers(self.stream, [*RESPONSE_HEAD, *fields] if fields else _HEAD)
        self._head_sent = True

    async def send(self, message: bytes) -> None:
        """Send a message; waits while the caller does not take more."""
        if not self._head_sent:
            self.send_head()
        gzip = self._gzip and self.info.compress
        data = compress(message) if gzip else message
        await self.connection.wait_writable(self.stream, self._writable)
        self.connection.http2.send_data(self.stream, data, prefix=prefix(data, compressed=gzip))
        self.connection.write_soon()

    def send_status(self, code: StatusCode, text: str = "") -> None:
        """End the response.

        Raises:
            LocalProtocolError: It has ended.
        """
        if self._head_sent:
            block = _OK if code is StatusCode.OK and not self.trailing else trailers(code, text, self.trailing)
            self.connection.http2.send_trailers(self.stream, block)
        else:
            self.connection.http2.send_headers(self.stream, trailers_only(code, text, self.trailing), end_stream=True)
        self.connection.http2.stop_request(self.stream)
