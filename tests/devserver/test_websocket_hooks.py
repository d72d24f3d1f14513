"""What plugins hear of WebSocket clients: connections, their messages in order, their ends."""

from __future__ import annotations

import sys
from pathlib import Path

import anyio
import pytest

from mm_plugin import limits
from mm_plugin.devserver.server import open_devserver, open_door
from mm_plugin.host.options import HostOptions
from mm_plugin.messages.structs import dict_of_struct
from mm_plugin.messages.websocket import WebSocketRequest
from mm_plugin.plugin.plugin import Plugin
from mm_plugin.settings import BACKEND
from tests.devserver.websocket_client import ClosedError, open_client
from tests.devserver.worlds import open_world

PROCESS = '''
from mm_plugin import Plugin, Post, WebsocketBroadcast, run_plugin
from mm_plugin.messages.structs import dict_of_struct

class Listener(Plugin):
    """Answers each message with an event, and writes connections into its store."""

    async def on_websocket_connect(self, web_conn_id, user_id):
        await self.say(user_id, "connected", {"connection": web_conn_id})

    async def on_websocket_disconnect(self, web_conn_id, user_id):
        await self.api.kv_set(web_conn_id, user_id.encode())
        await self.api.publish_websocket_event("gone", {}, WebsocketBroadcast(omit_users=[user_id]))

    async def websocket_message_has_been_posted(self, web_conn_id, user_id, request):
        if request.action == "custom_com.example.listener_break":
            raise RuntimeError("broken")
        data = {"action": request.action, "seq": request.seq, "data": dict_of_struct(request.data)}
        await self.say(user_id, "heard", data)

    async def say(self, user_id, event, data):
        await self.api.publish_websocket_event(event, data, WebsocketBroadcast(user_id=user_id))

run_plugin(Listener)
'''


class Listener(Plugin):
    """Notes what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[object, ...]] = []
        self.hold = anyio.Event()
        self.hold.set()
        self.gone = anyio.Event()

    async def on_websocket_connect(self, web_conn_id: str, user_id: str) -> None:
        self.heard.append(("connect", web_conn_id, user_id))

    async def on_websocket_disconnect(self, web_conn_id: str, user_id: str) -> None:
        self.heard.append(("disconnect", web_conn_id, user_id))
        self.gone.set()

    async def websocket_message_has_been_posted(
        self, web_conn_id: str, user_id: str, request: WebSocketRequest
    ) -> None:
        await self.hold.wait()
        if request.action.endswith("_break"):
            raise RuntimeError("broken")
        data = dict_of_struct(request.data) if request.HasField("data") else None
        self.heard.append((request.action, request.seq, data, web_conn_id, user_id))


async def test_plugins_hear_of_connections_and_messages_in_order() -> None:
    """Connect, every message after signing in, disconnect: in that order, also what came just before the end."""
    listener = Listener()
    async with open_world() as world, world.running(listener), open_door(world.app, "127.0.0.1", 0) as url:
        ada = world.seed.users["ada"].id
        async with open_client(url) as client:
            await client.ask("custom_com.example.test_early")  # nobody has signed in: an error, and no hook
            await client.ask("authentication_challenge", {"token": world.seed.tokens["ada"]})
            await client.hello()
            await client.ask("ping")
            await client.act("custom_com.example.test_move", {"x": 1.5, "deep": {"y": [None, "z"]}})
            await client.act("custom_com.example.other_move")
            await client.ask("ping", {"last": True})
            await client.close()
        await listener.gone.wait()
        me = (client.connection_id, ada)
        assert listener.heard == [
            ("connect", *me),
            ("ping", 3, {}, *me),
            ("custom_com.example.test_move", 4, {"x": 1.5, "deep": {"y": [None, "z"]}}, *me),
            ("custom_com.example.other_move", 5, {}, *me),
            ("ping", 6, {"last": True}, *me),
            ("disconnect", *me),
        ]


async def test_who_never_signed_in_is_not_heard_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """No hook is called for a connection that nobody signed in to."""
    monkeypatch.setattr(limits, "devserver_websocket_sign_in_s", 0.05)
    listener = Listener()
    async with open_world() as world, world.running(listener), open_door(world.app, "127.0.0.1", 0) as url:
        async with open_client(url) as client:
            with pytest.raises(ClosedError):
                await client.receive()
        async with open_client(url, world.seed.tokens["ada"]) as other:
            await other.close()
        await listener.gone.wait()
        assert [what for what, *_ in listener.heard] == ["connect", "disconnect"]
        assert listener.heard[0][1] == other.connection_id


async def test_a_failing_hook_ends_nothing() -> None:
    """A plugin that raises costs its own hook only; a number that no plugin could take costs the data."""
    listener = Listener()
    async with open_world() as world, world.running(listener), open_door(world.app, "127.0.0.1", 0) as url:
        async with open_client(url, world.seed.tokens["ada"]) as client:
            await client.act("custom_com.example.test_break")
            await client.act("custom_com.example.test_big", {"x": 2**70 + 1})
            assert (await client.ask("ping"))["status"] == "OK"
            await client.close()
        await listener.gone.wait()
        assert [told[:3] for told in listener.heard[1:3]] == [("custom_com.example.test_big", 2, None), ("ping", 3, {})]


async def test_a_slow_plugin_holds_its_client_up_and_nobody_else() -> None:
    """Messages wait for plugins, so many and no more; the client is read on when they have been taken."""
    listener = Listener()
    listener.hold = anyio.Event()
    async with (
        open_world() as world,
        world.running(listener),
        open_door(world.app, "127.0.0.1", 0) as url,
        open_client(url, world.seed.tokens["ada"]) as client,
        open_client(url, world.seed.tokens["bob"]) as other,
    ):
        count = limits.devserver_websocket_told_messages + 20
        for _ in range(count):
            await client.act("custom_com.example.test_move")
        await client.act("ping")
        assert (await other.ask("ping"))["status"] == "OK"
        await anyio.wait_all_tasks_blocked()  # until no more of the client is read
        assert len(listener.heard) == 2  # both connections
        listener.hold.set()
        assert (await client.receive())["seq_reply"] == count + 1


async def test_the_servers_stop_is_a_disconnect() -> None:
    """A plugin hears the end of the connections that the server's stop closes, also with a hook under way."""
    listener = Listener()
    listener.hold = anyio.Event()
    async with open_world() as world, world.running(listener):
        async with anyio.create_task_group() as tasks:

            async def stay(url: str, *, task_status: anyio.abc.TaskStatus[None]) -> None:
                async with open_client(url, world.seed.tokens["ada"]) as client:
                    await client.act("custom_com.example.test_move")
                    task_status.started()
                    with pytest.raises(ClosedError):
                        await client.receive()

            async with open_door(world.app, "127.0.0.1", 0) as url:
                await tasks.start(stay, url)
                while not listener.heard:
                    await anyio.wait_all_tasks_blocked()
        with anyio.fail_after(5):
            await listener.gone.wait()
        assert [what for what, *_ in listener.heard] == ["connect", "disconnect"]


