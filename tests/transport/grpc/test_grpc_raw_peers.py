"""Peers that are no good gRPC peers: clients of our server and servers of our channel, written on the wire's core."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio.abc import ByteStream

from mm_plugin import limits
from mm_plugin.exceptions import StatusCode
from mm_plugin.transport.grpc.channel import GRPCChannel
from mm_plugin.transport.grpc.errors import GRPCStatusError
from mm_plugin.transport.grpc.handlers import CallInfo, Handler, Streaming, Unary
from mm_plugin.transport.grpc.streams import ServerStream
from mm_plugin.transport.link import FailureKind
from mm_plugin.wire.grpc import OK_TRAILERS, RESPONSE_HEAD, Status, compress, frame, read_status
from mm_plugin.wire.http2 import (
    Connection,
    DataReceived,
    ErrorCode,
    Event,
    GoAwayReceived,
    PingAcknowledged,
    RequestReceived,
    ResponseReceived,
    Role,
    Stream,
    StreamReset,
    TrailersReceived,
    encode,
)

from .conftest import Serve, memory_pair

ECHO, STREAM = "/t.T/Echo", "/t.T/Stream"
Fields = Sequence[tuple[bytes, bytes]]


async def echo(request: bytes, info: CallInfo) -> bytes:
    return request


async def echo_stream(stream: ServerStream[bytes, bytes]) -> None:
    async for message in stream:
        await stream.send_message(message)


HANDLERS: dict[str, Handler] = {ECHO: Unary(echo, bytes, bytes), STREAM: Streaming(echo_stream, bytes, bytes)}


class RawPeer:
    """The core on a byte stream, with no opinion of gRPC."""

    def __init__(self, role: Role, byte_stream: ByteStream) -> None:
        self.http2 = Connection(role)
        self.byte_stream = byte_stream
        self.events: list[Event] = []

    async def flush(self) -> None:
        await self.byte_stream.send(self.http2.take() or b"")

    async def next_event(self, kind: type[Event]) -> Event:
        """Wait for an event of a kind; the others before it are kept, too."""
        with anyio.fail_after(10):
            while True:
                for event in self.events:
                    if isinstance(event, kind):
                        self.events.remove(event)
                        return event
                self.events += self.http2.receive(await self.byte_stream.receive())
                if self.http2.output_octets:
                    await self.flush()

    async def read_to_the_end(self) -> None:
        """Wait until the other side has closed."""
        with anyio.fail_after(5):
            try:
                while True:
                    await self.byte_stream.receive()
            except anyio.EndOfStream:
                return


class RawClient(RawPeer):
    """Sends any request, and reads how it ends."""

    async def open(self, *more: tuple[bytes, bytes], path: str = ECHO, method: bytes = b"POST") -> Stream:
        fields = {
            b":method": method,
            b":scheme": b"http",
            b":path": path.encode(),
            b":authority": b"x",
            b"te": b"trailers",
            b"content-type": b"application/grpc",
        } | dict(more)
        return self.http2.open_stream([(name, value) for name, value in fields.items() if value])

    async def answer(self, stream: Stream) -> tuple[int | None, Status | None, bytes]:
        """Return HTTP status, gRPC status and body of the answer; what belongs to other streams is kept for them."""
        status: int | None = None
        body = b""
        others: list[Event] = []
        await self.flush()
        try:
            with anyio.fail_after(10):
                while True:
                    while self.events:
                        event = self.events.pop(0)
                        if getattr(event, "stream", None) is not stream:
                            others.append(event)
                        elif isinstance(event, ResponseReceived):
                            status = event.head.status
                            if event.end_stream:
                                return status, read_status(event.head.fields), body
                        elif isinstance(event, DataReceived):
                            body += event.data
                            self.http2.consumed(stream, event.credit_octets)
                            if event.end_stream:
                                return status, None, body
                        elif isinstance(event, TrailersReceived):
                            return status, read_status(event.head.fields), body
                        elif isinstance(event, StreamReset):
                            return status, None, f"reset {event.code.name}".encode()
                    self.events += self.http2.receive(await self.byte_stream.receive())
                    if self.http2.output_octets:
                        await self.flush()
        finally:
            self.events[:0] = others

    async def still_lives(self) -> None:
        """Check that the connection answers an ordinary call."""
        stream = await self.open()
        self.http2.send_data(stream, frame(b"alive"), end_stream=True)
        assert await self.answer(stream) == (200, Status(StatusCode.OK), frame(b"alive"))


@asynccontextmanager
async def raw_client(
    serve: Serve, handlers: dict[str, Handler] = HANDLERS, **options: int
) -> AsyncGenerator[RawClient]:
    async with serve(handlers, **options) as served:
        client = RawClient(Role.CLIENT, await served.connect())
        await client.flush()
        try:
            yield client
        finally:
            await client.byte_stream.aclose()


@pytest.mark.parametrize("value", [b"1x", b"-1S", b"123456789S", b"S", b"1", b"1.5S"])
async def test_wrong_timeouts(serve: Serve, value: bytes) -> None:
    """A grpc-timeout that is none ends the call with INTERNAL, not the connection."""
    async with raw_client(serve) as client:
        stream = await client.open((b"grpc-timeout", value))
        client.http2.send_data(stream, frame(b"x"), end_stream=True)
        _, status, _ = await client.answer(stream)
        assert status is not None
        assert status.code is StatusCode.INTERNAL
        assert "grpc-timeout" in status.text
        await client.still_lives()


@pytest.mark.parametrize("unit", ["H", "M", "S", "m", "u", "n"])
async def test_timeouts_of_each_unit(serve: Serve, unit: str) -> None:
    """Each unit of grpc-timeout is understood; one that has passed gives DEADLINE_EXCEEDED."""

    async def left(request: bytes, info: CallInfo) -> bytes:
        assert info.deadline is not None
        await anyio.lowlevel.checkpoint()
        return b"%f" % (info.deadline - anyio.current_time())

    async with raw_client(serve, {ECHO: Unary(left, bytes, bytes)}) as client:
        stream = await client.open((b"grpc-timeout", f"9{unit}".encode()))
        client.http2.send_data(stream, frame(b""), end_stream=True)
        _, status, body = await client.answer(stream)
        assert status is not None
        if unit in "un":
            assert status.code is StatusCode.DEADLINE_EXCEEDED
        elif unit != "m":
            assert float(body[5:]) == pytest.approx(9 * {"H": 3600, "M": 60, "S": 1}[unit], abs=5)


@pytest.mark.parametrize(
    ("method", "content_type", "expected"),
    [
        (b"GET", b"application/grpc", 405),
        (b"POST", b"application/json", 415),
        (b"POST", b"", 415),
        (b"POST", b"application/grpcx", 415),
    ],
)
@pytest.mark.parametrize("whole", [True, False])
async def test_requests_that_are_no_calls(
    serve: Serve, method: bytes, content_type: bytes, expected: int, whole: bool
) -> None:
    """What is no gRPC call gets an HTTP answer with a body, even when the request never ends."""
    async with raw_client(serve) as client:
        stream = await client.open((b"content-type", content_type), method=method)
        client.http2.send_data(stream, b"x", end_stream=whole)
        status, grpc_status, body = await client.answer(stream)
        assert (status, grpc_status) == (expected, None)
        assert body
        await client.still_lives()


@pytest.mark.parametrize("content_type", [b"application/grpc", b"application/grpc+proto", b"application/grpc;x=y"])
async def test_content_types_and_missing_te(serve: Serve, content_type: bytes) -> None:
    """The forms of the content type are taken, and a missing ``te`` is tolerated."""
    async with raw_client(serve) as client:
        stream = await client.open((b"content-type", content_type), (b"te", b""))
        client.http2.send_data(stream, frame(b"x"), end_stream=True)
        assert await client.answer(stream) == (200, Status(StatusCode.OK), frame(b"x"))


async def test_unknown_encoding(serve: Serve) -> None:
    """An encoding we do not know is UNIMPLEMENTED, and we say which ones we take."""
    async with raw_client(serve) as client:
        stream = await client.open((b"grpc-encoding", b"deflate"))
        client.http2.send_data(stream, frame(b"x", compressed=True), end_stream=True)
        await client.flush()
        event = await client.next_event(ResponseReceived)
        assert isinstance(event, ResponseReceived)
        status = read_status(event.head.fields)
        assert status is not None
        assert status.code is StatusCode.UNIMPLEMENTED
        assert event.head.get(b"grpc-accept-encoding") == b"identity,gzip"


@pytest.mark.parametrize("path", [ECHO, STREAM])
@pytest.mark.parametrize(
    ("message", "code"),
    [
        (compress(b"small"), StatusCode.OK),
        (compress(bytes(1_000)), StatusCode.OK),
        (compress(bytes(1_001)), StatusCode.RESOURCE_EXHAUSTED),
        (compress(bytes(50_000_000))[:1_000], StatusCode.RESOURCE_EXHAUSTED),
        (compress(b"cut")[:-1], StatusCode.INTERNAL),
        (compress(b"one") + compress(b"two"), StatusCode.INTERNAL),
        (b"plain text", StatusCode.INTERNAL),
        (b"", StatusCode.INTERNAL),
    ],
)
async def test_compressed_requests(serve: Serve, path: str, message: bytes, code: StatusCode) -> None:
    """Gzip is taken; the limit holds for what comes out of it, and little of a bomb ever comes out."""
    async with raw_client(serve, message_limit_octets=1_000) as client:
        stream = await client.open((b"grpc-encoding", b"gzip"), path=path)
        client.http2.send_data(stream, frame(message, compressed=True), end_stream=True)
        _, status, _ = await client.answer(stream)
        assert status is not None
        assert status.code is code


@pytest.mark.parametrize("accepted", [b"", b"identity", b"gzip", b"identity,gzip"])
async def test_compressed_responses(serve: Serve, accepted: bytes) -> None:
    """A handler may have its responses compressed; they are where the caller takes that, and say so."""

    async def packed(request: bytes, info: CallInfo) -> bytes:
        info.compress = True
        return request

    async def packed_stream(stream: ServerStream[bytes, bytes]) -> None:
        async for message in stream:
            stream.info.compress = message != b"plain"
            await stream.send_message(message)

    gzip = b"gzip" in accepted
    handlers: dict[str, Handler] = {ECHO: Unary(packed, bytes, bytes), STREAM: Streaming(packed_stream, bytes, bytes)}
    async with raw_client(serve, handlers) as client:
        stream = await client.open((b"grpc-accept-encoding", accepted))
        client.http2.send_data(stream, frame(b"x"), end_stream=True)
        _, _, body = await client.answer(stream)
        assert body == (frame(compress(b"x"), compressed=True) if gzip else frame(b"x"))
        assert stream.head.get(b"grpc-encoding") == (b"gzip" if gzip else None)
        stream = await client.open((b"grpc-accept-encoding", accepted), path=STREAM)
        client.http2.send_data(stream, frame(b"x") + frame(b"plain"), end_stream=True)
        _, _, body = await client.answer(stream)
        assert body == (frame(compress(b"x"), compressed=True) if gzip else frame(b"x")) + frame(b"plain")
        assert stream.head.get(b"grpc-encoding") == (b"gzip" if gzip else None)


async def test_uncompressed_request_under_gzip(serve: Serve) -> None:
    """A message whose flag is not set is plain, whatever the head says."""
    async with raw_client(serve) as client:
        stream = await client.open((b"grpc-encoding", b"gzip"))
        client.http2.send_data(stream, frame(b"x"), end_stream=True)
        assert await client.answer(stream) == (200, Status(StatusCode.OK), frame(b"x"))


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", StatusCode.UNIMPLEMENTED),
        (b"\0\0\0", StatusCode.INTERNAL),
        (frame(b"abc")[:-1], StatusCode.INTERNAL),
        (frame(b"abc") + b"\0", StatusCode.INTERNAL),
        (frame(b"a") + frame(b"b"), StatusCode.UNIMPLEMENTED),
        (b"\2" + frame(b"a")[1:], StatusCode.INTERNAL),
        (frame(b"a", compressed=True), StatusCode.INTERNAL),
    ],
)
@pytest.mark.parametrize("pieces", [1, 2])
async def test_broken_bodies(serve: Serve, body: bytes, code: StatusCode, pieces: int) -> None:
    """A unary body that is not one message ends its call only."""
    async with raw_client(serve) as client:
        stream = await client.open()
        half = len(body) // 2
        if pieces == 2:
            client.http2.send_data(stream, body[:half])
            await client.flush()
        client.http2.send_data(stream, body[half:] if pieces == 2 else body, end_stream=True)
        _, status, _ = await client.answer(stream)
        assert status is not None
        assert status.code is code
        await client.still_lives()


@pytest.mark.parametrize("path", [ECHO, STREAM])
@pytest.mark.parametrize("octets", [1_001, 2**30, 2**32 - 1])
async def test_declared_length_over_the_limit(serve: Serve, path: str, octets: int) -> None:
    """A message over the limit is refused from its prefix, before any of it has come."""
    async with raw_client(serve, message_limit_octets=1_000) as client:
        stream = await client.open(path=path)
        client.http2.send_data(stream, b"\0" + octets.to_bytes(4))
        _, status, _ = await client.answer(stream)
        assert status is not None
        assert status.code is StatusCode.RESOURCE_EXHAUSTED
        await client.still_lives()


async def test_large_requests_are_bounded_together(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests within the limit for one are refused where all of a connection hold too much; what ends makes room."""
    monkeypatch.setattr(limits, "grpc_requests_octets", 3_000_000)
    started, go = anyio.Event(), anyio.Event()

    async def hold(request: bytes, info: CallInfo) -> bytes:
        started.set()
        await go.wait()
        return b"%d" % len(request)

    async with raw_client(serve, {ECHO: Unary(hold, bytes, bytes)}, message_limit_octets=1_000_000) as client:

        async def send(octets: int, *, end: bool = False) -> Stream:
            stream = await client.open()
            client.http2.send_data(stream, (b"\0" + (900_000).to_bytes(4) + bytes(900_000))[:octets], end_stream=end)
            while stream.queued_octets:
                await client.flush()
                client.events += client.http2.receive(await client.byte_stream.receive())
            await client.flush()
            return stream

        async def refused(stream: Stream) -> bool:
            _, status, _ = await client.answer(stream)
            return status is not None and status.code is StatusCode.RESOURCE_EXHAUSTED

        running = await send(900_005, end=True)
        with anyio.fail_after(5):
            await started.wait()
        unfinished = [await send(900_000) for _ in range(2)]
        assert await refused(await send(900_000))
        client.http2.reset(unfinished[0], ErrorCode.CANCEL)
        finished = await send(900_005, end=True)
        assert await refused(await send(900_000))
        go.set()
        for stream in (running, finished):
            assert await client.answer(stream) == (200, Status(StatusCode.OK), frame(b"900000"))
        last = await send(900_005, end=True)
        assert await client.answer(last) == (200, Status(StatusCode.OK), frame(b"900000"))


