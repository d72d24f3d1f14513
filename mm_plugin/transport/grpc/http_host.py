"""ServeHTTP at the host: one gRPC stream as an HTTPCall. Internal.

Job:    drive ``wire.serve_http.HostSide`` from a client stream.
Layer:  transport/grpc.
Errors: CallFailure; a plugin that breaks the protocol gives one with INTERNAL, an invalid status OUT_OF_RANGE.
"""

from __future__ import annotations

from collections.abc import Iterable

import anyio

from mm_plugin._proto.hooks_http_pb2 import ServeHTTPRequest, ServeHTTPResponse
from mm_plugin.exceptions import RemoteProtocolError, StatusCode
from mm_plugin.transport.grpc.errors import GRPCStatusError
from mm_plugin.transport.grpc.failures import failure_of
from mm_plugin.transport.grpc.http_messages import request_proto_of, response_head_of, response_message_of
from mm_plugin.transport.grpc.streams import ClientStream
from mm_plugin.transport.link import CallFailure, RequestHead, ResponseHead, ResponsePart
from mm_plugin.wire.serve_http.host_side import HostSide, ResponseState
from mm_plugin.wire.serve_http.status import InvalidStatusError
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
        self._failure: CallFailure | None = None

    # -- the request ------------------------------------------------------------------------------------------

    async def send(self, data: bytes) -> None:
        """Send a piece of the request body."""
        await self._send(self._machine.send(data))

    async def finish(self) -> None:
        """Say that the request body is complete."""
        await self._send(self._machine.finish())
        await self._stream.end()

    async def abort(self) -> None:
        """Say that the request body ends here without being complete."""
        await self._send(self._machine.abort())
        await self._stream.end()

    async def _send(self, messages: Iterable[RequestMessage]) -> None:
        """Send messages that the machine has just given; they queue in the order in which it gave them."""
        async with self._sending:
            try:
                for message in messages:
                    await self._stream.send_message(request_proto_of(message, self._head))
            except GRPCStatusError as error:
                if self._machine.response_state is not ResponseState.COMPLETE:
                    raise failure_of(error) from error

    # -- the response -----------------------------------------------------------------------------------------

    async def receive_head(self) -> ResponseHead:
        """Wait for the response's head."""
        init = self._machine.open()
        if init:  # else it is on its way, perhaps behind an upload that nobody reads: do not wait for that
            await self._send(init)
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
        while part is None and self._machine.response_state is not ResponseState.COMPLETE:
            if self._failure is not None:
                raise self._failure
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
            self._failure = failure_of(error)
            raise self._failure from error

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
        code = StatusCode.OUT_OF_RANGE if isinstance(error, InvalidStatusError) else StatusCode.INTERNAL
        self._failure = CallFailure(str(error), code=code)
        return self._failure
