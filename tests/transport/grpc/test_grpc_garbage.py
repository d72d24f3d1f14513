"""What calls leave behind at the channel: nothing that only the collector of cycles would free."""

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