async def test_truncated_stream(serve: Serve) -> None:
    """A streaming body that ends inside a message is INTERNAL."""
    async with raw_client(serve) as client:
        stream = await client.open(path=STREAM)
        client.http2.send_data(stream, frame(b"abc")[:-1], end_stream=True)
        _, status, _ = await client.answer(stream)
        assert status is not None
        assert status.code is StatusCode.INTERNAL


async def test_reset_cancels_the_handler(serve: Serve) -> None:
    """RST_STREAM cancels exactly the handler of its stream."""
    started: list[bytes] = []
    cancelled: list[bytes] = []
    both, one = anyio.Event(), anyio.Event()

    async def hang(request: bytes, info: CallInfo) -> bytes:
        started.append(request)
        if len(started) == 2:
            both.set()
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.append(request)
            one.set()
        return b""

    async with raw_client(serve, {ECHO: Unary(hang, bytes, bytes)}) as client:
        streams = [await client.open() for _ in range(2)]
        for number, stream in enumerate(streams):
            client.http2.send_data(stream, frame(b"%d" % number), end_stream=True)
        await client.flush()
        with anyio.fail_after(5):
            await both.wait()
            client.http2.reset(streams[1], ErrorCode.CANCEL)
            await client.flush()
            await one.wait()
        assert cancelled == [b"1"]


