"""Plugins restarted while others change their lives too."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from mm_plugin.devserver.server import open_app
from mm_plugin.devserver.store import open_store
from mm_plugin.host.state import PluginState
from tests.host.stubs import QUICK, StubPlugin, StubWire, write_bundle


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
