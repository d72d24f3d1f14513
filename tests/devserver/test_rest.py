"""The REST door and the gateway over real sockets."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import httpx
import pytest

from mm_plugin import limits
from mm_plugin.devserver.server import open_door
from mm_plugin.hooks.results import Reject
from mm_plugin.messages.commands import Command, CommandArgs, CommandResponse
from mm_plugin.messages.common import PluginContext
from mm_plugin.messages.posts import Post
from mm_plugin.messages.users import User
from mm_plugin.plugin.plugin import Plugin
from mm_plugin.serve_http.request import Request
from mm_plugin.serve_http.response import Response
from tests.devserver.worlds import World, open_world

PLUGIN_ID = "com.example.test"


class Site(Plugin):
    """Has an opinion, a command and a page."""

    def __init__(self) -> None:
        self.contexts: list[PluginContext] = []

    async def on_activate(self) -> None:
        await self.api.register_command(Command(trigger="try"))

    async def message_will_be_posted(self, context: PluginContext, post: Post) -> Reject | None:
        self.contexts.append(context)
        return Reject("Not here.") if "secret" in post.message else None

    async def user_will_log_in(self, context: PluginContext, user: User) -> Reject | None:
        return Reject("Closed.") if user.username == "bob" else None

    async def execute_command(self, context: PluginContext, args: CommandArgs) -> CommandResponse:
        return CommandResponse(response_type="in_channel", text=f"{args.command} in {args.team_id} at {args.site_url}")

    async def serve_http(self, request: Request, response: Response) -> None:
        await response.write(f"{request.method} {request.path} by {request.user_id or 'nobody'}")


@dataclass
class OpenSite:
    world: World
    url: str
    ada: httpx.AsyncClient
    admin: httpx.AsyncClient
    nobody: httpx.AsyncClient
    plugin: Site

    @property
    def channel_id(self) -> str:
        return self.world.seed.channel.id


@asynccontextmanager
async def open_site() -> AsyncGenerator[OpenSite]:
    plugin = Site()
    async with open_world() as world, open_door(world.app, "127.0.0.1", 0) as url, world.running(plugin):

        def client(name: str = "") -> httpx.AsyncClient:
            headers = {"Authorization": f"Bearer {world.seed.tokens[name]}"} if name else {}
            return httpx.AsyncClient(base_url=f"{url}/api/v4", headers=headers)

        async with client("ada") as ada, client("admin") as admin, client() as nobody:
            yield OpenSite(world, url, ada, admin, nobody, plugin)


def is_error(response: httpx.Response, status: int, error_id: str) -> bool:
    body = response.json()
    return (
        set(body) == {"id", "message", "detailed_error", "request_id", "status_code"}
        and (response.status_code, body["status_code"]) == (status, status)
        and re.fullmatch(error_id, body["id"]) is not None
        and len(body["request_id"]) == 26
        and bool(body["message"])
    )


async def test_who_asks() -> None:
    """A token by header or cookie is somebody; without one only ping answers."""
    async with open_site() as site:
        assert (await site.nobody.get("/system/ping")).json() == {"status": "OK"}
        me = (await site.ada.get("/users/me")).json()
        assert (me["username"], me["id"], me["password"]) == ("ada", site.world.seed.users["ada"].id, "")
        cookie = {"Cookie": f"MMAUTHTOKEN={site.world.seed.tokens['ada']}"}
        assert (await site.nobody.get("/users/me", headers=cookie)).json()["username"] == "ada"
        for headers in ({}, {"Authorization": "Bearer none"}, {"Authorization": "Basic x"}):
            answer = await site.nobody.get("/users/me", headers=headers)
            assert is_error(answer, 401, "api.context.session_expired.app_error")


async def test_logging_in_and_out() -> None:
    """Login gives a token and a cookie, says why not, and logout ends the session."""
    async with open_site() as site:
        answer = await site.nobody.post("/users/login", json={"login_id": "ada", "password": "Passw0rd!"})
        assert answer.status_code == 200
        assert answer.json()["username"] == "ada"
        token = answer.headers["Token"]
        assert answer.cookies["MMAUTHTOKEN"] == token
        signed_in = {"Authorization": f"Bearer {token}"}
        site.nobody.cookies.clear()
        assert (await site.nobody.get("/users/me", headers=signed_in)).status_code == 200
        assert (await site.nobody.post("/users/logout", headers=signed_in)).json() == {"status": "OK"}
        assert (await site.nobody.get("/users/me", headers=signed_in)).status_code == 401
        wrong = await site.nobody.post("/users/login", json={"login_id": "ada", "password": "x"})
        assert is_error(wrong, 401, "api.user.login.invalid_credentials_email_username")
        closed = await site.nobody.post("/users/login", json={"login_id": "bob", "password": "Passw0rd!"})
        assert is_error(closed, 400, r"Login rejected by plugin: Closed\.")


async def test_people_and_places_are_found_by_id_and_by_name() -> None:
    """Users, teams and channels have Mattermost's paths; what is missing is a 404 with the server's id."""
    async with open_site() as site:
        team, channel, bob = site.world.seed.team, site.world.seed.channel, site.world.seed.users["bob"]
        for path, wanted in (
            (f"/users/{bob.id}", bob.id),
            ("/users/username/bob", bob.id),
            (f"/teams/{team.id}", team.id),
            ("/teams/name/dev", team.id),
            (f"/channels/{channel.id}", channel.id),
            (f"/teams/{team.id}/channels/name/town-square", channel.id),
            ("/teams/name/dev/channels/name/town-square", channel.id),
        ):
            assert (await site.ada.get(path)).json()["id"] == wanted
        for path, ids in (
            ("/users?per_page=1&page=2", [bob.id]),
            (f"/users?in_channel={channel.id}&page=2&per_page=1", [bob.id]),
            ("/teams", [team.id]),
            ("/users/me/teams", [team.id]),
            (f"/teams/{team.id}/channels", [channel.id]),
            (f"/users/me/teams/{team.id}/channels", [channel.id]),
        ):
            assert [entry["id"] for entry in (await site.ada.get(path)).json()] == ids
        for path, error_id in (
            ("/users/none", "app.user.missing_account.const"),
            ("/teams/none", "app.team.get.find.app_error"),
            ("/channels/none", "app.channel.get.existing.app_error"),
            ("/posts/none", "app.post.get.app_error"),
        ):
            assert is_error(await site.ada.get(path), 404, error_id)
        assert is_error(await site.ada.get("/users?page=one"), 400, "api.context.invalid_url_param.app_error")
        assert is_error(await site.ada.get(f"/users/{bob.id}/teams"), 403, "api.context.permissions.app_error")
        assert (await site.admin.get(f"/users/{bob.id}/teams")).status_code == 200


async def test_a_post_from_birth_to_deletion() -> None:
    """A post is made as the one who asks, asked about with their context, listed, edited by its author, deleted."""
    async with open_site() as site:
        body = {"channel_id": site.channel_id, "message": "hej", "user_id": "forged", "props": {"k": [1, 2]}}
        answer = await site.ada.post("/posts", json=body, headers={"User-Agent": "test", "Accept-Language": "sv"})
        assert answer.status_code == 201
        post = answer.json()
        assert (post["user_id"], post["message"], post["props"]) == (
            site.world.seed.users["ada"].id,
            "hej",
            {"k": [1, 2]},
        )
        context = site.plugin.contexts[0]
        assert (context.user_agent, context.accept_language, context.ip_address) == ("test", "sv", "127.0.0.1")
        assert context.request_id == answer.headers["X-Request-Id"]
        assert context.session_id
        assert (await site.ada.get(f"/posts/{post['id']}")).json() == post
        listed = (await site.ada.get(f"/channels/{site.channel_id}/posts")).json()
        assert (listed["order"], list(listed["posts"])) == ([post["id"]], [post["id"]])
        thread = (await site.ada.get(f"/posts/{post['id']}/thread")).json()
        assert thread["order"] == [post["id"]]
        edited = await site.ada.put(f"/posts/{post['id']}", json={"id": post["id"], "message": "hej hej"})
        assert (edited.json()["message"], edited.json()["props"]) == ("hej hej", {"k": [1, 2]})
        bob = {"Authorization": f"Bearer {site.world.seed.tokens['bob']}"}
        refused = await site.nobody.put(f"/posts/{post['id']}", json={"message": "mine"}, headers=bob)
        assert is_error(refused, 403, "api.context.permissions.app_error")
        assert (await site.ada.delete(f"/posts/{post['id']}")).json() == {"status": "OK"}
        assert is_error(await site.ada.get(f"/posts/{post['id']}"), 404, "app.post.get.app_error")


async def test_a_channel_of_ones_own_with_others() -> None:
    """Whoever asks gets the channel with one other user, or with a group, made where there is none, and may post."""
    async with open_site() as site:
        users = site.world.seed.users
        ada, bob, admin = users["ada"].id, users["bob"].id, users["admin"].id
        made = await site.ada.post("/channels/direct", json=[ada, bob])
        channel = made.json()
        assert (made.status_code, channel["type"], set(channel["name"].split("__"))) == (201, "D", {ada, bob})
        assert (await site.ada.post("/channels/direct", json=[bob, ada])).json()["id"] == channel["id"]
        posted = await site.ada.post("/posts", json={"channel_id": channel["id"], "message": "hej"})
        assert posted.status_code == 201
        group = await site.ada.post("/channels/group", json=[bob, admin])
        assert (group.status_code, group.json()["type"]) == (201, "G")
        assert (await site.ada.get(f"/channels/{group.json()['id']}")).status_code == 200
        few = await site.ada.post("/channels/group", json=[bob])
        assert is_error(few, 400, "api.channel.create_group.bad_size.app_error")
        for body in ({"a": ada}, [ada], [ada, 5], [ada, bob, admin]):
            wrong = await site.ada.post("/channels/direct", json=body)
            assert is_error(wrong, 400, "api.context.invalid_body_param.app_error")
        others = await site.ada.post("/channels/direct", json=[bob, admin])
        assert is_error(others, 403, "api.context.permissions.app_error")
        nobody = await site.ada.post("/channels/direct", json=[ada, "x" * 26])
        assert is_error(nobody, 404, "app.user.missing_account.const")


async def test_refused_posts() -> None:
    """A rejection, a channel that is not the user's, bad JSON, a body too long: each is said in the server's form."""
    async with open_site() as site:
        rejected = await site.ada.post("/posts", json={"channel_id": site.channel_id, "message": "a secret"})
        assert is_error(rejected, 400, r"Post rejected by plugin\. Not here\.")
        elsewhere = await site.ada.post("/posts", json={"channel_id": "elsewhere", "message": "x"})
        assert is_error(elsewhere, 403, "api.context.permissions.app_error")
        for content in (b"", b"{", b"[]", b"\xff", b"[" * 100_000):
            answer = await site.ada.post("/posts", content=content)
            assert is_error(answer, 400, "api.context.invalid_body_param.app_error")
        wrong = await site.ada.post("/posts", json={"channel_id": site.channel_id, "message": 5})
        assert is_error(wrong, 400, "api.context.invalid_body_param.app_error")
        assert "message" in wrong.json()["message"]
        long = await site.ada.post("/posts", content=b'{"message": "' + b"x" * limits.devserver_body_octets + b'"}')
        assert is_error(long, 413, "api.context.request_body_too_large.app_error")
        assert await site.world.app.store.posts.count() == 0


async def test_commands() -> None:
    """A command runs as the user in the channel's team, and its answer for all becomes a post."""
    async with open_site() as site:
        assert [command["trigger"] for command in (await site.ada.get("/commands")).json()] == ["try"]
        body = {"channel_id": site.channel_id, "command": "/try it"}
        answer = (await site.ada.post("/commands/execute", json=body)).json()
        text = f"/try it in {site.world.seed.team.id} at {site.url}"
        assert (answer["response_type"], answer["text"]) == ("in_channel", text)
        assert [post.message for post in await site.world.app.store.posts.find()] == [text]
        unknown = await site.ada.post("/commands/execute", json={**body, "command": "/none"})
        assert is_error(unknown, 404, "api.command.execute_command.not_found.app_error")


