"""WebSocket clients that do not read: nobody waits for them, and they are cut off; the same when the server stops."""

from __future__ import annotations

import json

import anyio
import pytest

from mm_plugin import limits
from mm_plugin.devserver.clients import Audience
from mm_plugin.devserver.server import open_door
from tests.devserver.websocket_client import ClosedError, WebSocketClient, open_client
from tests.devserver.worlds import World, open_world

EVERYBODY = Audience()
#: Far more than sockets hold between a server and a client.
BIG = {"x": "x" * 1_000_000}


async def stuck(world: World, client: WebSocketClient) -> None:
    """Send a client so much that the server's writer waits for it, without filling its queue."""
    for _ in range(32):
        await world.app.clients.publish("big", BIG, Audience(user_id=world.seed.users["ada"].id))
    await anyio.wait_all_tasks_blocked()
    assert client.connection_id in world.app.clients._clients


async def receive_all(client: WebSocketClient) -> None:
    """Read until the connection closes, which raises."""
    while True:
        await client.receive()


async def test_a_client_that_does_not_read_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Publishing goes on at once when a queue is full; its client is gone soon, the others have all events."""
    monkeypatch.setattr(limits, "cleanup_s", 0.2)
    async with (
        open_world() as world,
        open_door(world.app, "127.0.0.1", 0) as url,
        open_client(url, world.seed.tokens["ada"]) as lazy,
        open_client(url, world.seed.tokens["bob"]) as keen,
    ):
        await stuck(world, lazy)
        with anyio.fail_after(5):
            for number in range(limits.devserver_websocket_queue):
                await world.app.clients.publish("small", {"number": number}, EVERYBODY)
                assert (await keen.receive())["data"]["number"] == number
            while lazy.connection_id in world.app.clients._clients:
                await anyio.wait_all_tasks_blocked()
        with pytest.raises(ClosedError):
            await receive_all(lazy)
        assert (await keen.ask("ping"))["status"] == "OK"


async def test_a_burst_beyond_the_queue_closes_with_a_reason() -> None:
    """A client whose queue runs over is told so, if it still reads: more at once than the queue holds is too much."""
    async with (
        open_world() as world,
        open_door(world.app, "127.0.0.1", 0) as url,
        open_client(url, world.seed.tokens["ada"]) as client,
    ):
        (mine,) = world.app.clients._clients.values()
        for _ in range(limits.devserver_websocket_queue + 2):  # the writer may hold one already
            mine.send_event("small", {}, EVERYBODY)
        with pytest.raises(ClosedError, match="too slowly") as caught:
            await receive_all(client)
        assert caught.value.code == 1008


async def test_a_stop_does_not_wait_for_who_does_not_read() -> None:
    """With a client that reads nothing, also one that asks on and on, the server still stops within its time."""
    async with open_world() as world:
        with anyio.fail_after(8):
            async with (
                open_door(world.app, "127.0.0.1", 0) as url,
                open_client(url, world.seed.tokens["ada"]) as client,
            ):
                await stuck(world, client)
                for seq in range(1, 20):
                    await client.send(json.dumps({"seq": seq, "action": "ping"}))
                await anyio.wait_all_tasks_blocked()
        assert not world.app.clients._clients
