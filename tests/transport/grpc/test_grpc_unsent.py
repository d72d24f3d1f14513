"""Calls of our channel that are over before they begin put nothing on the wire."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import pytest

from mm_plugin.exceptions import StatusCode
from mm_plugin.transport.grpc.channel import GRPCChannel
from mm_plugin.transport.link import FailureKind
from tests.wire.http2.raw_frames import HEADERS, RST_STREAM

from .fake_servers import CALL, Servers, channel_to, failure, serve_well, unary


async def call_unary(channel: GRPCChannel) -> None:
    await unary(channel)


async def call_stream(channel: GRPCChannel) -> None:
    async with channel.open_stream(CALL, bytes, bytes) as stream:
        await stream.send_message(b"request", end=True)


@pytest.mark.parametrize("call", [call_unary, call_stream])
async def test_a_cancelled_caller_sends_nothing(call: Callable[[GRPCChannel], Awaitable[None]]) -> None:
    """A server may carry out what is sent and reset; with or without a connection nothing goes out."""
    async with channel_to(serve_well) as (channel, servers):
        for _ in range(2):
            with anyio.CancelScope() as scope:
                scope.cancel()
                await call(channel)
            assert scope.cancelled_caught
            assert await unary(channel) == b"good"
    (server,) = servers.connections
    assert [found.kind for found in server.frames if found.kind in {HEADERS, RST_STREAM}] == [HEADERS, HEADERS]


async def test_a_deadline_that_has_passed_sends_nothing() -> None:
    """A call without time fails at once as DEADLINE, with or without a connection."""
    async with channel_to(serve_well) as (channel, servers):
        for _ in range(2):
            error = await failure(channel, deadline=anyio.current_time() - 0.001)
            assert (error.code, error.kind) == (StatusCode.DEADLINE_EXCEEDED, FailureKind.DEADLINE)
            assert await unary(channel) == b"good"
    (server,) = servers.connections
    assert [found.kind for found in server.frames if found.kind in {HEADERS, RST_STREAM}] == [HEADERS, HEADERS]


async def test_a_channel_that_is_not_open() -> None:
    """A call before the context is entered or after it is left fails as UNREACHABLE."""
    async with channel_to(serve_well) as (_, servers):
        channel = GRPCChannel(servers.connect)
        assert (await failure(channel)).kind is FailureKind.UNREACHABLE
        async with channel:
            assert await unary(channel) == b"good"
        assert (await failure(channel)).kind is FailureKind.UNREACHABLE


@pytest.mark.parametrize("connected", [False, True])
async def test_a_channel_whose_owner_is_cancelled(connected: bool) -> None:
    """A shielded caller learns at once that the channel is closed: a connection opened now would not live."""
    servers = Servers(serve_well, greet=True)
    async with servers.tasks:
        with anyio.CancelScope() as owner:
            async with GRPCChannel(servers.connect) as channel:
                if connected:
                    assert await unary(channel) == b"good"
                owner.cancel()
                with anyio.CancelScope(shield=True), anyio.fail_after(5):
                    await anyio.wait_all_tasks_blocked()
                    error = await failure(channel)
                    assert (error.code, error.kind) == (StatusCode.UNAVAILABLE, FailureKind.UNREACHABLE)
        assert owner.cancel_called
        assert len(servers.connections) == connected
        servers.tasks.cancel_scope.cancel()
