"""The WebSocket endpoint over real sockets: handshake, signing in, actions, and how connections end."""

from __future__ import annotations

import json

import anyio
import httpx
import pytest

from mm_plugin import limits
from mm_plugin.devserver import websocket_actions
from mm_plugin.devserver.api_server import SERVER_VERSION
from mm_plugin.devserver.clients import Audience
from mm_plugin.devserver.server import open_door
from tests.devserver.websocket_client import ClosedError, RejectedError, open_client
from tests.devserver.worlds import open_world

HOST = "127.0.0.1"


async def test_the_first_message_may_say_who_it_is() -> None:
    """A challenge with a token is answered with OK; the greeting with version and connection id comes then."""
    async with open_world() as world, open_door(world.app, HOST, 0) as url, open_client(url) as client:
        token = world.seed.tokens["ada"]
        assert await client.ask("authentication_challenge", {"token": token}) == {"status": "OK", "seq_reply": 1}
        hello = await client.receive()
        assert (hello["event"], hello["seq"]) == ("hello", 0)
        assert hello["data"]["server_version"].startswith(SERVER_VERSION)
        assert len(hello["data"]["connection_id"]) == 26
        assert hello["broadcast"]["user_id"] == world.seed.users["ada"].id
        # A second challenge is no question any more: the next reply is that to the ping.
        await client.act("authentication_challenge", {"token": token})
        assert (await client.ask("ping"))["data"]["text"] == "pong"


@pytest.mark.parametrize("how", ["token", "cookie"])
async def test_header_and_cookie_sign_in(how: str) -> None:
    """Who brings a session as to REST is greeted at once; every connection has an id of its own."""
    async with open_world() as world, open_door(world.app, HOST, 0) as url:
        given = world.seed.tokens["ada"]
        async with (
            open_client(url, **{how: given}) as first,  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
            open_client(url, given) as second,
        ):
            assert first.connection_id != second.connection_id


async def test_a_wrong_token_closes() -> None:
    """A challenge with the token of no session, or with none, ends the connection."""
    async with open_world() as world, open_door(world.app, HOST, 0) as url:
        for data in ({"token": "wrong"}, {"token": 7}, {}):
            async with open_client(url) as client:
                await client.act("authentication_challenge", data)
                with pytest.raises(ClosedError, match="of no session") as caught:
                    await client.receive()
                assert caught.value.code == 1008


