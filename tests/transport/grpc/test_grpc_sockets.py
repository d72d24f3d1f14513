"""Our socket streams do what AnyIO's do, and their writes can be tried without waiting."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import anyio
import pytest
from anyio.abc import SocketAttribute

from mm_plugin import limits
from mm_plugin.transport.grpc.sockets import SocketListener, SocketStream, connect_tcp, connect_unix


def pair() -> tuple[SocketStream, SocketStream]:
    ours, theirs = socket.socketpair()
    return SocketStream(ours), SocketStream(theirs)


async def test_octets_arrive_in_order() -> None:
    """What is sent in pieces is received whole, also when the buffers overflow; then comes the end."""
    ours, theirs = pair()
    sent = os.urandom(3_000_000)
    received = bytearray()

    async def send() -> None:
        await ours.send(sent[:10])
        await ours.send(b"")
        await ours.send(sent[10:])
        await ours.send_eof()

    async with ours, theirs, anyio.create_task_group() as tasks:
        tasks.start_soon(send)
        with pytest.raises(anyio.EndOfStream):  # noqa: PT012 - the end is what the loop waits for
            while True:
                received += await theirs.receive(100_000)
    assert bytes(received) == sent


async def test_send_nowait_takes_what_fits() -> None:
    """A full socket takes nothing, and says so instead of waiting."""
    ours, theirs = pair()
    async with ours, theirs:
        total = 0
        while sent := ours.send_nowait(bytes(65_536)):
            total += sent
        assert total > 0
        assert ours.send_nowait(b"x") == 0
        received = 0
        while received < total:
            received += len(await theirs.receive())
        assert ours.send_nowait(b"x") == 1


async def test_receive_is_cancelled_without_loss() -> None:
    """A cancelled receive takes nothing with it."""
    ours, theirs = pair()
    async with ours, theirs:
        with anyio.move_on_after(0.01) as scope:
            await ours.receive()
        assert scope.cancelled_caught
        await theirs.send(b"here")
        assert await ours.receive() == b"here"


async def test_peer_that_has_gone() -> None:
    """Sending to a closed peer is BrokenResourceError."""
    ours, theirs = pair()
    await theirs.aclose()
    async with ours:
        with pytest.raises(anyio.BrokenResourceError):
            await ours.send(b"x")
        with pytest.raises(anyio.EndOfStream):
            await ours.receive()


async def test_closing_wakes_the_reader() -> None:
    """Who waits on a stream that is closed here gets ClosedResourceError, and so does who comes later."""
    ours, theirs = pair()
    async with theirs, anyio.create_task_group() as tasks:

        async def read() -> None:
            with pytest.raises(anyio.ClosedResourceError):
                await ours.receive()

        tasks.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        await ours.aclose()
        await ours.aclose()
        for use in (ours.receive, ours.send_eof):
            with pytest.raises(anyio.ClosedResourceError):
                await use()
        with pytest.raises(anyio.ClosedResourceError):
            ours.send_nowait(b"x")


@pytest.mark.parametrize("kind", ["tcp", "unix"])
async def test_listener_and_connect(tmp_path: Path, kind: str) -> None:
    """A listener hands over connections with their addresses until it is cancelled."""
    port = 0
    if kind == "tcp":
        listener = SocketListener(socket.create_server(("127.0.0.1", 0)))
        port = listener.extra(SocketAttribute.local_port)
    else:
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(tmp_path / "s"))
        listening.listen()
        listener = SocketListener(listening)
        with pytest.raises(anyio.TypedAttributeLookupError):
            listener.extra(SocketAttribute.local_port)

    async def greet(stream: SocketStream) -> None:
        async with stream:
            await stream.send(await stream.receive())

    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, greet)
        for _ in range(3):
            async with await (
                connect_tcp("127.0.0.1", port) if kind == "tcp" else connect_unix(str(tmp_path / "s"))
            ) as it:
                await it.send(b"hello")
                assert await it.receive() == b"hello"
                assert it.extra(SocketAttribute.family) in {socket.AF_INET, socket.AF_UNIX}
                if kind == "tcp":
                    assert it.extra(SocketAttribute.remote_address) == ("127.0.0.1", port)
        tasks.cancel_scope.cancel()


async def test_nobody_listens(tmp_path: Path) -> None:
    """Connecting to nobody is an OSError that names the place."""
    closed = socket.create_server(("127.0.0.1", 0))
    port = closed.getsockname()[1]
    closed.close()
    with pytest.raises(OSError, match=str(port)):
        await connect_tcp("127.0.0.1", port)
    with pytest.raises(OSError, match="nothing-here"):
        await connect_unix(str(tmp_path / "nothing-here"))


async def test_listener_survives_exhaustion(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A process without descriptors pauses, says so, and takes the connection when there is one again."""
    monkeypatch.setattr(limits, "accept_pause_s", 0.0)

    class Exhausted(socket.socket):
        failures = [errno.EMFILE, errno.ECONNABORTED, errno.ENFILE]  # noqa: RUF012 - consumed by the one test

        def accept(self) -> tuple[socket.socket, object]:
            if self.failures:
                raise OSError(self.failures.pop(0), "made up")
            return super().accept()

    listening = Exhausted(socket.AF_INET)
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    got = anyio.Event()

    async def take(stream: SocketStream) -> None:
        await stream.aclose()
        got.set()

    async with SocketListener(listening) as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, take)
        async with await connect_tcp(*listening.getsockname()):
            with anyio.fail_after(5):
                await got.wait()
        tasks.cancel_scope.cancel()
    assert caplog.text.count("cannot take a connection") == 2


async def test_closed_listener_ends() -> None:
    """A listener that is closed while it serves ends with ClosedResourceError."""
    listener = SocketListener(socket.create_server(("127.0.0.1", 0)))

    async def serve() -> None:
        async with anyio.create_task_group() as connections:
            with pytest.raises(anyio.ClosedResourceError):
                await listener.serve(SocketStream.aclose, connections)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        await anyio.wait_all_tasks_blocked()
        await listener.aclose()
        await listener.aclose()
