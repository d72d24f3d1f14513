"""Servers of our channel that are written frame by frame."""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio.abc import ByteStream

from mm_plugin.transport.grpc.channel import GRPCChannel
from mm_plugin.transport.grpc.errors import GRPCStatusError
from mm_plugin.transport.grpc.sockets import SocketStream
from mm_plugin.wire.grpc import frame as message
from tests.wire.http2.raw_frames import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PREFACE,
    RESPONSE_BLOCK,
    SETTINGS,
    TRAILERS_BLOCK,
    Frame,
    frame,
    settings,
)

CALL = "/t.T/Call"


WHOLE = END_HEADERS | END_STREAM


REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM = 7, 8, 11


class FakeServer:
    """One connection of the channel, frame by frame."""

    def __init__(self, byte_stream: ByteStream, *, greet: bool) -> None:
        self._byte_stream = byte_stream
        self._greet = greet
        self._data = b""
        self.frames: list[Frame] = []

    async def begin(self) -> None:
        while len(self._data) < len(PREFACE):
            self._data += await self._byte_stream.receive()
        assert self._data.startswith(PREFACE)
        self._data = self._data[len(PREFACE) :]
        if self._greet:
            await self.send(settings() + frame(SETTINGS, ACK))

    async def send(self, octets: bytes) -> None:
        await self._byte_stream.send(octets)

    async def read(self) -> Frame:
        """Wait for the next frame of the client."""
        while len(self._data) < 9 or len(self._data) < 9 + int.from_bytes(self._data[:3]):
            self._data += await self._byte_stream.receive()
        end = 9 + int.from_bytes(self._data[:3])
        found = Frame(self._data[3], self._data[4], int.from_bytes(self._data[5:9]), self._data[9:end])
        self._data = self._data[end:]
        self.frames.append(found)
        return found

    async def read_until(self, kind: int) -> Frame:
        while (found := await self.read()).kind != kind:
            pass
        return found

    async def request(self) -> int:
        """Wait for a whole request and return its stream."""
        while True:
            found = await self.read()
            if found.kind in {DATA, HEADERS} and found.flags & END_STREAM:
                return found.stream_id

    async def answer(self, stream_id: int, body: bytes = b"good") -> None:
        await self.send(good(stream_id, body))


def good(stream_id: int, body: bytes = b"good") -> bytes:
    """The frames of a whole answer."""
    return (
        frame(HEADERS, END_HEADERS, stream_id, RESPONSE_BLOCK)
        + frame(DATA, 0, stream_id, message(body))
        + frame(HEADERS, WHOLE, stream_id, TRAILERS_BLOCK)
    )


async def serve_well(server: FakeServer) -> None:
    while True:
        await server.answer(await server.request())


Script = Callable[[FakeServer], Awaitable[None]]


class Servers:
    """What the channel connects to: the next script for each connection, the last one for all that follow."""

    def __init__(self, *scripts: Script, greet: bool) -> None:
        self._scripts = list(scripts)
        self._greet = greet
        self.tasks = anyio.create_task_group()
        self.connections: list[FakeServer] = []

    async def connect(self) -> ByteStream:
        ours, theirs = socket.socketpair()
        script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
        server = FakeServer(SocketStream(theirs), greet=self._greet)
        self.connections.append(server)
        self.tasks.start_soon(self._run, server, script)
        return SocketStream(ours)

    async def _run(self, server: FakeServer, script: Script) -> None:
        try:
            await server.begin()
            await script(server)
            while True:  # a script that is over leaves the connection open
                await server.read()
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass
        finally:
            with anyio.CancelScope(shield=True):
                await server._byte_stream.aclose()


@asynccontextmanager
async def channel_to(*scripts: Script, greet: bool = True) -> AsyncGenerator[tuple[GRPCChannel, Servers]]:
    servers = Servers(*scripts, greet=greet)
    async with servers.tasks:
        async with GRPCChannel(servers.connect) as channel:
            with anyio.fail_after(15):
                yield channel, servers
        servers.tasks.cancel_scope.cancel()


async def unary(channel: GRPCChannel, deadline: float | None = None) -> bytes:
    return await channel.unary(CALL, b"request", bytes, deadline=deadline)


async def failure(channel: GRPCChannel, deadline: float | None = None) -> GRPCStatusError:
    with pytest.raises(GRPCStatusError) as caught:
        await unary(channel, deadline)
    return caught.value
