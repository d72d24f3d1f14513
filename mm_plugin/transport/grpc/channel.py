"""The gRPC channel: calls to one server over one connection, opened when first needed and again when lost.

Job:    find a usable connection for each call, within its deadline.
Layer:  transport/grpc. Knows no Mattermost, and no go-plugin either.
Errors: GRPCStatusError, whose ``kind`` says whether the call may be tried again.

A connection takes calls once the server has greeted and so said how many it allows. A first connection that is refused
or never takes a call fails the calls that wait for it at once; one that has been there and was lost is
waited for until the call's deadline, with growing pauses. A call that the server certainly has not looked at (it was
refused, or crossed a GOAWAY) is sent once more by itself.
"""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

import anyio
from anyio.lowlevel import checkpoint_if_cancelled, current_token

from mm_plugin import limits
from mm_plugin.exceptions import StatusCode
from mm_plugin.transport.grpc.client_calls import StreamingClientCall, UnaryClientCall
from mm_plugin.transport.grpc.client_connection import ClientConnection
from mm_plugin.transport.grpc.errors import GRPCStatusError
from mm_plugin.transport.grpc.handlers import decoder_of
from mm_plugin.transport.grpc.streams import ClientStream, decode
from mm_plugin.transport.link import FailureKind
from mm_plugin.wire.grpc import (
    ACCEPTED_ENCODINGS,
    CONTENT_TYPE,
    GZIP,
    compress as gzip,
    encode_metadata,
    format_timeout,
    prefix,
)
from mm_plugin.wire.http2 import encode

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from anyio.abc import ByteStream, TaskGroup
    from google.protobuf.message import Message

__all__ = ("GRPCChannel",)

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")

#: Custom metadata to send.
_Pairs = Iterable[tuple[str, "str | bytes"]]

_USER_AGENT = b"mm-plugin-python"

#: Timeouts from here to there, in seconds, are told in milliseconds.
_LONG_S = 1
_LONGEST_S = 99_999  # eight digits


class _Attempt:
    """One attempt to connect, for all calls that wait for it."""

    def __init__(self) -> None:
        self.done = anyio.Event()
        self.error: Exception | None = None