async def test_who_does_not_sign_in_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for ever: what is asked before is refused, and in the end the connection closes."""
    monkeypatch.setattr(limits, "devserver_websocket_sign_in_s", 0.3)
    async with open_world() as world, open_door(world.app, HOST, 0) as url, open_client(url) as client:
        reply = await client.ask("ping")
        assert reply["status"] == "FAIL"
        assert reply["error"]["id"] == "api.web_socket_router.not_authenticated.app_error"
        assert reply["error"]["status_code"] == 401
        await world.app.clients.publish("nobody_hears_it", {}, Audience())
        with pytest.raises(ClosedError, match="nobody has signed in") as caught:
            await client.receive()
        assert caught.value.code == 1008


async def test_a_stale_cookie_can_be_mended() -> None:
    """A cookie of no session signs nobody in; a challenge still can."""
    async with (
        open_world() as world,
        open_door(world.app, HOST, 0) as url,
        open_client(url, stale="MMAUTHTOKEN=stale") as client,
    ):
        reply = await client.ask("authentication_challenge", {"token": world.seed.tokens["ada"]})
        assert reply["status"] == "OK"
        await client.hello()


async def test_actions_are_answered_by_their_number() -> None:
    """Ping brings a pong with version and time; what cannot be done says why, and what could be."""
    async with (
        open_world() as world,
        open_door(world.app, HOST, 0) as url,
        open_client(url, world.seed.tokens["ada"]) as client,
    ):
        pong = await client.ask("ping")
        assert pong["status"] == "OK"
        assert pong["data"]["text"] == "pong"
        assert pong["data"]["version"] == SERVER_VERSION
        assert pong["data"]["server_time"] > 1_700_000_000_000
        unknown = await client.ask("get_statuses")
        assert unknown["status"] == "FAIL"
        assert unknown["error"]["id"] == "api.web_socket_router.bad_action.app_error"
        for known in ("get_statuses", "authentication_challenge", "ping", "user_typing", "custom_<plugin id>_"):
            assert known in unknown["error"]["message"]
        await client.act("")
        assert (await client.receive())["error"]["id"] == "api.web_socket_router.no_action.app_error"
        for seq in (0, -1, None):
            await client.send(json.dumps({"seq": seq, "action": "ping"}))
            assert (await client.receive())["error"]["id"] == "api.web_socket_router.bad_seq.app_error"
        for data in (None, {"channel_id": 7}, {"channel_id": "nowhere"}):
            refused = await client.ask("user_typing", data)
            assert refused["error"]["id"] == "api.websocket_handler.invalid_param.app_error"
            assert "channel_id" in refused["error"]["message"]
        assert (await client.ask("ping"))["status"] == "OK"


async def test_a_failing_action_ends_nothing(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """What fails inside of the server is logged and answered, and the connection goes on."""

    async def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setitem(websocket_actions._ACTIONS, "fail", fail)
    async with (
        open_world() as world,
        open_door(world.app, HOST, 0) as url,
        open_client(url, world.seed.tokens["ada"]) as client,
    ):
        assert (await client.ask("fail"))["error"]["status_code"] == 500
        assert "the WebSocket action fail failed" in caplog.text
        assert (await client.ask("ping"))["status"] == "OK"


async def test_a_fault_of_the_server_is_said_and_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What fails beyond an action ends that connection alone, with 1011."""
    async with open_world() as world, open_door(world.app, HOST, 0) as url, open_client(url) as client:

        async def fail(_token: str) -> None:
            raise ZeroDivisionError

        with monkeypatch.context() as patch:
            patch.setattr(world.app.accounts, "session_of", fail)
            await client.act("authentication_challenge", {"token": "any"})
            with pytest.raises(ClosedError, match="its log says why") as caught:
                await client.receive()
        assert caught.value.code == 1011
        assert "ZeroDivisionError" in caplog.text
        async with open_client(url, world.seed.tokens["ada"]) as other:
            assert (await other.ask("ping"))["status"] == "OK"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("hello", 1007),
        ("[]", 1007),
        ('{"seq": "1", "action": "ping"}', 1007),
        ('{"seq": true, "action": "ping"}', 1007),
        ('{"seq": 1e400, "action": "ping"}', 1007),
        ('{"seq": 9223372036854775808, "action": "ping"}', 1007),
        ('{"seq": 1, "action": 7}', 1007),
        ('{"seq": 1, "action": "ping", "data": []}', 1007),
        ("[" * 5_000, 1007),
        (b"binary", 1003),
    ],
)
async def test_what_is_no_message_closes(message: str | bytes, code: int) -> None:
    """Text that is no message, and what is no text, end the connection with a word on how to do it."""
    async with (
        open_world() as world,
        open_door(world.app, HOST, 0) as url,
        open_client(url, world.seed.tokens["ada"]) as client,
    ):
        await client.send(message)
        with pytest.raises(ClosedError, match="JSON") as caught:
            await client.receive()
        assert caught.value.code == code


