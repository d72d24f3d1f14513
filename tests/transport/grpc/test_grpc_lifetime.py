"""Connections that come, get lost, drain and close."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import pytest
from anyio.abc import ByteStream

from mm_plugin import limits
from mm_plugin.exceptions import ConfigurationError, StatusCode
from mm_plugin.transport.grpc.addresses import connector_to, parse_target
from mm_plugin.transport.grpc.channel import GRPCChannel
from mm_plugin.transport.grpc.errors import GRPCStatusError
from mm_plugin.transport.grpc.handlers import CallInfo, Handler, Streaming, Unary
from mm_plugin.transport.grpc.server import GRPCServer
from mm_plugin.transport.grpc.sockets import SocketListener
from mm_plugin.transport.grpc.streams import ServerStream
from mm_plugin.transport.link import FailureKind

from .conftest import Serve, serving, unix_socket

ECHO, HANG, BACKGROUND, WATCH = "/t.T/Echo", "/t.T/Hang", "/t.T/Background", "/t.T/Watch"


class Service:
    """Answers at once, or only when told to."""

    def __init__(self) -> None:
        self.started = anyio.Event()
        self.go = anyio.Event()
        self.cancelled = anyio.Event()
        self.handlers: dict[str, Handler] = {
            ECHO: Unary(self.echo, bytes, bytes),
            HANG: Unary(self.hang, bytes, bytes),
            BACKGROUND: Unary(self.echo, bytes, bytes, background=True),
            WATCH: Streaming(self.watch, bytes, bytes, background=True),
        }

    async def echo(self, request: bytes, info: CallInfo) -> bytes:
        return request

    async def hang(self, request: bytes, info: CallInfo) -> bytes:
        self.started.set()
        try:
            await self.go.wait()
        except anyio.get_cancelled_exc_class():
            self.cancelled.set()
            raise
        return request

    async def watch(self, stream: ServerStream[bytes, bytes]) -> None:
        await stream.send_message(b"first")
        await anyio.sleep_forever()


def counted(
    connect: Callable[[], Awaitable[ByteStream]], made: list[ByteStream]
) -> Callable[[], Awaitable[ByteStream]]:
    async def open_one() -> ByteStream:
        made.append(await connect())
        return made[-1]

    return open_one


async def test_first_connection_is_refused() -> None:
    """A server that never was there fails each call at once, as certainly not processed."""

    async def refuse() -> ByteStream:
        raise ConnectionRefusedError("nobody listens")

    async with GRPCChannel(refuse) as channel:
        for _ in range(2):
            with anyio.fail_after(5), pytest.raises(GRPCStatusError) as caught:
                await channel.unary(ECHO, b"", bytes, deadline=anyio.current_time() + 60)
            assert caught.value.code is StatusCode.UNAVAILABLE
            assert caught.value.kind is FailureKind.UNREACHABLE
            assert caught.value.not_processed
            assert "nobody listens" in caught.value.text
        with pytest.raises(GRPCStatusError) as caught:
            async with channel.open_stream(ECHO, bytes, bytes):
                pass
        assert caught.value.kind is FailureKind.UNREACHABLE


async def test_one_lazy_connection(serve: Serve) -> None:
    """Nothing is opened before the first call, and all calls share one connection."""
    made: list[ByteStream] = []
    async with serve(Service().handlers) as served, GRPCChannel(counted(served.connect, made)) as channel:
        assert not made
        assert not channel.connected
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(channel.unary, ECHO, b"x", bytes)
        assert len(made) == 1
        assert channel.connected


async def test_lost_connection(serve_everywhere: Serve) -> None:
    """Calls under way when the connection breaks end as lost, their handlers are cancelled, the next call connects."""
    service = Service()
    async with serve_everywhere(service.handlers) as served, served.channel() as channel:
        failures: list[GRPCStatusError] = []

        async def call() -> None:
            with pytest.raises(GRPCStatusError) as caught:
                await channel.unary(HANG, b"", bytes)
            failures.append(caught.value)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call)
            await service.started.wait()
            await served.cut_connections()
        assert failures[0].code is StatusCode.UNAVAILABLE
        assert failures[0].kind is FailureKind.LOST
        assert not failures[0].not_processed
        with anyio.fail_after(5):
            await service.cancelled.wait()
            assert await channel.unary(ECHO, b"x", bytes) == b"x"


async def test_lost_server_is_waited_for(tmp_path: Path) -> None:
    """After a connection there once was, calls wait for the server to come back, within their deadline."""
    made: list[ByteStream] = []
    channel = GRPCChannel(counted(connector_to(f"unix:{tmp_path / 's'}"), made))
    async with channel:
        async with serving(Service().handlers, "unix", tmp_path):
            assert await channel.unary(ECHO, b"x", bytes) == b"x"
        (tmp_path / "s").unlink(missing_ok=True)
        while channel.connected:
            await anyio.lowlevel.checkpoint()
        with pytest.raises(GRPCStatusError) as caught:
            await channel.unary(ECHO, b"x", bytes, deadline=anyio.current_time() + 0.2)
        assert caught.value.code is StatusCode.UNAVAILABLE
        assert caught.value.kind is FailureKind.UNREACHABLE
        answers: list[bytes] = []
        answered = anyio.Event()

        async def call() -> None:
            answers.append(await channel.unary(ECHO, b"y", bytes, deadline=anyio.current_time() + 20))
            answered.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call)
            await anyio.wait_all_tasks_blocked()
            async with serving(Service().handlers, "unix", tmp_path):
                with anyio.fail_after(10):
                    await answered.wait()
        assert answers == [b"y"]
    assert len(made) == 2


async def test_closed_channel(serve: Serve) -> None:
    """A channel that closes fails the calls that wait on it; a closed one takes none."""
    service = Service()
    async with serve(service.handlers) as served:
        failures: list[GRPCStatusError] = []
        async with anyio.create_task_group() as tasks, served.channel() as channel:

            async def call() -> None:
                with pytest.raises(GRPCStatusError) as caught:
                    await channel.unary(HANG, b"", bytes)
                failures.append(caught.value)

            tasks.start_soon(call)
            await service.started.wait()
        assert failures[0].code is StatusCode.UNAVAILABLE
        with pytest.raises(GRPCStatusError) as caught:
            await channel.unary(ECHO, b"", bytes)
        assert caught.value.not_processed


async def test_exceptions_leave_the_channel_unwrapped(serve: Serve) -> None:
    """What is raised inside the channel's context comes out as it is, without a group around it."""
    async with serve(Service().handlers) as served:
        with pytest.raises(ZeroDivisionError):
            async with served.channel():
                raise ZeroDivisionError


