"""Connections of raw clients to our server: resets, bounds, faults, goodbyes."""

from __future__ import annotations

import anyio
import pytest

from mm_plugin import limits
from mm_plugin.transport.grpc.handlers import CallInfo, Unary
from mm_plugin.wire.grpc import frame
from mm_plugin.wire.http2 import (
    ErrorCode,
    GoAwayReceived,
    PingAcknowledged,
    Role,
)

from .conftest import Serve
from .raw_peers import ECHO, HANDLERS, RawClient, raw_client


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
