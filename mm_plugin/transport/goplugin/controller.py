"""How a go-plugin host asks for a stop: ``plugin.GRPCController/Shutdown``. Internal.

Layer:  transport/goplugin, over the gRPC server.
See:    hashicorp/go-plugin: grpc_client.go, ``Close``. The host waits without a deadline for the answer, closes the
        connection, and kills after two seconds; so the answer comes at once and the stop after it.
"""

from __future__ import annotations

from collections.abc import Mapping

import anyio

from mm_plugin._proto.grpc_controller_pb2 import Empty
from mm_plugin.transport.grpc.handlers import CallInfo, Handler, Unary

__all__ = ("Controller",)


class Controller:
    """Takes the host's wish and passes it on.

    Attributes:
        asked: Set when the host asks us to stop.
    """

    def __init__(self) -> None:
        self.asked = anyio.Event()

    def handlers(self) -> Mapping[str, Handler]:
        """Return the service's handler by path."""
        return {"/plugin.GRPCController/Shutdown": Unary(self._shutdown, Empty, Empty, background=True)}

    async def _shutdown(self, request: Empty, info: CallInfo) -> Empty:  # noqa: ARG002
        # Whoever waits runs only after this task has returned, and with that answered.
        self.asked.set()
        return Empty()