async def test_drain_waits_for_running_calls(serve_everywhere: Serve) -> None:
    """A drain lets the running call finish, refuses new ones, and leaves the background alone."""
    service = Service()
    async with serve_everywhere(service.handlers) as served, served.channel() as channel:
        answers: list[bytes] = []
        drained: list[int] = []

        async def call() -> None:
            answers.append(await channel.unary(HANG, b"late", bytes))

        async def drain() -> None:
            drained.append(await served.server.drain(grace_s=20))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call)
            await service.started.wait()
            tasks.start_soon(drain)
            while channel.connected:  # until the GOAWAY is there
                await anyio.lowlevel.checkpoint()
            with pytest.raises(GRPCStatusError) as caught:
                await channel.unary(ECHO, b"x", bytes)
            assert caught.value.code is StatusCode.UNAVAILABLE
            assert await channel.unary(BACKGROUND, b"x", bytes) == b"x"
            assert not drained
            service.go.set()
        assert drained == [0]
        assert answers == [b"late"]


async def test_drain_gives_up_after_its_grace(serve: Serve) -> None:
    """A drain counts what still runs when its time is over; closing then cuts it with UNAVAILABLE."""
    service = Service()
    async with serve(service.handlers) as served, served.channel() as channel:

        async def call() -> None:
            with pytest.raises(GRPCStatusError) as caught:
                await channel.unary(HANG, b"", bytes)
            assert caught.value.code is StatusCode.UNAVAILABLE

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call)
            await service.started.wait()
            assert await served.server.drain(grace_s=0.05) == 1
            with anyio.fail_after(5):
                await served.server.aclose()
        assert service.cancelled.is_set()


