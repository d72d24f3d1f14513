"""Streaming calls from our channel to our server."""

from __future__ import annotations

import anyio
import pytest
from grpclib.const import Status
from grpclib.exceptions import GRPCError
from grpclib.health.v1.health_pb2 import HealthCheckRequest

from mm_plugin.exceptions import LocalProtocolError, StatusCode
from mm_plugin.transport.grpc.errors import GRPCStatusError
from mm_plugin.transport.grpc.handlers import Handler, Streaming
from mm_plugin.transport.grpc.streams import ServerStream
from mm_plugin.transport.link import FailureKind

from .conftest import PATH, BytesStream, Serve, echo, streaming


async def test_ping_pong(serve_everywhere: Serve) -> None:
    """Each message is answered before the next one is sent."""
    async with (
        serve_everywhere(streaming(echo)) as served,
        served.channel() as channel,
        channel.open_stream(PATH, bytes, bytes) as stream,
    ):
        for octets in (31_415, 9, 0, 2_653, 300_000):
            await stream.send_message(b"x" * octets)
            assert await stream.recv_message() == b"x" * octets
        await stream.end()
        await stream.end()
        assert await stream.recv_message() is None
        assert await stream.recv_message() is None


async def test_client_streaming(serve: Serve) -> None:
    """A handler may take a stream and give one response."""

    async def total(stream: BytesStream) -> None:
        octets = 0
        async for message in stream:
            octets += len(message)
        await stream.send_message(b"%d" % octets)

    async with (
        serve(streaming(total)) as served,
        served.channel() as channel,
        channel.open_stream(PATH, bytes, bytes) as stream,
    ):
        for octets in (27_182, 8, 1_828):
            await stream.send_message(b"x" * octets)
        await stream.send_message(b"x" * 45_904, end=True)
        assert [message async for message in stream] == [b"74922"]


async def test_server_streaming(serve: Serve) -> None:
    """A handler may take one request and give a stream."""

    async def spell(stream: BytesStream) -> None:
        request = await stream.recv_message()
        assert request is not None
        for number in range(int(request)):
            await stream.send_message(b"%d" % number)

    async with (
        serve(streaming(spell)) as served,
        served.channel() as channel,
        channel.open_stream(PATH, bytes, bytes) as stream,
    ):
        await stream.send_message(b"1000", end=True)
        assert [message async for message in stream] == [b"%d" % number for number in range(1000)]


async def test_empty_stream(serve: Serve) -> None:
    """No message either way is a good call."""
    async with (
        serve(streaming(echo)) as served,
        served.channel() as channel,
        channel.open_stream(PATH, bytes, bytes) as stream,
    ):
        await stream.end()
        assert await stream.recv_initial() == ()
        assert await stream.recv_message() is None


async def test_metadata_of_both_ends(serve: Serve) -> None:
    """Metadata goes with the request, with the response's head and with its status."""

    async def answer(stream: BytesStream) -> None:
        await stream.send_initial(stream.info.metadata)
        stream.set_trailing((("end-bin", b"\xff"),))
        with pytest.raises(LocalProtocolError):
            await stream.send_initial()

    async with (
        serve(streaming(answer)) as served,
        served.channel() as channel,
        channel.open_stream(PATH, bytes, bytes, metadata=(("a", "1"), ("a", "2"))) as stream,
    ):
        assert await stream.recv_initial() == (("a", "1"), ("a", "2"))
        assert await stream.recv_message() is None
        assert stream.trailing_metadata == (("end-bin", b"\xff"),)
        assert await stream.recv_initial() == (("a", "1"), ("a", "2"))


async def test_status_after_messages(serve: Serve) -> None:
    """A status raised after some messages comes to the caller behind them."""

    async def break_off(stream: BytesStream) -> None:
        await stream.send_message(b"one")
        await stream.send_message(b"two")
        raise GRPCStatusError(StatusCode.DATA_LOSS, "the rest is gone")

    async with (
        serve(streaming(break_off)) as served,
        served.channel() as channel,
        channel.open_stream(PATH, bytes, bytes) as stream,
    ):
        assert await stream.recv_message() == b"one"
        assert await stream.recv_message() == b"two"
        for _ in range(2):
            with pytest.raises(GRPCStatusError) as caught:
                await stream.recv_message()
            assert (caught.value.code, caught.value.text) == (StatusCode.DATA_LOSS, "the rest is gone")
        with pytest.raises(GRPCStatusError):
            await stream.send_message(b"late")


async def test_leaving_the_context_cancels(serve_everywhere: Serve) -> None:
    """A stream that is left before its end cancels the handler."""
    cancelled = anyio.Event()

    async def hang(stream: BytesStream) -> None:
        await stream.send_message(b"here")
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()

    async with serve_everywhere(streaming(hang)) as served, served.channel() as channel:
        async with channel.open_stream(PATH, bytes, bytes) as stream:
            assert await stream.recv_message() == b"here"
        with anyio.fail_after(5):
            await cancelled.wait()


