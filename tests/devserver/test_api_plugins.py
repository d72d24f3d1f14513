"""Plugins that switch each other, or themselves, on and off: real processes, asked by a plugin's client."""

from __future__ import annotations

import sys
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from mm_plugin.devserver.server import open_devserver
from mm_plugin.exceptions import NotFoundError, PluginAPIError, RateLimitedError
from mm_plugin.host.options import HostOptions
from mm_plugin.host.state import PluginState
from mm_plugin.messages.commands import CommandArgs
from mm_plugin.settings import BACKEND
from tests.devserver.worlds import World, open_world

PLUGIN_ID = "com.example.switched"
PLUGIN = """
from mm_plugin import Command, CommandResponse, Plugin, run_plugin

class Switched(Plugin):
    async def on_activate(self):
        await self.api.register_command(Command(trigger="stop"))

    async def execute_command(self, context, args):
        await self.api.disable_plugin(self.plugin_id)
        return CommandResponse(text="")

run_plugin(Switched)
"""


async def test_a_plugin_is_switched_off_and_on(tmp_path: Path, anyio_backend: str) -> None:
    """Disabled it stops, enabled it runs again, and what cannot start or is not there is an error."""
    bundle = tmp_path / "switched"
    bundle.mkdir()
    manifest = f'{{"id": "{PLUGIN_ID}", "name": "S", "server": {{"runtime": "python", "executable": "plugin.py"}}}}'
    (bundle / "plugin.json").write_text(manifest)
    (bundle / "plugin.py").write_text(PLUGIN)
    options = HostOptions(interpreter=Path(sys.executable), environment={BACKEND: anyio_backend})
    async with open_devserver([bundle], options=options) as server:
        world = World(server.app, server.seed)
        async with world.client("com.example.actor") as api:
            await api.disable_plugin(PLUGIN_ID)
            assert (await api.get_plugin_status(PLUGIN_ID)).state == PluginState.NOT_RUNNING
            assert await api.list_plugin_commands("") == []
            await api.enable_plugin(PLUGIN_ID)
            await api.enable_plugin(PLUGIN_ID)
            assert (await api.get_plugin_status(PLUGIN_ID)).state == PluginState.RUNNING
            ada = server.seed.users["ada"].id
            await api.execute_slash_command(
                CommandArgs(user_id=ada, channel_id=server.seed.channel.id, command="/stop")
            )
            with anyio.fail_after(20):
                await server.app.host.plugins[PLUGIN_ID].wait_over()
            (bundle / "plugin.py").write_text("raise SystemExit(3)")
            with pytest.raises(PluginAPIError, match="did not start"):
                await api.enable_plugin(PLUGIN_ID)
            await api.remove_plugin(PLUGIN_ID)
            assert bundle.exists()
            for call in (api.enable_plugin(PLUGIN_ID), api.disable_plugin(PLUGIN_ID), api.remove_plugin("none")):
                with pytest.raises(NotFoundError):
                    await call


async def test_a_plugin_may_be_taken_away_twice_at_once() -> None:
    """Both calls are answered, whoever makes them, and the server goes on."""
    async with open_world() as world, world.client("com.example.other"), world.client("com.example.twice") as api:
        async with anyio.create_task_group() as tasks:
            for _ in range(2):
                tasks.start_soon(api.remove_plugin, "com.example.other")
                tasks.start_soon(api.remove_plugin, "com.example.twice")
                tasks.start_soon(api.disable_plugin, "com.example.twice")
        while world.app.host.plugins:
            await anyio.lowlevel.checkpoint()
        assert await api.get_server_version()


async def test_a_plugin_that_ends_itself_must_not_flood_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it asks for in the background counts as every other event does."""
    async with open_world() as world, world.client() as api:
        monkeypatch.setattr("mm_plugin.limits.devserver_pending_events", 0)
        with pytest.raises(RateLimitedError):
            await api.disable_plugin("com.example.test")


async def test_what_is_not_there_leaves_nothing_behind() -> None:
    """Asking for plugins and users that do not exist takes no memory."""
    async with open_world() as world, world.client() as api:
        with pytest.raises(NotFoundError):
            await api.enable_plugin("none")
        await api.delete_ephemeral_post("nobody", "no post")
        assert "none" not in world.app.host._turns
        assert "nobody" not in world.app.ephemeral._posts
