"""A gRPC server that answers in every way there is, for the channel's long run: ``python -m benchmarks.fickle_server``.

Prints its target; ends with its standard input. The first octet of a request says what becomes of it.
"""

from __future__ import annotations

import socket
import sys
from enum import IntEnum

import anyio
import anyio.to_thread

from mm_plugin.exceptions import StatusCode
from mm_plugin.transport.grpc.errors import GRPCStatusError
from mm_plugin.transport.grpc.handlers import CallInfo, Streaming, Unary
from mm_plugin.transport.grpc.server import GRPCServer
from mm_plugin.transport.grpc.sockets import SocketListener
from mm_plugin.transport.grpc.streams import ServerStream

CALL, STREAM = "/t.T/Call", "/t.T/Stream"
LARGE_OCTETS = 300_000


class Wish(IntEnum):
    """What is to become of a call."""

    ECHO = 0
    LARGE = 1
    STATUS = 2
    HANG = 3
    SLOW = 4
    CUT = 5  # every connection is closed under its feet, as when a process dies
    LEAVE = 6  # every connection is said goodbye to, so that no call need fail
    RESET = 7


class _Fickle:
    def __init__(self) -> None:
        self.server = GRPCServer({CALL: Unary(self.call, bytes, bytes), STREAM: Streaming(self.stream, bytes, bytes)})

    async def call(self, request: bytes, info: CallInfo) -> bytes:
        match request[0]:
            case Wish.LARGE:
                return bytes(LARGE_OCTETS)
            case Wish.STATUS:
                raise GRPCStatusError(StatusCode.ABORTED, "as asked", metadata=(("why", "because"),))
            case Wish.HANG:
                await anyio.sleep_forever()
            case Wish.SLOW:
                await anyio.sleep(0.002)
            case Wish.CUT:
                for connection in list(self.server._connections):  # noqa: SLF001 - nobody else wants to be cut
                    await connection._byte_stream.aclose()  # noqa: SLF001
            case Wish.LEAVE:
                for connection in self.server._connections:  # noqa: SLF001
                    connection.drain_soon()
            case _:
                pass
        return request

    async def stream(self, stream: ServerStream[bytes, bytes]) -> None:
        async for message in stream:
            if message[0] == Wish.RESET:
                stream.cancel()
                return
            await stream.send_message(await self.call(message, stream.info))


async def _serve() -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    server = _Fickle().server
    async with anyio.create_task_group() as tasks:
        await tasks.start(server.serve, SocketListener(listening))
        print(f"127.0.0.1:{listening.getsockname()[1]}", flush=True)
        await anyio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)
        await server.aclose()


if __name__ == "__main__":
    anyio.run(_serve)