async def test_background_calls_hold_no_drain_up(serve: Serve) -> None:
    """A watch that never ends by its nature is not waited for."""
    service = Service()
    async with (
        serve(service.handlers) as served,
        served.channel() as channel,
        channel.open_stream(WATCH, bytes, bytes) as stream,
    ):
        assert await stream.recv_message() == b"first"
        with anyio.fail_after(5):
            assert await served.server.drain(grace_s=60) == 0


async def test_idle_close_is_quick(serve_everywhere: Serve) -> None:
    """An idle server with a connected client closes at once; its client hears of it."""
    async with serve_everywhere(Service().handlers) as served, served.channel() as channel:
        assert await channel.unary(ECHO, b"x", bytes) == b"x"
        begin = anyio.current_time()
        await served.server.aclose()
        assert anyio.current_time() - begin < 0.4
        with anyio.fail_after(5):
            while channel.connected:
                await anyio.lowlevel.checkpoint()


async def test_cancelled_server_closes_connections(tmp_path: Path) -> None:
    """Cancelling ``serve`` cancels handlers and tells clients."""
    service = Service()
    server = GRPCServer(service.handlers)
    listener = SocketListener(unix_socket(tmp_path / "s"))
    async with anyio.create_task_group() as tasks, GRPCChannel(connector_to(f"unix:{tmp_path / 's'}")) as channel:
        await tasks.start(server.serve, listener)

        async def call() -> None:
            with pytest.raises(GRPCStatusError) as caught:
                await channel.unary(HANG, b"", bytes)
            assert caught.value.code is StatusCode.UNAVAILABLE

        async with anyio.create_task_group() as calls:
            calls.start_soon(call)
            await service.started.wait()
            tasks.cancel_scope.cancel()
            with anyio.CancelScope(shield=True), anyio.fail_after(5):
                await service.cancelled.wait()


async def test_cancelled_callers_leave_the_connecting_to_others() -> None:
    """A caller that is cancelled while the connection is being opened takes nobody else with it."""
    connecting, go = anyio.Event(), anyio.Event()

    async def slow() -> ByteStream:
        connecting.set()
        await go.wait()
        raise ConnectionRefusedError("after all")

    async with GRPCChannel(slow) as channel, anyio.create_task_group() as tasks:
        first = anyio.CancelScope()

        async def impatient() -> None:
            with first:
                await channel.unary(ECHO, b"", bytes)

        async def patient() -> None:
            with pytest.raises(GRPCStatusError, match="after all"):
                await channel.unary(ECHO, b"", bytes)

        tasks.start_soon(impatient)
        await connecting.wait()
        tasks.start_soon(patient)
        await anyio.wait_all_tasks_blocked()
        first.cancel()
        go.set()


@pytest.mark.parametrize(
    ("target", "place"),
    [
        ("127.0.0.1:80", ("127.0.0.1", 80)),
        ("[::1]:80", ("::1", 80)),
        ("unix:/a/b", "/a/b"),
        ("unix:///a/b", "/a/b"),
    ],
)
def test_targets(target: str, place: object) -> None:
    """Host and port, or the path of a unix socket."""
    assert parse_target(target) == place


@pytest.mark.parametrize("target", ["", "host", ":80", "host:", "host:x", "host:0", "host:70000", "unix:", "unix:a"])
def test_wrong_targets(target: str) -> None:
    """Anything else is refused with the forms that work."""
    with pytest.raises(ConfigurationError, match="host:port"):
        parse_target(target)


async def test_a_connection_that_is_never_opened_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller without a deadline does not wait for ever for a system that neither connects nor refuses."""
    monkeypatch.setattr(limits, "connect_s", 0.05)

    async def connect() -> ByteStream:
        await anyio.sleep_forever()
        raise AssertionError

    async with GRPCChannel(connect) as channel:
        with (
            anyio.fail_after(5),
            pytest.raises(GRPCStatusError, match=r"did not take the connection within 0\.05 s") as info,
        ):
            await channel.unary(ECHO, b"", bytes)
    assert (info.value.code, info.value.kind) == (StatusCode.UNAVAILABLE, FailureKind.UNREACHABLE)