async def test_plugins_are_listed_with_their_state() -> None:
    """Active plugins and the state of each, as Mattermost's console asks for them."""
    async with open_site() as site:
        listed = (await site.admin.get("/plugins")).json()
        assert [manifest["id"] for manifest in listed["active"]] == [PLUGIN_ID]
        assert listed["inactive"] == []
        states = (await site.admin.get("/plugins/statuses")).json()
        assert [(state["plugin_id"], state["state"]) for state in states] == [(PLUGIN_ID, 2)]


@pytest.mark.parametrize(("method", "path"), [("GET", "/nothing"), ("PATCH", "/posts"), ("GET", "/../../x")])
async def test_unknown_paths_have_the_servers_form(method: str, path: str) -> None:
    """What has no route, or not that method, is a 404 as JSON."""
    async with open_site() as site:
        assert is_error(await site.ada.request(method, path), 404, "api.context.404.app_error")


async def test_the_gateway_knows_the_session() -> None:
    """Requests below /plugins reach the plugin, with the user of the session, and only a valid one."""
    async with open_site() as site, httpx.AsyncClient(base_url=f"{site.url}/plugins") as client:
        token = site.world.seed.tokens["ada"]
        signed_in = await client.get(f"/{PLUGIN_ID}/page", headers={"Authorization": f"Bearer {token}"})
        assert signed_in.text == f"GET /page by {site.world.seed.users['ada'].id}"
        forged = {"Mattermost-User-Id": "forged", "Authorization": "Bearer none"}
        assert (await client.get(f"/{PLUGIN_ID}/page", headers=forged)).text == "GET /page by nobody"
        assert (await client.get("/com.example.none/")).status_code == 404


