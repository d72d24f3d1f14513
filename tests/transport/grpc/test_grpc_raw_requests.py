"""Requests of raw clients to our server: each that is wrong ends with the status that says so."""

from __future__ import annotations

import anyio
import pytest

from mm_plugin import limits
from mm_plugin.exceptions import StatusCode
from mm_plugin.transport.grpc.handlers import CallInfo, Handler, Streaming, Unary
from mm_plugin.transport.grpc.streams import ServerStream
from mm_plugin.wire.grpc import Status, compress, frame, read_status
from mm_plugin.wire.http2 import (
    ErrorCode,
    ResponseReceived,
    Stream,
)

from .conftest import Serve
from .raw_peers import ECHO, STREAM, raw_client


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
