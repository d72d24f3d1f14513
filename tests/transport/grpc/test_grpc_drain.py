"""Draining under load: nobody who calls meanwhile loses a call."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import anyio
import pytest
from anyio.abc import ByteStream

from mm_plugin.transport.grpc.channel import GRPCChannel
from mm_plugin.transport.grpc.handlers import CallInfo, Handler, Streaming, Unary
from mm_plugin.transport.grpc.streams import ServerStream

from .conftest import Serve, Served

ECHO, STREAM = "/t.T/Echo", "/t.T/Stream"
CLIENTS, CALLS = 8, 60


async def echo(request: bytes, info: CallInfo) -> bytes:
    for _ in range(request[0] % 4):  # calls of different lengths, so that some always run
        await anyio.sleep(0.001)
    return request


async def echo_stream(stream: ServerStream[bytes, bytes]) -> None:
    async for message in stream:
        await anyio.sleep(0.001)
        await stream.send_message(message)


HANDLERS: dict[str, Handler] = {ECHO: Unary(echo, bytes, bytes), STREAM: Streaming(echo_stream, bytes, bytes)}


class Fleet:
    """Clients that call without a pause, and connect to whichever server is the newest."""

    def __init__(self) -> None:
        self.newest: Served
        self.answered = 0
        self.halfway = anyio.Event()

    def connector(self) -> Callable[[], Awaitable[ByteStream]]:
        async def connect() -> ByteStream:
            return await self.newest.connect()

        return connect

    def _count(self) -> None:
        self.answered += 1
        if self.answered == CLIENTS * CALLS // 3:
            self.halfway.set()

    async def call(self, channel: GRPCChannel, number: int) -> None:
        for at in range(CALLS):
            message = bytes((at, number))
            if at % 3:
                assert await channel.unary(ECHO, message, bytes) == message
            else:
                async with channel.open_stream(STREAM, bytes, bytes) as stream:
                    await stream.send_message(message, end=True)
                    assert await stream.recv_message() == message
                    assert await stream.recv_message() is None
            self._count()


async def test_no_call_fails(serve: Serve) -> None:
    """Many clients call while their server drains and another takes over: every call is answered."""
    fleet = Fleet()
    async with AsyncExitStack() as stack:
        old = fleet.newest = await stack.enter_async_context(serve(HANDLERS))
        channels = [await stack.enter_async_context(GRPCChannel(fleet.connector())) for _ in range(CLIENTS)]
        new = await stack.enter_async_context(serve(HANDLERS))
        async with anyio.create_task_group() as tasks:
            for number, channel in enumerate(channels):
                for _ in range(2):
                    tasks.start_soon(fleet.call, channel, number)
            with anyio.fail_after(20):
                await fleet.halfway.wait()
            fleet.newest = new
            begin = anyio.current_time()
            assert await old.server.drain(grace_s=10) == 0
            await old.server.aclose()
            assert anyio.current_time() - begin < 5
            assert fleet.answered < 2 * CLIENTS * CALLS, "the drain was not under load"
        assert fleet.answered == 2 * CLIENTS * CALLS


@pytest.mark.parametrize("grace_s", [0.0, 0.1])
async def test_deadline_is_kept(serve: Serve, grace_s: float) -> None:
    """A drain with calls that do not end takes its grace and no longer."""

    async def hang(request: bytes, info: CallInfo) -> bytes:
        started.set()
        await anyio.sleep(math.inf)
        return b""

    started = anyio.Event()
    async with (
        serve({ECHO: Unary(hang, bytes, bytes)}) as served,
        served.channel() as channel,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(channel.unary, ECHO, b"", bytes)
        await started.wait()
        begin = anyio.current_time()
        assert await served.server.drain(grace_s=grace_s) == 1
        assert grace_s <= anyio.current_time() - begin < grace_s + 2
        tasks.cancel_scope.cancel()


async def test_idle_drain_is_quick(serve: Serve) -> None:
    """With nothing to wait for, a drain lasts one round trip."""
    async with serve(HANDLERS) as served, served.channel() as channel:
        assert await channel.unary(ECHO, b"\0", bytes) == b"\0"
        begin = anyio.current_time()
        assert await served.server.drain(grace_s=10) == 0
        await served.server.aclose()
        assert anyio.current_time() - begin < 1
