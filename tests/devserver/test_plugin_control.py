"""Plugins restarted while others change their lives too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from mm_plugin.devserver.seed import open_seed
from mm_plugin.devserver.server import open_app
from mm_plugin.devserver.store import open_store
from mm_plugin.exceptions import ValidationError
from mm_plugin.host.state import PluginState
from mm_plugin.messages.posts import Post
from tests.host.stubs import QUICK, StubPlugin, StubWire, write_bundle
from tests.host.test_in_flight import SlowPlugin


@pytest.mark.parametrize("new_id", ["com.example.x", "com.example.y"])
async def test_a_plugin_is_taken_away_while_it_is_restarted(tmp_path: Path, new_id: str) -> None:
    """A restart that meets a removal still ends with the plugin of the files as they are now, whatever its id."""
    bundle = write_bundle(tmp_path / "bundle")
    wire = StubWire(StubPlugin(), StubPlugin()).wire
    async with open_store(None) as store, open_app(store, options=QUICK, wire=wire) as app:
        await app.plugins.start(bundle)
        write_bundle(bundle, plugin_id=new_id)
        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(app.host.remove, "com.example.x")
                tasks.start_soon(app.plugins.restart, bundle)
        assert {key: plugin.state for key, plugin in app.host.plugins.items()} == {new_id: PluginState.RUNNING}


async def test_a_post_that_is_being_screened_gets_its_answer_from_a_plugin_that_is_restarted(tmp_path: Path) -> None:
    """A save in the wrong moment lets nothing pass unfiltered."""
    bundle = write_bundle(tmp_path / "bundle")
    screening = SlowPlugin()
    options = replace(QUICK, drain_s=20)
    async with (
        open_store(None) as store,
        open_app(store, options=options, wire=StubWire(screening, StubPlugin()).wire) as app,
    ):
        seed = await open_seed(app)
        plugin = await app.plugins.start(bundle)
        rejected: list[str] = []

        async def post() -> None:
            try:
                await app.posting.create(
                    Post(user_id=seed.users["ada"].id, channel_id=seed.channel.id, message="a secret")
                )
            except ValidationError as error:
                rejected.append(error.message)

        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(post)
                await screening.running.wait()
                tasks.start_soon(app.plugins.restart, bundle)
                while plugin.state is not PluginState.STOPPING:
                    await plugin.wait_change()
                screening.release.set()
        assert rejected == ["Post rejected by plugin. no"]
