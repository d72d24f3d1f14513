"""Health and controller, over a real server on a real listener."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from mm_plugin._proto.grpc_controller_pb2 import Empty
from mm_plugin._proto.health_pb2 import HealthCheckRequest, HealthCheckResponse
from mm_plugin.exceptions import StatusCode
from mm_plugin.transport.goplugin.controller import Controller
from mm_plugin.transport.goplugin.health import Health
from mm_plugin.transport.goplugin.listen import open_listener
from mm_plugin.transport.grpc.addresses import connector_to
from mm_plugin.transport.grpc.channel import GRPCChannel
from mm_plugin.transport.grpc.errors import GRPCStatusError
from mm_plugin.transport.grpc.server import GRPCServer

CHECK = "/grpc.health.v1.Health/Check"
WATCH = "/grpc.health.v1.Health/Watch"
SHUTDOWN = "/plugin.GRPCController/Shutdown"
NOT_SERVING, SERVING = HealthCheckResponse.NOT_SERVING, HealthCheckResponse.SERVING


class Served:
    """A server with both services, and a channel to it."""

    def __init__(self, channel: GRPCChannel, server: GRPCServer, health: Health, controller: Controller) -> None:
        self.channel, self.server, self.health, self.controller = channel, server, health, controller

    async def status(self, service: str) -> HealthCheckResponse.ServingStatus.ValueType:
        response = await self.channel.unary(CHECK, HealthCheckRequest(service=service), HealthCheckResponse)
        return response.status


@asynccontextmanager
async def served() -> AsyncIterator[Served]:
    health, controller = Health(), Controller()
    server = GRPCServer({**health.handlers(), **controller.handlers()})
    with anyio.fail_after(20):
        async with open_listener({}) as (listener, handshake), anyio.create_task_group() as tasks:
            await tasks.start(server.serve, listener)
            async with GRPCChannel(connector_to(handshake.address)) as channel:
                yield Served(channel, server, health, controller)
            await server.aclose()


@pytest.mark.parametrize("service", ["plugin", ""])
async def test_check_says_whether_the_plugin_serves(service: str) -> None:
    """Both names follow what the supervisor says; a new plugin does not serve yet."""
    async with served() as at:
        assert await at.status(service) == NOT_SERVING
        at.health.set_serving(True)
        assert await at.status(service) == SERVING
        at.health.set_serving(False)
        assert await at.status(service) == NOT_SERVING


async def test_check_of_an_unknown_name_is_not_found() -> None:
    """The error names the service."""
    async with served() as at:
        with pytest.raises(GRPCStatusError, match="'other'") as info:
            await at.status("other")
        assert info.value.code is StatusCode.NOT_FOUND


async def test_watch_streams_each_change() -> None:
    """The state at once, then every change, and nothing where nothing changed."""
    async with (
        served() as at,
        at.channel.open_stream(WATCH, HealthCheckRequest, HealthCheckResponse) as stream,
    ):
        await stream.send_message(HealthCheckRequest(service="plugin"), end=True)
        for serving in (False, True, False):
            message = await stream.recv_message()
            assert message is not None
            assert message.status == (SERVING if serving else NOT_SERVING)
            at.health.set_serving(serving)  # no change, so nobody is told
            at.health.set_serving(not serving)


async def test_watch_of_an_unknown_name_stays_open() -> None:
    """The specification wants SERVICE_UNKNOWN, and the call open in case the service appears."""
    async with (
        served() as at,
        at.channel.open_stream(WATCH, HealthCheckRequest, HealthCheckResponse) as stream,
    ):
        await stream.send_message(HealthCheckRequest(service="other"), end=True)
        message = await stream.recv_message()
        assert message is not None
        assert message.status == HealthCheckResponse.SERVICE_UNKNOWN
        at.health.set_serving(True)
        with anyio.move_on_after(0.05) as scope:
            await stream.recv_message()
        assert scope.cancelled_caught


async def test_watch_without_a_request_is_refused() -> None:
    """A stream that ends before it asks gets INVALID_ARGUMENT."""
    async with (
        served() as at,
        at.channel.open_stream(WATCH, HealthCheckRequest, HealthCheckResponse) as stream,
    ):
        await stream.end()
        with pytest.raises(GRPCStatusError, match="one request") as info:
            await stream.recv_message()
        assert info.value.code is StatusCode.INVALID_ARGUMENT


async def test_a_watcher_does_not_hold_up_a_drain() -> None:
    """A host that watches for ever costs no grace."""
    async with (
        served() as at,
        at.channel.open_stream(WATCH, HealthCheckRequest, HealthCheckResponse) as stream,
    ):
        await stream.send_message(HealthCheckRequest(), end=True)
        await stream.recv_message()
        assert await at.server.drain(grace_s=10) == 0


async def test_shutdown_is_answered_and_passed_on() -> None:
    """The host has its answer, and whoever waits learns of it; a second time is the same."""
    async with served() as at:
        with anyio.move_on_after(0.01) as too_early:
            await at.controller.asked.wait()
        assert too_early.cancelled_caught
        for _ in range(2):
            assert await at.channel.unary(SHUTDOWN, Empty(), Empty) == Empty()
            await at.controller.asked.wait()
