"""Our channel against servers that leave it: GOAWAY and resets in each phase, and what is tried again."""

from __future__ import annotations

from itertools import pairwise

import anyio
import pytest
from anyio.abc import ByteStream

from mm_plugin import limits
from mm_plugin.exceptions import StatusCode
from mm_plugin.transport.grpc.channel import GRPCChannel
from mm_plugin.transport.link import FailureKind
from mm_plugin.wire.grpc import frame as message
from tests.wire.http2.raw_frames import (
    DATA,
    END_HEADERS,
    HEADERS,
    RESPONSE_BLOCK,
    TRAILERS_BLOCK,
    frame,
    goaway,
    rst_stream,
)

from .fake_servers import (
    CANCEL,
    ENHANCE_YOUR_CALM,
    REFUSED_STREAM,
    FakeServer,
    Servers,
    channel_to,
    failure,
    good,
    serve_well,
    unary,
)


async def test_goaway_before_any_call() -> None:
    """goaway: a connection that is said goodbye to at once is left, and calls go out on the next one."""
    left = anyio.Event()

    async def leave(server: FakeServer) -> None:
        await server.answer(await server.request())
        await server.send(goaway(2**31 - 1) + goaway(1))
        left.set()

    async with channel_to(leave, serve_well) as (channel, servers):
        assert await unary(channel) == b"good"
        await left.wait()
        assert await unary(channel) == b"good"
        assert len(servers.connections) <= 2


PHASES = {
    "before the answer": b"",
    "after the head": good(1)[: 9 + len(RESPONSE_BLOCK)],
    "after the message": good(1)[: -9 - len(TRAILERS_BLOCK)],
}


@pytest.mark.parametrize("phase", PHASES)
async def test_goaway_behind_a_call(phase: str) -> None:
    """goaway: a call that the server has taken ends there, in whatever phase it is."""

    async def leave(server: FakeServer) -> None:
        await server.request()
        await server.send(PHASES[phase] + goaway(1) + good(1)[len(PHASES[phase]) :])

    async with channel_to(leave, serve_well) as (channel, servers):
        assert await unary(channel) == b"good"
        assert len(servers.connections) == 1


@pytest.mark.parametrize("phase", PHASES)
async def test_goaway_before_a_call(phase: str) -> None:
    """goaway: a call that the server leaves out goes to the next connection, unless it has begun to answer it."""

    async def leave(server: FakeServer) -> None:
        await server.request()
        await server.send(PHASES[phase] + goaway(0))

    async with channel_to(leave, serve_well) as (channel, servers):
        if phase == "before the answer":
            assert await unary(channel) == b"good"
            assert len(servers.connections) == 2
        else:
            assert (await failure(channel)).kind is FailureKind.LOST
            assert len(servers.connections) == 1


async def test_goaway_with_an_error() -> None:
    """A connection that is ended with an error loses what was taken; the text says which error."""

    async def complain(server: FakeServer) -> None:
        await server.request()
        await server.send(goaway(1, ENHANCE_YOUR_CALM, b"too_many_pings"))
        await server._byte_stream.aclose()

    async with channel_to(complain, serve_well) as (channel, _):
        error = await failure(channel)
        assert (error.code, error.kind) == (StatusCode.UNAVAILABLE, FailureKind.LOST)
        assert not error.not_processed
        assert await unary(channel) == b"good"


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        frame(HEADERS, END_HEADERS, 1, RESPONSE_BLOCK),
        frame(HEADERS, END_HEADERS, 1, RESPONSE_BLOCK) + frame(DATA, 0, 1, message(b"good")[:-2]),
        frame(HEADERS, END_HEADERS, 1, RESPONSE_BLOCK) + frame(DATA, 0, 1, message(b"good")),
    ],
    ids=["at once", "after the head", "during the message", "after the message"],
)
async def test_reset_in_each_phase(sent: bytes) -> None:
    """rst_after_header, rst_during_data, rst_after_data: the call fails with what the reset says, the channel lives."""

    async def reset(server: FakeServer) -> None:
        await server.request()
        await server.send(sent + rst_stream(1, CANCEL))
        await serve_well(server)

    async with channel_to(reset) as (channel, servers):
        assert (await failure(channel)).code is StatusCode.CANCELLED
        assert await unary(channel) == b"good"
        assert len(servers.connections) == 1