async def test_many_at_once() -> None:
    """Fifty people post at the same time, and every post is there once."""
    async with open_site() as site:

        async def post(number: int) -> None:
            answer = await site.ada.post("/posts", json={"channel_id": site.channel_id, "message": f"post {number}"})
            assert answer.status_code == 201

        async with anyio.create_task_group() as tasks:
            for number in range(50):
                tasks.start_soon(post, number)
        listed = (await site.ada.get(f"/channels/{site.channel_id}/posts?per_page=100")).json()
        assert sorted(entry["message"] for entry in listed["posts"].values()) == sorted(
            f"post {number}" for number in range(50)
        )


async def test_a_fault_of_ours_is_logged_and_not_told(caplog: pytest.LogCaptureFixture) -> None:
    """An unexpected error is a 500 in the server's form; its text stays in the log."""

    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the details")

    async with open_site() as site:
        site.world.app.posting.create = fail  # type: ignore[assignment,method-assign]
        answer = await site.ada.post("/posts", json={"channel_id": site.channel_id, "message": "x"})
        assert is_error(answer, 500, "api.context.internal.app_error")
        assert "the details" not in answer.text
    assert "the details" in caplog.text


async def test_what_one_user_sees_stands_in_their_channel_only() -> None:
    """An ephemeral post is the newest of its user's view until it is changed or deleted; others never see it."""
    async with open_site() as site:
        channel, users = site.world.seed.channel.id, site.world.seed.users
        await site.ada.post("/posts", json={"channel_id": channel, "message": "before"})

        async def messages(client: httpx.AsyncClient, **params: int) -> list[str]:
            posts = (await client.get(f"/channels/{channel}/posts", params=params)).json()
            return [posts["posts"][post_id]["message"] for post_id in posts["order"]]

        api = site.plugin.api
        shown = await api.send_ephemeral_post(users["ada"].id, Post(channel_id=channel, message="psst"))
        assert shown.type == "system_ephemeral"
        assert await messages(site.ada) == ["psst", "before"]
        assert await messages(site.admin) == ["before"]
        assert await messages(site.ada, page=1) == []
        shown.message = "hush"
        await api.update_ephemeral_post(users["ada"].id, shown)
        assert await messages(site.ada) == ["hush", "before"]
        await api.delete_ephemeral_post(users["ada"].id, shown.id)
        assert await messages(site.ada) == ["before"]


