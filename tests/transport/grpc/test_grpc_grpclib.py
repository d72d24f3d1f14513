"""A service written for grpclib on our server, and a grpclib stub on our channel."""

from __future__ import annotations

import anyio
import pytest
from grpclib.client import StreamStreamMethod, StreamUnaryMethod, UnaryStreamMethod, UnaryUnaryMethod
from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError, ProtocolError, StreamTerminatedError
from grpclib.health.check import ServiceStatus
from grpclib.health.service import Health
from grpclib.health.v1.health_grpc import HealthStub
from grpclib.health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpclib.server import Stream

from mm_plugin.transport.grpc.channel import GRPCChannel
from mm_plugin.transport.grpc.grpclib_compat import handlers_of, stub_channel

from .conftest import Serve

Message = HealthCheckRequest
MessageStream = Stream[Message, Message]


def message(text: str) -> Message:
    return Message(service=text)


class EchoService:
    """What grpclib's generator makes of a service with one method of each kind, and a plain implementation."""

    def __init__(self) -> None:
        self.seen: MessageStream | None = None
        self.cancelled = anyio.Event()

    async def Unary(self, stream: MessageStream) -> None:  # noqa: N802 - as generated
        self.seen = stream
        request = await stream.recv_message()
        assert request is not None
        if request.service == "fail":
            raise GRPCError(Status.NOT_FOUND, "there is none ☺")
        if request.service == "crash":
            raise ValueError("crash")
        if request.service == "nothing":
            return
        if request.service == "hang":
            try:
                await anyio.sleep_forever()
            finally:
                self.cancelled.set()
        if request.service == "cancel":
            await stream.cancel()
            return
        if request.service == "metadata":
            assert stream.metadata is not None
            await stream.send_initial_metadata(metadata={"got": stream.metadata["sent"]})
            await stream.send_message(request)
            await stream.send_trailing_metadata(metadata={"end-bin": b"\xff"})
            return
        await stream.send_message(request)

    async def UnaryStream(self, stream: MessageStream) -> None:  # noqa: N802
        request = await stream.recv_message()
        assert request is not None
        for letter in request.service:
            await stream.send_message(message(letter))

    async def StreamUnary(self, stream: MessageStream) -> None:  # noqa: N802
        await stream.send_message(message("".join([request.service async for request in stream])))

    async def StreamStream(self, stream: MessageStream) -> None:  # noqa: N802
        async for request in stream:
            await stream.send_message(request)

    def __mapping__(self) -> dict[str, Handler]:
        return {
            "/t.Echo/Unary": Handler(self.Unary, Cardinality.UNARY_UNARY, Message, Message),
            "/t.Echo/UnaryStream": Handler(self.UnaryStream, Cardinality.UNARY_STREAM, Message, Message),
            "/t.Echo/StreamUnary": Handler(self.StreamUnary, Cardinality.STREAM_UNARY, Message, Message),
            "/t.Echo/StreamStream": Handler(self.StreamStream, Cardinality.STREAM_STREAM, Message, Message),
        }


class EchoStub:
    """What grpclib's generator makes for callers."""

    def __init__(self, channel: GRPCChannel) -> None:
        theirs = stub_channel(channel)
        self.Unary = UnaryUnaryMethod(theirs, "/t.Echo/Unary", Message, Message)
        self.UnaryStream = UnaryStreamMethod(theirs, "/t.Echo/UnaryStream", Message, Message)
        self.StreamUnary = StreamUnaryMethod(theirs, "/t.Echo/StreamUnary", Message, Message)
        self.StreamStream = StreamStreamMethod(theirs, "/t.Echo/StreamStream", Message, Message)


async def test_four_kinds_of_methods(serve: Serve) -> None:
    """The stub's method objects work as with grpclib's channel."""
    async with serve(handlers_of(EchoService())) as served, served.channel() as channel:
        stub = EchoStub(channel)
        assert await stub.Unary(message("a"), timeout=10) == message("a")
        assert await stub.UnaryStream(message("abc")) == [message("a"), message("b"), message("c")]
        assert await stub.StreamUnary([message("a"), message("b")]) == message("ab")
        assert await stub.StreamUnary([]) == message("")
        assert await stub.StreamStream([message("a"), message("b")]) == [message("a"), message("b")]
        assert await stub.StreamStream([]) == []


async def test_open_streams(serve: Serve) -> None:
    """An opened stream sends and receives step by step, and refuses steps out of order."""
    async with serve(handlers_of(EchoService())) as served, served.channel() as channel:
        stub = EchoStub(channel)
        async with stub.StreamStream.open(timeout=10) as stream:
            with pytest.raises(ProtocolError):
                await stream.recv_message()
            await stream.send_request()
            for text in ("a", "b"):
                await stream.send_message(message(text))
                assert await stream.recv_message() == message(text)
            await stream.end()
            with pytest.raises(ProtocolError):
                await stream.end()
            assert [found async for found in stream] == []
        async with stub.Unary.open() as one:
            await one.send_message(message("x"))
            assert await one.recv_message() == message("x")
            with pytest.raises(ProtocolError):
                await one.send_message(message("y"))


async def test_metadata(serve: Serve) -> None:
    """Metadata goes there, and comes back with the head and with the status; the method sees who calls."""
    service = EchoService()
    async with (
        serve(handlers_of(service)) as served,
        served.channel() as channel,
        EchoStub(channel).Unary.open(timeout=10, metadata={"sent": "1"}) as stream,
    ):
        await stream.send_message(message("metadata"), end=True)
        await stream.recv_initial_metadata()
        assert stream.initial_metadata == {"got": "1"}
        assert await stream.recv_message() == message("metadata")
        await stream.recv_trailing_metadata()
        assert stream.trailing_metadata == {"end-bin": b"\xff"}
    assert service.seen is not None
    assert service.seen.deadline is not None
    assert 0 < service.seen.deadline.time_remaining() <= 10
    address = service.seen.peer.addr()
    assert address is not None
    assert address[0] == "127.0.0.1"
    assert service.seen.user_agent


