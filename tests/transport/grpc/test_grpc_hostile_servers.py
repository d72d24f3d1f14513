"""Our channel against servers written frame by frame: R7 of the interop tests, and worse."""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise

import anyio
import pytest
from anyio.abc import ByteStream

from mm_plugin import limits
from mm_plugin.exceptions import StatusCode
from mm_plugin.transport.grpc.channel import GRPCChannel
from mm_plugin.transport.grpc.errors import GRPCStatusError
from mm_plugin.transport.grpc.sockets import SocketStream
from mm_plugin.transport.link import FailureKind
from mm_plugin.wire.grpc import compress, frame as message
from mm_plugin.wire.http2 import encode
from tests.wire.http2.raw_frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    PREFACE,
    PRIORITY,
    RESPONSE_BLOCK,
    RST_STREAM,
    SETTINGS,
    TRAILERS_BLOCK,
    Frame,
    frame,
    goaway,
    goaway_code,
    rst_stream,
    settings,
    window_update,
)

CALL = "/t.T/Call"
WHOLE = END_HEADERS | END_STREAM
REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM = 7, 8, 11


class FakeServer:
    """One connection of the channel, frame by frame."""

    def __init__(self, byte_stream: ByteStream, *, greet: bool) -> None:
        self._byte_stream = byte_stream
        self._greet = greet
        self._data = b""
        self.frames: list[Frame] = []

    async def begin(self) -> None:
        while len(self._data) < len(PREFACE):
            self._data += await self._byte_stream.receive()
        assert self._data.startswith(PREFACE)
        self._data = self._data[len(PREFACE) :]
        if self._greet:
            await self.send(settings() + frame(SETTINGS, ACK))

    async def send(self, octets: bytes) -> None:
        await self._byte_stream.send(octets)

    async def read(self) -> Frame:
        """Wait for the next frame of the client."""
        while len(self._data) < 9 or len(self._data) < 9 + int.from_bytes(self._data[:3]):
            self._data += await self._byte_stream.receive()
        end = 9 + int.from_bytes(self._data[:3])
        found = Frame(self._data[3], self._data[4], int.from_bytes(self._data[5:9]), self._data[9:end])
        self._data = self._data[end:]
        self.frames.append(found)
        return found

    async def read_until(self, kind: int) -> Frame:
        while (found := await self.read()).kind != kind:
            pass
        return found

    async def request(self) -> int:
        """Wait for a whole request and return its stream."""
        while True:
            found = await self.read()
            if found.kind in {DATA, HEADERS} and found.flags & END_STREAM:
                return found.stream_id

    async def answer(self, stream_id: int, body: bytes = b"good") -> None:
        await self.send(good(stream_id, body))


def good(stream_id: int, body: bytes = b"good") -> bytes:
    """The frames of a whole answer."""
    return (
        frame(HEADERS, END_HEADERS, stream_id, RESPONSE_BLOCK)
        + frame(DATA, 0, stream_id, message(body))
        + frame(HEADERS, WHOLE, stream_id, TRAILERS_BLOCK)
    )


async def serve_well(server: FakeServer) -> None:
    while True:
        await server.answer(await server.request())


Script = Callable[[FakeServer], Awaitable[None]]


class Servers:
    """What the channel connects to: the next script for each connection, the last one for all that follow."""

    def __init__(self, *scripts: Script, greet: bool) -> None:
        self._scripts = list(scripts)
        self._greet = greet
        self.tasks = anyio.create_task_group()
        self.connections: list[FakeServer] = []

    async def connect(self) -> ByteStream:
        ours, theirs = socket.socketpair()
        script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
        server = FakeServer(SocketStream(theirs), greet=self._greet)
        self.connections.append(server)
        self.tasks.start_soon(self._run, server, script)
        return SocketStream(ours)

    async def _run(self, server: FakeServer, script: Script) -> None:
        try:
            await server.begin()
            await script(server)
            while True:  # a script that is over leaves the connection open
                await server.read()
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass
        finally:
            with anyio.CancelScope(shield=True):
                await server._byte_stream.aclose()


@asynccontextmanager
async def channel_to(*scripts: Script, greet: bool = True) -> AsyncGenerator[tuple[GRPCChannel, Servers]]:
    servers = Servers(*scripts, greet=greet)
    async with servers.tasks:
        async with GRPCChannel(servers.connect) as channel:
            with anyio.fail_after(15):
                yield channel, servers
        servers.tasks.cancel_scope.cancel()


async def unary(channel: GRPCChannel, deadline: float | None = None) -> bytes:
    return await channel.unary(CALL, b"request", bytes, deadline=deadline)


async def failure(channel: GRPCChannel, deadline: float | None = None) -> GRPCStatusError:
    with pytest.raises(GRPCStatusError) as caught:
        await unary(channel, deadline)
    return caught.value


