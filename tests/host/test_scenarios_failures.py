"""The scenarios in which something goes wrong, or changes: real plugins in real processes; see test_scenarios.py."""

import logging
import os
import signal
import tempfile
import textwrap
from pathlib import Path

import anyio
import pytest

from mm_plugin._proto.post_pb2 import Post
from mm_plugin.exceptions import ManifestError, PluginStartError
from mm_plugin.hooks.names import HookName
from mm_plugin.host.state import PluginState
from mm_plugin.host.supervision import SupervisionRules
from mm_plugin.transport.link import RequestHead
from tests.host.guard_plugin import GUARD, Open, OpenHost, Server, hooks_of
from tests.host.stubs import write_bundle

pytestmark = pytest.mark.usefixtures("nothing_left")


async def test_activation_failure(open_guard: Open) -> None:
    """What the plugin raises in on_activate is the reason of the failed start."""
    code = """
        from mm_plugin import Plugin, run_plugin

        class Broken(Plugin):
            async def on_activate(self):
                raise RuntimeError("no database")

        run_plugin(Broken)
    """
    with pytest.raises(PluginStartError, match="no database"):
        async with open_guard(code):
            pytest.fail("it did not start")


async def test_import_error(open_guard: Open) -> None:
    """A script that cannot be imported is told with its traceback."""
    with pytest.raises(PluginStartError) as raised:
        async with open_guard("import nonsense_module"):
            pytest.fail("it did not start")
    assert "exited with code 1 before it printed its handshake line" in raised.value.reason
    assert raised.value.stderr[-1] == "ModuleNotFoundError: No module named 'nonsense_module'"
    assert "; install what brings nonsense_module into /" in raised.value.reason
    assert raised.value.reason.endswith(", or declare requirements_path")


async def test_crash(open_guard: Open) -> None:
    """A plugin that is killed is noticed, and a hook under way fails instead of waiting."""
    async with open_guard() as plugin:
        assert plugin.pid is not None
        os.kill(plugin.pid, signal.SIGKILL)
        assert await plugin.wait_over() is PluginState.FAILED_TO_STAY_RUNNING
        assert plugin.reason.endswith("was killed by SIGKILL")


async def test_task_crash(open_guard: Open) -> None:
    """A crash in the plugin's task group ends the process with a non-zero code, which the host tells."""
    code = """
        from mm_plugin import Plugin, run_plugin

        class Crashing(Plugin):
            async def on_activate(self):
                self.task_group.start_soon(self.crash)

            async def crash(self):
                raise RuntimeError("in the background")

        run_plugin(Crashing)
    """
    async with open_guard(code) as plugin:
        assert await plugin.wait_over() is PluginState.FAILED_TO_STAY_RUNNING
        assert plugin.reason.endswith("exited with code 1")
        assert any("in the background" in line for line in plugin.stderr)


async def test_hanging_stream_at_the_stop(open_guard: Open) -> None:
    """An HTTP request that never ends does not hold up the stop, nor need a signal."""
    code = """
        import anyio
        from mm_plugin import Plugin, run_plugin

        class Streaming(Plugin):
            async def serve_http(self, request, response):
                await response.write(b"x")
                await response.flush()
                await anyio.sleep_forever()

        run_plugin(Streaming)
    """
    async with open_guard(code) as plugin:
        link = plugin.link
        assert link is not None
        async with link.open_http(RequestHead(method="GET", url="/")) as call:
            await call.receive_head()
            plugin.ask_stop()
            assert await plugin.wait_over() is PluginState.NOT_RUNNING


async def test_frozen_plugin(open_guard: Open, caplog: pytest.LogCaptureFixture) -> None:
    """A plugin that answers nothing any more is ended within the budgets, step by step."""
    async with open_guard(ask_stop_s=0.1, grace_s=0.1) as plugin:
        assert plugin.pid is not None
        os.kill(plugin.pid, signal.SIGSTOP)
        plugin.ask_stop(hook_timeout_s=0.1)
        assert await plugin.wait_over() is PluginState.NOT_RUNNING
    said = " ".join(record.getMessage() for record in caplog.records if record.levelno == logging.WARNING)
    steps = ("OnDeactivate failed", "did not answer when asked to stop", "sending SIGTERM", "killing it")
    assert [step in said for step in steps] == [True] * 4


# -- crash and recovery, restart policy -----------------------------------------------------------------------


async def test_crash_and_recovery(open_a_host: OpenHost, tmp_path: Path, server: Server) -> None:
    """A killed plugin is started again and serves as before; the third failure turns it off until it is enabled."""
    rules = SupervisionRules(restart_pause_s=0.01)
    async with open_a_host(supervision=rules) as host:
        plugin = await host.start(write_bundle(tmp_path, textwrap.dedent(GUARD)))
        for failure in (1, 2, 3):
            before = plugin.pid
            assert before is not None
            os.kill(before, signal.SIGKILL)
            while plugin.state is PluginState.RUNNING:
                await plugin.wait_change()
            if failure < 3:
                assert await plugin.wait_settled() is PluginState.RUNNING
                assert plugin.pid != before
                assert plugin.restarts == failure
                decision = await host.message_will_be_posted(Post(user_id="u", message="a secret"))
                assert decision.rejection == "Not here, ada."
        assert await plugin.wait_over() is PluginState.FAILED_TO_STAY_RUNNING
        assert plugin.reason == "The plugin was killed by SIGKILL; it is off after 3 failures within 3600 s"
        assert (await host.message_will_be_posted(Post(user_id="u", message="a secret"))).rejection == ""
        again = await host.enable("com.example.x")
        assert again.state is PluginState.RUNNING