async def test_a_real_plugin_talks_with_a_real_client(tmp_path: Path, anyio_backend: str) -> None:
    """The three hooks in a plugin's own process, its events at the client, and its last words."""
    (tmp_path / "plugin.json").write_text(
        '{"id": "com.example.listener", "name": "L", "server": {"runtime": "python", "executable": "plugin.py"}}'
    )
    (tmp_path / "plugin.py").write_text(PROCESS)
    options = HostOptions(interpreter=Path(sys.executable), environment={BACKEND: anyio_backend})
    state = tmp_path / "state.sqlite"
    ends: list[str] = []
    async with (
        open_devserver([tmp_path], state=state, options=options) as server,
        open_client(server.url, server.seed.tokens["bob"]) as watching,
    ):
        tokens, ada = server.seed.tokens, server.seed.users["ada"].id
        assert (await watching.receive())["event"] == "custom_com.example.listener_connected"
        async with open_client(server.url, tokens["ada"]) as first:
            ends.append(first.connection_id)
            connected = await first.receive()
            assert connected["event"] == "custom_com.example.listener_connected"
            assert connected["data"] == {"connection": first.connection_id}
            await first.act("custom_com.example.listener_break")
            await first.act("custom_com.example.listener_move", {"x": 7})
            heard = await first.receive()
            assert heard["event"] == "custom_com.example.listener_heard"
            assert heard["data"] == {"action": "custom_com.example.listener_move", "seq": 2, "data": {"x": 7}}
            assert heard["broadcast"]["user_id"] == ada
            await first.close()
        # A plugin that restarts gets no more hooks, so the one of the first connection's end must be over.
        assert (await watching.receive())["event"] == "custom_com.example.listener_gone"
        async with open_client(server.url, tokens["ada"]) as second:
            ends.append(second.connection_id)
            assert (await second.receive())["data"] == {"connection": second.connection_id}
            await server.app.plugins.restart(tmp_path)
            await second.act("custom_com.example.listener_move")
            assert (await second.receive())["data"]["seq"] == 1
            server.app.clients.end_all()
            with pytest.raises(ClosedError) as caught:
                await second.receive()
            assert caught.value.code == 1001
    async with open_devserver([], state=state) as server:
        values = [await server.app.store.key_values.get("com.example.listener", key) for key in ends]
        assert values == [ada.encode()] * 2