# -- GOAWAY ---------------------------------------------------------------------------------------------------


async def test_goaway_before_any_call() -> None:
    """goaway: a connection that is said goodbye to at once is left, and calls go out on the next one."""
    left = anyio.Event()

    async def leave(server: FakeServer) -> None:
        await server.answer(await server.request())
        await server.send(goaway(2**31 - 1) + goaway(1))
        left.set()

    async with channel_to(leave, serve_well) as (channel, servers):
        assert await unary(channel) == b"good"
        await left.wait()
        assert await unary(channel) == b"good"
        assert len(servers.connections) <= 2


@pytest.mark.parametrize("last", [0, 1])
@pytest.mark.parametrize(
    "sent",
    [b"", good(1)[: 9 + len(RESPONSE_BLOCK)], good(1)[: -9 - len(TRAILERS_BLOCK)]],
    ids=["before the answer", "after the head", "after the message"],
)
async def test_goaway_in_each_phase(sent: bytes, last: int) -> None:
    """goaway: a call that the server has taken ends there, in whatever phase; one it has not goes to the next."""

    async def leave(server: FakeServer) -> None:
        await server.request()
        await server.send(sent + goaway(last))
        if last:
            await server.send(good(1)[len(sent) :])

    async with channel_to(leave, serve_well) as (channel, servers):
        assert await unary(channel) == b"good"
        assert len(servers.connections) == (1 if last else 2)


async def test_goaway_with_an_error() -> None:
    """A connection that is ended with an error loses what was taken; the text says which error."""

    async def complain(server: FakeServer) -> None:
        await server.request()
        await server.send(goaway(1, ENHANCE_YOUR_CALM, b"too_many_pings"))
        await server._byte_stream.aclose()

    async with channel_to(complain, serve_well) as (channel, _):
        error = await failure(channel)
        assert (error.code, error.kind) == (StatusCode.UNAVAILABLE, FailureKind.LOST)
        assert not error.not_processed
        assert await unary(channel) == b"good"


# -- resets ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        frame(HEADERS, END_HEADERS, 1, RESPONSE_BLOCK),
        frame(HEADERS, END_HEADERS, 1, RESPONSE_BLOCK) + frame(DATA, 0, 1, message(b"good")[:-2]),
        frame(HEADERS, END_HEADERS, 1, RESPONSE_BLOCK) + frame(DATA, 0, 1, message(b"good")),
    ],
    ids=["at once", "after the head", "during the message", "after the message"],
)
async def test_reset_in_each_phase(sent: bytes) -> None:
    """rst_after_header, rst_during_data, rst_after_data: the call fails with what the reset says, the channel lives."""

    async def reset(server: FakeServer) -> None:
        await server.request()
        await server.send(sent + rst_stream(1, CANCEL))
        await serve_well(server)

    async with channel_to(reset) as (channel, servers):
        assert (await failure(channel)).code is StatusCode.CANCELLED
        assert await unary(channel) == b"good"
        assert len(servers.connections) == 1


async def test_refused_stream_is_retried_once() -> None:
    """REFUSED_STREAM is tried once more, and no more than once."""

    async def refuse(server: FakeServer) -> None:
        while True:
            await server.send(rst_stream(await server.request(), REFUSED_STREAM))

    async with channel_to(refuse) as (channel, servers):
        error = await failure(channel)
        assert error.kind is FailureKind.REFUSED
        asked = [found for found in servers.connections[0].frames if found.kind == HEADERS]
        assert len(asked) == 2


async def test_nothing_else_is_retried() -> None:
    """A call that may have been carried out goes out once only, however it is lost."""

    async def drop(server: FakeServer) -> None:
        await server.request()
        await server._byte_stream.aclose()

    async with channel_to(drop) as (channel, servers):
        assert (await failure(channel)).kind is FailureKind.LOST
        assert len(servers.connections) == 1


# -- pings, settings, padding ---------------------------------------------------------------------------------


async def test_pings_are_answered_and_none_is_sent() -> None:
    """ping: every PING is answered with its payload; the client itself sends none, nor any keepalive."""

    async def ping(server: FakeServer) -> None:
        stream_id = await server.request()
        for number in range(5):
            await server.send(frame(PING, 0, 0, b"number %d" % number))
            answer = await server.read_until(PING)
            assert (answer.flags, answer.payload) == (ACK, b"number %d" % number)
        await server.answer(stream_id)

    async with channel_to(ping) as (channel, servers):
        assert await unary(channel) == b"good"
        pings = [found for found in servers.connections[0].frames if found.kind == PING]
        assert [found.flags for found in pings] == [ACK] * 5


