"""ServeHTTP at the host: one gRPC stream as an HTTPCall. Internal.

Job:    drive ``wire.serve_http.HostSide`` from a client stream.
Layer:  transport/grpc.
Errors: CallFailure; a plugin that breaks the protocol gives one with INTERNAL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import anyio

from mm_plugin._proto.hooks_http_pb2 import ServeHTTPRequest, ServeHTTPResponse
from mm_plugin.exceptions import RemoteProtocolError, StatusCode
from mm_plugin.transport.grpc.errors import GRPCStatusError
from mm_plugin.transport.grpc.failures import failure_of
from mm_plugin.transport.grpc.http_messages import request_proto_of, response_head_of, response_message_of
from mm_plugin.transport.grpc.streams import ClientStream
from mm_plugin.transport.link import CallFailure, RequestHead, ResponseHead, ResponsePart
from mm_plugin.wire.serve_http.host_side import HostSide, ResponseState
from mm_plugin.wire.serve_http.values import RequestMessage, ResponseMessage

__all__ = ("GRPCHTTPCall",)

HTTPClientStream = ClientStream[ServeHTTPRequest, ServeHTTPResponse]


class GRPCHTTPCall:
    """The host's end of one HTTP request; see HTTPCall."""

    def __init__(self, stream: HTTPClientStream, head: RequestHead) -> None:
        self._stream = stream
        self._head = head
        self._machine = HostSide()
        self._sending = anyio.Lock()  # the head may be sent by the task that waits for the response
        self._part: ResponsePart | None = None  # came with the response's head

    # -- the request ------------------------------------------------------------------------------------------

    async def send(self, data: bytes) -> None:
        """Send a piece of the request body."""
        await self._send(lambda: self._machine.send(data))

    async def finish(self) -> None:
        """Say that the request body is complete."""
        await self._send(self._machine.finish)
        await self._stream.end()

    async def abort(self) -> None:
        """Say that the request body ends here without being complete."""
        await self._send(self._machine.abort)
        await self._stream.end()

    async def _send(self, messages: Callable[[], Iterable[RequestMessage]]) -> None:
        async with self._sending:
            try:
                for message in messages():
                    await self._stream.send_message(request_proto_of(message, self._head))
            except GRPCStatusError as error:
                if self._machine.response_state is not ResponseState.COMPLETE:
                    raise failure_of(error) from error

    # -- the response -----------------------------------------------------------------------------------------

    async def receive_head(self) -> ResponseHead:
        """Wait for the response's head."""
        await self._send(self._machine.open)
        proto = await self._next_proto()
        if proto is None:
            raise self._end()
        message = self._take(proto)
        if message.chunk or message.flush:
            self._part = ResponsePart(message.chunk, message.flush)
        return response_head_of(message, proto.init)

    async def receive(self) -> ResponsePart | None:
        """Wait for the next piece of the response body; None once it is complete."""
        part, self._part = self._part, None
        while part is None and self._machine.response_state is ResponseState.BODY:
            proto = await self._next_proto()
            if proto is None:
                self._machine.receive_end(ok=True)
                break
            message = self._take(proto)
            if message.chunk or message.flush:
                part = ResponsePart(message.chunk, message.flush)
        return part

    async def _next_proto(self) -> ServeHTTPResponse | None:
        try:
            return await self._stream.recv_message()
        except GRPCStatusError as error:
            self._machine.receive_end(ok=False)
            raise failure_of(error) from error

    def _take(self, proto: ServeHTTPResponse) -> ResponseMessage:
        try:
            return self._machine.receive(response_message_of(proto))
        except RemoteProtocolError as error:
            raise self._broken(error) from error

    def _end(self) -> CallFailure:
        try:
            self._machine.receive_end(ok=True)
        except RemoteProtocolError as error:
            return self._broken(error)
        raise AssertionError("the machine refuses a response without a head")

    def _broken(self, error: RemoteProtocolError) -> CallFailure:
        self._stream.cancel()
        return CallFailure(str(error), code=StatusCode.INTERNAL)
