"""A host's end to a go-plugin process: hooks over gRPC, its health, and the way to ask it to stop.

Layer:  transport/goplugin, the composition of a host's gRPC link.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from mm_plugin import limits
from mm_plugin._proto.grpc_controller_pb2 import Empty
from mm_plugin._proto.health_pb2 import HealthCheckRequest, HealthCheckResponse
from mm_plugin.transport.grpc.addresses import connector_to
from mm_plugin.transport.grpc.channel import GRPCChannel
from mm_plugin.transport.grpc.errors import GRPCStatusError
from mm_plugin.transport.grpc.failures import failure_of
from mm_plugin.transport.grpc.host_link import GRPCHostLink

if TYPE_CHECKING:
    from mm_plugin.wire.handshake import Handshake

__all__ = ("GoPluginHostLink", "open_host_link")

_SERVICE = "plugin"  # the name go-plugin asks for


class GoPluginHostLink(GRPCHostLink):
    """A HostLink to a go-plugin process; made by ``open_host_link``."""

    def __init__(self, channel: GRPCChannel) -> None:
        super().__init__(channel)
        self._go_plugin = channel

    async def check_health(self, *, deadline: float | None = None) -> bool:
        """Ask whether the plugin serves; see HostLink."""
        request = HealthCheckRequest(service=_SERVICE)
        try:
            response = await self._go_plugin.unary(
                "/grpc.health.v1.Health/Check", request, HealthCheckResponse, deadline=deadline
            )
        except GRPCStatusError as error:
            raise failure_of(error) from error
        return response.status == HealthCheckResponse.SERVING

    async def ask_stop(self, *, deadline: float | None = None) -> None:
        """Ask the plugin to stop; see HostLink."""
        try:
            await self._go_plugin.unary("/plugin.GRPCController/Shutdown", Empty(), Empty, deadline=deadline)
        except GRPCStatusError as error:
            raise failure_of(error) from error

    async def aclose(self) -> None:
        """Close the connection; calls still waiting end with CallFailure."""
        self._go_plugin.close()
        await anyio.lowlevel.checkpoint()


@asynccontextmanager
async def open_host_link(
    handshake: Handshake, *, message_limit_octets: int = limits.message_limit_octets
) -> AsyncGenerator[GoPluginHostLink]:
    """Open the host's end to the plugin that announced ``handshake``; the first call connects."""
    target = f"unix:{handshake.address}" if handshake.network == "unix" else handshake.address
    async with GRPCChannel(
        connector_to(target), authority="unused", message_limit_octets=message_limit_octets
    ) as channel:
        yield GoPluginHostLink(channel)