async def test_idle_channel_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A channel without calls sends nothing at all, however long it rests: hosts punish keepalive."""
    monkeypatch.setattr(limits, "http2_unfinished_s", 0.1)
    monkeypatch.setattr(limits, "http2_budget_renewal_s", 0.05)
    quiet = anyio.Event()

    async def listen(server: FakeServer) -> None:
        await server.answer(await server.request())
        before = len(server.frames)
        with anyio.move_on_after(0.5):
            while True:
                await server.read()
        extra = [found.kind for found in server.frames[before:] if found.kind not in {SETTINGS, RST_STREAM}]
        assert extra == []
        quiet.set()
        await serve_well(server)

    async with channel_to(listen) as (channel, servers):
        assert await unary(channel) == b"good"
        await quiet.wait()
        assert await unary(channel) == b"good"
        assert len(servers.connections) == 1


async def test_max_streams_is_kept() -> None:
    """max_streams: never more calls are open than the server allows, now three, later one; the others wait."""
    most: list[int] = []

    async def waiting_now(server: FakeServer, waiting: list[int], allowed: int) -> None:
        """Wait for as many requests as are allowed, and see that no further one comes before a PING's answer."""
        while len(waiting) < allowed:
            waiting.append(await server.request())
        await server.send(frame(PING, 0, 0, bytes(8)))
        while (found := await server.read()).kind != PING:
            if found.kind == DATA and found.flags & END_STREAM:
                waiting.append(found.stream_id)
        most.append(len(waiting))

    async def few(server: FakeServer) -> None:
        await server.send(settings(streams=3))
        await server.answer(await server.request())
        waiting: list[int] = []
        for _ in range(10):
            await waiting_now(server, waiting, 3)
            await server.answer(waiting.pop())
        await server.send(settings(streams=1))
        await server.read_until(SETTINGS)
        for stream_id in waiting:
            await server.answer(stream_id)
        waiting.clear()
        for _ in range(8):
            await waiting_now(server, waiting, 1)
            await server.answer(waiting.pop())

    async with channel_to(few) as (channel, servers):
        assert await unary(channel) == b"good"
        answers: list[bytes] = []

        async def one() -> None:
            answers.append(await unary(channel))

        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(one)
        assert answers == [b"good"] * 20
        assert len(servers.connections) == 1
    assert most == [3] * 10 + [1] * 8


async def test_all_shapes_of_an_answer() -> None:
    """Padding, priority, CONTINUATION, cut messages, 1xx heads, unknown frames: all mean the same answer."""
    body = message(b"padded")
    cut = len(RESPONSE_BLOCK) // 2

    async def shape(server: FakeServer) -> None:
        one = await server.request()
        await server.send(
            frame(HEADERS, END_HEADERS, one, encode([(b":status", b"103")]))
            + frame(0xBE, 0xFF, one, b"extension")
            + frame(HEADERS, PADDED | 0x20, one, b"\x03\0\0\0\0\x0f" + RESPONSE_BLOCK[:cut] + bytes(3))
            + frame(CONTINUATION, END_HEADERS, one, RESPONSE_BLOCK[cut:])
            + frame(PRIORITY, 0, one, bytes(5))
            + frame(DATA, PADDED, one, b"\xff" + body[:3] + bytes(255))
            + frame(DATA, PADDED, one, b"\x00" + body[3:])
            + frame(DATA, PADDED, one, b"\x07" + bytes(7))
            + frame(HEADERS, WHOLE | PADDED, one, b"\x01" + TRAILERS_BLOCK + bytes(1))
        )

    async with channel_to(shape) as (channel, _):
        assert await unary(channel) == b"padded"


async def test_small_windows() -> None:
    """A request goes out octet by octet where the server gives no more credit, and arrives whole."""

    async def stingy(server: FakeServer) -> None:
        await server.send(settings(window=1))
        while True:
            got = b""
            while True:
                found = await server.read()
                if found.kind == DATA:
                    got += found.payload
                    if found.flags & END_STREAM:
                        break
                    await server.send(window_update(found.stream_id, 1) + window_update(0, 1))
            await server.answer(found.stream_id, got[5:])

    async with channel_to(stingy) as (channel, servers):
        assert await unary(channel) == b"request"
        assert await unary(channel) == b"request"
        sizes = [len(found.payload) for found in servers.connections[0].frames if found.kind == DATA]
        assert sizes[-12:] == [1] * 12


# -- hostile servers ------------------------------------------------------------------------------------------