async def test_a_handler_that_waits_for_a_message_is_cancelled(serve: Serve) -> None:
    """The caller's reset is a cancellation to a handler that waits in ``recv_message``, no error."""
    begun, over = anyio.Event(), anyio.Event()
    seen: list[BaseException] = []

    async def wait(stream: BytesStream) -> None:
        begun.set()
        try:
            await stream.recv_message()
        except BaseException as error:
            seen.append(error)
            raise
        finally:
            over.set()

    async with serve(streaming(wait)) as served, served.channel() as channel:
        async with channel.open_stream(PATH, bytes, bytes):
            await begun.wait()
        with anyio.fail_after(5):
            await over.wait()
        assert [type(error) for error in seen] == [anyio.get_cancelled_exc_class()]
        seen.clear()


async def test_handler_cancels(serve: Serve) -> None:
    """A handler that abandons its call lets the caller see CANCELLED."""

    async def leave(stream: BytesStream) -> None:
        stream.cancel()

    async with (
        serve(streaming(leave)) as served,
        served.channel() as channel,
        channel.open_stream(PATH, bytes, bytes) as stream,
    ):
        with pytest.raises(GRPCStatusError) as caught:
            await stream.recv_message()
        assert caught.value.code is StatusCode.CANCELLED


async def test_send_after_the_end(serve: Serve) -> None:
    """A request after the end is refused here, before it is sent."""
    async with (
        serve(streaming(echo)) as served,
        served.channel() as channel,
        channel.open_stream(PATH, bytes, bytes) as stream,
    ):
        await stream.send_message(b"x", end=True)
        with pytest.raises(LocalProtocolError):
            await stream.send_message(b"y")
        assert await stream.recv_message() == b"x"


async def test_cancelled_here(serve: Serve) -> None:
    """After ``cancel`` waits end with CANCELLED."""

    async def hang(stream: BytesStream) -> None:
        await anyio.sleep_forever()

    async with (
        serve(streaming(hang)) as served,
        served.channel() as channel,
        channel.open_stream(PATH, bytes, bytes) as stream,
    ):
        stream.cancel()
        with pytest.raises(GRPCStatusError) as caught:
            await stream.recv_message()
        assert caught.value.code is StatusCode.CANCELLED
        assert caught.value.kind is FailureKind.STATUS


async def test_wait_for_the_status(serve: Serve) -> None:
    """The status can be waited for by itself: it gives the trailing metadata, or raises."""

    async def answer(stream: BytesStream) -> None:
        if await stream.recv_message() == b"fail":
            raise GRPCError(Status.ABORTED, "as asked")
        stream.set_trailing((("a", "b"),))

    async with serve(streaming(answer)) as served, served.channel() as channel:
        async with channel.open_stream(PATH, bytes, bytes) as stream:
            await stream.send_message(b"", end=True)
            assert await stream.recv_trailing() == (("a", "b"),)
        async with channel.open_stream(PATH, bytes, bytes) as stream:
            await stream.send_message(b"fail", end=True)
            with pytest.raises(GRPCStatusError) as caught:
                await stream.recv_trailing()
            assert (caught.value.code, caught.value.text) == (StatusCode.ABORTED, "as asked")


async def test_undecodable_messages_of_a_stream(serve: Serve) -> None:
    """A message that is none of the method's class is INTERNAL at whichever end finds it."""

    async def take(stream: ServerStream[HealthCheckRequest, bytes]) -> None:
        await stream.send_message(b"\xff")
        await stream.recv_message()

    handlers: dict[str, Handler] = {PATH: Streaming(take, HealthCheckRequest, bytes)}
    async with (
        serve(handlers) as served,
        served.channel() as channel,
        channel.open_stream(PATH, bytes, HealthCheckRequest) as stream,
    ):
        with pytest.raises(GRPCStatusError, match="decoded"):
            await stream.recv_message()
        await stream.send_message(b"\xff", end=True)
        with pytest.raises(GRPCStatusError) as caught:
            await stream.recv_trailing()
        assert caught.value.code is StatusCode.INTERNAL


async def test_metadata_that_cannot_be_sent(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """A handler's wrong metadata is logged and cancels the call; a caller's is refused before anything is sent."""

    async def wrong(stream: BytesStream) -> None:
        raise GRPCStatusError(StatusCode.ABORTED, "x", metadata=(("Wrong Name", "x"),))

    async with serve(streaming(wrong)) as served, served.channel() as channel:
        async with channel.open_stream(PATH, bytes, bytes) as stream:
            with pytest.raises(GRPCStatusError) as caught:
                await stream.recv_message()
            assert caught.value.code is StatusCode.CANCELLED
        assert "Wrong Name" in caplog.text
        with pytest.raises(LocalProtocolError):
            async with channel.open_stream(PATH, bytes, bytes, metadata=(("grpc-x", "y"),)):
                pass
