"""Serve the methods of the interop cases on raw octets: ``python -m tools.interop_server grpclib``.

Prints the port, then serves until its standard input ends; the clients are those of tests/interop/peers.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

SERVERS = ("ours, asyncio", "ours, trio", "grpcio", "grpclib")
_UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def _ours(backend: str) -> None:
    import anyio
    import anyio.to_thread

    from mm_plugin.transport.grpc.server import GRPCServer
    from mm_plugin.transport.grpc.sockets import SocketListener
    from tests.interop.conftest import OurService

    async def serve() -> None:
        listening = socket.create_server(("127.0.0.1", 0))
        server = GRPCServer(OurService().handlers())
        async with anyio.create_task_group() as tasks:
            await tasks.start(server.serve, SocketListener(listening))
            print(listening.getsockname()[1], flush=True)
            await anyio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)
            await server.aclose()

    anyio.run(serve, backend=backend)


def _grpcio() -> None:
    import grpc

    from tests.interop.conftest import TheirHandler

    server = grpc.server(ThreadPoolExecutor(16), handlers=[TheirHandler()], options=_UNLIMITED)
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    sys.stdin.read()
    server.stop(None).wait()


class _Octets:
    """grpclib's codec for messages that are octets already."""

    __content_subtype__ = "proto"

    def encode(self, message: bytes, _kind: object) -> bytes:
        return message

    def decode(self, data: bytes, _kind: object) -> bytes:
        return data


class _TheirService:
    """The methods on grpclib."""

    def __mapping__(self) -> dict[str, Any]:
        from grpclib.const import Cardinality, Handler

        unary, stream = Cardinality.UNARY_UNARY, Cardinality.STREAM_STREAM
        methods = {
            "Echo": (self.echo, unary),
            "Packed": (self.echo, unary),
            "Status": (self.status, unary),
            "Hang": (self.hang, unary),
            "PingPong": (self.ping_pong, stream),
            "Metadata": (self.metadata, stream),
        }
        return {f"/t.Test/{name}": Handler(func, kind, bytes, bytes) for name, (func, kind) in methods.items()}

    async def echo(self, stream: Any) -> None:
        await stream.send_message(await stream.recv_message())

    async def status(self, stream: Any) -> None:
        from grpclib.const import Status
        from grpclib.exceptions import GRPCError

        text = (await stream.recv_message()).decode()
        await stream.send_trailing_metadata(status=Status.UNKNOWN, status_message=text, metadata={"why-bin": b"\0\1"})
        raise GRPCError(Status.UNKNOWN, text)

    async def hang(self, _stream: Any) -> None:
        import anyio

        await anyio.sleep_forever()

    async def ping_pong(self, stream: Any) -> None:
        async for message in stream:
            await stream.send_message(message)

    async def metadata(self, stream: Any) -> None:
        await stream.send_initial_metadata(metadata={"initial": stream.metadata["initial"]})
        await self.ping_pong(stream)
        await stream.send_trailing_metadata(metadata={"trailing-bin": stream.metadata["trailing-bin"]})


def _grpclib() -> None:
    import asyncio  # noqa: TID251 - the peer's own loop

    from grpclib.server import Server

    async def serve() -> None:
        server = Server([_TheirService()], codec=_Octets())  # type: ignore[arg-type]
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listening.bind(("127.0.0.1", 0))
        await server.start(sock=listening)
        print(listening.getsockname()[1], flush=True)
        await asyncio.to_thread(sys.stdin.read)
        server.close()

    asyncio.run(serve())


_SERVE: dict[str, Callable[[], None]] = {
    "ours, asyncio": lambda: _ours("asyncio"),
    "ours, trio": lambda: _ours("trio"),
    "grpcio": _grpcio,
    "grpclib": _grpclib,
}

if __name__ == "__main__":
    _SERVE[sys.argv[1]]()