@pytest.mark.parametrize("character", ["x", "é"])
async def test_messages_have_a_longest_length(character: str) -> None:
    """A message of the longest length is taken, one octet more ends the connection; so does one without end."""
    async with open_world() as world, open_door(world.app, HOST, 0) as url:
        frame = len('{"seq": 1, "action": "ping", "data": {"x": ""}}')
        size = limits.devserver_websocket_message_octets - frame
        filler = character * (size // len(character.encode())) + "x" * (size % len(character.encode()))
        async with open_client(url, world.seed.tokens["ada"]) as client:
            text = json.dumps({"seq": 1, "action": "ping", "data": {"x": filler}}, ensure_ascii=False)
            assert len(text.encode()) == limits.devserver_websocket_message_octets
            await client.send(text)
            assert (await client.receive())["status"] == "OK"
            await client.send(text + " ")
            with pytest.raises(ClosedError, match="8192 octets") as caught:
                await client.receive()
            assert caught.value.code == 1009
        async with open_client(url, world.seed.tokens["ada"]) as client:
            await client.send(character * 2 * limits.http_server_websocket_octets)
            with pytest.raises(ClosedError) as caught:
                await client.receive()
            assert caught.value.code == 1009


@pytest.mark.parametrize(
    ("origin", "may"),
    [
        ("", True),
        ("http://127.0.0.1:9005", True),
        ("http://localhost", True),
        ("http://app.localhost:3000", True),
        ("http://[::1]:80", True),
        ("https://evil.example", False),
        ("http://localhost.evil.example", False),
        ("null", False),
        ("http://[", False),
    ],
)
async def test_only_pages_from_here_may_connect(origin: str, may: bool) -> None:
    """A browser sends cookies along for any page, so pages from elsewhere are refused before anything happens."""
    async with open_world() as world, open_door(world.app, HOST, 0) as url:
        if may:
            async with open_client(url, cookie=world.seed.tokens["ada"], origin=origin):
                return
        with pytest.raises(RejectedError) as caught:
            async with open_client(url, cookie=world.seed.tokens["ada"], origin=origin):
                pass
        assert caught.value.status == 403
        assert origin in caught.value.body["message"]
        assert "localhost" in caught.value.body["message"]


async def test_plain_http_is_told_what_the_path_speaks() -> None:
    """Who asks without an upgrade gets a sentence; a WebSocket on another path is refused."""
    async with open_world() as world, open_door(world.app, HOST, 0) as url, httpx.AsyncClient() as client:
        answer = await client.get(f"{url}/api/v4/websocket")
        assert answer.status_code == 400
        assert "WebSocket" in answer.json()["message"]
        with pytest.raises(RejectedError):
            async with open_client(url, path="/api/v4/other"):
                pass


async def test_a_client_may_leave_in_any_way() -> None:
    """A close is answered; after that, and after a connection that just breaks, nothing of the client is left."""
    async with open_world() as world, open_door(world.app, HOST, 0) as url:
        async with open_client(url, world.seed.tokens["ada"]) as client:
            await client.close()
        async with open_client(url, world.seed.tokens["ada"]):
            pass
        async with open_client(url):
            pass
        with anyio.fail_after(10):
            while world.app.clients._clients:
                await anyio.wait_all_tasks_blocked()
        await world.app.clients.publish("nobody_hears_it", {}, Audience())


async def test_a_session_that_ends_ends_its_connections() -> None:
    """After a logout the next event or action closes the connection instead of being answered; others stay."""
    async with open_world() as world, open_door(world.app, HOST, 0) as url:
        token = world.seed.tokens["ada"]
        async with (
            open_client(url, token) as asking,
            open_client(url, token) as hearing,
            open_client(url, world.seed.tokens["admin"]) as other,
        ):
            await world.app.store.sessions.delete("token = ?", token)
            await asking.act("ping")
            await world.app.clients.publish("moved", {}, Audience())
            for client in (asking, hearing):
                with pytest.raises(ClosedError, match="session has ended") as caught:
                    await client.receive()
                assert caught.value.code == 1008
            assert (await other.receive())["event"] == "moved"


async def test_the_servers_stop_closes_all_with_going_away() -> None:
    """Clients hear 1001 at once when the server stops, whether they have signed in or not; its state outlives them."""
    async with open_world() as world, anyio.create_task_group() as tasks:
        closed: list[int | None] = []

        async def stay(url: str, token: str, *, task_status: anyio.abc.TaskStatus[None]) -> None:
            async with open_client(url, token) as client:
                task_status.started()
                with pytest.raises(ClosedError) as caught:
                    await client.receive()
                closed.append(caught.value.code)

        async with open_door(world.app, HOST, 0) as url:
            for token in (world.seed.tokens["ada"], world.seed.tokens["admin"], ""):
                await tasks.start(stay, url, token)
            while len(world.app.clients._clients) < 3:
                await anyio.wait_all_tasks_blocked()
            began = anyio.current_time()
        assert anyio.current_time() - began < 0.9  # and not after the grace for requests
        with anyio.fail_after(5):
            while len(closed) < 3:
                await anyio.wait_all_tasks_blocked()
        assert closed == [1001] * 3
        assert not world.app.clients._clients
