"""What a peer can make a server hold beside message bodies: heads, what compression hides, free memory."""

from __future__ import annotations

import ctypes
from contextlib import suppress
from pathlib import Path

import anyio
import pytest

from mm_plugin import limits
from mm_plugin._proto.hooks_http_pb2 import ServeHTTPRequest, ServeHTTPRequestInit, ServeHTTPResponse
from mm_plugin.exceptions import RequestBodyAbortedError, StatusCode
from mm_plugin.transport.grpc.errors import GRPCStatusError
from mm_plugin.transport.grpc.handlers import CallInfo, Streaming, Unary
from mm_plugin.transport.grpc.http_plugin import HTTPServerStream, serve_exchange
from mm_plugin.transport.grpc.memory_return import MemoryReturn
from mm_plugin.transport.grpc.server_connection import ServerConnection
from mm_plugin.transport.link import HookCall, HTTPExchange
from mm_plugin.wire.grpc import GZIP, Status, compress, frame
from mm_plugin.wire.http2 import ErrorCode, GoAwayReceived, Role, Stream

from .conftest import PATH, UNARY, Serve
from .raw_peers import RawClient


async def hang(request: bytes, info: CallInfo) -> bytes:
    await anyio.sleep_forever()
    return request


async def echo(request: bytes, info: CallInfo) -> bytes:
    return request


async def ask_at_length(client: RawClient, number: int) -> Stream:
    """Call with a hundred tiny fields, other ones for each number."""
    stream = await client.open(*((b"x-%d-%d" % (number, each), b"v") for each in range(100)), path=UNARY)
    client.http2.send_data(stream, frame(b"alive"), end_stream=True)
    return stream


async def test_heads_of_calls_under_way_are_bounded(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call may have long metadata, not all of them at once: tiny fields cost many times their octets."""
    monkeypatch.setattr(limits, "grpc_heads_octets", 100_000)
    async with serve({UNARY: Unary(hang, bytes, bytes)}) as served, await served.connect() as byte_stream:
        client = RawClient(Role.CLIENT, byte_stream)
        for number in range(10):
            await ask_at_length(client, number)
        await client.flush()
        goaway = await client.next_event(GoAwayReceived)
        await client.read_to_the_end()
    assert isinstance(goaway, GoAwayReceived)
    assert goaway.code == ErrorCode.ENHANCE_YOUR_CALM


async def test_heads_of_calls_that_have_ended_do_not_count(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """One call after the other may have as long metadata as it likes."""
    monkeypatch.setattr(limits, "grpc_heads_octets", 100_000)
    async with serve({UNARY: Unary(echo, bytes, bytes)}) as served, await served.connect() as byte_stream:
        client = RawClient(Role.CLIENT, byte_stream)
        for number in range(20):
            stream = await ask_at_length(client, number)
            assert await client.answer(stream) == (200, Status(StatusCode.OK), frame(b"alive"))


async def test_what_compressed_requests_grow_to_counts(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound on what the requests of a connection hold is one on what they are, not on what they were sent as."""
    monkeypatch.setattr(limits, "grpc_requests_octets", 2_000_000)
    async with (
        serve({UNARY: Unary(hang, bytes, bytes)}, message_limit_octets=1_000_000) as served,
        await served.connect() as byte_stream,
    ):
        client = RawClient(Role.CLIENT, byte_stream)
        body = frame(compress(bytes(900_000)), compressed=True)
        streams = [await client.open((b"grpc-encoding", GZIP), path=UNARY) for _ in range(3)]
        for stream in streams:
            client.http2.send_data(stream, body, end_stream=True)
        _, status, _ = await client.answer(streams[2])
        assert status is not None
        assert status.code is StatusCode.RESOURCE_EXHAUSTED


class _Reader:
    """Reads the body of every request."""

    async def handle_hook(self, call: HookCall) -> object:
        raise NotImplementedError

    async def handle_http(self, exchange: HTTPExchange) -> None:
        with suppress(RequestBodyAbortedError):
            while await exchange.receive():
                pass


async def test_empty_messages_of_an_upload_are_bounded(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A window holds 100,000 of them, and each is work for the event loop; the call is refused."""
    monkeypatch.setattr(limits, "http_empty_messages", 50)

    async def serve_http(stream: HTTPServerStream) -> None:
        await serve_exchange(stream, _Reader())  # type: ignore[arg-type]

    handlers = {PATH: Streaming(serve_http, ServeHTTPRequest, ServeHTTPResponse)}
    async with (
        serve(handlers) as served,
        served.channel() as channel,
        channel.open_stream(PATH, ServeHTTPRequest, ServeHTTPResponse) as stream,
    ):
        await stream.send_message(ServeHTTPRequest(init=ServeHTTPRequestInit(method="POST", url="/")))
        for _ in range(51):
            await stream.send_message(ServeHTTPRequest())
        with anyio.fail_after(5), pytest.raises(GRPCStatusError, match="hold nothing") as caught:
            await stream.recv_message()
    assert caught.value.code is StatusCode.INVALID_ARGUMENT


def resident_octets() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="the C library is no glibc")
def test_free_memory_is_returned() -> None:
    """What was held in many pieces goes back to the system, though some of them are still in use."""
    memory = MemoryReturn()
    pieces = [bytes(60_000) for _ in range(1_000)]
    kept = pieces[::50]
    del pieces
    before = resident_octets()
    memory.look()
    assert before - resident_octets() > 30_000_000
    assert len(kept) == 20


async def test_complete_requests_that_are_no_calls_need_no_tasks(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are answered where they are read: a burst of two thousand would cost megabytes."""
    monkeypatch.setattr(ServerConnection, "_refuse_later", None)
    async with serve({UNARY: Unary(echo, bytes, bytes)}) as served, await served.connect() as byte_stream:
        client = RawClient(Role.CLIENT, byte_stream)
        streams = [await client.open(method=b"GET") for _ in range(20)]
        for stream in streams:
            client.http2.send_data(stream, b"", end_stream=True)
        assert [(await client.answer(stream))[0] for stream in streams] == [405] * 20
