"""Our channel calls servers of grpcio, grpc-go and grpc-js."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from anyio.abc import ByteStream

from mm_plugin.exceptions import StatusCode
from mm_plugin.transport.grpc.addresses import connector_to
from mm_plugin.transport.grpc.channel import GRPCChannel
from mm_plugin.transport.grpc.errors import GRPCStatusError
from mm_plugin.transport.link import FailureKind

from .conftest import SPECIAL_TEXT, other_server, their_server

pytestmark = pytest.mark.timeout(300)  # with the first build of a peer


@pytest.fixture(params=["grpcio", "grpc-go", "grpc-js"])
def peer(request: pytest.FixtureRequest) -> str:
    """Whose server it is."""
    name: str = request.param
    return name


@pytest.mark.parametrize(
    ("peer", "carrier"), [("grpcio", "tcp"), ("grpcio", "unix"), ("grpc-go", "tcp"), ("grpc-js", "tcp")]
)
async def test_unary(tmp_path: Path, peer: str, carrier: str) -> None:
    """Small and large messages over each kind of socket."""
    async with their_server(tmp_path, carrier, peer) as channel:
        for octets in (0, 1, 70_000, 10_000_000):
            assert await channel.unary("/t.Test/Echo", bytes(octets), bytes) == bytes(octets)


async def test_streams(tmp_path: Path, peer: str) -> None:
    """Client streaming, server streaming, ping-pong."""
    async with their_server(tmp_path, "tcp", peer) as channel:
        async with channel.open_stream("/t.Test/Total", bytes, bytes) as stream:
            for size in (27_182, 8, 1_828, 45_904):
                await stream.send_message(bytes(size))
            await stream.end()
            assert [reply async for reply in stream] == [b"74922"]
        async with channel.open_stream("/t.Test/Spell", bytes, bytes) as stream:
            await stream.send_message(b"31415,9,2653,58979", end=True)
            assert [len(reply) async for reply in stream] == [31_415, 9, 2_653, 58_979]
        async with channel.open_stream("/t.Test/PingPong", bytes, bytes) as stream:
            for size in (27_182, 8, 1_828, 45_904):
                await stream.send_message(bytes(size))
                assert await stream.recv_message() == bytes(size)
            await stream.end()
            assert await stream.recv_message() is None


async def test_streams_of_megabytes(tmp_path: Path, peer: str) -> None:
    """30 MB go through a stream both ways, with the sender held back by the receiver."""
    async with (
        their_server(tmp_path, "tcp", peer) as channel,
        anyio.create_task_group() as tasks,
        channel.open_stream("/t.Test/PingPong", bytes, bytes) as stream,
    ):

        async def upload() -> None:
            for _ in range(480):
                await stream.send_message(bytes(65_536))
            await stream.end()

        tasks.start_soon(upload)
        octets = 0
        async for reply in stream:
            octets += len(reply)
        assert octets == 480 * 65_536


async def test_metadata(tmp_path: Path, peer: str) -> None:
    """Metadata comes back with the head and with the status."""
    async with their_server(tmp_path, "tcp", peer) as channel:
        sent = (("initial", "value"), ("trailing-bin", b"\xab\xab"))
        async with channel.open_stream("/t.Test/Metadata", bytes, bytes, metadata=sent) as stream:
            assert dict(await stream.recv_initial())["initial"] == "value"
            await stream.send_message(b"x", end=True)
            assert await stream.recv_message() == b"x"
            assert await stream.recv_message() is None
            assert dict(stream.trailing_metadata)["trailing-bin"] == b"\xab\xab"


@pytest.mark.parametrize("text", ["test status message", SPECIAL_TEXT])
async def test_status(tmp_path: Path, peer: str, text: str) -> None:
    """Code, text and metadata of a failure arrive unchanged."""
    async with their_server(tmp_path, "tcp", peer) as channel:
        with pytest.raises(GRPCStatusError) as caught:
            await channel.unary("/t.Test/Status", text.encode(), bytes)
        assert (caught.value.code, caught.value.text) == (StatusCode.UNKNOWN, text)
        assert dict(caught.value.metadata)["why-bin"] == b"\0\1"
        with pytest.raises(GRPCStatusError) as caught:
            await channel.unary("/t.Test/Nothing", b"", bytes)
        assert caught.value.code is StatusCode.UNIMPLEMENTED


async def test_compression(tmp_path: Path, peer: str) -> None:
    """Requests may be compressed, one by one on a stream; compressed responses are taken."""
    async with their_server(tmp_path, "tcp", peer) as channel:
        assert await channel.unary("/t.Test/Echo", bytes(100_000), bytes, compress=True) == bytes(100_000)
        assert await channel.unary("/t.Test/Packed", bytes(100_000), bytes) == bytes(100_000)
        async with channel.open_stream("/t.Test/Total", bytes, bytes, compress=True) as stream:
            await stream.send_message(bytes(27_182))
            stream.compress = False
            await stream.send_message(bytes(45_904), end=True)
            assert await stream.recv_message() == b"73086"


async def test_deadline_and_cancel(tmp_path: Path, peer: str) -> None:
    """A deadline ends a call, a cancelled scope too, and the channel goes on."""
    async with their_server(tmp_path, "tcp", peer) as channel:
        with pytest.raises(GRPCStatusError) as caught:
            await channel.unary("/t.Test/Hang", b"", bytes, deadline=anyio.current_time() + 0.1)
        assert caught.value.kind is FailureKind.DEADLINE
        with anyio.move_on_after(0.1) as scope:
            await channel.unary("/t.Test/Hang", b"", bytes)
        assert scope.cancelled_caught
        assert await channel.unary("/t.Test/Echo", b"x", bytes) == b"x"


async def test_many_calls_at_once(tmp_path: Path, peer: str) -> None:
    """Five hundred calls at a time from as many tasks; those beyond the peer's limit wait their turn."""
    async with their_server(tmp_path, "tcp", peer) as channel:
        good = 0

        async def call(number: int) -> None:
            nonlocal good
            reply = await channel.unary("/t.Test/Echo", b"%d" % number, bytes)
            good += reply == b"%d" % number

        async with anyio.create_task_group() as tasks:
            for number in range(500):
                tasks.start_soon(call, number)
        assert good == 500


