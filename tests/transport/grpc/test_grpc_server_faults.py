"""Our channel against servers that break HTTP/2: what costs the call, and what the connection."""

from __future__ import annotations

import anyio
import pytest

from mm_plugin import limits
from mm_plugin.exceptions import StatusCode
from mm_plugin.transport.grpc.errors import GRPCStatusError
from mm_plugin.transport.link import FailureKind
from mm_plugin.wire.grpc import frame as message
from mm_plugin.wire.http2 import ErrorCode, encode
from tests.wire.http2.raw_frames import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    PUSH_PROMISE,
    RESPONSE_BLOCK,
    RST_STREAM,
    SETTINGS,
    TRAILERS_BLOCK,
    WINDOW_UPDATE,
    frame,
    goaway,
    goaway_code,
    rst_stream,
    settings,
    uint32,
    window_update,
)

from .fake_servers import CALL, FakeServer, channel_to, failure, good, serve_well, unary

WHOLE = END_HEADERS | END_STREAM
HEAD = frame(HEADERS, END_HEADERS, 1, RESPONSE_BLOCK)
INFORMATIONAL = encode([(b":status", b"103")])
#: One field of 4,000 octets into the table, then a reference of one octet each to it.
BOMB = b"\x40\x01a\x7f\xa1\x1e" + b"a" * 4_000 + b"\xbe" * 100
TINY = b"\x00\x01a\x00"

