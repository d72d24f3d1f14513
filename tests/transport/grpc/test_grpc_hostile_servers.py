"""Our channel against servers that mean it harm."""

from __future__ import annotations

import anyio
import pytest

from mm_plugin import limits
from mm_plugin.exceptions import StatusCode
from mm_plugin.transport.link import FailureKind
from mm_plugin.wire.grpc import compress, frame as message
from mm_plugin.wire.http2 import encode
from tests.wire.http2.raw_frames import (
    ACK,
    DATA,
    END_HEADERS,
    GOAWAY,
    HEADERS,
    PING,
    PRIORITY,
    RESPONSE_BLOCK,
    RST_STREAM,
    SETTINGS,
    frame,
    goaway,
    goaway_code,
    settings,
    window_update,
)

from .fake_servers import FakeServer, channel_to, failure, serve_well, unary


async def test_server_that_never_greets(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that says nothing is left after a while; no call is sent to it, and none hangs."""
    monkeypatch.setattr(limits, "http2_unfinished_s", 0.2)

    async def mute(server: FakeServer) -> None:
        await server.request()

    async with channel_to(mute, greet=False) as (channel, _):
        error = await failure(channel)
        assert (error.code, error.kind) == (StatusCode.UNAVAILABLE, FailureKind.UNREACHABLE)
        assert error.text == "the server cannot be reached: it did not speak HTTP/2"


@pytest.mark.parametrize(
    "begun",
    [frame(HEADERS, END_HEADERS, 1, RESPONSE_BLOCK)[:-1], frame(HEADERS, 0, 1, RESPONSE_BLOCK), bytes(3)],
    ids=["half a frame", "half a header block", "half a frame head"],
)
async def test_server_that_does_not_finish(monkeypatch: pytest.MonkeyPatch, begun: bytes) -> None:
    """A server that begins something and does not end it is left, too."""
    monkeypatch.setattr(limits, "http2_unfinished_s", 0.2)

    async def slow(server: FakeServer) -> None:
        await server.request()
        await server.send(begun)

    async with channel_to(slow, serve_well) as (channel, _):
        assert (await failure(channel)).kind is FailureKind.LOST
        assert await unary(channel) == b"good"


@pytest.mark.parametrize(
    "blow",
    [
        frame(PING, 0, 0, bytes(8)),
        frame(SETTINGS),
        frame(PRIORITY, 0, 1, bytes(5)),
        window_update(0, 1),
        frame(HEADERS, END_HEADERS, 1, encode([(b":status", b"103")])),
        frame(0x42, 0, 0, b"x"),
        goaway(2**31 - 1),
    ],
    ids=["PING", "SETTINGS", "PRIORITY", "WINDOW_UPDATE", "informational heads", "extensions", "GOAWAY"],
)
async def test_server_that_floods(blow: bytes) -> None:
    """A server that floods loses its connection as a client would, and the channel finds the next one."""
    codes: list[object] = []

    async def flood(server: FakeServer) -> None:
        await server.request()
        try:
            await server.send(blow * 3_000)
            while True:
                await server.read()
        finally:
            codes.append(goaway_code([found for found in server.frames if found.kind == GOAWAY]))

    async with channel_to(flood, serve_well) as (channel, servers):
        assert (await failure(channel)).kind is FailureKind.LOST
        assert await unary(channel) == b"good"
        assert len(servers.connections) == 2
    assert codes[0] is not None


@pytest.mark.parametrize(
    "greeting",
    [b"", settings() + goaway(0), settings(streams=0)],
    ids=["no greeting", "GOAWAY with the greeting", "no stream allowed"],
)
async def test_server_that_hangs_up_at_once(monkeypatch: pytest.MonkeyPatch, greeting: bytes) -> None:
    """A server that takes connections and drops them is not there: it gets no call, and no storm of connections."""
    monkeypatch.setattr(limits, "api_reconnect_backoff_s", 0.05)

    async def hang_up(server: FakeServer) -> None:
        await server.send(greeting)
        await server._byte_stream.aclose()

    async def leave(server: FakeServer) -> None:
        await server.send(settings() + frame(SETTINGS, ACK))
        await server.answer(await server.request())
        await server._byte_stream.aclose()

    async with channel_to(hang_up, leave, hang_up, greet=False) as (channel, servers):
        error = await failure(channel)
        assert (error.code, error.kind) == (StatusCode.UNAVAILABLE, FailureKind.UNREACHABLE)
        assert await unary(channel) == b"good"
        while channel.connected:
            await anyio.lowlevel.checkpoint()
        assert (await failure(channel, anyio.current_time() + 0.4)).kind is FailureKind.UNREACHABLE
        assert 3 <= len(servers.connections) <= 7


async def test_bomb_in_an_answer() -> None:
    """A compressed answer that grows over the limit is RESOURCE_EXHAUSTED, and little of it is ever made."""
    bomb = compress(bytes(limits.message_limit_octets + 1))

    async def explode(server: FakeServer) -> None:
        one = await server.request()
        body = message(bomb, compressed=True)
        head = encode([(b":status", b"200"), (b"content-type", b"application/grpc"), (b"grpc-encoding", b"gzip")])
        pieces = [frame(DATA, 0, one, body[at : at + 16_384]) for at in range(0, len(body), 16_384)]
        await server.send(frame(HEADERS, END_HEADERS, one, head) + b"".join(pieces))
        await serve_well(server)

    async with channel_to(explode) as (channel, _):
        assert (await failure(channel)).code is StatusCode.RESOURCE_EXHAUSTED
        assert await unary(channel) == b"good"


async def test_answer_that_never_ends() -> None:
    """An answer that trickles on is ended by the call's deadline, and by nothing else."""

    async def trickle(server: FakeServer) -> None:
        one = await server.request()
        await server.send(frame(HEADERS, END_HEADERS, one, RESPONSE_BLOCK) + frame(DATA, 0, one, b"\0\0\0\xff\xff"))
        await server.read_until(RST_STREAM)
        await serve_well(server)

    async with channel_to(trickle) as (channel, servers):
        error = await failure(channel, deadline=anyio.current_time() + 0.2)
        assert error.kind is FailureKind.DEADLINE
        assert await unary(channel) == b"good"
        assert len(servers.connections) == 1
