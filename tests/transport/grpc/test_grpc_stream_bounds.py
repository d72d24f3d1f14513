"""Streaming calls that would not end or would hold too much: deadlines, limits, back-pressure."""

from __future__ import annotations

import anyio
import pytest
from anyio.abc import ByteStream

from mm_plugin import limits
from mm_plugin.exceptions import StatusCode
from mm_plugin.transport.grpc.channel import GRPCChannel
from mm_plugin.transport.grpc.errors import GRPCStatusError
from mm_plugin.transport.grpc.handlers import CallInfo, Handler, Streaming, Unary
from mm_plugin.transport.grpc.streams import ClientStream
from mm_plugin.wire.http2 import Connection, Role
from tests.wire.http2.raw_frames import SETTINGS, frame

from .conftest import PATH, UNARY, BytesStream, Serve, echo, streaming


async def test_early_answer_to_an_endless_upload(serve: Serve) -> None:
    """A handler may end the call before the requests have come; what is sent later is dropped."""

    async def answer(stream: BytesStream) -> None:
        await stream.recv_message()
        await stream.send_message(b"enough")

    async with (
        serve(streaming(answer)) as served,
        served.channel() as channel,
        anyio.create_task_group() as tasks,
        channel.open_stream(PATH, bytes, bytes) as stream,
    ):

        async def upload() -> None:
            while True:
                await stream.send_message(b"x" * 100_000)
                await anyio.lowlevel.checkpoint()

        tasks.start_soon(upload)
        with anyio.fail_after(5):
            assert await stream.recv_message() == b"enough"
            assert await stream.recv_message() is None
        await stream.send_message(b"dropped")
        tasks.cancel_scope.cancel()


async def test_deadline_of_a_stream(serve: Serve) -> None:
    """Each wait of a stream ends at the call's deadline; the handler is cancelled too."""
    cancelled = anyio.Event()

    async def hang(stream: BytesStream) -> None:
        assert stream.info.deadline is not None
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()

    async with serve(streaming(hang)) as served, served.channel() as channel:
        async with channel.open_stream(PATH, bytes, bytes, deadline=anyio.current_time() + 0.05) as stream:
            for _ in range(2):
                with pytest.raises(GRPCStatusError) as caught:
                    await stream.recv_message()
                assert caught.value.code is StatusCode.DEADLINE_EXCEEDED
        with anyio.fail_after(5):
            await cancelled.wait()


async def test_message_over_the_limit_in_a_stream(serve: Serve) -> None:
    """A request over the limit becomes the call's status unless the handler knows better."""
    async with (
        serve(streaming(echo), message_limit_octets=1000) as served,
        served.channel() as channel,
        channel.open_stream(PATH, bytes, bytes) as stream,
    ):
        await stream.send_message(b"x" * 1000)
        assert await stream.recv_message() == b"x" * 1000
        await stream.send_message(b"x" * 1001)
        with pytest.raises(GRPCStatusError) as caught:
            await stream.recv_message()
        assert caught.value.code is StatusCode.RESOURCE_EXHAUSTED


async def test_sender_waits_for_the_reader(serve: Serve) -> None:
    """With a reader that does not read, a sender stops within the windows; when it reads, all arrives."""
    sent = 0
    reading = anyio.Event()
    count, octets = 400, 65_536

    async def read_late(stream: BytesStream) -> None:
        await reading.wait()
        received = 0
        async for message in stream:
            received += len(message)
        await stream.send_message(b"%d" % received)

    async with (
        serve(streaming(read_late)) as served,
        served.channel() as channel,
        channel.open_stream(PATH, bytes, bytes) as stream,
        anyio.create_task_group() as tasks,
    ):

        async def upload() -> None:
            nonlocal sent
            for _ in range(count):
                await stream.send_message(b"x" * octets)
                sent += octets
            await stream.end()

        tasks.start_soon(upload)
        before = -1
        while before != sent:  # until it stands still
            before = sent
            await anyio.wait_all_tasks_blocked()
        bound = limits.http2_stream_window_octets + limits.http2_stream_output_octets + 2 * octets
        assert 0 < sent <= bound
        reading.set()
        assert await stream.recv_message() == b"%d" % (count * octets)