async def test_failures(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """Statuses, crashes, missing responses and deadlines raise what grpclib raises."""
    service = EchoService()
    async with serve(handlers_of(service)) as served, served.channel() as channel:
        stub = EchoStub(channel)
        with pytest.raises(GRPCError) as caught:
            await stub.Unary(message("fail"))
        assert (caught.value.status, caught.value.message) == (Status.NOT_FOUND, "there is none ☺")
        for request in ("crash", "nothing"):
            with pytest.raises(GRPCError) as caught:
                await stub.Unary(message(request))
            assert caught.value.status is Status.INTERNAL
        assert "requires a single message" in caplog.text
        with pytest.raises(GRPCError) as caught:
            await stub.Unary(message("cancel"))
        assert caught.value.status is Status.CANCELLED
        with pytest.raises(TimeoutError):
            await stub.Unary(message("hang"), timeout=0.05)
        with anyio.fail_after(5):
            await service.cancelled.wait()
        assert await stub.Unary(message("a")) == message("a")


async def test_client_cancels(serve: Serve) -> None:
    """``cancel`` of an opened stream cancels the method, and the context ends quietly."""
    service = EchoService()
    async with serve(handlers_of(service)) as served, served.channel() as channel:
        async with EchoStub(channel).Unary.open() as stream:
            await stream.send_message(message("hang"), end=True)
            while service.seen is None:
                await anyio.lowlevel.checkpoint()
            await stream.cancel()
        with anyio.fail_after(5):
            await service.cancelled.wait()


async def test_lost_and_refused(serve: Serve) -> None:
    """A lost connection is StreamTerminatedError, a refused one an OSError."""
    service = EchoService()
    async with serve(handlers_of(service)) as served, served.channel() as channel:
        async with anyio.create_task_group() as tasks:

            async def hang() -> None:
                with pytest.raises(StreamTerminatedError):
                    await EchoStub(channel).Unary(message("hang"))

            tasks.start_soon(hang)
            while service.seen is None:
                await anyio.lowlevel.checkpoint()
            await served.cut_connections()
        await served.server.aclose()
    async with served.channel() as channel:
        with pytest.raises(OSError, match="reached"):
            await EchoStub(channel).Unary(message("a"))


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_health_service_of_grpclib(serve: Serve) -> None:
    """Grpclib's own health service, itself bound to asyncio, runs unchanged with its own generated stub."""
    status = ServiceStatus()
    status.set(True)
    async with serve(handlers_of(Health({EchoService(): [status]}))) as served, served.channel() as channel:
        stub = HealthStub(stub_channel(channel))
        response = await stub.Check(HealthCheckRequest(service="t.Echo"), timeout=10)
        assert response.status == HealthCheckResponse.SERVING
        with pytest.raises(GRPCError) as caught:
            await stub.Check(HealthCheckRequest(service="other"))
        assert caught.value.status is Status.NOT_FOUND
        async with stub.Watch.open() as stream:
            await stream.send_message(HealthCheckRequest(service="t.Echo"), end=True)
            first = await stream.recv_message()
            assert first is not None
            assert first.status == HealthCheckResponse.SERVING
            status.set(False)
            second = await stream.recv_message()
            assert second is not None
            assert second.status == HealthCheckResponse.NOT_SERVING
            await stream.cancel()


async def test_steps_out_of_order(serve: Serve) -> None:
    """Steps that grpclib refuses are refused here, on both sides, and a call never begun ends quietly."""

    async def careless(stream: MessageStream) -> None:
        with pytest.raises(ProtocolError):
            await stream.send_trailing_metadata()
        await stream.send_initial_metadata()
        with pytest.raises(ProtocolError):
            await stream.send_initial_metadata()
        await stream.send_message(message("x"))
        with pytest.raises(ProtocolError):
            await stream.send_message(message("y"))
        await stream.send_trailing_metadata(status=Status.ABORTED, status_message="so")
        for again in (stream.send_trailing_metadata, stream.cancel):
            with pytest.raises(ProtocolError):
                await again()

    service = EchoService()
    service.Unary = careless  # type: ignore[method-assign]
    async with serve(handlers_of(service)) as served, served.channel() as channel:
        stub = EchoStub(channel)
        async with stub.Unary.open():
            pass
        with pytest.raises(GRPCError) as caught:
            await stub.Unary(message("x"))
        assert (caught.value.status, caught.value.message) == (Status.ABORTED, "so")
        async with stub.Unary.open() as one:
            with pytest.raises(ProtocolError):
                await one.send_request(end=True)
            await one.send_request()
            for wrong in (one.send_request, one.end, one.recv_trailing_metadata):
                with pytest.raises(ProtocolError):
                    await wrong()
            await one.cancel()
            with pytest.raises(ProtocolError):
                await one.cancel()
        async with stub.StreamStream.open() as stream:
            await stream.send_request(end=True)
            with pytest.raises(ProtocolError):
                await stream.recv_trailing_metadata()
            with pytest.raises(ProtocolError):
                await stream.send_message(message("late"))
            await stream.recv_initial_metadata()
            with pytest.raises(ProtocolError):
                await stream.recv_initial_metadata()