class GRPCChannel:
    """Calls to one server; an async context manager that owns the connection's tasks. Any number of tasks may call.

    Cancelling the scope around the context closes the channel at once, also for callers who are shielded.

    Args:
        connect: Opens a byte stream to the server; ``addresses.connector_to`` makes one from a target's text.
        authority: The ``:authority`` of requests.
        message_limit_octets: Longest response taken.
        metadata: Sent with every call.

    Raises:
        LocalProtocolError: ``metadata`` cannot be sent.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[ByteStream]],
        *,
        authority: str = "localhost",
        message_limit_octets: int = limits.message_limit_octets,
        metadata: _Pairs = (),
    ) -> None:
        self._open_byte_stream = connect
        self._authority = authority
        self._common_fields = encode(encode_metadata(metadata))
        self._limit_octets = message_limit_octets
        self._checkpoint_if_cancelled = checkpoint_if_cancelled
        self._now = anyio.current_time
        self._tasks: TaskGroup
        self._connection: ClientConnection | None = None
        self._connecting: set[anyio.CancelScope] = set()
        self._attempt: _Attempt | None = None
        self._reached = False
        self._failures = 0  # attempts in a row
        self._pause_end = 0.0  # when the next attempt may begin
        self._failure_text = ""
        self._closed = True

    async def __aenter__(self) -> Self:
        self._tasks = await anyio.create_task_group().__aenter__()
        backend = current_token().backend_class  # AnyIO's own functions look for it at every call
        self._checkpoint_if_cancelled = backend.checkpoint_if_cancelled
        self._now = backend.current_time
        self._closed = False
        self._tasks.start_soon(self._close_when_cancelled)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close: calls that still wait end with UNAVAILABLE, the peer gets a GOAWAY."""
        self.close()
        self._tasks.cancel_scope.cancel()
        # What was raised in the context stays as it is: the task group, which would wrap it, is not told.
        await self._tasks.__aexit__(None, None, None)

    def close(self) -> None:
        """Close now, as leaving the context will; calls that wait end with UNAVAILABLE. Safe to call twice."""
        self._closed = True
        for connecting in self._connecting:
            connecting.cancel()

    @property
    def connected(self) -> bool:
        """Whether there is a connection that takes calls."""
        return self._connection is not None and self._connection.usable

    # -- calls ------------------------------------------------------------------------------------------------

    async def unary(
        self,
        path: str,
        request: Message | bytes,
        response_type: type[ResponseT],
        *,
        deadline: float | None = None,
        metadata: _Pairs = (),
        compress: bool = False,
    ) -> ResponseT:
        """Call a method with one request and one response.

        Cancellation tells the server that nobody waits any more.

        Args:
            path: ``/package.Service/Method``.
            request: The message, or its octets.
            response_type: Class of the response, or bytes.
            deadline: When to give up, on the clock of ``anyio.current_time()``; the server is told.
            metadata: Custom metadata to send.
            compress: Send the request compressed; UNIMPLEMENTED where the server takes no gzip.

        Raises:
            GRPCStatusError: There is no response.
            LocalProtocolError: ``metadata`` cannot be sent.
        """
        data = request if isinstance(request, bytes) else request.SerializeToString()
        if compress:
            data = gzip(data)
        before = prefix(data, compressed=compress)
        own_fields = _own_fields(metadata, compress)
        until = await self._begin(deadline)
        retried = False
        while True:
            connection = self._connection
            if connection is None or not connection.takes_calls:
                connection = await self._ready(until)
            call = UnaryClientCall(connection, self._limit_octets, until)
            connection.open_unary(call, self._head(path, until - self._now()) + own_fields, data, before)
            try:
                response = await call.result()
            except GRPCStatusError as error:
                if retried or not error.not_processed:
                    raise
                retried = True
            else:
                return decode(decoder_of(response_type), response)

    @asynccontextmanager
    async def open_stream(
        self,
        path: str,
        request_type: type[RequestT],
        response_type: type[ResponseT],
        *,
        deadline: float | None = None,
        metadata: _Pairs = (),
        compress: bool = False,
    ) -> AsyncGenerator[ClientStream[RequestT, ResponseT]]:
        """Open a streaming call; leaving the context before its status has come cancels it.

        Args:
            path: ``/package.Service/Method``.
            request_type: Class of the requests, or bytes.
            response_type: Class of the responses, or bytes.
            deadline: When each wait ends with DEADLINE_EXCEEDED; the server is told.
            metadata: Custom metadata to send.
            compress: Send the requests compressed; UNIMPLEMENTED where the server takes no gzip.

        Raises:
            GRPCStatusError: The server cannot be reached.
            LocalProtocolError: ``metadata`` cannot be sent.
        """
        call = await self.start_stream(path, deadline=deadline, metadata=metadata, compress=compress)
        try:
            yield ClientStream(call, request_type, response_type)
        finally:
            call.cancel()

    async def start_stream(
        self, path: str, *, deadline: float | None = None, metadata: _Pairs = (), compress: bool = False
    ) -> StreamingClientCall:
        """Open a streaming call of octets; whoever calls this has to cancel the call at the end. Internal."""
        own_fields = _own_fields(metadata, compress)
        until = await self._begin(deadline)
        connection = await self._ready(until)
        call = StreamingClientCall(connection, self._limit_octets, until, gzip=compress)
        connection.open(call, self._head(path, until - self._now()) + own_fields)
        return call

    async def _begin(self, deadline: float | None) -> float:
        """Return when a call ends, unless it is over already: the server might carry out what is sent and reset."""
        await self._checkpoint_if_cancelled()
        if deadline is None:
            return math.inf
        if deadline <= self._now():
            text = "the deadline had passed before the call; nothing was sent"
            raise GRPCStatusError(StatusCode.DEADLINE_EXCEEDED, text, kind=FailureKind.DEADLINE)
        return deadline

    def _head(self, path: str, timeout_s: float) -> bytes:
        """Return the header fields that calls of one method share, and the timeout."""
        return _request_head(path, self._authority) + self._common_fields + _timeout_field(timeout_s)

    # -- the connection ---------------------------------------------------------------------------------------

    async def _ready(self, deadline: float) -> ClientConnection:
        """Wait until the deadline for a connection with room for another call."""
        with anyio.CancelScope(deadline=deadline):
            try:
                return await self._room()
            except BaseException:
                if self._connection is not None:
                    self._connection.offer_room()  # whoever gives up leaves its turn to the next one
                raise
        raise self._late()

    async def _room(self) -> ClientConnection:
        while True:
            if self._closed:
                raise GRPCStatusError(StatusCode.UNAVAILABLE, "the channel is closed", kind=FailureKind.UNREACHABLE)
            connection = self._connection
            if connection is None or not connection.usable:
                await self._reconnect()
            elif not connection.has_room:
                await connection.wait_room()
            elif connection.http2.output_octets >= limits.http2_output_octets:
                await connection.wait_output()
            else:
                return connection

    async def _reconnect(self) -> None:
        """Join the attempt that is under way, or begin one; raises only where there never was a connection."""
        attempt = self._attempt
        if attempt is None:
            attempt = self._attempt = _Attempt()
            self._tasks.start_soon(self._connect_until_closed, attempt)
        await attempt.done.wait()
        if attempt.error is not None and not self._reached:
            raise GRPCStatusError(
                StatusCode.UNAVAILABLE, self._failure_text, kind=FailureKind.UNREACHABLE
            ) from attempt.error

    async def _connect(self, attempt: _Attempt) -> None:
        """Connect, and drive the connection; it takes calls once the server has said how many."""

        def take() -> None:
            self._connection = connection
            self._reached = True
            self._failures = 0
            self._end_attempt(attempt)

        try:
            if self._reached and self._failures:
                await anyio.sleep_until(self._pause_end)
            connection = ClientConnection(await self._opened_in_time(), take)
            await connection.run()
            if self._attempt is attempt:  # it never took a call
                raise ConnectionError(connection.end_text)
        except Exception as error:  # noqa: BLE001 - whatever connecting raises, the calls that wait are told
            attempt.error = error
            pause_s = limits.api_reconnect_backoff_s * 2 ** min(self._failures, 16)
            self._pause_end = self._now() + min(pause_s, limits.api_reconnect_backoff_max_s)
            self._failures += 1
            self._failure_text = f"the server cannot be reached: {error}"

    async def _opened_in_time(self) -> ByteStream:
        with anyio.CancelScope(deadline=self._now() + limits.connect_s):
            return await self._open_byte_stream()
        raise ConnectionError(f"it did not take the connection within {limits.connect_s:g} s")

    def _end_attempt(self, attempt: _Attempt) -> None:
        """Have the calls that wait for an attempt look again."""
        if self._attempt is attempt:
            self._attempt = None
            attempt.done.set()

    async def _connect_until_closed(self, attempt: _Attempt) -> None:
        with anyio.CancelScope() as scope:
            self._connecting.add(scope)
            if self._closed:
                scope.cancel()
            try:
                await self._connect(attempt)
            finally:
                self._connecting.discard(scope)
                self._end_attempt(attempt)

    async def _close_when_cancelled(self) -> None:
        """Close as soon as the context is cancelled from outside: no connection that is opened then would live."""
        try:
            await anyio.sleep_forever()
        finally:
            self.close()

    def _late(self) -> GRPCStatusError:
        """Return what a call fails with that has not even been sent before its deadline."""
        if self._failures:
            text = self._failure_text
        elif self._attempt is not None:
            text = "the server cannot be reached: it did not answer the attempt to connect before the call's deadline"
        else:
            text = "there was no room for the call before its deadline"
        return GRPCStatusError(StatusCode.UNAVAILABLE, text, kind=FailureKind.UNREACHABLE)


