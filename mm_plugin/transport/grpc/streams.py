"""Streaming calls, as a handler of our server and as a caller on our channel meet them.

Job:    typed messages in and out of one call, with back-pressure in both directions.
Layer:  transport/grpc; server_calls.py and client_calls.py do the work below.
Errors: GRPCStatusError.

Each direction belongs to one task at a time; the two directions may belong to different tasks. Reading gives the peer
credit only for what has been taken; sending waits while the stream's queue is full.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Generic, TypeVar

from mm_plugin.exceptions import StatusCode
from mm_plugin.transport.grpc.errors import GRPCStatusError
from mm_plugin.transport.grpc.handlers import decoder_of, encoder_of
from mm_plugin.transport.link import FailureKind
from mm_plugin.wire.grpc import FramingError, compress, prefix

if TYPE_CHECKING:
    from typing import Self

    from mm_plugin.transport.grpc.client_calls import StreamingClientCall
    from mm_plugin.transport.grpc.handlers import CallInfo
    from mm_plugin.transport.grpc.server_calls import StreamingCall
    from mm_plugin.wire.grpc import Metadata

__all__ = ("ClientStream", "ServerStream")

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")
T = TypeVar("T")


class ServerStream(Generic[RequestT, ResponseT]):
    """A streaming call at the server.

    Attributes:
        info: Path, metadata, deadline, peer.
    """

    def __init__(self, call: StreamingCall) -> None:
        self.info: CallInfo = call.info
        self._call = call
        self._decode: Callable[[bytes], RequestT] = call.decode
        self._encode: Callable[[ResponseT], bytes] = call.encode

    async def recv_message(self) -> RequestT | None:
        """Wait for the next request; None once the caller has sent all.

        Cancellation loses nothing.

        Raises:
            GRPCStatusError: The message is too large or broken; left alone, it becomes the call's status.
        """
        try:
            data = await self._call.incoming.receive()
        except FramingError as error:
            raise GRPCStatusError(error.code, str(error)) from error
        return None if data is None else decode(self._decode, data)

    async def send_initial(self, metadata: Iterable[tuple[str, str | bytes]] = ()) -> None:
        """Send the response's head now; otherwise it goes with the first message.

        Raises:
            LocalProtocolError: It has been sent.
        """
        self._call.send_head(metadata)
        self._call.connection.write_soon()

    async def send_message(self, message: ResponseT) -> None:
        """Send a response; waits while the caller does not take more.

        Cancellation sends the message whole or not at all.
        """
        await self._call.send(self._encode(message))

    def set_trailing(self, metadata: Iterable[tuple[str, str | bytes]]) -> None:
        """Set the metadata that goes with the status."""
        self._call.trailing = tuple(metadata)

    async def send_status(
        self, code: StatusCode = StatusCode.OK, text: str = "", metadata: Iterable[tuple[str, str | bytes]] = ()
    ) -> None:
        """End the response now, instead of at the handler's end.

        Raises:
            LocalProtocolError: It has ended.
        """
        self.set_trailing(metadata)
        self._call.send_status(code, text)
        self._call.connection.write_soon()

    def cancel(self) -> None:
        """End the call without a status: the caller is told CANCELLED."""
        self._call.abandon()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> RequestT:
        message = await self.recv_message()
        if message is None:
            raise StopAsyncIteration
        return message


class ClientStream(Generic[RequestT, ResponseT]):
    """A streaming call at the channel; every wait ends at the call's deadline with DEADLINE_EXCEEDED.

    Attributes:
        compress: Compress the messages sent from now on; only a stream that was opened so may.
    """

    def __init__(self, call: StreamingClientCall, request_type: type[RequestT], response_type: type[ResponseT]) -> None:
        self.compress = call.gzip
        self._call = call
        self._decode = decoder_of(response_type)
        self._encode = encoder_of(request_type)

    async def send_message(self, message: RequestT, *, end: bool = False) -> None:
        """Send a request; waits while the peer does not take more.

        What is sent after the peer has ended the call with OK is dropped: it wants no more.
        Cancellation sends the message whole or not at all.

        Args:
            message: The request.
            end: This is the last one.

        Raises:
            GRPCStatusError: The call has failed.
            LocalProtocolError: ``end`` has been said already.
        """
        data = self._encode(message)
        gzip = self.compress and self._call.gzip
        if gzip:
            data = compress(data)
        await self._call.send(data, prefix(data, compressed=gzip), end=end)

    async def end(self) -> None:
        """Say that no more requests come; does nothing the second time."""
        self._call.send_end()

    async def recv_initial(self) -> Metadata:
        """Wait for the response's head and return its metadata.

        Raises:
            GRPCStatusError: There is none: the call has failed.
        """
        return await self._call.initial()

    async def recv_message(self) -> ResponseT | None:
        """Wait for the next response; None once all have come and the status is OK.

        Cancellation loses nothing.

        Raises:
            GRPCStatusError: The call has ended otherwise; what came before is not the whole.
        """
        data = await self._call.receive()
        return None if data is None else decode(self._decode, data)

    async def recv_trailing(self) -> Metadata:
        """Wait for the status and return its metadata; messages not taken yet may hold it up.

        Raises:
            GRPCStatusError: The status is not OK.
        """
        return await self._call.wait_end()

    @property
    def trailing_metadata(self) -> Metadata:
        """The metadata that came with the status; empty before."""
        return self._call.trailing_metadata

    def cancel(self) -> None:
        """Give the call up: the peer's handler is cancelled, later waits raise CANCELLED."""
        self._call.cancel()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ResponseT:
        message = await self.recv_message()
        if message is None:
            raise StopAsyncIteration
        return message


def decode(decoder: Callable[[bytes], T], data: bytes) -> T:
    """Return the message that ``data`` holds.

    Raises:
        GRPCStatusError: INTERNAL: it holds none of this class.
    """
    try:
        return decoder(data)
    except Exception as error:  # each message library has its own
        text = f"the message cannot be decoded: {error}"
        raise GRPCStatusError(StatusCode.INTERNAL, text, kind=FailureKind.LOST) from error