async def test_a_user_keeps_the_newest_ephemeral_posts_only() -> None:
    """What one user alone sees is bounded; the oldest goes."""
    async with open_site() as site:
        channel, ada = site.world.seed.channel.id, site.world.seed.users["ada"].id
        for number in range(limits.devserver_ephemeral_posts + 1):
            await site.plugin.api.send_ephemeral_post(ada, Post(channel_id=channel, message=str(number)))
        seen = site.world.app.ephemeral.seen_by(ada, channel)
        assert [post.message for post in seen] == [str(n + 1) for n in range(limits.devserver_ephemeral_posts)]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", f"/emoji?page={2**63}", "", 200),
        ("GET", f"/teams/x/channels?page={2**63}", "", 200),
        ("GET", f"/devserver/outbox?after={2**63}", "", 400),
        ("POST", "/users/login", r'{"login_id": "\ud800", "password": "x"}', 400),
        ("POST", "/users/login", r'{"login_id": "ada", "password": "\udfff"}', 400),
        ("POST", "/channels/members/me/view", r'{"channel_id": "\ud800"}', 400),
        ("POST", "/posts", '{"props": {"number": NaN}}', 400),
    ],
)
async def test_odd_values_are_no_failures(method: str, path: str, body: str, status: int) -> None:
    """Numbers that no page has and text that no message holds are answered like any other wrong value."""
    async with open_site() as site:
        assert (await site.admin.request(method, path, content=body)).status_code == status


async def test_a_plugin_is_found_by_a_whole_url() -> None:
    """A request line may hold the absolute form, as clients of proxies send it (RFC 9112, section 3.2.2)."""
    async with open_site() as site:
        port = int(site.url.rpartition(":")[2])
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            target = f"{site.url}/plugins/{PLUGIN_ID}/page?x=1"
            await stream.send(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
            answer = b"".join([piece async for piece in stream])
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"GET /page by nobody" in answer
