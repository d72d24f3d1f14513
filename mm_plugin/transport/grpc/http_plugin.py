"""ServeHTTP at the plugin: one gRPC stream as an HTTPExchange. Internal.

Job:    drive ``wire.serve_http.PluginSide`` from a server stream and hand the exchange up.
Layer:  transport/grpc.
Errors: A call that breaks the protocol ends with INVALID_ARGUMENT, whatever its handler does; a response that is not
        finished ends with ABORTED, which no client takes for a whole body.
"""

from __future__ import annotations

from collections.abc import Iterable

import anyio

from mm_plugin import limits
from mm_plugin._proto.hooks_http_pb2 import ServeHTTPRequest, ServeHTTPResponse
from mm_plugin.exceptions import RemoteProtocolError, RequestBodyAbortedError, StatusCode
from mm_plugin.transport.grpc.errors import GRPCStatusError
from mm_plugin.transport.grpc.http_messages import request_head_of, request_message_of, response_proto_of
from mm_plugin.transport.grpc.streams import ServerStream
from mm_plugin.transport.link import HookReceiver, RequestHead, ResponseHead
from mm_plugin.types import HeaderFields
from mm_plugin.wire.serve_http.plugin_side import PluginSide
from mm_plugin.wire.serve_http.values import ResponseMessage

__all__ = ("serve_exchange",)

HTTPServerStream = ServerStream[ServeHTTPRequest, ServeHTTPResponse]


async def serve_exchange(stream: HTTPServerStream, receiver: HookReceiver) -> None:
    """Serve one ServeHTTP call by handing its exchange to ``receiver``.

    Raises:
        GRPCStatusError: The call ends with this status.
    """
    machine = PluginSide()
    first = await stream.recv_message()
    try:
        if first is None:
            machine.receive_half_close()
            raise AssertionError("the machine refuses a call without a message")
        piece = machine.receive(request_message_of(first))
    except RemoteProtocolError as error:
        raise GRPCStatusError(StatusCode.INVALID_ARGUMENT, str(error)) from error
    exchange = _Exchange(stream, machine, request_head_of(first.init), piece)
    with exchange.scope:
        await receiver.handle_http(exchange)
    if exchange.refusal is not None:
        raise exchange.refusal
    if not exchange.finished:
        raise GRPCStatusError(StatusCode.ABORTED, exchange.abort_text or "the response broke off")


class _Exchange:
    """The plugin's end of one HTTP request; see HTTPExchange."""

    def __init__(self, stream: HTTPServerStream, machine: PluginSide, head: RequestHead, piece: bytes) -> None:
        self._stream = stream
        self._machine = machine
        self._piece = piece  # came with the init
        self._empty_messages = 0
        self._headers: HeaderFields = ()
        self._head = head
        self.scope = anyio.CancelScope()  # cancelled where the host breaks the protocol
        self.refusal: GRPCStatusError | None = None
        self.finished = False
        self.abort_text = ""

    @property
    def head(self) -> RequestHead:
        """The request."""
        return self._head

    @property
    def deadline(self) -> float | None:
        """When the caller stops waiting."""
        return self._stream.info.deadline

    async def receive(self) -> bytes:
        """Wait for the next piece of the body."""
        piece, self._piece = self._piece, b""
        while not piece and not self._machine.body_ended():
            try:
                message = await self._stream.recv_message()
                if message is None:
                    self._machine.receive_half_close()
                else:
                    piece = self._machine.receive(request_message_of(message))
                    if not (piece or message.body_complete):
                        await self._take_empty_message()
            except RemoteProtocolError as error:
                self._refuse(GRPCStatusError(StatusCode.INVALID_ARGUMENT, str(error)))
                raise RequestBodyAbortedError(str(error)) from error
            except GRPCStatusError as error:  # over the limit, or broken: the stream is of no more use
                self._refuse(error)
                raise RequestBodyAbortedError(str(error)) from error
        return piece

    async def _take_empty_message(self) -> None:
        """Let others run, and bear only so many: each costs work and 5 octets, so that a window holds 100,000."""
        self._empty_messages += 1
        if self._empty_messages > limits.http_empty_messages:
            raise RemoteProtocolError(f"the host sent over {limits.http_empty_messages} messages that hold nothing")
        await anyio.lowlevel.checkpoint()

    async def respond(self, head: ResponseHead) -> None:
        """Start the response; it goes out with what follows."""
        self._machine.respond(head.status)
        self._headers = head.headers

    async def write(self, data: bytes, *, flush: bool = False) -> None:
        """Send a piece of the response body."""
        await self._send(self._machine.write(data, flush=flush))

    async def flush(self) -> None:
        """Have everything written so far reach the client now."""
        await self._send(self._machine.flush())

    async def finish(self) -> None:
        """End the response as complete."""
        await self._send((self._machine.finish(),))
        self.finished = True

    async def abort(self, text: str = "") -> None:
        """End the response as broken; the call's status says so once the handler has returned."""
        if self._machine.abort():
            self.abort_text = text
        await anyio.lowlevel.checkpoint()

    async def _send(self, messages: Iterable[ResponseMessage]) -> None:
        for message in messages:
            await self._stream.send_message(response_proto_of(message, self._headers))

    def _refuse(self, status: GRPCStatusError) -> None:
        self.refusal = status
        self.scope.cancel()