def _own_fields(metadata: _Pairs, compress: bool) -> bytes:
    """Return the header fields that one call alone has."""
    fields = encode_metadata(metadata)
    if compress:
        fields.append((b"grpc-encoding", GZIP))
    return encode(fields) if fields else b""


def _timeout_field(seconds: float) -> bytes:
    """Return the field that tells the server a timeout; a long one is rounded up to the millisecond.

    So calls with the same timeout share one block, made once here and decoded once by servers that remember blocks.
    """
    if _LONG_S <= seconds < _LONGEST_S:
        return _timeout_in_ms(math.ceil(seconds * 1000))
    if seconds == math.inf:
        return b""
    return encode([(b"grpc-timeout", format_timeout(seconds))])


@lru_cache(maxsize=256)
def _timeout_in_ms(milliseconds: int) -> bytes:
    return encode([(b"grpc-timeout", b"%dm" % milliseconds)])


@lru_cache(maxsize=1024)  # the methods of a few services; stateless blocks, so they may be sent for ever
def _request_head(path: str, authority: str) -> bytes:
    return encode(
        [
            (b":method", b"POST"),
            (b":scheme", b"http"),
            (b":path", path.encode()),
            (b":authority", authority.encode()),
            (b"te", b"trailers"),
            (b"content-type", CONTENT_TYPE),
            (b"grpc-accept-encoding", ACCEPTED_ENCODINGS),
            (b"user-agent", _USER_AGENT),
        ]
    )
