"""Our channel against servers that are correct in an unusual way: pings, padding, small limits."""

from __future__ import annotations

import anyio
import pytest

from mm_plugin import limits
from mm_plugin.wire.grpc import frame as message
from mm_plugin.wire.http2 import encode
from tests.wire.http2.raw_frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PADDED,
    PING,
    PRIORITY,
    RESPONSE_BLOCK,
    RST_STREAM,
    SETTINGS,
    TRAILERS_BLOCK,
    frame,
    settings,
    window_update,
)

from .fake_servers import WHOLE, FakeServer, channel_to, serve_well, unary


async def test_pings_are_answered_and_none_is_sent() -> None:
    """ping: every PING is answered with its payload; the client itself sends none, nor any keepalive."""

    async def ping(server: FakeServer) -> None:
        stream_id = await server.request()
        for number in range(5):
            await server.send(frame(PING, 0, 0, b"number %d" % number))
            answer = await server.read_until(PING)
            assert (answer.flags, answer.payload) == (ACK, b"number %d" % number)
        await server.answer(stream_id)

    async with channel_to(ping) as (channel, servers):
        assert await unary(channel) == b"good"
        pings = [found for found in servers.connections[0].frames if found.kind == PING]
        assert [found.flags for found in pings] == [ACK] * 5


async def test_idle_channel_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A channel without calls sends nothing at all, however long it rests: hosts punish keepalive."""
    monkeypatch.setattr(limits, "http2_unfinished_s", 0.1)
    monkeypatch.setattr(limits, "http2_budget_renewal_s", 0.05)
    quiet = anyio.Event()

    async def listen(server: FakeServer) -> None:
        await server.answer(await server.request())
        before = len(server.frames)
        with anyio.move_on_after(0.5):
            while True:
                await server.read()
        extra = [found.kind for found in server.frames[before:] if found.kind not in {SETTINGS, RST_STREAM}]
        assert extra == []
        quiet.set()
        await serve_well(server)

    async with channel_to(listen) as (channel, servers):
        assert await unary(channel) == b"good"
        await quiet.wait()
        assert await unary(channel) == b"good"
        assert len(servers.connections) == 1


async def test_max_streams_is_kept() -> None:
    """max_streams: never more calls are open than the server allows, first three, later one; the others wait."""
    most: list[int] = []

    async def waiting_now(server: FakeServer, waiting: list[int], allowed: int) -> None:
        """Wait for as many requests as are allowed, and see that no further one comes before a PING's answer."""
        while len(waiting) < allowed:
            waiting.append(await server.request())
        await server.send(frame(PING, 0, 0, bytes(8)))
        while (found := await server.read()).kind != PING:
            if found.kind == DATA and found.flags & END_STREAM:
                waiting.append(found.stream_id)
        most.append(len(waiting))

    async def few(server: FakeServer) -> None:
        await anyio.wait_all_tasks_blocked()
        await server.send(settings(streams=3) + frame(SETTINGS, ACK))
        waiting: list[int] = []
        for _ in range(10):
            await waiting_now(server, waiting, 3)
            await server.answer(waiting.pop())
        await server.send(settings(streams=1))
        await server.read_until(SETTINGS)
        for stream_id in waiting:
            await server.answer(stream_id)
        waiting.clear()
        for _ in range(8):
            await waiting_now(server, waiting, 1)
            await server.answer(waiting.pop())

    async with channel_to(few, greet=False) as (channel, servers):
        answers: list[bytes] = []

        async def one() -> None:
            answers.append(await unary(channel))

        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(one)
        assert answers == [b"good"] * 20
        assert len(servers.connections) == 1
    assert most == [3] * 10 + [1] * 8


async def test_all_shapes_of_an_answer() -> None:
    """Padding, priority, CONTINUATION, cut messages, 1xx heads, unknown frames: all mean the same answer."""
    body = message(b"padded")
    cut = len(RESPONSE_BLOCK) // 2

    async def shape(server: FakeServer) -> None:
        one = await server.request()
        await server.send(
            frame(HEADERS, END_HEADERS, one, encode([(b":status", b"103")]))
            + frame(0xBE, 0xFF, one, b"extension")
            + frame(HEADERS, PADDED | 0x20, one, b"\x03\0\0\0\0\x0f" + RESPONSE_BLOCK[:cut] + bytes(3))
            + frame(CONTINUATION, END_HEADERS, one, RESPONSE_BLOCK[cut:])
            + frame(PRIORITY, 0, one, bytes(5))
            + frame(DATA, PADDED, one, b"\xff" + body[:3] + bytes(255))
            + frame(DATA, PADDED, one, b"\x00" + body[3:])
            + frame(DATA, PADDED, one, b"\x07" + bytes(7))
            + frame(HEADERS, WHOLE | PADDED, one, b"\x01" + TRAILERS_BLOCK + bytes(1))
        )

    async with channel_to(shape) as (channel, _):
        assert await unary(channel) == b"padded"


async def test_small_windows() -> None:
    """A request goes out octet by octet where the server gives no more credit, and arrives whole."""

    async def stingy(server: FakeServer) -> None:
        await server.send(settings(window=1))
        while True:
            got = b""
            while True:
                found = await server.read()
                if found.kind == DATA:
                    got += found.payload
                    if found.flags & END_STREAM:
                        break
                    await server.send(window_update(found.stream_id, 1) + window_update(0, 1))
            await server.answer(found.stream_id, got[5:])

    async with channel_to(stingy) as (channel, servers):
        assert await unary(channel) == b"request"
        assert await unary(channel) == b"request"
        sizes = [len(found.payload) for found in servers.connections[0].frames if found.kind == DATA]
        assert sizes[-12:] == [1] * 12
