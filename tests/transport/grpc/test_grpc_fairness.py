"""Beside 64 MiB that the peer reads slowly, small calls, cancels and PINGs are served at once.

The peer's windows are huge, so that only its reading holds the big message back.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import anyio
import pytest

from mm_plugin.transport.grpc.handlers import CallInfo, Handler, Streaming, Unary
from mm_plugin.transport.grpc.server import GRPCServer
from mm_plugin.transport.grpc.sockets import SocketStream
from mm_plugin.transport.grpc.streams import ServerStream
from mm_plugin.wire.grpc import frame as message
from tests.attacks.peers import head
from tests.wire.http2.raw_frames import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    Frame,
    frame,
    request,
    rst_stream,
    settings,
    window_update,
)

from .fake_servers import CALL, CANCEL, FakeServer, channel_to, good, unary

BIG_OCTETS = 64 * 1024 * 1024
SOON_OCTETS = 4 * 1024 * 1024  # of the big message may be read before the small one comes: sockets hold some
HUGE = 2**31 - 1
WIDE = settings(window=HUGE) + frame(SETTINGS, ACK) + window_update(0, HUGE - 65_535)


def short(*sockets: socket.socket) -> None:
    """Have sockets hold little, for what they hold nobody can overtake."""
    for one in sockets:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)


class Handlers:
    """What the server does."""

    def __init__(self) -> None:
        self.begun = anyio.Event()
        self.cancelled = anyio.Event()

    async def big(self, request: bytes, info: CallInfo) -> bytes:
        return bytes(BIG_OCTETS)

    async def big_stream(self, stream: ServerStream[bytes, bytes]) -> None:
        for _ in range(64):
            await stream.send_message(bytes(BIG_OCTETS // 64))

    async def small(self, request: bytes, info: CallInfo) -> bytes:
        return request

    async def hang(self, request: bytes, info: CallInfo) -> bytes:
        self.begun.set()
        try:
            await anyio.sleep_forever()
        finally:
            self.cancelled.set()
        return b""

    def table(self) -> dict[str, Handler]:
        return {
            "/t.T/Big": Unary(self.big, bytes, bytes),
            "/t.T/BigStream": Streaming(self.big_stream, bytes, bytes),
            "/t.T/Small": Unary(self.small, bytes, bytes),
            "/t.T/Hang": Unary(self.hang, bytes, bytes),
        }


class SlowReader(FakeServer):
    """A client that reads frame by frame, and only when it is told to."""

    async def call(self, stream_id: int, path: str) -> None:
        body = frame(DATA, END_STREAM, stream_id, message(b"good"))
        await self.send(request(stream_id, END_HEADERS, head(path)) + body)

    async def wait_for(self, wanted: Frame) -> int:
        """Read until a frame and return the octets of DATA on stream 1 before it."""
        octets = 0
        while (found := await self.read()) != wanted:
            octets += len(found.payload) if found.kind == DATA and found.stream_id == 1 else 0
        return octets


@asynccontextmanager
async def slow_reader(handlers: Handlers) -> AsyncGenerator[SlowReader]:
    ours, theirs = socket.socketpair()
    short(ours, theirs)
    server = GRPCServer(handlers.table())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve_connection, SocketStream(theirs))
        reader = SlowReader(SocketStream(ours), greet=False)
        await reader.send(PREFACE + WIDE)
        try:
            with anyio.fail_after(15):
                yield reader
        finally:
            await reader._byte_stream.aclose()
            with anyio.CancelScope(shield=True):
                await server.aclose()


@pytest.mark.parametrize("method", ["Big", "BigStream"])
async def test_beside_a_big_answer(method: str) -> None:
    """The server hears of calls and resets while nobody reads, and its small answer overtakes the big one."""
    handlers = Handlers()
    async with slow_reader(handlers) as reader:
        await reader.call(1, f"/t.T/{method}")
        assert (await reader.read_until(DATA)).stream_id == 1
        await reader.call(3, "/t.T/Hang")
        await handlers.begun.wait()
        await reader.send(rst_stream(3, CANCEL))
        await handlers.cancelled.wait()
        await reader.send(frame(PING, 0, 0, b"12345678"))
        await reader.call(5, "/t.T/Small")
        assert await reader.wait_for(Frame(PING, ACK, 0, b"12345678")) < SOON_OCTETS
        assert await reader.wait_for(Frame(DATA, 0, 5, message(b"good"))) < SOON_OCTETS


async def test_the_big_answer_is_whole() -> None:
    """What was overtaken arrives all the same, with its end."""
    async with slow_reader(Handlers()) as reader:
        await reader.call(1, "/t.T/BigStream")
        await reader.call(3, "/t.T/Small")
        octets = 0
        while (found := await reader.read()).stream_id != 1 or not found.flags & END_STREAM:
            octets += len(found.payload) if found.kind == DATA and found.stream_id == 1 else 0
        assert octets == BIG_OCTETS + 64 * 5
        assert found.kind == HEADERS
        assert 3 in {one.stream_id for one in reader.frames}


async def test_a_drain_waits_for_the_big_answer() -> None:
    """A server that leaves ends the connection itself when the last answer is out, however long it was queued."""
    server = GRPCServer(Handlers().table())
    ours, theirs = socket.socketpair()
    short(ours, theirs)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve_connection, SocketStream(theirs))
        reader = SlowReader(SocketStream(ours), greet=False)
        with anyio.fail_after(15):
            await reader.send(PREFACE + WIDE)
            await reader.call(1, "/t.T/Big")
            await reader.read_until(DATA)
            (connection,) = server._connections
            connection.drain_soon()
            ping = await reader.read_until(PING)
            await reader.send(frame(PING, ACK, 0, ping.payload))
            with suppress(anyio.EndOfStream):
                while True:
                    await reader.read()
            await reader._byte_stream.aclose()
        assert sum(len(one.payload) for one in reader.frames if one.kind == DATA) == BIG_OCTETS + 5
        await server.aclose()


async def test_beside_a_big_request() -> None:
    """The channel's small call, the end of a call and the answer to a PING overtake its big request."""
    overtaken: dict[str, int] = {}
    begun, taken, given_up, done = (anyio.Event() for _ in range(4))

    async def script(server: FakeServer) -> None:
        short(server._byte_stream._socket)  # type: ignore[attr-defined]
        await server.send(WIDE)
        assert (await server.read_until(DATA)).stream_id == 1
        begun.set()
        await server.send(frame(PING, 0, 0, b"12345678"))
        octets = 0
        while len(overtaken) < 3:
            found = await server.read()
            if found.kind == DATA and found.stream_id == 1:
                octets += len(found.payload)
            elif found.kind == DATA and found.payload == message(b"request"):
                if "small" not in overtaken:
                    overtaken["small"] = octets
                    await server.send(good(found.stream_id))
                else:
                    taken.set()
                    await given_up.wait()  # reads nothing meanwhile
            elif found.kind == RST_STREAM:
                overtaken["reset"] = octets
            elif found.kind == PING:
                overtaken["ping"] = octets
        done.set()

    async with channel_to(script, greet=False) as (channel, _), anyio.create_task_group() as tasks:
        tasks.start_soon(channel.unary, CALL, bytes(BIG_OCTETS - 1_000), bytes)
        await begun.wait()
        assert await unary(channel) == b"good"
        second = tasks.create_task(unary(channel))
        await taken.wait()
        second.cancel()
        await anyio.wait_all_tasks_blocked()
        given_up.set()
        await done.wait()
        tasks.cancel_scope.cancel()
    assert max(overtaken.values()) < SOON_OCTETS