@pytest.mark.parametrize(("peer", "age"), [("grpc-go", "200ms"), ("grpc-js", "200")])
async def test_servers_that_say_goodbye_to_each_connection(peer: str, age: str) -> None:
    """Connections end by GOAWAY every 200 ms while calls go out all the time, and not one of those fails."""
    answered = 0

    async def call_on(channel: GRPCChannel, end: float) -> None:
        nonlocal answered
        while anyio.current_time() < end:
            assert await channel.unary("/t.Test/Echo", b"x" * 1_000, bytes) == b"x" * 1_000
            answered += 1

    async with other_server(peer, age) as target:
        connect, connections = connector_to(target), 0

        async def counted() -> ByteStream:
            nonlocal connections
            connections += 1
            return await connect()

        async with GRPCChannel(counted) as channel, anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(call_on, channel, anyio.current_time() + 2)
    assert answered > 100
    assert connections > 3


async def test_keepalive_policy_of_grpc_go() -> None:
    """A server that punishes more than two pings in five minutes, as grpc-go does by default, has nothing to punish."""
    async with other_server("grpc-go") as target, GRPCChannel(connector_to(target)) as channel:
        assert await channel.unary("/t.Test/Echo", b"x", bytes) == b"x"
        connection = channel._connection
        for _ in range(200):  # each message has us give credit, which takes no ping
            assert await channel.unary("/t.Test/Echo", bytes(70_000), bytes) == bytes(70_000)
        assert channel.connected
        assert channel._connection is connection
