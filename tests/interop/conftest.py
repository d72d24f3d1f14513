"""grpcio, a client and server nobody here wrote, against ours; it blocks, so it lives in worker threads."""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import grpc
import pytest

from mm_plugin.exceptions import StatusCode
from mm_plugin.transport.grpc.addresses import connector_to
from mm_plugin.transport.grpc.channel import GRPCChannel
from mm_plugin.transport.grpc.errors import GRPCStatusError
from mm_plugin.transport.grpc.handlers import CallInfo, Handler, Streaming, Unary
from mm_plugin.transport.grpc.server import GRPCServer
from mm_plugin.transport.grpc.sockets import SocketListener
from mm_plugin.transport.grpc.streams import ServerStream

from .peer_builds import command_of

SPECIAL_TEXT = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"


async def in_thread(func: Callable[[], Any]) -> Any:
    """Run blocking code of grpcio in a thread; the thread ends before the caller does."""
    return await anyio.to_thread.run_sync(func)


class OurService:
    """The methods of the interop tests, on raw octets, as handlers of our server."""

    def __init__(self) -> None:
        self.cancelled = anyio.Event()
        self.started = anyio.Event()

    def handlers(self) -> dict[str, Handler]:
        return {
            "/t.Test/Echo": Unary(self.echo, bytes, bytes),
            "/t.Test/Sized": Unary(self.sized, bytes, bytes),
            "/t.Test/Status": Unary(self.status, bytes, bytes),
            "/t.Test/Hang": Unary(self.hang, bytes, bytes),
            "/t.Test/Total": Streaming(self.total, bytes, bytes),
            "/t.Test/Spell": Streaming(self.spell, bytes, bytes),
            "/t.Test/PingPong": Streaming(self.ping_pong, bytes, bytes),
            "/t.Test/Metadata": Streaming(self.metadata, bytes, bytes),
            "/t.Test/Packed": Unary(self.packed, bytes, bytes),
            "/t.Test/PackedSpell": Streaming(self.packed_spell, bytes, bytes),
            "/t.Test/ExpectPacked": Unary(self.expect_packed, bytes, bytes),
            "/t.Test/ExpectPackedTotal": Streaming(self.expect_packed_total, bytes, bytes),
        }

    async def echo(self, request: bytes, info: CallInfo) -> bytes:
        return request

    async def packed(self, request: bytes, info: CallInfo) -> bytes:
        assert info.takes_gzip
        info.compress = True
        return request

    async def expect_packed(self, request: bytes, info: CallInfo) -> bytes:
        if not info.sends_gzip:
            raise GRPCStatusError(StatusCode.INVALID_ARGUMENT, "the request was to be compressed")
        return request

    async def expect_packed_total(self, stream: ServerStream[bytes, bytes]) -> None:
        await self.expect_packed(b"", stream.info)
        await self.total(stream)

    async def packed_spell(self, stream: ServerStream[bytes, bytes]) -> None:
        request = await stream.recv_message()
        assert request is not None
        for number, size in enumerate(request.split(b",")):
            stream.info.compress = number % 2 == 0
            await stream.send_message(bytes(int(size)))

    async def sized(self, request: bytes, info: CallInfo) -> bytes:
        assert len(request) == 271_828
        return bytes(314_159)

    async def status(self, request: bytes, info: CallInfo) -> bytes:
        raise GRPCStatusError(StatusCode.UNKNOWN, request.decode(), metadata=(("why-bin", b"\0\1"),))

    async def hang(self, request: bytes, info: CallInfo) -> bytes:
        self.started.set()
        try:
            await anyio.sleep_forever()
        finally:
            self.cancelled.set()
        return b""

    async def total(self, stream: ServerStream[bytes, bytes]) -> None:
        octets = 0
        async for message in stream:
            octets += len(message)
        await stream.send_message(b"%d" % octets)

    async def spell(self, stream: ServerStream[bytes, bytes]) -> None:
        request = await stream.recv_message()
        assert request is not None
        for size in request.split(b","):
            await stream.send_message(bytes(int(size)))

    async def ping_pong(self, stream: ServerStream[bytes, bytes]) -> None:
        self.started.set()
        try:
            async for message in stream:
                await stream.send_message(message)
        except anyio.get_cancelled_exc_class():
            self.cancelled.set()
            raise

    async def metadata(self, stream: ServerStream[bytes, bytes]) -> None:
        metadata = dict(stream.info.metadata)
        await stream.send_initial((("initial", metadata["initial"]),))
        async for message in stream:
            await stream.send_message(message)
        stream.set_trailing((("trailing-bin", metadata["trailing-bin"]),))


