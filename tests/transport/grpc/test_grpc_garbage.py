"""What calls leave behind at either end: nothing that only the collector of cycles would free."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable

import anyio
import pytest

from mm_plugin.exceptions import StatusCode
from mm_plugin.transport.grpc.channel import GRPCChannel
from mm_plugin.transport.grpc.client_calls import StreamingClientCall, UnaryClientCall
from mm_plugin.transport.grpc.errors import GRPCStatusError
from mm_plugin.transport.grpc.handlers import CallInfo, Streaming, Unary
from mm_plugin.transport.grpc.server_calls import StreamingCall, UnaryCall
from mm_plugin.transport.grpc.streams import ClientStream, ServerStream

from .conftest import Serve

CALL = "/t.T/Call"


def alive(kind: type) -> int:
    """Count the objects of a class that are in memory."""
    return sum(type(found) is kind for found in gc.get_objects())


@pytest.mark.parametrize("outcome", ["answered", "refused", "late"])
async def test_a_unary_call_leaves_no_cycle(serve: Serve, outcome: str) -> None:
    """However it ends; its frames hold the request, which may be as long as the limit."""

    async def answer(request: bytes, info: CallInfo) -> bytes:
        if outcome == "refused":
            raise GRPCStatusError(StatusCode.NOT_FOUND, "no")
        if outcome == "late":
            await anyio.sleep_forever()
        return request

    failures = 0
    async with serve({CALL: Unary(answer, bytes, bytes)}) as served, served.channel() as channel:
        gc.collect()
        known = alive(UnaryClientCall)  # other tests may hold some
        gc.disable()
        try:
            for _ in range(3):
                deadline = anyio.current_time() + 0.02 if outcome == "late" else None
                try:
                    await channel.unary(CALL, b"x", bytes, deadline=deadline)
                except GRPCStatusError:
                    failures += 1
            left = alive(UnaryClientCall)
        finally:
            gc.enable()
    assert failures == (0 if outcome == "answered" else 3)
    assert left <= known


Use = Callable[[ClientStream[bytes, bytes]], Awaitable[object]]


async def send_for_ever(stream: ClientStream[bytes, bytes]) -> None:
    while True:
        await stream.send_message(bytes(10_000))


async def use_twice(stream: ClientStream[bytes, bytes]) -> None:
    for _ in range(2):
        with pytest.raises(GRPCStatusError):
            await stream.recv_message()
    await stream.recv_trailing()


@pytest.mark.parametrize("outcome", ["refused", "late", "too long"])
@pytest.mark.parametrize(
    "use",
    [
        ClientStream[bytes, bytes].recv_initial,
        ClientStream[bytes, bytes].recv_message,
        ClientStream[bytes, bytes].recv_trailing,
        send_for_ever,
        use_twice,
    ],
)
async def test_a_failed_stream_leaves_no_cycle(serve: Serve, outcome: str, use: Use) -> None:
    """Whatever the caller waits for when it fails, and however often it is told; so goes a broken message."""

    async def answer(stream: ServerStream[bytes, bytes]) -> None:
        if outcome == "refused":
            raise GRPCStatusError(StatusCode.NOT_FOUND, "no")
        if outcome == "too long":
            await stream.send_message(bytes(2_000))
        await anyio.sleep_forever()

    async def use_one(channel: GRPCChannel, deadline: float | None) -> None:
        async with channel.open_stream(CALL, bytes, bytes, deadline=deadline) as stream:
            await use(stream)

    async with (
        serve({CALL: Streaming(answer, bytes, bytes)}) as served,
        served.channel(message_limit_octets=1_000) as channel,
    ):
        gc.collect()
        known = alive(StreamingClientCall)
        gc.disable()
        try:
            failures = 0
            for _ in range(3):
                deadline = anyio.current_time() + 0.05 if outcome != "refused" else None
                try:
                    await use_one(channel, deadline)
                except GRPCStatusError:
                    failures += 1
            left = alive(StreamingClientCall)
        finally:
            gc.enable()
    assert failures == 3 or (outcome, use) == ("too long", ClientStream[bytes, bytes].recv_initial)
    # The backend keeps a task's last cancellation, and its frames, until the next.
    assert left <= known + (outcome != "refused")


async def test_calls_cut_by_the_end_of_their_connection_leave_no_cycle(serve: Serve) -> None:
    """A handler's frames hold its request, however deep it waits; on asyncio AnyIO keeps a task's last cancellation."""
    running, at_work, over = 0, anyio.Event(), anyio.Event()

    async def wait() -> None:
        nonlocal running
        running += 1
        if running == 2:
            at_work.set()
        try:
            await anyio.sleep_forever()
        finally:
            running -= 1
            if not running:
                over.set()

    async def answer(request: bytes, _: CallInfo) -> bytes:
        await wait()
        return request

    async def stream(_: ServerStream[bytes, bytes]) -> None:
        await wait()

    async def call(channel: GRPCChannel) -> None:
        with pytest.raises(GRPCStatusError):
            await channel.unary(CALL, b"x", bytes)

    async def call_streaming(channel: GRPCChannel) -> None:
        with pytest.raises(GRPCStatusError):
            async with channel.open_stream("/t.T/Stream", bytes, bytes) as open_stream:
                await open_stream.recv_message()

    handlers = {CALL: Unary(answer, bytes, bytes), "/t.T/Stream": Streaming(stream, bytes, bytes)}
    async with serve(handlers) as served, served.channel() as channel:
        gc.collect()
        known = alive(UnaryCall) + alive(StreamingCall)
        gc.disable()
        try:
            async with anyio.create_task_group() as calls:
                calls.start_soon(call, channel)
                calls.start_soon(call_streaming, channel)
                await at_work.wait()
                await served.cut_connections()
            await over.wait()
            await anyio.wait_all_tasks_blocked()
            left = alive(UnaryCall) + alive(StreamingCall)
        finally:
            gc.enable()
    assert left <= known


async def test_a_broken_message_leaves_no_cycle_at_the_server(serve: Serve) -> None:
    """Nor does asking again after it."""

    async def answer(stream: ServerStream[bytes, bytes]) -> None:
        for _ in range(2):
            with pytest.raises(GRPCStatusError, match="over the limit"):
                await stream.recv_message()

    async def send_one(channel: GRPCChannel) -> None:
        async with channel.open_stream(CALL, bytes, bytes) as stream:
            await stream.send_message(bytes(2_000))
            assert await stream.recv_message() is None

    async with (
        serve({CALL: Streaming(answer, bytes, bytes)}, message_limit_octets=1_000) as served,
        served.channel() as channel,
    ):
        gc.collect()
        known = alive(StreamingCall)
        gc.disable()
        try:
            for _ in range(3):
                await send_one(channel)
            await anyio.wait_all_tasks_blocked()
            left = alive(StreamingCall)
        finally:
            gc.enable()
    assert left <= known
