"""The whole server with a real plugin process: opened, used, closed, and opened again."""

from __future__ import annotations

import sys
from pathlib import Path

import httpx
import pytest

from mm_plugin.devserver.seed import Seed
from mm_plugin.devserver.server import open_devserver
from mm_plugin.exceptions import ConfigurationError, ManifestError, PluginStartError
from mm_plugin.host.options import HostOptions
from mm_plugin.host.state import PluginState
from mm_plugin.settings import BACKEND
from tests.devserver.worlds import open_world

PLUGIN = """
from mm_plugin import Command, CommandResponse, Plugin, Post, run_plugin

class Keeper(Plugin):
    async def on_activate(self):
        await self.api.register_command(Command(trigger="keep"))

    async def execute_command(self, context, args):
        count = int(await self.api.kv_get("count") or b"0") + 1
        await self.api.kv_set("count", str(count).encode())
        return CommandResponse(text=str(count))

    async def on_deactivate(self):
        user = await self.api.get_user_by_username("ada")
        team = await self.api.get_team_by_name("dev")
        channel = await self.api.get_channel_by_name(team.id, "town-square")
        await self.api.create_post(Post(user_id=user.id, channel_id=channel.id, message="good night"))

run_plugin(Keeper)
"""


def options(backend: str) -> HostOptions:
    return HostOptions(interpreter=Path(sys.executable), environment={BACKEND: backend})


def write_bundle(folder: Path, code: str) -> Path:
    folder.mkdir()
    (folder / "plugin.json").write_text(
        '{"id": "com.example.keeper", "name": "Keeper", "server": {"runtime": "python", "executable": "plugin.py"}}'
    )
    (folder / "plugin.py").write_text(code)
    return folder


async def answers(url: str) -> bool:
    async with httpx.AsyncClient() as client:
        try:
            return (await client.get(f"{url}/api/v4/system/ping")).status_code == 200
        except httpx.ConnectError:
            return False


async def test_state_and_plugin_outlive_a_restart(tmp_path: Path, anyio_backend: str) -> None:
    """Keys, posts and people are there after a restart, commands are registered anew, OnDeactivate may still post."""
    bundle, state = write_bundle(tmp_path / "keeper", PLUGIN), tmp_path / "state.sqlite"
    ids: list[str] = []
    for run in (1, 2):
        async with open_devserver([bundle], state=state, options=options(anyio_backend)) as server:
            ids.append(server.seed.users["ada"].id)
            headers = {"Authorization": f"Bearer {server.seed.tokens['ada']}"}
            async with httpx.AsyncClient(base_url=f"{server.url}/api/v4", headers=headers) as client:
                body = {"channel_id": server.seed.channel.id, "command": "/keep"}
                assert (await client.post("/commands/execute", json=body)).json()["text"] == str(run)
                assert len((await client.get("/commands")).json()) == 1
                posts = (await client.get(f"/channels/{server.seed.channel.id}/posts")).json()
                messages = [posts["posts"][post_id]["message"] for post_id in posts["order"]]
                assert messages == [str(run), *["good night"] * (run - 1)]  # the answer is ada's alone
        assert server.app.host.plugins["com.example.keeper"].state is PluginState.NOT_RUNNING
        assert not await answers(server.url)
    assert ids[0] == ids[1]


async def test_what_cannot_start_leaves_nothing_running(tmp_path: Path, anyio_backend: str) -> None:
    """A wrong bundle, a plugin that dies and a port that is taken are each their own error, and nothing stays."""
    dying = write_bundle(tmp_path / "dying", "raise SystemExit(1)")
    with pytest.raises(PluginStartError, match="exited with code 1"):
        async with open_devserver([dying], options=options(anyio_backend)):
            pass
    with pytest.raises(ManifestError):
        async with open_devserver([tmp_path / "nothing"]):
            pass
    async with open_devserver([]) as server:
        port = int(server.url.rpartition(":")[2])
        with pytest.raises(ConfigurationError, match=str(port)):
            async with open_devserver([], port=port):
                pass
        assert await answers(server.url)


async def test_the_bodys_own_exception_comes_out_as_it_is(anyio_backend: str) -> None:
    """An error inside the context is not wrapped into groups, and the server is closed."""
    with pytest.raises(KeyError, match="mine"):
        async with open_devserver([], options=options(anyio_backend)) as server:
            raise KeyError("mine")
    assert not await answers(server.url)


async def test_people_and_places_are_the_same_in_every_run(tmp_path: Path) -> None:
    """Ids and tokens of a new state are those of any other; a kept state keeps its own, and takes the tokens too."""
    seen: list[Seed] = []
    for state in (None, tmp_path / "state", tmp_path / "state"):
        async with open_world(state) as world:
            seen.append(world.seed)
            for name, token in world.seed.tokens.items():
                session = await world.app.accounts.session_of(token)
                assert session is not None
                assert session.user_id == world.seed.users[name].id
    places = [{seed.team.id, seed.channel.id, *(user.id for user in seed.users.values())} for seed in seen]
    assert places[0] == places[1] == places[2]
    assert len(places[0]) == 5
    assert seen[0].tokens == seen[1].tokens == seen[2].tokens
    assert all(len(word) == 26 for word in (*places[0], *seen[0].tokens.values()))


async def test_plugins_are_ended_and_started_over_rest(tmp_path: Path, anyio_backend: str) -> None:
    """The administrator disables, enables and removes a plugin on the server's own paths; nobody else may."""
    bundle = write_bundle(tmp_path / "keeper", PLUGIN)
    async with open_devserver([bundle], options=options(anyio_backend)) as server:
        plugins = server.app.host.plugins
        tokens = server.seed.tokens

        async def ask(method: str, path: str, name: str = "admin") -> int:
            headers = {"Authorization": f"Bearer {tokens[name]}"}
            async with httpx.AsyncClient(base_url=f"{server.url}/api/v4/plugins", headers=headers) as client:
                return (await client.request(method, path)).status_code

        for method, path in (("POST", "/enable"), ("POST", "/disable"), ("DELETE", "")):
            assert await ask(method, f"/com.example.keeper{path}", "ada") == 403
            assert await ask(method, f"/com.example.none{path}") == 404
        assert await ask("POST", "/com.example.keeper/disable") == 200
        assert server.app.host.running("com.example.keeper") is None
        assert await ask("POST", "/com.example.keeper/enable") == 200
        assert server.app.host.running("com.example.keeper") is not None
        await server.app.plugins.stop("com.example.keeper")
        (bundle / "plugin.py").write_text("raise SystemExit(3)")
        assert await ask("POST", "/com.example.keeper/enable") == 500
        assert await ask("DELETE", "/com.example.keeper") == 200
        assert plugins == {}