async def test_refused_stream_is_retried_once() -> None:
    """REFUSED_STREAM is tried once more, and no more than once."""

    async def refuse(server: FakeServer) -> None:
        while True:
            await server.send(rst_stream(await server.request(), REFUSED_STREAM))

    async with channel_to(refuse) as (channel, servers):
        error = await failure(channel)
        assert error.kind is FailureKind.REFUSED
        asked = [found for found in servers.connections[0].frames if found.kind == HEADERS]
        assert len(asked) == 2


async def test_nothing_else_is_retried() -> None:
    """A call that may have been carried out goes out once only, however it is lost."""

    async def drop(server: FakeServer) -> None:
        await server.request()
        await server._byte_stream.aclose()

    async with channel_to(drop) as (channel, servers):
        assert (await failure(channel)).kind is FailureKind.LOST
        assert len(servers.connections) == 1


async def test_reconnects_with_growing_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that has been there and refuses now is asked ever more seldom, within the caller's deadline."""
    monkeypatch.setattr(limits, "api_reconnect_backoff_s", 0.02)
    monkeypatch.setattr(limits, "api_reconnect_backoff_max_s", 0.08)
    attempts: list[float] = []
    servers = Servers(serve_well, greet=True)

    async def connect() -> ByteStream:
        attempts.append(anyio.current_time())
        if 1 < len(attempts) < 7:
            raise ConnectionRefusedError("not now")
        return await servers.connect()

    async with servers.tasks:
        async with GRPCChannel(connect) as channel:
            assert await unary(channel) == b"good"
            await servers.connections[0]._byte_stream.aclose()
            while channel.connected:
                await anyio.lowlevel.checkpoint()
            assert await unary(channel, deadline=anyio.current_time() + 10) == b"good"
        servers.tasks.cancel_scope.cancel()
    pauses = [after - before for before, after in pairwise(attempts[1:])]
    assert len(pauses) == 5
    assert all(pause >= least for pause, least in zip(pauses, (0.02, 0.04, 0.08, 0.08, 0.08), strict=True))


async def test_a_pause_begins_with_the_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who calls when the pause after the last attempt is over anyway waits for no other."""
    monkeypatch.setattr(limits, "api_reconnect_backoff_s", 0.01)
    servers = Servers(serve_well, greet=True)
    refuse = False

    async def connect() -> ByteStream:
        if refuse:
            raise ConnectionRefusedError("not now")
        return await servers.connect()

    async with servers.tasks:
        async with GRPCChannel(connect) as channel:
            assert await unary(channel) == b"good"
            refuse = True
            await servers.connections[0]._byte_stream.aclose()
            while channel.connected:
                await anyio.lowlevel.checkpoint()
            assert "not now" in str(await failure(channel, deadline=anyio.current_time() + 0.05))
            while channel._attempt is not None:
                await anyio.lowlevel.checkpoint()
            await anyio.sleep_until(channel._pause_end)
            refuse = False
            monkeypatch.setattr(limits, "api_reconnect_backoff_s", 1_000)
            monkeypatch.setattr(limits, "api_reconnect_backoff_max_s", 1_000)
            with anyio.fail_after(5):
                assert await unary(channel) == b"good"
        servers.tasks.cancel_scope.cancel()


async def test_reset_at_the_deadline() -> None:
    """A server that cancels the call since its deadline has passed may be faster than our own watch of it."""
    deadline = 0.0

    async def act_first(server: FakeServer) -> None:
        stream_id = await server.request()
        while anyio.current_time() < deadline:  # the octets are there when the loop next looks at its clock
            pass
        await server.send(rst_stream(stream_id, CANCEL))
        await serve_well(server)

    async with channel_to(act_first) as (channel, _):
        deadline = anyio.current_time() + 0.2
        error = await failure(channel, deadline)
        assert (error.code, error.kind) == (StatusCode.DEADLINE_EXCEEDED, FailureKind.DEADLINE)
        assert await unary(channel) == b"good"
