"""Custom slash commands, through the client, and called by people."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from mm_plugin.devserver.server import open_door
from mm_plugin.exceptions import NotFoundError, PluginAPIError, ValidationError
from mm_plugin.messages.commands import Command, CommandArgs
from mm_plugin.messages.teams import Team, TeamType
from mm_plugin.plugin.plugin import Plugin
from mm_plugin.serve_http.request import Request
from mm_plugin.serve_http.response import Response
from tests.devserver.worlds import open_world

PLUGIN_ID = "com.example.test"


class Webhook(Plugin):
    """What a custom command calls; here it is a page of the plugin, elsewhere any server."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, list[str]]]] = []

    async def serve_http(self, request: Request, response: Response) -> None:
        query = urlsplit(request.url).query if request.method == "GET" else (await request.read()).decode()
        self.calls.append((request.method, parse_qs(query)))
        if request.path == "/broken":
            response.status = 503
            return
        json = request.path == "/json"
        response.headers["content-type"] = "application/json" if json else "text/plain"
        await response.write(b'{"response_type": "in_channel", "text": "To all!"}' if json else b"To you.")


async def test_custom_commands_are_kept_changed_and_deleted() -> None:
    """A command is found by id and in its team's list, keeps its token, and its trigger is taken once."""
    async with open_world() as world, world.client() as api:
        team = world.seed.team.id
        command = await api.create_command(Command(team_id=team, trigger="Deploy", url="https://ci.example/hook"))
        assert (command.trigger, command.method, len(command.token)) == ("deploy", "P", 26)
        await api.register_command(Command(trigger="mine"))
        assert {found.trigger for found in await api.list_commands(team)} == {"deploy", "mine"}
        assert [found.id for found in await api.list_custom_commands(team)] == [command.id]
        assert [found.trigger for found in await api.list_plugin_commands(team)] == ["mine"]
        assert await api.get_command(command.id) == command
        changed = await api.update_command(command.id, Command(trigger="ship", url="http://ci.example", method="G"))
        assert (changed.trigger, changed.team_id, changed.token) == ("ship", team, command.token)
        for bad in (
            Command(team_id=team, trigger="/x", url="https://x.example"),
            Command(team_id=team, trigger="two words", url="https://x.example"),
            Command(team_id=team, trigger="x", url="nonsense"),
            Command(team_id=team, trigger="x", url="https://x.example", method="PUT"),
            Command(team_id=team, trigger="ship", url="https://x.example"),
            Command(team_id=team, trigger="mine", url="https://x.example"),
        ):
            with pytest.raises(ValidationError):
                await api.create_command(bad)
        await api.delete_command(command.id)
        for call in (
            api.get_command(command.id),
            api.delete_command(command.id),
            api.update_command(command.id, changed),
            api.create_command(Command(team_id="none", trigger="x", url="https://x.example")),
        ):
            with pytest.raises(NotFoundError):
                await call
        await api.save_config({"ServiceSettings": {"EnableCommands": False}})
        with pytest.raises(PluginAPIError, match="EnableCommands"):
            await api.create_command(Command(team_id=team, trigger="x", url="https://x.example"))


@pytest.mark.parametrize("method", ["P", "G"])
async def test_a_custom_command_calls_its_url(method: str) -> None:
    """The URL gets the form that the server sends, and its answer is shown to the user or to the channel."""
    async with open_world() as world, world.running(Webhook()) as webhook, open_door(world.app, "127.0.0.1", 0) as url:
        assert isinstance(webhook, Webhook)
        api, team, channel = webhook.api, world.seed.team.id, world.seed.channel.id
        base = f"{url}/plugins/{PLUGIN_ID}"
        command = await api.create_command(Command(team_id=team, trigger="all", url=f"{base}/json", method=method))
        await api.create_command(Command(team_id=team, trigger="me", url=f"{base}/text", method=method))
        await api.create_command(Command(team_id=team, trigger="bad", url=f"{base}/broken", method=method))
        # a server that is not ours, reached over HTTP: the same door, by another name
        await api.create_command(
            Command(team_id=team, trigger="far", url=base.replace("127.0.0.1", "localhost") + "/text", method=method)
        )
        headers = {"Authorization": f"Bearer {world.seed.tokens['ada']}"}
        async with httpx.AsyncClient(base_url=f"{url}/api/v4", headers=headers) as client:

            async def run(line: str) -> httpx.Response:
                return await client.post("/commands/execute", json={"channel_id": channel, "command": line})

            assert (await run("/all the  things")).json()["text"] == "To all!"
            assert (await run("/me")).json()["text"] == "To you."
            assert (await run("/far")).json()["text"] == "To you."
            assert (await run("/bad")).status_code == 500
            assert (await run("/unknown")).status_code == 404
            assert {entry["trigger"] for entry in (await client.get(f"/commands?team_id={team}")).json()} == {
                "all",
                "me",
                "bad",
                "far",
            }
        sent_by, form = webhook.calls[0]
        assert sent_by == {"P": "POST", "G": "GET"}[method]
        assert form["token"] == [command.token]
        assert (form["text"], form["user_name"], form["command"]) == (["the  things"], ["ada"], ["/all"])
        posts = await api.get_posts_for_channel(channel)
        assert [post.message for post in posts.posts.values()] == ["To all!"]
        ada = world.seed.users["ada"].id
        answer = await api.execute_slash_command(
            CommandArgs(user_id=ada, team_id=team, channel_id=channel, command="/me")
        )
        assert answer.text == "To you."


