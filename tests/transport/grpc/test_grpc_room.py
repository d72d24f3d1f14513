"""Calls that wait for room on a connection: in order, each woken once, and none left behind by one that gives up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import anyio.lowlevel
import pytest

from mm_plugin.transport.grpc.channel import GRPCChannel
from mm_plugin.transport.grpc.client_connection import ClientConnection
from mm_plugin.transport.grpc.errors import GRPCStatusError
from mm_plugin.transport.link import FailureKind
from tests.wire.http2.raw_frames import GOAWAY, HEADERS, RST_STREAM, settings

from .fake_servers import FakeServer, channel_to, serve_well, unary

Act = Callable[[GRPCChannel, list[anyio.CancelScope]], Awaitable[None]]


def serve(streams: int) -> Callable[[FakeServer], Awaitable[None]]:
    async def script(server: FakeServer) -> None:
        await server.send(settings(streams=streams))
        await serve_well(server)

    return script


async def test_each_is_woken_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many that wait as many are woken as there is room for: their work grows with them, not with their square."""
    waits = 0
    wait_room = ClientConnection.wait_room

    async def counted(self: ClientConnection) -> None:
        nonlocal waits
        waits += 1
        await wait_room(self)

    monkeypatch.setattr(ClientConnection, "wait_room", counted)
    async with channel_to(serve(2)) as (channel, _):
        await unary(channel)
        await unary(channel)  # its SETTINGS are known now
        async with anyio.create_task_group() as tasks:
            for _ in range(200):
                tasks.start_soon(unary, channel)
    assert waits <= 200


async def test_newcomers_take_nobodys_turn() -> None:
    """Who has waited for room comes before those who call while it is being given."""
    ended: list[str] = []

    async def call(channel: GRPCChannel, name: str, then: str = "") -> None:
        await unary(channel)
        ended.append(name)
        if then:
            await call(channel, then)

    all_wait = anyio.Event()

    async def script(server: FakeServer) -> None:
        await server.send(settings(streams=1))
        for _ in range(2):
            await server.answer(await server.request())
        stream_id = await server.request()
        await all_wait.wait()
        await server.answer(stream_id)
        await serve_well(server)

    async with channel_to(script) as (channel, _):
        await unary(channel)
        await unary(channel)
        async with anyio.create_task_group() as tasks:
            first = tasks.create_task(call(channel, "first", then="newcomer"))
            for name in ("second", "third"):
                while not channel._connection or channel._connection.has_room:
                    await anyio.lowlevel.checkpoint()
                waiting = len(channel._connection._waiting)
                tasks.start_soon(call, channel, name)
                while len(channel._connection._waiting) == waiting:
                    await anyio.lowlevel.checkpoint()
            all_wait.set()
            await first.wait()
    assert ended == ["first", "second", "third", "newcomer"]


async def cancel(_channel: GRPCChannel, scopes: list[anyio.CancelScope]) -> None:
    """The call under way, which gives its room to the next one, and that one before it has run."""
    scopes[0].cancel()
    await anyio.lowlevel.checkpoint()
    scopes[1].cancel()


async def cancel_at_once(_channel: GRPCChannel, scopes: list[anyio.CancelScope]) -> None:
    scopes[0].cancel()
    scopes[1].cancel()


async def cancel_who_waits_first(_channel: GRPCChannel, scopes: list[anyio.CancelScope]) -> None:
    scopes[1].cancel()
    scopes[0].cancel()


async def cancel_who_was_woken(channel: GRPCChannel, scopes: list[anyio.CancelScope]) -> None:
    """One that has been woken and has not run."""
    connection = channel._connection
    assert connection is not None
    (turn, _), *_rest = connection._waiting.items()
    scopes[0].cancel()
    await turn.wait()
    scopes[1].cancel()


@pytest.mark.parametrize("give_up", [cancel, cancel_at_once, cancel_who_waits_first, cancel_who_was_woken])
async def test_who_gives_up_leaves_its_turn(give_up: Act) -> None:
    """Whichever of those that wait are cancelled, and when: the next one is served."""
    scopes = [anyio.CancelScope() for _ in range(3)]
    served: list[int] = []

    async def hold_the_first(server: FakeServer) -> None:
        await server.send(settings(streams=1))
        await server.answer(await server.request())
        await server.request()
        while True:
            await server.answer(await server.request())

    async def call(channel: GRPCChannel, number: int) -> None:
        with scopes[number]:
            assert await unary(channel) == b"good"
            served.append(number)

    async with channel_to(hold_the_first) as (channel, _):
        await unary(channel)
        async with anyio.create_task_group() as tasks:
            for number in range(3):
                tasks.start_soon(call, channel, number)
                await anyio.wait_all_tasks_blocked()
            await give_up(channel, scopes)
        assert await unary(channel) == b"good"
    assert 2 in served
    assert 0 not in served


async def test_who_is_cancelled_while_it_is_woken_sends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Room that comes in the same turn of the loop as the cancellation goes to the next; the server sees no call."""
    scopes = [anyio.CancelScope() for _ in range(3)]
    heads: list[int] = []

    async def script(server: FakeServer) -> None:
        await server.send(settings(streams=1))
        await server.answer(await server.request())
        heads.append((await server.read_until(HEADERS)).stream_id)
        await server.read_until(RST_STREAM)
        while True:
            heads.append((await server.read_until(HEADERS)).stream_id)
            await server.answer(heads[-1])

    async def call(channel: GRPCChannel, number: int) -> None:
        with scopes[number]:
            await unary(channel)

    async with channel_to(script) as (channel, _):
        await unary(channel)
        connection = channel._connection
        assert connection is not None
        async with anyio.create_task_group() as tasks:
            for number in range(3):
                tasks.start_soon(call, channel, number)
                await anyio.wait_all_tasks_blocked()

            offer_room = connection.offer_room

            def offer_and_cancel() -> None:
                offer_room()
                scopes[1].cancel()

            monkeypatch.setattr(connection, "offer_room", offer_and_cancel)
            scopes[0].cancel()
    assert heads == [3, 5]


async def test_who_waits_learns_that_there_will_be_no_room() -> None:
    """The end of a connection wakes all that wait for room on it; they go on to the next one, or to their deadline."""

    async def leave(server: FakeServer) -> None:
        await server.send(settings(streams=1))
        await server.answer(await server.request())
        await server.request()
        await anyio.wait_all_tasks_blocked()
        await server._byte_stream.aclose()

    outcomes: list[object] = []

    async def call(channel: GRPCChannel) -> None:
        try:
            outcomes.append(await unary(channel))
        except GRPCStatusError as error:
            outcomes.append(error.kind)

    async with channel_to(leave, serve_well) as (channel, _):
        await unary(channel)
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(call, channel)
    assert sorted(map(str, outcomes)) == sorted(map(str, [FailureKind.LOST, *[b"good"] * 4]))


async def test_a_connection_without_stream_numbers_is_replaced() -> None:
    """After the last stream number calls go over a new connection, and the old one closes with its last call."""
    async with channel_to(serve_well) as (channel, servers):
        assert await unary(channel) == b"good"
        (old,) = servers.connections
        assert channel._connection is not None
        channel._connection.http2._last_id = 2**31 - 3
        assert [await unary(channel) for _ in range(3)] == [b"good"] * 3
        assert len(servers.connections) == 2
        while old.frames[-1].kind != GOAWAY:
            await anyio.lowlevel.checkpoint()
