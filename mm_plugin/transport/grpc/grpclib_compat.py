"""Services and stubs generated for grpclib, on our server and channel, under asyncio and Trio alike.

Job:    give a grpclib service the stream object it expects, and a grpclib stub the channel it expects.
Layer:  transport/grpc; the only module that imports grpclib. Nothing of it runs: no socket, task or timer of grpclib.
Errors: as grpclib has them: GRPCError for a status, TimeoutError for a deadline, StreamTerminatedError for a lost
        connection, ConnectionError for a server that cannot be reached.
See:    grpclib 0.4.9, ``server.Stream``, ``client.Stream``, ``client.ServiceMethod``.

Not carried: error details (``grpc-status-details-bin``), and grpclib's own event listeners.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias, TypeVar, cast

import anyio
from grpclib.const import Cardinality, Status
from grpclib.exceptions import GRPCError, ProtocolError, StreamTerminatedError
from grpclib.metadata import Deadline
from multidict import MultiDict

from mm_plugin.exceptions import StatusCode
from mm_plugin.transport.grpc.errors import GRPCStatusError
from mm_plugin.transport.grpc.handlers import Handler, Streaming
from mm_plugin.transport.grpc.streams import ClientStream
from mm_plugin.transport.link import FailureKind

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from grpclib.client import Channel

    from mm_plugin.transport.grpc.channel import GRPCChannel
    from mm_plugin.transport.grpc.client_calls import StreamingClientCall
    from mm_plugin.transport.grpc.streams import ServerStream
    from mm_plugin.wire.grpc import Metadata

__all__ = ("handlers_of", "stub_channel")

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")

#: Metadata as grpclib's callers give it.
_MetadataLike: TypeAlias = "Mapping[str, str | bytes] | Collection[tuple[str, str | bytes]] | None"


#: ``grpclib.const.Handler``, which is an untyped tuple.
_TheirHandler: TypeAlias = "tuple[Callable[[Any], Awaitable[None]], Cardinality, type[Any], type[Any]]"


class _Service(Protocol):
    """What grpclib calls a servable."""

    def __mapping__(self) -> Mapping[str, Any]: ...


def handlers_of(service: _Service) -> Mapping[str, Handler]:
    """Return the handlers of a service written for grpclib, by path, for GRPCServer.

    Args:
        service: An instance of a subclass of a generated ``…Base``.
    """
    return {path: _handler_of(path, handler) for path, handler in service.__mapping__().items()}


def _handler_of(path: str, handler: _TheirHandler) -> Handler:
    func, cardinality, request_type, reply_type = handler
    _, unary_response = _unary(cardinality)

    async def run(stream: ServerStream[Any, Any]) -> None:
        theirs = _ServerStream(stream, unary_response)
        await func(theirs)
        theirs.check_complete(path)

    return Streaming(run, request_type, reply_type)


def stub_channel(channel: GRPCChannel) -> Channel:
    """Return what a generated ``…Stub`` takes for its channel; calls go over ``channel``, whoever owns that."""
    return cast("Channel", _StubChannel(channel))


class _Peer:
    """The other side, as ``grpclib.protocol.Peer`` shows it."""

    def __init__(self, address: str) -> None:
        self._address = address

    def addr(self) -> tuple[str, int] | None:
        """Return host and port; None for a peer that has none."""
        host, colon, port = self._address.rpartition(":")
        return (host, int(port)) if colon and port.isdigit() else None

    def cert(self) -> None:
        """Return no certificate: there is no TLS here."""


class _MessageIterator(Generic[ResponseT]):
    async def recv_message(self) -> ResponseT | None:
        raise NotImplementedError

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ResponseT:
        message = await self.recv_message()
        if message is None:
            raise StopAsyncIteration
        return message


# -- server ---------------------------------------------------------------------------------------------------


class _ServerStream(_MessageIterator[RequestT], Generic[RequestT, ResponseT]):
    """A call as the methods of a grpclib service get it (``grpclib.server.Stream``)."""

    def __init__(self, stream: ServerStream[RequestT, ResponseT], unary_response: bool) -> None:
        info = stream.info
        self._stream = stream
        self._unary_response = unary_response
        self._sent_initial = self._sent_message = self._ended = False
        self.deadline: Deadline | None = None
        if info.deadline is not None:
            self.deadline = Deadline.from_timeout(info.deadline - anyio.current_time())
        self.metadata: MultiDict[str | bytes] = MultiDict(info.metadata)
        self.user_agent = info.user_agent or None
        self.peer = _Peer(info.peer)

    async def recv_message(self) -> RequestT | None:
        """Wait for the next request; None after the last."""
        return await self._stream.recv_message()

    async def send_initial_metadata(self, *, metadata: _MetadataLike = None) -> None:
        """Send the response's head."""
        if self._sent_initial:
            raise ProtocolError("Initial metadata was already sent")
        await self._stream.send_initial(_pairs(metadata))
        self._sent_initial = True

    async def send_message(self, message: ResponseT) -> None:
        """Send a response."""
        if self._unary_response and self._sent_message:
            raise ProtocolError("Message was already sent")
        if not self._sent_initial:
            await self.send_initial_metadata()
        await self._stream.send_message(message)
        self._sent_message = True

    async def send_trailing_metadata(
        self,
        *,
        status: Status = Status.OK,
        status_message: str | None = None,
        status_details: object = None,  # noqa: ARG002 - see the module's docstring
        metadata: _MetadataLike = None,
    ) -> None:
        """End the response."""
        if self._ended:
            raise ProtocolError("Trailing metadata was already sent")
        if status is Status.OK:
            self.check_message()
        await self._stream.send_status(StatusCode(status.value), status_message or "", _pairs(metadata))
        self._ended = True

    async def cancel(self) -> None:
        """Reset the call."""
        if self._ended:
            raise ProtocolError("Stream was already cancelled")
        self._stream.cancel()
        self._ended = True
        await anyio.lowlevel.checkpoint()

    def check_message(self, path: str = "") -> None:
        """Refuse a good end without the message that a unary response has."""
        if self._unary_response and not self._sent_message:
            raise ProtocolError(f"Unary response with OK status requires a single message to be sent: {path!r}")

    def check_complete(self, path: str) -> None:
        """Check what has been sent, now that the method has returned."""
        if not self._ended:
            self.check_message(path)


