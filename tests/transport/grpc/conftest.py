"""What the tests of the gRPC server and channel share: servers and channels over each kind of byte stream."""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeAlias

import anyio
import pytest
from anyio.abc import ByteStream, Listener, SocketAttribute
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from mm_plugin import limits
from mm_plugin.transport.grpc.addresses import connector_to, parse_target
from mm_plugin.transport.grpc.channel import GRPCChannel
from mm_plugin.transport.grpc.handlers import Handler, Streaming
from mm_plugin.transport.grpc.server import GRPCServer
from mm_plugin.transport.grpc.sockets import SocketListener
from mm_plugin.transport.grpc.streams import ServerStream

BytesStream: TypeAlias = ServerStream[bytes, bytes]

PATH = "/test.Echo/Stream"
UNARY = "/test.Echo/Unary"


async def echo(stream: BytesStream) -> None:
    """Answer each message with itself."""
    async for message in stream:
        await stream.send_message(message)


def streaming(func: object) -> dict[str, Handler]:
    """Return a streaming handler of octets under ``PATH``."""
    return {PATH: Streaming(func, bytes, bytes)}  # type: ignore[arg-type]


class MemoryEnd(ByteStream):
    """One end of a pair of byte streams in memory, each direction bounded like a socket's buffer."""

    def __init__(
        self,
        receiving: MemoryObjectReceiveStream[bytes],
        sending: MemoryObjectSendStream[bytes],
    ) -> None:
        self._receiving = receiving
        self._sending = sending
        self._rest = b""

    async def receive(self, max_bytes: int = 65_536) -> bytes:
        data = self._rest or await self._receiving.receive()
        self._rest = data[max_bytes:]
        return data[:max_bytes]

    async def send(self, item: bytes) -> None:
        await self._sending.send(bytes(item))

    async def send_eof(self) -> None:
        self._sending.close()

    async def aclose(self) -> None:
        self._sending.close()
        self._receiving.close()


def memory_pair() -> tuple[ByteStream, ByteStream]:
    """Return two byte streams, each the other's peer."""
    there = anyio.create_memory_object_stream[bytes](4)
    back = anyio.create_memory_object_stream[bytes](4)
    return MemoryEnd(back[1], there[0]), MemoryEnd(there[1], back[0])


class Served:
    """A running server and how to reach it."""

    def __init__(self, server: GRPCServer, connect: Callable[[], Awaitable[ByteStream]], target: str) -> None:
        self.server = server
        self.connect = connect
        self.target = target

    async def cut_connections(self) -> None:
        """Close every socket under its connection's feet, as a process that dies does; the server lives."""
        for connection in list(self.server._connections):
            await connection._byte_stream.aclose()

    def channel(self, *, message_limit_octets: int = limits.message_limit_octets) -> GRPCChannel:
        return GRPCChannel(self.connect, message_limit_octets=message_limit_octets)


def anyio_connector(target: str) -> Callable[[], Awaitable[ByteStream]]:
    """Return what opens one of AnyIO's own socket streams."""
    place = parse_target(target)
    assert isinstance(place, tuple)
    return partial(anyio.connect_tcp, *place)


def unix_socket(path: Path) -> socket.socket:
    """Return a unix socket that listens."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listening.bind(str(path))
    listening.listen(100)
    return listening


Serve: TypeAlias = "Callable[..., AbstractAsyncContextManager[Served]]"


@asynccontextmanager
async def serving(
    handlers: Mapping[str, Handler],
    carrier: str,
    folder: Path,
    *,
    message_limit_octets: int = limits.message_limit_octets,
) -> AsyncGenerator[Served]:
    """Serve handlers over ``tcp``, ``unix``, AnyIO's own TCP (``anyio``) or ``memory`` until the context is left."""
    server = GRPCServer(handlers, message_limit_octets=message_limit_octets)
    async with anyio.create_task_group() as tasks:
        if carrier == "memory":

            async def connect() -> ByteStream:
                ours, theirs = memory_pair()
                tasks.start_soon(server.serve_connection, theirs)
                return ours

            yield Served(server, connect, "")
            await server.aclose()
        else:
            listener: Listener[ByteStream]
            if carrier == "unix":
                listener = SocketListener(unix_socket(folder / "s"))
                target = f"unix:{folder / 's'}"
            else:
                if carrier == "tcp":
                    listener = SocketListener(socket.create_server(("127.0.0.1", 0)))
                else:
                    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
                target = f"127.0.0.1:{listener.extra(SocketAttribute.local_port)}"
            await tasks.start(server.serve, listener)
            yield Served(server, anyio_connector(target) if carrier == "anyio" else connector_to(target), target)
            await server.aclose()


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """Serve handlers over TCP."""

    def start(handlers: Mapping[str, Handler], **options: int) -> AbstractAsyncContextManager[Served]:
        return serving(handlers, "tcp", tmp_path, **options)

    return start


@pytest.fixture(params=["tcp", "unix", "anyio", "memory"])
def serve_everywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Serve:
    """Serve handlers over each kind of byte stream in turn."""

    def start(handlers: Mapping[str, Handler], **options: int) -> AbstractAsyncContextManager[Served]:
        return serving(handlers, request.param, tmp_path, **options)

    return start
