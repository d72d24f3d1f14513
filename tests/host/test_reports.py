"""States as data, and every change of them told."""

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from mm_plugin.exceptions import ManifestError
from mm_plugin.host.host import open_host
from mm_plugin.host.running_plugin import RunningPlugin
from mm_plugin.host.state import PluginState
from mm_plugin.host.supervision import SupervisionRules
from tests.host.stubs import QUICK, NoAPI, StubPlugin, StubWire, write_bundle

pytestmark = pytest.mark.usefixtures("nothing_left")


async def test_report_and_changes(tmp_path: Path) -> None:
    """A crash and a restart are told state by state; the report is JSON."""
    changes: list[tuple[PluginState, int]] = []

    def note(plugin: RunningPlugin) -> None:
        changes.append((plugin.state, plugin.restarts))

    options = replace(QUICK, supervision=SupervisionRules(restart_pause_s=0.01))
    wire = StubWire(StubPlugin(), StubPlugin()).wire
    async with open_host(lambda _: NoAPI(), options=options, wire=wire, on_change=note) as host:
        plugin = await host.start(write_bundle(tmp_path, version="1"))
        report = json.loads(json.dumps(plugin.report().as_json()))
        assert report == {
            "id": "com.example.x",
            "name": "X",
            "version": "",
            "bundle": str(tmp_path),
            "state": "running",
            "reason": "",
            "stderr": [],
            "pid": plugin.pid,
            "restarts": 0,
            "hooks": ["OnActivate", "OnDeactivate"],
        }
        assert plugin.pid is not None
        os.kill(plugin.pid, signal.SIGKILL)
        await plugin.wait_change()
        assert await plugin.wait_settled() is PluginState.RUNNING
        assert plugin.reason == ""
    assert changes == [
        (PluginState.STARTING, 0),
        (PluginState.RUNNING, 0),
        (PluginState.STOPPING, 0),
        (PluginState.STARTING, 1),
        (PluginState.RUNNING, 1),
        (PluginState.STOPPING, 1),
        (PluginState.NOT_RUNNING, 1),
    ]


async def test_restart_that_fails_is_a_failure(tmp_path: Path) -> None:
    """A restart that does not succeed counts and is tried again, until the plugin is off."""
    options = replace(QUICK, supervision=SupervisionRules(restart_pause_s=0.01))
    async with open_host(lambda _: NoAPI(), options=options, wire=StubWire(StubPlugin()).wire) as host:
        bundle = write_bundle(tmp_path)
        plugin = await host.start(bundle)
        (bundle / "plugin.py").write_text("raise SystemExit('broken')")
        assert plugin.pid is not None
        os.kill(plugin.pid, signal.SIGKILL)
        with anyio.fail_after(20):
            assert await plugin.wait_over() is PluginState.FAILED_TO_STAY_RUNNING
        assert plugin.restarts == 2
        assert plugin.reason == (
            "The plugin exited with code 1 before it printed its handshake line; "
            "it is off after 3 failures within 3600 s"
        )
        assert plugin.stderr == ("broken",)


async def test_stop_while_waiting_for_a_restart(tmp_path: Path) -> None:
    """A plugin that waits to be started again can be stopped at once."""
    options = replace(QUICK, supervision=SupervisionRules(restart_pause_s=1000, restart_pause_most_s=1000))
    async with open_host(lambda _: NoAPI(), options=options, wire=StubWire(StubPlugin()).wire) as host:
        plugin = await host.start(write_bundle(tmp_path))
        assert plugin.pid is not None
        os.kill(plugin.pid, signal.SIGKILL)
        while plugin.state is not PluginState.STARTING:
            await plugin.wait_change()
        assert plugin.reason == "The plugin was killed by SIGKILL"
        with anyio.fail_after(10):
            await host.stop(plugin.id)
        assert host.running(plugin.id) is None


async def test_slow_plugin_delays_nobody(tmp_path: Path) -> None:
    """While one plugin hangs in its start, others start, are pinged and stop."""
    silent = "import signal\nwhile True: signal.pause()"
    async with (
        open_host(lambda _: NoAPI(), options=QUICK, wire=StubWire(StubPlugin()).wire) as host,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(host.start, write_bundle(tmp_path / "slow", silent, plugin_id="slow"))
        with anyio.fail_after(8):  # the slow one's time is ten seconds
            await host.start(write_bundle(tmp_path / "quick", plugin_id="quick"))
            await host.stop("quick")
        assert host.plugins["slow"].state is PluginState.STARTING
        tasks.cancel_scope.cancel()


async def test_start_all(tmp_path: Path) -> None:
    """Several start at once and keep their order; those that fail say so in their state, a bad manifest stops all."""
    wire = StubWire(StubPlugin(), StubPlugin()).wire
    async with open_host(lambda _: NoAPI(), options=QUICK, wire=wire) as host:
        bundles = [
            write_bundle(tmp_path / "b", plugin_id="b.b"),
            write_bundle(tmp_path / "c", "1/0", plugin_id="c.c"),
            write_bundle(tmp_path / "a", plugin_id="a.a"),
        ]
        plugins = await host.start_all(bundles)
        assert [plugin.state for plugin in plugins] == [
            PluginState.RUNNING,
            PluginState.FAILED_TO_START,
            PluginState.RUNNING,
        ]
        assert [report.id for report in host.reports()] == ["b.b", "c.c", "a.a"]
        with pytest.raises(ManifestError):
            await host.start_all([write_bundle(tmp_path / "d", plugin_id="d.d"), tmp_path / "nowhere"])
        with anyio.fail_after(10):
            assert await host.plugins["d.d"].wait_over() is PluginState.NOT_RUNNING