async def test_response_sender_waits_for_the_caller(serve: Serve) -> None:
    """A handler that sends without end is held back by a caller that does not read."""
    sent = 0

    async def flood(stream: BytesStream) -> None:
        nonlocal sent
        while True:
            await stream.send_message(b"x" * 65_536)
            sent += 65_536

    async with (
        serve(streaming(flood)) as served,
        served.channel() as channel,
        channel.open_stream(PATH, bytes, bytes) as stream,
    ):
        assert await stream.recv_message()
        before = -1
        while before != sent:
            before = sent
            await anyio.wait_all_tasks_blocked()
        assert sent <= limits.http2_stream_window_octets + limits.http2_stream_output_octets + 4 * 65_536


async def test_unread_uploads_starve_nobody(serve: Serve) -> None:
    """With 200 uploads that nobody reads, a unary call on the same connection still answers."""

    async def never_read(stream: BytesStream) -> None:
        await anyio.sleep_forever()

    async def quick(request: bytes, info: CallInfo) -> bytes:
        return request

    handlers: dict[str, Handler] = {
        PATH: Streaming(never_read, bytes, bytes),
        UNARY: Unary(quick, bytes, bytes),
    }
    async with serve(handlers) as served, served.channel() as channel, anyio.create_task_group() as tasks:

        async def upload() -> None:
            async with channel.open_stream(PATH, bytes, bytes) as stream:
                while True:
                    await stream.send_message(b"x" * 100_000)

        for _ in range(200):
            tasks.start_soon(upload)
        while served.server.running < 200:
            await anyio.lowlevel.checkpoint()
        await anyio.wait_all_tasks_blocked()
        for _ in range(5):
            with anyio.fail_after(5):
                assert await channel.unary(UNARY, b"here", bytes) == b"here"
        tasks.cancel_scope.cancel()


async def test_every_wait_ends_at_the_deadline(serve: Serve) -> None:
    """Waiting for the head, for the status and for room to send ends at the deadline as receiving does."""

    async def deaf(stream: BytesStream) -> None:
        await anyio.sleep_forever()

    async with serve(streaming(deaf)) as served, served.channel() as channel:

        async def flood(stream: ClientStream[bytes, bytes]) -> None:
            while True:
                await stream.send_message(bytes(100_000))

        for wait in (ClientStream.recv_initial, ClientStream.recv_trailing, flood):
            deadline = anyio.current_time() + 0.05
            async with channel.open_stream(PATH, bytes, bytes, deadline=deadline) as stream:
                with anyio.fail_after(5), pytest.raises(GRPCStatusError) as caught:
                    await wait(stream)
                assert caught.value.code is StatusCode.DEADLINE_EXCEEDED


async def test_what_has_come_outlives_the_deadline(serve: Serve) -> None:
    """A response that was complete in time can be taken later: nothing is waited for."""
    async with serve(streaming(echo)) as served, served.channel() as channel:
        deadline = anyio.current_time() + 0.5
        async with channel.open_stream(PATH, bytes, bytes, deadline=deadline) as stream:
            await stream.send_message(b"in time", end=True)
            await stream.recv_trailing()
            await anyio.sleep_until(deadline)
            assert await stream.recv_message() == b"in time"
            assert await stream.recv_message() is None


class _TakingAll(ByteStream):
    """A byte stream to a server that takes all at once and says what it is told to say."""

    def __init__(self) -> None:
        self.server = Connection(Role.SERVER)
        self.say, self._said = anyio.create_memory_object_stream[bytes](1)

    def send_nowait(self, data: bytes) -> int:
        self.server.receive(bytes(data))
        return len(data)

    async def send(self, item: bytes) -> None:
        self.send_nowait(item)

    async def receive(self, max_bytes: int = 65_536) -> bytes:
        return await self._said.receive()

    async def send_eof(self) -> None:
        self.say.close()

    async def aclose(self) -> None:
        self.say.close()
        self._said.close()


async def test_a_sender_goes_on_though_the_peer_falls_silent() -> None:
    """Credit that empties the queue in one write wakes who waits for room: the peer may have no more to say."""
    byte_stream, octets, sent = _TakingAll(), 16_379, 0

    async def connect() -> ByteStream:
        return byte_stream

    await byte_stream.say.send(frame(SETTINGS))
    async with GRPCChannel(connect) as channel, channel.open_stream(PATH, bytes, bytes) as stream:

        async def send() -> None:
            nonlocal sent
            while sent < 30 * octets:  # less than the server's window
                await stream.send_message(bytes(octets))
                sent += octets

        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(send)
                await anyio.wait_all_tasks_blocked()
                assert sent < limits.http2_stream_output_octets + 65_535 + octets
                await byte_stream.say.send(byte_stream.server.take())