async def test_people_run_the_commands_of_their_own_teams_only() -> None:
    """The team of a channel counts, whatever is asked for; in a direct channel it must be one of the user's."""
    async with open_world() as world, world.running(Webhook()) as webhook, open_door(world.app, "127.0.0.1", 0) as url:
        assert isinstance(webhook, Webhook)
        api, ada, bob = webhook.api, world.seed.users["ada"].id, world.seed.users["bob"].id
        mine, channel = world.seed.team.id, world.seed.channel.id
        theirs = (await api.create_team(Team(name="theirs", display_name="x", type=TeamType.TEAM_TYPE_INVITE))).id
        direct = (await api.get_direct_channel(ada, bob)).id
        for team in (mine, theirs):
            page = f"{url}/plugins/{PLUGIN_ID}/{team}"
            await api.create_command(Command(team_id=team, trigger="go", url=page, method="G"))
        headers = {"Authorization": f"Bearer {world.seed.tokens['ada']}"}
        async with httpx.AsyncClient(base_url=f"{url}/api/v4", headers=headers) as client:

            async def run(channel_id: str, team_id: str) -> int:
                args = {"channel_id": channel_id, "team_id": team_id, "command": "/go"}
                return (await client.post("/commands/execute", json=args)).status_code

            assert await run(channel, theirs) == 200
            assert await run(direct, theirs) == 403
            assert await run(direct, mine) == 200
        assert [form["team_id"] for _, form in webhook.calls] == [[mine], [mine]]


async def test_a_list_of_commands_holds_no_secrets() -> None:
    """Who asks over REST learns neither the token nor the URL of a custom command."""
    async with open_world() as world, world.client() as api, open_door(world.app, "127.0.0.1", 0) as url:
        team = world.seed.team.id
        await api.create_command(Command(team_id=team, trigger="go", url="https://ci.example/hook?key=1"))
        headers = {"Authorization": f"Bearer {world.seed.tokens['ada']}"}
        async with httpx.AsyncClient(base_url=f"{url}/api/v4", headers=headers) as client:
            (entry,) = (await client.get(f"/commands?team_id={team}")).json()
        assert (entry["trigger"], entry["token"], entry["url"]) == ("go", "", "")


class Away(Plugin):
    """Sends who calls it to another server, and tells what that one is told."""

    def __init__(self) -> None:
        self.tokens: list[str | None] = []

    async def serve_http(self, request: Request, response: Response) -> None:
        self.tokens.append(request.headers.get("Authorization"))
        if request.path == "/there":
            await response.text("arrived")
        else:
            await response.redirect(f"http://127.0.0.1:{request.host.partition(':')[2]}{request.prefix}/there")


async def test_a_commands_token_goes_to_its_url_only() -> None:
    """Where the URL sends the server on, the token stays behind."""
    async with open_world() as world, world.running(Away()) as away, open_door(world.app, "127.0.0.1", 0) as url:
        assert isinstance(away, Away)
        team, far = world.seed.team.id, url.replace("127.0.0.1", "localhost")
        command = await away.api.create_command(Command(team_id=team, trigger="go", url=f"{far}/plugins/{PLUGIN_ID}/x"))
        ada, channel = world.seed.users["ada"].id, world.seed.channel.id
        answer = await away.api.execute_slash_command(
            CommandArgs(user_id=ada, team_id=team, channel_id=channel, command="/go")
        )
        assert answer.text == "arrived"
        assert away.tokens == [f"Token {command.token}", None]
