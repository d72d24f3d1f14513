"""Health as hosts and tools ask for it: ``grpc.health.v1.Health``. Internal.

Layer:  transport/goplugin, over the gRPC server.
See:    grpc/grpc: doc/health-checking.md; go-plugin asks for the service name ``plugin``.
"""

from __future__ import annotations

from collections.abc import Mapping

import anyio

from mm_plugin._proto.health_pb2 import HealthCheckRequest, HealthCheckResponse
from mm_plugin.exceptions import StatusCode
from mm_plugin.transport.grpc.errors import GRPCStatusError
from mm_plugin.transport.grpc.handlers import CallInfo, Handler, Streaming, Unary
from mm_plugin.transport.grpc.streams import ServerStream

__all__ = ("Health",)

#: What go-plugin asks for, and the whole server.
_NAMES = frozenset({"plugin", ""})


class Health:
    """Says whether the plugin serves, to whoever asks or watches; a new one does not serve yet."""

    def __init__(self) -> None:
        self._serving = False
        self._changed = anyio.Event()

    def set_serving(self, serving: bool) -> None:
        """Say it from now on; who watches is told of every change that lasts until they read."""
        if serving is not self._serving:
            self._serving = serving
            self._changed.set()
            self._changed = anyio.Event()

    def handlers(self) -> Mapping[str, Handler]:
        """Return the service's handlers by path."""
        return {
            "/grpc.health.v1.Health/Check": Unary(
                self._check, HealthCheckRequest, HealthCheckResponse, background=True
            ),
            "/grpc.health.v1.Health/Watch": Streaming(
                self._watch, HealthCheckRequest, HealthCheckResponse, background=True
            ),
        }

    async def _check(self, request: HealthCheckRequest, info: CallInfo) -> HealthCheckResponse:  # noqa: ARG002
        if request.service not in _NAMES:
            raise GRPCStatusError(StatusCode.NOT_FOUND, f"there is no service {request.service!r} here")
        return HealthCheckResponse(status=self._status(request.service))

    async def _watch(self, stream: ServerStream[HealthCheckRequest, HealthCheckResponse]) -> None:
        request = await stream.recv_message()
        if request is None:
            raise GRPCStatusError(StatusCode.INVALID_ARGUMENT, "Watch needs one request, there was none")
        told: HealthCheckResponse.ServingStatus.ValueType | None = None
        while True:
            # Taken before the status is read, so that no change falls between the two.
            changed = self._changed
            status = self._status(request.service)
            if status == told:
                await changed.wait()
            else:
                await stream.send_message(HealthCheckResponse(status=status))
                told = status

    def _status(self, service: str) -> HealthCheckResponse.ServingStatus.ValueType:
        if service not in _NAMES:
            return HealthCheckResponse.SERVICE_UNKNOWN
        return HealthCheckResponse.SERVING if self._serving else HealthCheckResponse.NOT_SERVING