@pytest.fixture
def service() -> OurService:
    """The service, to look at from outside."""
    return OurService()


@asynccontextmanager
async def our_server(service: OurService, folder: Path, carrier: str) -> AsyncGenerator[Any]:
    """Serve ``service`` and give a grpcio channel to it."""
    server = GRPCServer(service.handlers())
    if carrier == "tcp":
        listening = socket.create_server(("127.0.0.1", 0))
        target = f"127.0.0.1:{listening.getsockname()[1]}"
    else:
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(folder / "s"))
        listening.listen()
        target = f"unix:{folder / 's'}"
    async with anyio.create_task_group() as tasks:
        await tasks.start(server.serve, SocketListener(listening))
        unlimited = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        channel = grpc.insecure_channel(target, options=unlimited)
        try:
            yield channel
        finally:
            with anyio.CancelScope(shield=True):
                await in_thread(channel.close)
        await server.aclose()


class TheirHandler(grpc.GenericRpcHandler):  # type: ignore[type-arg]
    """The same methods on raw octets, for a grpcio server."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        name = handler_call_details.method.rpartition("/")[2]
        kinds = {
            "Echo": lambda: grpc.unary_unary_rpc_method_handler(lambda request, context: request),
            "Status": lambda: grpc.unary_unary_rpc_method_handler(self.status),
            "Hang": lambda: grpc.unary_unary_rpc_method_handler(self.hang),
            "Total": lambda: grpc.stream_unary_rpc_method_handler(self.total),
            "Spell": lambda: grpc.unary_stream_rpc_method_handler(self.spell),
            "PingPong": lambda: grpc.stream_stream_rpc_method_handler(lambda requests, context: requests),
            "Metadata": lambda: grpc.stream_stream_rpc_method_handler(self.metadata),
            "Packed": lambda: grpc.unary_unary_rpc_method_handler(self.packed),
        }
        kind = kinds.get(name)
        return None if kind is None else kind()

    def packed(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        context.set_compression(grpc.Compression.Gzip)
        return request

    def status(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        context.set_trailing_metadata((("why-bin", b"\0\1"),))
        context.abort(grpc.StatusCode.UNKNOWN, request.decode())

    def hang(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        from threading import Event

        over = Event()
        if context.add_callback(over.set):
            over.wait(20)
        return b""

    def total(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        return b"%d" % sum(len(request) for request in requests)

    def spell(self, request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        for size in request.split(b","):
            yield bytes(int(size))

    def metadata(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        metadata = dict(context.invocation_metadata())
        context.send_initial_metadata((("initial", metadata["initial"]),))
        yield from requests
        context.set_trailing_metadata((("trailing-bin", metadata["trailing-bin"]),))


@asynccontextmanager
async def their_server(folder: Path, carrier: str, peer: str = "grpcio") -> AsyncGenerator[GRPCChannel]:
    """Run a server of grpcio, grpc-go or grpc-js, the latter on TCP only, and give our channel to it."""
    if peer != "grpcio":
        async with other_server(peer) as target, GRPCChannel(connector_to(target)) as channel:
            yield channel
        return
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    server = grpc.server(ThreadPoolExecutor(16), handlers=[TheirHandler()], options=options)
    if carrier == "tcp":
        target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    else:
        target = f"unix:{folder / 's'}"
        server.add_insecure_port(target)
    server.start()
    try:
        async with GRPCChannel(connector_to(target)) as channel:
            yield channel
    finally:
        with anyio.CancelScope(shield=True):
            await in_thread(lambda: server.stop(None).wait())


@asynccontextmanager
async def other_server(peer: str, age: str = "0") -> AsyncGenerator[str]:
    """Run a server of grpc-go or grpc-js and give its target; ``age`` is what a connection gets before its GOAWAY."""
    command = await in_thread(lambda: [*command_of(peer, "server"), age])
    async with await anyio.open_process(command, stderr=None) as process:
        assert process.stdout is not None
        try:
            yield (await process.stdout.receive()).decode().strip()
        finally:
            process.kill()


@pytest.fixture(params=["tcp", "unix"])
def carrier(request: pytest.FixtureRequest) -> str:
    """The kinds of sockets."""
    kind: str = request.param
    return kind
