"""Raw servers of our channel: whatever they answer becomes one status."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import pytest

from mm_plugin.exceptions import StatusCode
from mm_plugin.transport.grpc.errors import GRPCStatusError
from mm_plugin.transport.link import FailureKind
from mm_plugin.wire.grpc import OK_TRAILERS, RESPONSE_HEAD, frame
from mm_plugin.wire.http2 import (
    ErrorCode,
    Stream,
    encode,
)

from .raw_peers import ECHO, Fields, RawPeer, answering, good, linger, raw_server, request, response

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