CONNECTION_FAULTS: dict[str, tuple[bytes, ErrorCode]] = {
    "no HTTP/2 at all": (b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", ErrorCode.FRAME_SIZE_ERROR),
    "credit over 2**31": (window_update(0, 2**31 - 1), ErrorCode.FLOW_CONTROL_ERROR),
    "credit of 0": (window_update(0, 0), ErrorCode.PROTOCOL_ERROR),
    "credit of 3 octets": (frame(WINDOW_UPDATE, 0, 0, bytes(3)), ErrorCode.FRAME_SIZE_ERROR),
    "windows over 2**31 by a setting": (settings(window=2**31), ErrorCode.FLOW_CONTROL_ERROR),
    "frames of 1 octet by a setting": (settings(frame=1), ErrorCode.PROTOCOL_ERROR),
    "push allowed by a setting": (settings(push=1), ErrorCode.PROTOCOL_ERROR),
    "half a setting": (frame(SETTINGS, 0, 0, bytes(5)), ErrorCode.FRAME_SIZE_ERROR),
    "push": (frame(PUSH_PROMISE, END_HEADERS, 1, bytes((0, 0, 0, 2)) + RESPONSE_BLOCK), ErrorCode.PROTOCOL_ERROR),
    "PING on a stream": (frame(PING, 0, 1, bytes(8)), ErrorCode.PROTOCOL_ERROR),
    "PING of 7 octets": (frame(PING, 0, 0, bytes(7)), ErrorCode.FRAME_SIZE_ERROR),
    "a frame over the limit": (HEAD + frame(DATA, 0, 1, bytes(16_385)), ErrorCode.FRAME_SIZE_ERROR),
    "DATA on stream 0": (frame(DATA, 0, 0, b"x"), ErrorCode.PROTOCOL_ERROR),
    "DATA on a stream nobody opened": (frame(DATA, 0, 3, b"x"), ErrorCode.PROTOCOL_ERROR),
    "an answer to nobody": (frame(HEADERS, END_HEADERS, 3, RESPONSE_BLOCK), ErrorCode.PROTOCOL_ERROR),
    "an answer on a stream of its own": (frame(HEADERS, END_HEADERS, 2, RESPONSE_BLOCK), ErrorCode.PROTOCOL_ERROR),
    "more padding than frame": (HEAD + frame(DATA, PADDED, 1, b"\x09x"), ErrorCode.PROTOCOL_ERROR),
    "a block that is none": (frame(HEADERS, END_HEADERS, 1, b"\xff\xff\xff\xff\xff\xff"), ErrorCode.COMPRESSION_ERROR),
    "CONTINUATION of nothing": (HEAD + frame(CONTINUATION, END_HEADERS, 1, b""), ErrorCode.PROTOCOL_ERROR),
    "another frame inside a block": (
        frame(HEADERS, 0, 1, RESPONSE_BLOCK) + frame(PING, 0, 0, bytes(8)),
        ErrorCode.PROTOCOL_ERROR,
    ),
    "CONTINUATION flood": (
        frame(HEADERS, 0, 1, RESPONSE_BLOCK) + frame(CONTINUATION, 0, 1, b"") * 100,
        ErrorCode.ENHANCE_YOUR_CALM,
    ),
    "a block over 16 KiB": (
        frame(HEADERS, 0, 1, TINY * 4_000) + frame(CONTINUATION, END_HEADERS, 1, TINY * 200),
        ErrorCode.ENHANCE_YOUR_CALM,
    ),
    "HPACK bomb": (frame(HEADERS, END_HEADERS, 1, BOMB), ErrorCode.ENHANCE_YOUR_CALM),
    "tiny fields over 64 KiB": (frame(HEADERS, END_HEADERS, 1, TINY * 4_000), ErrorCode.ENHANCE_YOUR_CALM),
    "GOAWAY that raises its last stream": (goaway(1) + goaway(3), ErrorCode.PROTOCOL_ERROR),
    "a second answer": (good(1) + HEAD, ErrorCode.STREAM_CLOSED),
}
AFTER_THE_ANSWER = {"a second answer"}


@pytest.mark.parametrize("name", CONNECTION_FAULTS)
async def test_faults_of_the_connection(name: str) -> None:
    """The server is told what it did and left; a call that waits is lost, the next one goes out on a new connection."""
    octets, code = CONNECTION_FAULTS[name]
    told: list[ErrorCode | None] = []

    async def wrong(server: FakeServer) -> None:
        await server.request()
        try:
            await server.send(octets)
            while True:
                await server.read()
        finally:
            told.append(goaway_code([found for found in server.frames if found.kind == GOAWAY]))

    async with channel_to(wrong, serve_well) as (channel, servers):
        if name in AFTER_THE_ANSWER:
            assert await unary(channel) == b"good"
        else:
            error = await failure(channel)
            assert (error.code, error.kind) == (StatusCode.UNAVAILABLE, FailureKind.LOST)
            assert "the peer broke the protocol" in error.text
        assert await unary(channel) == b"good"
        assert len(servers.connections) == 2
    assert told == [code]


STREAM_FAULTS: dict[str, tuple[bytes, ErrorCode]] = {
    "credit of 0": (window_update(1, 0), ErrorCode.PROTOCOL_ERROR),
    "credit over 2**31": (window_update(1, 2**31 - 1), ErrorCode.FLOW_CONTROL_ERROR),
    "DATA before the head": (frame(DATA, 0, 1, b"x"), ErrorCode.PROTOCOL_ERROR),
    "a head without a status": (frame(HEADERS, END_HEADERS, 1, TRAILERS_BLOCK), ErrorCode.PROTOCOL_ERROR),
    "a status that is none": (frame(HEADERS, END_HEADERS, 1, encode([(b":status", b"abc")])), ErrorCode.PROTOCOL_ERROR),
    "101": (frame(HEADERS, END_HEADERS, 1, encode([(b":status", b"101")])), ErrorCode.PROTOCOL_ERROR),
    "an informational head that is the end": (frame(HEADERS, WHOLE, 1, INFORMATIONAL), ErrorCode.PROTOCOL_ERROR),
    "an informational head after the head": (
        HEAD + frame(HEADERS, END_HEADERS, 1, INFORMATIONAL),
        ErrorCode.PROTOCOL_ERROR,
    ),
    "trailers that are not the end": (HEAD + frame(HEADERS, END_HEADERS, 1, TRAILERS_BLOCK), ErrorCode.PROTOCOL_ERROR),
    "trailers with a pseudo-header": (HEAD + frame(HEADERS, WHOLE, 1, RESPONSE_BLOCK), ErrorCode.PROTOCOL_ERROR),
    "upper case in a field": (HEAD + frame(HEADERS, WHOLE, 1, b"\x00\x01A\x01b"), ErrorCode.PROTOCOL_ERROR),
    "a connection field": (
        frame(HEADERS, END_HEADERS, 1, RESPONSE_BLOCK + b"\x00\x0aconnection\x05close"),
        ErrorCode.PROTOCOL_ERROR,
    ),
    "less than content-length": (
        frame(HEADERS, END_HEADERS, 1, RESPONSE_BLOCK + encode([(b"content-length", b"100")]))
        + good(1)[9 + len(RESPONSE_BLOCK) :],
        ErrorCode.PROTOCOL_ERROR,
    ),
}


@pytest.mark.parametrize("name", STREAM_FAULTS)
async def test_faults_of_a_stream(name: str) -> None:
    """Only the call fails, as lost; the server is told, and the connection takes the next call."""
    octets, code = STREAM_FAULTS[name]

    async def wrong(server: FakeServer) -> None:
        await server.request()
        await server.send(octets)
        await serve_well(server)

    async with channel_to(wrong) as (channel, servers):
        error = await failure(channel)
        assert (error.code, error.kind) == (StatusCode.INTERNAL, FailureKind.LOST)
        assert f"the answer broke HTTP/2 ({code.name})" in error.text
        assert await unary(channel) == b"good"
        assert len(servers.connections) == 1
        resets = [found for found in servers.connections[0].frames if found.kind == RST_STREAM]
        assert [(found.stream_id, ErrorCode(uint32(found))) for found in resets] == [(1, code)]


LATE: dict[str, bytes] = {
    "DATA": frame(DATA, 0, 1, message(b"more")),
    "credit": window_update(1, 1),
    "a reset": rst_stream(1),
}


@pytest.mark.parametrize("name", LATE)
async def test_what_comes_after_the_answer(name: str) -> None:
    """An answer that is whole stays good, whatever its server sends behind it; the channel lives."""

    async def late(server: FakeServer) -> None:
        await server.request()
        await server.send(good(1) + LATE[name])
        await serve_well(server)

    async with channel_to(late, serve_well) as (channel, _):
        for _ in range(3):
            assert await unary(channel) == b"good"


async def test_answer_over_the_window() -> None:
    """A stream that sends more than it may, to a caller who does not take it, is reset; the connection lives."""
    over = anyio.Event()

    async def flood(server: FakeServer) -> None:
        await server.read_until(HEADERS)
        piece = frame(DATA, 0, 1, bytes(16_384))
        await server.send(HEAD + frame(DATA, 0, 1, b"\0\x03\0\0\0"))  # the beginning of a long message
        await server.send(piece * (limits.http2_stream_window_octets // 16_384))
        assert ErrorCode(uint32(await server.read_until(RST_STREAM))) is ErrorCode.FLOW_CONTROL_ERROR
        over.set()
        await serve_well(server)

    async with channel_to(flood) as (channel, servers):
        async with channel.open_stream(CALL, bytes, bytes) as stream:
            await over.wait()
            with pytest.raises(GRPCStatusError, match="FLOW_CONTROL_ERROR"):
                await stream.recv_message()
        assert await unary(channel) == b"good"
        assert len(servers.connections) == 1


async def test_refusal_after_an_answer_has_begun() -> None:
    """A stream that is refused when its answer has begun has been looked at: the call does not go out again."""

    async def take_back(server: FakeServer) -> None:
        await server.request()
        await server.send(HEAD + rst_stream(1, ErrorCode.REFUSED_STREAM))
        await serve_well(server)

    async with channel_to(take_back) as (channel, servers):
        error = await failure(channel)
        assert error.kind is FailureKind.LOST
        assert not error.not_processed
        asked = [found for found in servers.connections[0].frames if found.kind == HEADERS]
        assert len(asked) == 1