async def test_hung_plugin_is_restarted(open_a_host: OpenHost, tmp_path: Path) -> None:
    """A plugin that answers no health checks any more is ended and started again; its neighbour notices nothing."""
    rules = SupervisionRules(ping_interval_s=0.1, restart_pause_s=0.01)
    options = {"health_timeout_s": 0.3, "exit_grace_s": 0.1, "terminate_grace_s": 0.1, "ask_stop_s": 0.1}
    async with open_a_host(supervision=rules, **options) as host:
        plugin, neighbour = await host.start_all(
            write_bundle(tmp_path / name, textwrap.dedent(GUARD), plugin_id=name * 3) for name in "ab"
        )
        frozen = plugin.pid
        assert frozen is not None
        os.kill(frozen, signal.SIGSTOP)
        while plugin.pid == frozen or plugin.state is not PluginState.RUNNING:
            await plugin.wait_change()
        assert (plugin.restarts, neighbour.restarts) == (1, 0)
        assert neighbour.state is PluginState.RUNNING


async def test_run_time_changes(open_a_host: OpenHost, tmp_path: Path) -> None:
    """Stop, enable, restart from changed files, remove; each while another plugin runs on."""
    code = "from mm_plugin import Plugin, run_plugin\nclass P(Plugin):\n    {}\nrun_plugin(P)\n"
    async with open_a_host() as host:
        other = await host.start(write_bundle(tmp_path / "other", code.format("pass"), plugin_id="other"))
        bundle = write_bundle(tmp_path / "one", code.format("pass"), plugin_id="one")
        first = await host.start(bundle)
        await host.stop("one")
        assert first.state is PluginState.NOT_RUNNING
        second = await host.enable("one")
        assert (await host.enable("one")) is second
        write_bundle(bundle, code.format("async def on_send_daily_telemetry(self): pass"), plugin_id="one")
        async with anyio.create_task_group() as tasks:  # who asks at once is served in turn
            tasks.start_soon(host.restart, "one")
            tasks.start_soon(host.restart, "one")
        third = host.plugins["one"]
        assert third.state is PluginState.RUNNING
        assert HookName.OnSendDailyTelemetry in hooks_of(third).implemented
        (bundle / "plugin.json").write_text("{")
        with pytest.raises(ManifestError):
            await host.restart("one")
        assert third.state is PluginState.RUNNING
        assert [report.state for report in host.reports()] == [PluginState.RUNNING] * 2
        await host.remove("one")
        assert list(host.plugins) == ["other"]
        assert other.state is PluginState.RUNNING


# -- starts that fail -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import time; time.sleep(100)", "The plugin printed no handshake line within 0.5 s; is there a run_plugin()?"),
        ("print('1|1')", "The plugin printed no handshake: the first line on the plugin's standard output is '1|1'"),
        (
            "print('1|1|tcp|127.0.0.1:1|netrpc', flush=True); input()",
            "The plugin cannot be talked to: it speaks net/rpc",
        ),
        (
            "print('1|1|tcp|127.0.0.1:1|grpc', flush=True); import time; time.sleep(100)",
            "The plugin failed at its health",
        ),
        ("raise SystemExit(3)", "The plugin exited with code 3 before it printed its handshake line"),
    ],
)
async def test_bad_handshakes(open_a_host: OpenHost, tmp_path: Path, code: str, reason: str) -> None:
    """Silent, malformed, of another protocol, leading nowhere, gone: each is told apart, and nothing stays."""
    async with open_a_host(start_timeout_s=0.5, terminate_grace_s=0.1) as host:
        if "input()" in code:
            code = code.replace("input()", "import time; time.sleep(100)")
        with pytest.raises(PluginStartError) as raised:
            await host.start(write_bundle(tmp_path, code))
    assert raised.value.reason.startswith(f"com.example.x: {reason}")


async def test_missing_package(open_a_host: OpenHost, tmp_path: Path) -> None:
    """A package that is missing leads to the requirements file the manifest names."""
    bundle = write_bundle(tmp_path, "import nonsense_module", python={"requirements_path": "requirements.txt"})
    (bundle / "requirements.txt").touch()
    async with open_a_host() as host:
        with pytest.raises(PluginStartError, match=r"is requirements\.txt installed in the Python that runs"):
            await host.start(bundle)


async def test_fifty_lives_leave_nothing(
    open_a_host: OpenHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fifty starts and stops leave no process, no descriptor and no file behind; the fixture looks at the first two."""
    temporary = tempfile.mkdtemp()  # short, unlike tmp_path: a socket's path must fit
    monkeypatch.setattr(tempfile, "tempdir", temporary)
    code = "from mm_plugin import Plugin, run_plugin\nclass P(Plugin):\n    pass\nrun_plugin(P)\n"
    async with open_a_host(api_unix_socket=True) as host, anyio.create_task_group() as tasks:

        async def live(name: str) -> None:
            bundle = write_bundle(tmp_path / name, code, plugin_id=name)
            for _ in range(10):
                await host.start(bundle)
                await host.stop(name)

        for name in ("one", "two", "three", "four", "five"):
            tasks.start_soon(live, name)
    os.rmdir(temporary)  # fails where something is left
