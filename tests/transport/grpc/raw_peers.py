"""Peers that are no good gRPC peers, written on the core of the wire: clients and servers that do as they are told."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import anyio
from anyio.abc import ByteStream

from mm_plugin.exceptions import StatusCode
from mm_plugin.transport.grpc.channel import GRPCChannel
from mm_plugin.transport.grpc.handlers import CallInfo, Handler, Streaming, Unary
from mm_plugin.transport.grpc.streams import ServerStream
from mm_plugin.wire.grpc import OK_TRAILERS, RESPONSE_HEAD, Status, frame, read_status
from mm_plugin.wire.http2 import (
    Connection,
    DataReceived,
    Event,
    RequestReceived,
    ResponseReceived,
    Role,
    Stream,
    StreamReset,
    TrailersReceived,
    encode,
)

from .conftest import Serve, memory_pair

ECHO, STREAM = "/t.T/Echo", "/t.T/Stream"
Fields = Sequence[tuple[bytes, bytes]]


async def echo(request: bytes, info: CallInfo) -> bytes:
    return request


async def echo_stream(stream: ServerStream[bytes, bytes]) -> None:
    async for message in stream:
        await stream.send_message(message)


HANDLERS: dict[str, Handler] = {ECHO: Unary(echo, bytes, bytes), STREAM: Streaming(echo_stream, bytes, bytes)}


class RawPeer:
    """The core on a byte stream, with no opinion of gRPC."""

    def __init__(self, role: Role, byte_stream: ByteStream) -> None:
        self.http2 = Connection(role)
        self.byte_stream = byte_stream
        self.events: list[Event] = []

    async def flush(self) -> None:
        await self.byte_stream.send(self.http2.take() or b"")

    async def next_event(self, kind: type[Event]) -> Event:
        """Wait for an event of a kind; the others before it are kept, too."""
        with anyio.fail_after(10):
            while True:
                for event in self.events:
                    if isinstance(event, kind):
                        self.events.remove(event)
                        return event
                self.events += self.http2.receive(await self.byte_stream.receive())
                if self.http2.output_octets:
                    await self.flush()

    async def read_to_the_end(self) -> None:
        """Wait until the other side has closed."""
        with anyio.fail_after(5):
            try:
                while True:
                    await self.byte_stream.receive()
            except anyio.EndOfStream:
                return


class RawClient(RawPeer):
    """Sends any request, and reads how it ends."""

    async def open(self, *more: tuple[bytes, bytes], path: str = ECHO, method: bytes = b"POST") -> Stream:
        fields = {
            b":method": method,
            b":scheme": b"http",
            b":path": path.encode(),
            b":authority": b"x",
            b"te": b"trailers",
            b"content-type": b"application/grpc",
        } | dict(more)
        return self.http2.open_stream([(name, value) for name, value in fields.items() if value])

    async def answer(self, stream: Stream) -> tuple[int | None, Status | None, bytes]:
        """Return HTTP status, gRPC status and body of the answer; what belongs to other streams is kept for them."""
        status: int | None = None
        body = b""
        others: list[Event] = []
        await self.flush()
        try:
            with anyio.fail_after(10):
                while True:
                    while self.events:
                        event = self.events.pop(0)
                        if getattr(event, "stream", None) is not stream:
                            others.append(event)
                        elif isinstance(event, ResponseReceived):
                            status = event.head.status
                            if event.end_stream:
                                return status, read_status(event.head.fields), body
                        elif isinstance(event, DataReceived):
                            body += event.data
                            self.http2.consumed(stream, event.credit_octets)
                            if event.end_stream:
                                return status, None, body
                        elif isinstance(event, TrailersReceived):
                            return status, read_status(event.head.fields), body
                        elif isinstance(event, StreamReset):
                            return status, None, f"reset {event.code.name}".encode()
                    self.events += self.http2.receive(await self.byte_stream.receive())
                    if self.http2.output_octets:
                        await self.flush()
        finally:
            self.events[:0] = others

    async def still_lives(self) -> None:
        """Check that the connection answers an ordinary call."""
        stream = await self.open()
        self.http2.send_data(stream, frame(b"alive"), end_stream=True)
        assert await self.answer(stream) == (200, Status(StatusCode.OK), frame(b"alive"))


@asynccontextmanager
async def raw_client(
    serve: Serve, handlers: dict[str, Handler] = HANDLERS, **options: int
) -> AsyncGenerator[RawClient]:
    async with serve(handlers, **options) as served:
        client = RawClient(Role.CLIENT, await served.connect())
        await client.flush()
        try:
            yield client
        finally:
            await client.byte_stream.aclose()


class RawServer:
    """Answers requests by a script; each connection of a channel gets the next one."""

    def __init__(self, *scripts: Callable[[RawPeer], Awaitable[None]]) -> None:
        self.scripts = list(scripts)
        self.tasks = anyio.create_task_group()

    async def connect(self) -> ByteStream:
        ours, theirs = memory_pair()
        script = self.scripts.pop(0)

        async def run() -> None:
            peer = RawPeer(Role.SERVER, theirs)
            try:
                await peer.flush()
                await script(peer)
            except (anyio.BrokenResourceError, anyio.EndOfStream, anyio.ClosedResourceError):
                pass
            finally:
                await theirs.aclose()

        self.tasks.start_soon(run)
        return ours


@asynccontextmanager
async def raw_server(*scripts: Callable[[RawPeer], Awaitable[None]]) -> AsyncGenerator[GRPCChannel]:
    server = RawServer(*scripts)
    async with server.tasks:
        async with GRPCChannel(server.connect) as channel:
            with anyio.fail_after(10):
                yield channel
        server.tasks.cancel_scope.cancel()


async def request(peer: RawPeer) -> Stream:
    event = await peer.next_event(RequestReceived)
    assert isinstance(event, RequestReceived)
    return event.stream


async def good(peer: RawPeer) -> None:
    while True:
        stream = await request(peer)
        peer.http2.send_response(stream, encode(RESPONSE_HEAD), frame(b"good"), encode(OK_TRAILERS))
        await peer.flush()


async def linger(peer: RawPeer) -> None:
    while True:
        peer.http2.receive(await peer.byte_stream.receive())
        await peer.flush()


def answering(act: Callable[[RawPeer, Stream], None]) -> Callable[[RawPeer], Awaitable[None]]:
    async def script(peer: RawPeer) -> None:
        act(peer, await request(peer))
        await peer.flush()
        await linger(peer)

    return script


def response(head: Fields, body: bytes = b"", trailers: Fields | None = None) -> Callable[[RawPeer, Stream], None]:
    def act(peer: RawPeer, stream: Stream) -> None:
        peer.http2.send_headers(stream, head, end_stream=not body and trailers is None)
        if body:
            peer.http2.send_data(stream, body, end_stream=trailers is None)
        if trailers is not None:
            peer.http2.send_trailers(stream, trailers)

    return act