# -- client ---------------------------------------------------------------------------------------------------


class _StubChannel:
    """What the method objects of a stub ask of their channel."""

    def __init__(self, channel: GRPCChannel) -> None:
        self._channel = channel

    def request(
        self,
        name: str,
        cardinality: Cardinality,
        request_type: type[RequestT],
        reply_type: type[ResponseT],
        *,
        timeout: float | None = None,
        deadline: Deadline | None = None,
        metadata: _MetadataLike = None,
    ) -> _ClientStream[RequestT, ResponseT]:
        """Return the stream of a call that begins with its first use."""
        limits_s = [
            limit for limit in (timeout, None if deadline is None else deadline.time_remaining()) if limit is not None
        ]
        absolute = anyio.current_time() + min(limits_s) if limits_s else None
        return _ClientStream(self._channel, name, cardinality, request_type, reply_type, absolute, _pairs(metadata))


class _ClientStream(_MessageIterator[ResponseT], Generic[RequestT, ResponseT]):
    """A call as the users of a grpclib stub get it (``grpclib.client.Stream``)."""

    initial_metadata: MultiDict[str | bytes] | None = None
    trailing_metadata: MultiDict[str | bytes] | None = None
    peer: _Peer | None = None

    def __init__(
        self,
        channel: GRPCChannel,
        name: str,
        cardinality: Cardinality,
        request_type: type[RequestT],
        reply_type: type[ResponseT],
        deadline: float | None,
        metadata: Metadata,
    ) -> None:
        self._channel = channel
        self._name = name
        self._unary_request, _ = _unary(cardinality)
        self._types = request_type, reply_type
        self._deadline = deadline
        self._metadata = metadata
        self._call: StreamingClientCall | None = None
        self._stream: ClientStream[RequestT, ResponseT] | None = None
        self._sent_message = self._ended = self._cancelled = False

    async def send_request(self, *, end: bool = False) -> None:
        """Open the call."""
        if self._stream is not None:
            raise ProtocolError("Request is already sent")
        if end and self._unary_request:
            raise ProtocolError("Unary request requires a message to be sent before ending outgoing stream")
        try:
            self._call = await self._channel.start_stream(self._name, deadline=self._deadline, metadata=self._metadata)
        except GRPCStatusError as error:
            raise _their_error(error) from error
        self._stream = ClientStream(self._call, *self._types)
        if end:
            await self.end()

    async def send_message(self, message: RequestT, *, end: bool = False) -> None:
        """Send a request; a unary one ends the requests."""
        if self._stream is None:
            await self.send_request()
        if self._ended:
            raise ProtocolError("Stream is ended")
        end = end or self._unary_request
        try:
            await self._open.send_message(message, end=end)
        except GRPCStatusError as error:
            raise _their_error(error) from error
        self._sent_message = True
        self._ended = end

    async def end(self) -> None:
        """Say that no more requests come."""
        stream = self._open
        if self._unary_request:
            if not self._sent_message:
                raise ProtocolError("Unary request requires a single message to be sent")
        elif self._ended:
            raise ProtocolError("Stream was already ended")
        else:
            await stream.end()
            self._ended = True

    async def recv_initial_metadata(self) -> None:
        """Wait for the response's head."""
        if self.initial_metadata is not None:
            raise ProtocolError("Initial metadata was already received")
        try:
            self.initial_metadata = MultiDict(await self._open.recv_initial())
        except GRPCStatusError as error:
            self._keep_trailing(error.metadata)
            raise _their_error(error) from error

    async def recv_message(self) -> ResponseT | None:
        """Wait for the next response; None after the last."""
        if self.initial_metadata is None:
            await self.recv_initial_metadata()
        try:
            return await self._open.recv_message()
        except GRPCStatusError as error:
            self._keep_trailing(error.metadata)
            raise _their_error(error) from error

    async def recv_trailing_metadata(self) -> None:
        """Wait for the status."""
        stream = self._open
        if not self._ended:
            raise ProtocolError("Outgoing stream was not ended")
        if self.initial_metadata is None:
            raise ProtocolError("Initial metadata was not received before waiting for trailing metadata")
        try:
            self._keep_trailing(await stream.recv_trailing())
        except GRPCStatusError as error:
            self._keep_trailing(error.metadata)
            raise _their_error(error) from error

    async def cancel(self) -> None:
        """Reset the call."""
        stream = self._open
        if self._cancelled:
            raise ProtocolError("Stream was already cancelled")
        self._cancelled = True
        stream.cancel()
        await anyio.lowlevel.checkpoint()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._call is None:
            return
        try:
            if error is None and not self._cancelled:
                if self.initial_metadata is None:
                    await self.recv_initial_metadata()
                if self.trailing_metadata is None:
                    await self.recv_trailing_metadata()
        finally:
            self._call.cancel()

    @property
    def _open(self) -> ClientStream[RequestT, ResponseT]:
        if self._stream is None:
            raise ProtocolError("Request was not sent yet")
        return self._stream

    def _keep_trailing(self, metadata: Metadata) -> None:
        if self.initial_metadata is None:
            self.initial_metadata = MultiDict()
        self.trailing_metadata = MultiDict(metadata)


def _pairs(metadata: _MetadataLike) -> Metadata:
    if metadata is None:
        return ()
    if isinstance(metadata, Mapping):
        return tuple(cast("Mapping[str, str | bytes]", metadata).items())
    return tuple(metadata)


def _unary(cardinality: Cardinality) -> tuple[bool, bool]:
    """Return whether there is one request, and whether there is one response."""
    return (
        cardinality in {Cardinality.UNARY_UNARY, Cardinality.UNARY_STREAM},
        cardinality in {Cardinality.UNARY_UNARY, Cardinality.STREAM_UNARY},
    )


def _their_error(error: GRPCStatusError) -> Exception:
    if error.kind is FailureKind.DEADLINE:
        return TimeoutError("Deadline exceeded")
    if error.kind is FailureKind.LOST and error.code is StatusCode.UNAVAILABLE:  # the connection, not this call alone
        return StreamTerminatedError(error.text)
    if error.kind is FailureKind.UNREACHABLE:
        return ConnectionError(error.text)
    return GRPCError(Status(error.code.value), error.text or None)