async def test_server_that_never_greets(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that says nothing is left after a while; its calls are lost, not hung."""
    monkeypatch.setattr(limits, "http2_unfinished_s", 0.2)

    async def mute(server: FakeServer) -> None:
        await server.request()

    async with channel_to(mute, greet=False) as (channel, _):
        error = await failure(channel)
        assert (error.code, error.kind) == (StatusCode.UNAVAILABLE, FailureKind.LOST)


@pytest.mark.parametrize(
    "begun",
    [frame(HEADERS, END_HEADERS, 1, RESPONSE_BLOCK)[:-1], frame(HEADERS, 0, 1, RESPONSE_BLOCK), bytes(3)],
    ids=["half a frame", "half a header block", "half a frame head"],
)
async def test_server_that_does_not_finish(monkeypatch: pytest.MonkeyPatch, begun: bytes) -> None:
    """A server that begins something and does not end it is left, too."""
    monkeypatch.setattr(limits, "http2_unfinished_s", 0.2)

    async def slow(server: FakeServer) -> None:
        await server.request()
        await server.send(begun)

    async with channel_to(slow, serve_well) as (channel, _):
        assert (await failure(channel)).kind is FailureKind.LOST
        assert await unary(channel) == b"good"


@pytest.mark.parametrize(
    "blow",
    [
        frame(PING, 0, 0, bytes(8)),
        frame(SETTINGS),
        frame(PRIORITY, 0, 1, bytes(5)),
        window_update(0, 1),
        frame(HEADERS, END_HEADERS, 1, encode([(b":status", b"103")])),
        frame(0x42, 0, 0, b"x"),
        goaway(2**31 - 1),
    ],
    ids=["PING", "SETTINGS", "PRIORITY", "WINDOW_UPDATE", "informational heads", "extensions", "GOAWAY"],
)
async def test_server_that_floods(blow: bytes) -> None:
    """A server that floods loses its connection as a client would, and the channel finds the next one."""
    codes: list[object] = []

    async def flood(server: FakeServer) -> None:
        await server.request()
        try:
            await server.send(blow * 3_000)
            while True:
                await server.read()
        finally:
            codes.append(goaway_code([found for found in server.frames if found.kind == GOAWAY]))

    async with channel_to(flood, serve_well) as (channel, servers):
        assert (await failure(channel)).kind is FailureKind.LOST
        assert await unary(channel) == b"good"
        assert len(servers.connections) == 2
    assert codes[0] is not None


async def test_bomb_in_an_answer() -> None:
    """A compressed answer that grows over the limit is RESOURCE_EXHAUSTED, and little of it is ever made."""
    bomb = compress(bytes(limits.message_limit_octets + 1))

    async def explode(server: FakeServer) -> None:
        one = await server.request()
        body = message(bomb, compressed=True)
        head = encode([(b":status", b"200"), (b"content-type", b"application/grpc"), (b"grpc-encoding", b"gzip")])
        pieces = [frame(DATA, 0, one, body[at : at + 16_384]) for at in range(0, len(body), 16_384)]
        await server.send(frame(HEADERS, END_HEADERS, one, head) + b"".join(pieces))
        await serve_well(server)

    async with channel_to(explode) as (channel, _):
        assert (await failure(channel)).code is StatusCode.RESOURCE_EXHAUSTED
        assert await unary(channel) == b"good"


async def test_answer_that_never_ends() -> None:
    """An answer that trickles on is ended by the call's deadline, and by nothing else."""

    async def trickle(server: FakeServer) -> None:
        one = await server.request()
        await server.send(frame(HEADERS, END_HEADERS, one, RESPONSE_BLOCK) + frame(DATA, 0, one, b"\0\0\0\xff\xff"))
        await server.read_until(RST_STREAM)
        await serve_well(server)

    async with channel_to(trickle) as (channel, servers):
        error = await failure(channel, deadline=anyio.current_time() + 0.2)
        assert error.kind is FailureKind.DEADLINE
        assert await unary(channel) == b"good"
        assert len(servers.connections) == 1


async def test_reconnects_with_growing_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that has been there and refuses now is asked ever more seldom, within the caller's deadline."""
    monkeypatch.setattr(limits, "api_reconnect_backoff_s", 0.02)
    monkeypatch.setattr(limits, "api_reconnect_backoff_max_s", 0.08)
    attempts: list[float] = []
    servers = Servers(serve_well, greet=True)

    async def connect() -> ByteStream:
        attempts.append(anyio.current_time())
        if 1 < len(attempts) < 7:
            raise ConnectionRefusedError("not now")
        return await servers.connect()

    async with servers.tasks:
        async with GRPCChannel(connect) as channel:
            assert await unary(channel) == b"good"
            await servers.connections[0]._byte_stream.aclose()
            while channel.connected:
                await anyio.lowlevel.checkpoint()
            assert await unary(channel, deadline=anyio.current_time() + 10) == b"good"
        servers.tasks.cancel_scope.cancel()
    pauses = [after - before for before, after in pairwise(attempts[1:])]
    assert len(pauses) == 5
    assert all(pause >= least for pause, least in zip(pauses, (0.02, 0.04, 0.08, 0.08, 0.08), strict=True))