async def test_handlers_that_ignore_resets_are_bounded(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Handlers whose streams were reset still count; beyond the bound calls are refused."""
    monkeypatch.setattr(limits, "http2_concurrent_streams", 3)
    started = 0
    go = anyio.Event()

    async def stubborn(request: bytes, info: CallInfo) -> bytes:
        nonlocal started
        started += 1
        with anyio.CancelScope(shield=True):
            await go.wait()
        return b""

    async with raw_client(serve, {ECHO: Unary(stubborn, bytes, bytes)}) as client:
        try:
            for number in range(3):
                stream = await client.open()
                client.http2.send_data(stream, frame(b""), end_stream=True)
                await client.flush()
                with anyio.fail_after(5):  # a call that is reset before it has begun never does
                    while started <= number:
                        await anyio.lowlevel.checkpoint()
                client.http2.reset(stream, ErrorCode.CANCEL)
            stream = await client.open()
            client.http2.send_data(stream, frame(b""), end_stream=True)
            assert (await client.answer(stream))[2] == b"reset REFUSED_STREAM"
            await anyio.wait_all_tasks_blocked()
            assert started == 3
        finally:
            go.set()


async def test_fatal_error_gets_a_goaway(serve: Serve) -> None:
    """A peer that breaks HTTP/2 reads the reason before the connection is closed, decently."""
    async with raw_client(serve) as client:
        await client.byte_stream.send(b"\0\0\1\0\0\0\0\0\0x")  # DATA on stream 0
        event = await client.next_event(GoAwayReceived)
        assert isinstance(event, GoAwayReceived)
        assert event.code is ErrorCode.PROTOCOL_ERROR
        await client.read_to_the_end()


async def test_ping_is_answered(serve: Serve) -> None:
    """A PING comes back with its payload."""
    async with raw_client(serve) as client:
        client.http2.ping(b"12345678")
        await client.flush()
        event = await client.next_event(PingAcknowledged)
        assert isinstance(event, PingAcknowledged)
        assert event.payload == b"12345678"


async def test_drain_says_goodbye_in_two_steps(serve: Serve) -> None:
    """A drain announces itself, and names the last stream after the peer's answer to a PING; then it closes."""
    async with serve(HANDLERS) as served:
        client = RawClient(Role.CLIENT, await served.connect())
        await client.still_lives()
        await served.server.drain(grace_s=5)
        first = await client.next_event(GoAwayReceived)
        second = await client.next_event(GoAwayReceived)
        assert isinstance(first, GoAwayReceived)
        assert isinstance(second, GoAwayReceived)
        assert (first.last_stream_id, second.last_stream_id) == (2**31 - 1, 1)
        await client.read_to_the_end()
        await client.byte_stream.aclose()


async def test_peer_that_reads_nothing(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that reads nothing holds up its own calls only, and is given up after the write budget."""
    monkeypatch.setattr(limits, "socket_write_s", 0.2)
    async with serve(HANDLERS) as served, served.channel() as channel:
        assert await channel.unary(ECHO, b"x", bytes) == b"x"
        deaf = RawClient(Role.CLIENT, await served.connect())
        request = frame(bytes(200_000))  # fits the windows, so that all requests are whole though nothing is read
        with anyio.fail_after(20):
            for _ in range(75):
                stream = await deaf.open()
                deaf.http2.send_data(stream, request, end_stream=True)
                await deaf.flush()
            while len(served.server._connections) == 2:
                assert await channel.unary(ECHO, b"x", bytes) == b"x"
        assert channel.connected
        await deaf.byte_stream.aclose()


# -- servers of our channel -----------------------------------------------------------------------------------


class RawServer:
    """Answers requests by a script; each connection of a channel gets the next one."""

    def __init__(self, *scripts: Callable[[RawPeer], Awaitable[None]]) -> None:
        self.scripts = list(scripts)
        self.tasks = anyio.create_task_group()

    async def connect(self) -> ByteStream:
        ours, theirs = memory_pair()
        script = self.scripts.pop(0)

        async def run() -> None:
            peer = RawPeer(Role.SERVER, theirs)
            try:
                await peer.flush()
                await script(peer)
            except (anyio.BrokenResourceError, anyio.EndOfStream, anyio.ClosedResourceError):
                pass
            finally:
                await theirs.aclose()

        self.tasks.start_soon(run)
        return ours


@asynccontextmanager
async def raw_server(*scripts: Callable[[RawPeer], Awaitable[None]]) -> AsyncGenerator[GRPCChannel]:
    server = RawServer(*scripts)
    async with server.tasks:
        async with GRPCChannel(server.connect) as channel:
            with anyio.fail_after(10):
                yield channel
        server.tasks.cancel_scope.cancel()


async def request(peer: RawPeer) -> Stream:
    event = await peer.next_event(RequestReceived)
    assert isinstance(event, RequestReceived)
    return event.stream


async def good(peer: RawPeer) -> None:
    while True:
        stream = await request(peer)
        peer.http2.send_response(stream, encode(RESPONSE_HEAD), frame(b"good"), encode(OK_TRAILERS))
        await peer.flush()


async def linger(peer: RawPeer) -> None:
    while True:
        peer.http2.receive(await peer.byte_stream.receive())
        await peer.flush()


def answering(act: Callable[[RawPeer, Stream], None]) -> Callable[[RawPeer], Awaitable[None]]:
    async def script(peer: RawPeer) -> None:
        act(peer, await request(peer))
        await peer.flush()
        await linger(peer)

    return script


def response(head: Fields, body: bytes = b"", trailers: Fields | None = None) -> Callable[[RawPeer, Stream], None]:
    def act(peer: RawPeer, stream: Stream) -> None:
        peer.http2.send_headers(stream, head, end_stream=not body and trailers is None)
        if body:
            peer.http2.send_data(stream, body, end_stream=trailers is None)
        if trailers is not None:
            peer.http2.send_trailers(stream, trailers)

    return act


GZIPPED = (*RESPONSE_HEAD, (b"grpc-encoding", b"gzip"))
DEFLATED = (*RESPONSE_HEAD, (b"grpc-encoding", b"deflate"))


@pytest.mark.parametrize(
    ("act", "code", "text"),
    [
        (response([(b":status", b"503"), (b"content-type", b"text/html")], b"<p>"), StatusCode.UNAVAILABLE, "503"),
        (response([(b":status", b"404")]), StatusCode.UNIMPLEMENTED, "404"),
        (response([(b":status", b"200"), (b"content-type", b"text/html")], b"<p>"), StatusCode.UNKNOWN, "text/html"),
        (response(RESPONSE_HEAD, frame(b"x")), StatusCode.UNKNOWN, "without a status"),
        (response(RESPONSE_HEAD, frame(b"x"), [(b"grpc-status", b"99")]), StatusCode.UNKNOWN, ""),
        (response(RESPONSE_HEAD, b"", OK_TRAILERS), StatusCode.UNIMPLEMENTED, "no message"),
        (response(RESPONSE_HEAD, frame(b"x") * 2, OK_TRAILERS), StatusCode.UNIMPLEMENTED, "more than"),
        (response(RESPONSE_HEAD, b"\0\0", OK_TRAILERS), StatusCode.INTERNAL, "ends inside"),
        (response(RESPONSE_HEAD, b"\0\xff\xff\xff\xff", OK_TRAILERS), StatusCode.RESOURCE_EXHAUSTED, "limit"),
        (response(RESPONSE_HEAD, frame(b"x", compressed=True), OK_TRAILERS), StatusCode.INTERNAL, "encoding"),
        (response(DEFLATED, frame(b"x", compressed=True), OK_TRAILERS), StatusCode.INTERNAL, "encoding"),
        (response(GZIPPED, frame(b"x", compressed=True), OK_TRAILERS), StatusCode.INTERNAL, "gzip"),
        (response([*RESPONSE_HEAD, (b"grpc-status", b"5"), (b"grpc-message", b"%41")]), StatusCode.NOT_FOUND, "A"),
    ],
)
async def test_strange_responses(act: Callable[[RawPeer, Stream], None], code: StatusCode, text: str) -> None:
    """Whatever a response lacks or has too much becomes one status with a text that says it."""
    async with raw_server(answering(act)) as channel:
        with pytest.raises(GRPCStatusError) as caught:
            await channel.unary(ECHO, b"", bytes)
        assert caught.value.code is code
        assert text in caught.value.text


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ErrorCode.CANCEL, StatusCode.CANCELLED),
        (ErrorCode.INTERNAL_ERROR, StatusCode.INTERNAL),
        (ErrorCode.ENHANCE_YOUR_CALM, StatusCode.RESOURCE_EXHAUSTED),
    ],
)
@pytest.mark.parametrize("begin", [(), RESPONSE_HEAD])
async def test_resets(error: ErrorCode, code: StatusCode, begin: Fields) -> None:
    """rst_after_header, rst_during_data: a reset becomes the status its code stands for; what was done is unknown."""

    def act(peer: RawPeer, stream: Stream) -> None:
        if begin:
            peer.http2.send_headers(stream, begin)
            peer.http2.send_data(stream, b"\0\0")
        peer.http2.reset(stream, error)

    async with raw_server(answering(act)) as channel:
        with pytest.raises(GRPCStatusError) as caught:
            await channel.unary(ECHO, b"", bytes)
        assert caught.value.code is code
        assert caught.value.kind is FailureKind.LOST


async def test_refused_stream_is_tried_again() -> None:
    """A call that the peer certainly has not looked at goes out once more, on the same connection."""

    async def script(peer: RawPeer) -> None:
        peer.http2.reset(await request(peer), ErrorCode.REFUSED_STREAM)
        await peer.flush()
        await good(peer)

    async with raw_server(script) as channel:
        assert await channel.unary(ECHO, b"", bytes) == b"good"


async def test_refused_twice_is_told() -> None:
    """A call that is refused again fails, as certainly not processed."""

    async def script(peer: RawPeer) -> None:
        while True:
            peer.http2.reset(await request(peer), ErrorCode.REFUSED_STREAM)
            await peer.flush()

    async with raw_server(script) as channel:
        with pytest.raises(GRPCStatusError) as caught:
            await channel.unary(ECHO, b"", bytes)
        assert caught.value.kind is FailureKind.REFUSED
        assert caught.value.not_processed


async def test_goaway_moves_calls_to_a_new_connection() -> None:
    """goaway: a call below its last stream finishes, one above goes out on a new connection, as do later ones."""
    second_sent = anyio.Event()

    async def leaving(peer: RawPeer) -> None:
        first = await request(peer)
        second_sent.set()
        await request(peer)
        # GOAWAY with the first stream as the last one processed.
        await peer.byte_stream.send(b"\0\0\10\7\0\0\0\0\0" + first.id.to_bytes(4) + bytes(4))
        peer.http2.send_response(first, encode(RESPONSE_HEAD), frame(b"old"), encode(OK_TRAILERS))
        await peer.flush()
        await linger(peer)

    async with raw_server(leaving, good) as channel:
        answers: list[bytes] = []

        async def call() -> None:
            answers.append(await channel.unary(ECHO, b"", bytes))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call)
            await second_sent.wait()
            tasks.start_soon(call)
        assert sorted(answers) == [b"good", b"old"]
        assert await channel.unary(ECHO, b"", bytes) == b"good"


async def test_broken_protocol_is_a_lost_connection() -> None:
    """A server that breaks HTTP/2 loses the calls under way; the text has the reason."""

    async def script(peer: RawPeer) -> None:
        await request(peer)
        await peer.byte_stream.send(b"\0\0\1\0\0\0\0\0\0x")
        await linger(peer)

    async with raw_server(script) as channel:
        with pytest.raises(GRPCStatusError) as caught:
            await channel.unary(ECHO, b"", bytes)
        assert caught.value.kind is FailureKind.LOST
        assert "protocol" in caught.value.text
