"""One plugin's life: real processes, hooks answered inside the test."""

import os
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from google.protobuf.message import Message

from mm_plugin._proto.common_pb2 import AppError
from mm_plugin.exceptions import StatusCode
from mm_plugin.host.options import HostOptions
from mm_plugin.host.running_plugin import RunningPlugin
from mm_plugin.host.state import PluginState
from mm_plugin.host.wires import HostWire
from mm_plugin.messages.manifest import load_manifest
from mm_plugin.transport.link import APIReceiver, CallFailure, FailureKind, HookCall, HostLink
from mm_plugin.wire.handshake import Handshake
from tests.host.stubs import DEAF, POLITE, QUICK, STUBBORN, NoAPI, StubPlugin, StubWire, says, write_bundle

pytestmark = pytest.mark.usefixtures("nothing_left")

#: Where only the order of things counts, nothing may run into a time limit.
PATIENT = replace(QUICK, exit_grace_s=30, terminate_grace_s=30)


def make(bundle: Path, wire: StubWire | HostWire, options: HostOptions = PATIENT) -> RunningPlugin:
    wire = wire.wire if isinstance(wire, StubWire) else wire
    plugin = RunningPlugin(bundle, load_manifest(bundle), NoAPI(), wire=wire, options=options)
    plugin.begin()
    return plugin


@asynccontextmanager
async def living(plugin: RunningPlugin) -> AsyncGenerator[None]:
    """Run the plugin beside the body, and give its life a generous end."""
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(plugin.run)
            yield


def closed(plugin: RunningPlugin) -> bool:
    return plugin.hooks is None and plugin.link is None and plugin.pid is None


def gone(pid: int | None) -> bool:
    assert pid is not None
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def test_life(tmp_path: Path) -> None:
    """API first, then process and link, hooks in order; at the stop the same backwards."""
    stub = StubPlugin()
    wire = StubWire(stub)
    plugin = make(write_bundle(tmp_path), wire)
    assert plugin.state is PluginState.STARTING
    assert closed(plugin)
    async with living(plugin):
        assert await plugin.wait_settled() is PluginState.RUNNING
        assert stub.called == ["Implemented", "OnActivate"]
        assert wire.events == ["API open", "link open"]
        assert plugin.hooks is not None
        assert plugin.link is not None
        pid = plugin.pid
        assert not gone(pid)
        plugin.ask_stop()
        assert await plugin.wait_over() is PluginState.NOT_RUNNING
    assert stub.called == ["Implemented", "OnActivate", "OnDeactivate"]
    assert wire.events == ["API open", "link open", "link closed", "API closed"]
    assert gone(pid)
    assert closed(plugin)
    assert plugin.reason == ""


async def test_two_lives(tmp_path: Path) -> None:
    """A plugin may be started again after its end, and not before."""
    plugin = make(write_bundle(tmp_path), StubWire(StubPlugin(), StubPlugin()))
    for life in range(2):
        if life:
            plugin.begin()
        async with living(plugin):
            assert await plugin.wait_settled() is PluginState.RUNNING
            with pytest.raises(RuntimeError, match="RUNNING already"):
                plugin.begin()
            plugin.ask_stop()
        assert plugin.state is PluginState.NOT_RUNNING


async def test_cancellation_stops_in_order(tmp_path: Path) -> None:
    """Cancelling a life is the wish to stop: OnDeactivate still runs."""
    stub = StubPlugin()
    plugin = make(write_bundle(tmp_path), StubWire(stub))
    with anyio.fail_after(20), anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(plugin.run)
            await plugin.wait_settled()
            pid = plugin.pid
            scope.cancel()
    assert plugin.state is PluginState.NOT_RUNNING
    assert stub.called == ["Implemented", "OnActivate", "OnDeactivate"]
    assert gone(pid)


@pytest.mark.parametrize(("code", "killed_by"), [(DEAF, "SIGTERM"), (STUBBORN, "SIGKILL")])
async def test_stubborn(tmp_path: Path, code: str, killed_by: str, caplog: pytest.LogCaptureFixture) -> None:
    """A process that does not go when asked gets SIGTERM, and one that minds neither is killed."""
    plugin = make(write_bundle(tmp_path, code), StubWire(StubPlugin()), QUICK)
    async with living(plugin):
        await plugin.wait_settled()
        pid = plugin.pid
        plugin.ask_stop()
    assert plugin.state is PluginState.NOT_RUNNING
    assert gone(pid)
    said = [record.message for record in caplog.records]
    assert ("sending SIGTERM" in said[0], len(said)) == (True, 1 if killed_by == "SIGTERM" else 2)


async def test_death(tmp_path: Path) -> None:
    """A process that dies is noticed at once; how, and its last words, are kept."""
    code = POLITE.replace("print(", "print('last words', file=sys.stderr, flush=True)\nprint(", 1)
    wire = StubWire(StubPlugin())
    plugin = make(write_bundle(tmp_path, code), wire)
    async with living(plugin):
        await plugin.wait_settled()
        assert plugin.pid is not None
        os.kill(plugin.pid, signal.SIGKILL)
        assert await plugin.wait_over() is PluginState.FAILED_TO_STAY_RUNNING
    assert plugin.reason == "The plugin was killed by SIGKILL"
    assert plugin.stderr == ("last words",)
    assert wire.events[-1] == "API closed"


async def test_activation_refused(tmp_path: Path) -> None:
    """The plugin's own text reaches the reason; it is asked to stop and has its grace."""
    error = AppError(id="a.b", message="no database", detailed_error="no database", status_code=500)
    stub = StubPlugin({"OnActivate": lambda _: {"error": error}})
    plugin = make(write_bundle(tmp_path), StubWire(stub))
    async with living(plugin):
        assert await plugin.wait_settled() is PluginState.FAILED_TO_START
    assert plugin.reason == "The plugin refused OnActivate: no database"
    assert str(plugin.start_error()) == "com.example.x: The plugin refused OnActivate: no database"
    assert "OnDeactivate" not in stub.called


async def test_deactivation_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An error from OnDeactivate is logged, and changes nothing about the stop."""
    stub = StubPlugin({"OnDeactivate": says(error=AppError(message="busy"))})
    plugin = make(write_bundle(tmp_path), StubWire(stub))
    async with living(plugin):
        await plugin.wait_settled()
        plugin.ask_stop()
    assert (plugin.state, plugin.reason) == (PluginState.NOT_RUNNING, "")
    assert "plugin com.example.x: OnDeactivate failed: busy" in caplog.text


async def test_deactivation_hangs(tmp_path: Path) -> None:
    """OnDeactivate has the time that whoever asks for the stop gives, not for ever."""

    class Hanging(StubPlugin):
        async def handle_hook(self, call: HookCall) -> Message:
            if call.name == "OnDeactivate":
                await anyio.sleep_forever()
            return await super().handle_hook(call)

    plugin = make(write_bundle(tmp_path), StubWire(Hanging()))
    async with living(plugin):
        await plugin.wait_settled()
        plugin.ask_stop(hook_timeout_s=0.1)
    assert plugin.state is PluginState.NOT_RUNNING


@pytest.mark.parametrize("step", ["Implemented", "OnActivate"])
async def test_start_fails(tmp_path: Path, step: str) -> None:
    """A call without an answer names its step."""

    def fails(request: Message) -> None:
        raise CallFailure("gone mad", code=StatusCode.INTERNAL)

    plugin = make(write_bundle(tmp_path), StubWire(StubPlugin({step: fails})))
    async with living(plugin):
        assert await plugin.wait_settled() is PluginState.FAILED_TO_START
    assert plugin.reason == f"The plugin failed at {step}: INTERNAL: gone mad"


async def test_death_during_activation(tmp_path: Path) -> None:
    """A process that dies in OnActivate is told as dead, not as a lost connection."""
    plugin: RunningPlugin

    def dies(request: Message) -> None:
        assert plugin.pid is not None
        os.kill(plugin.pid, signal.SIGKILL)
        raise CallFailure("lost", kind=FailureKind.LOST, code=StatusCode.UNAVAILABLE)

    plugin = make(write_bundle(tmp_path), StubWire(StubPlugin({"OnActivate": dies})))
    async with living(plugin):
        assert await plugin.wait_settled() is PluginState.FAILED_TO_START
    assert plugin.reason == "The plugin was killed by SIGKILL during OnActivate"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (
            "print('Hello')",
            "The plugin printed no handshake: the first line on the plugin's standard output is 'Hello'",
        ),
        ("1/0", "The plugin exited with code 1 before it printed its handshake line"),
        ("import time\nwhile True: time.sleep(100)", "The plugin printed no handshake line within 0.5 s"),
    ],
)
async def test_no_handshake(tmp_path: Path, code: str, reason: str) -> None:
    """What printed first, what exited first and what is silent are told apart; no link is opened."""
    wire = StubWire()
    plugin = make(write_bundle(tmp_path, code), wire, replace(QUICK, start_timeout_s=0.5))
    async with living(plugin):
        assert await plugin.wait_settled() is PluginState.FAILED_TO_START
    assert plugin.reason.startswith(reason)
    assert (plugin.stderr[-1:] == ("ZeroDivisionError: division by zero",)) == (code == "1/0")
    assert wire.events == ["API open", "API closed"]


async def test_manifest_trouble(tmp_path: Path) -> None:
    """A bundle that cannot be run fails to start with the sentence of its manifest, before anything is opened."""
    wire = StubWire()
    plugin = make(write_bundle(tmp_path, executable="missing.py"), wire)
    async with living(plugin):
        assert await plugin.wait_settled() is PluginState.FAILED_TO_START
    assert plugin.reason.endswith("server.executable: there is no file 'missing.py' in the bundle")
    assert wire.events == []


async def test_wire_trouble(tmp_path: Path) -> None:
    """A port that cannot be had and a plugin that cannot be reached fail the start, and end the process."""
    bundle = write_bundle(tmp_path)
    stub = StubWire()

    @asynccontextmanager
    async def no_api(receiver: APIReceiver, /, *, secret: str) -> AsyncGenerator[str]:
        if isinstance(receiver, NoAPI):
            raise OSError("no port")
        yield ""

    @asynccontextmanager
    async def no_link(handshake: Handshake, /) -> AsyncGenerator[HostLink]:
        if handshake.network == "unix":
            raise CallFailure("refused", kind=FailureKind.UNREACHABLE, code=StatusCode.UNAVAILABLE)
        yield NotImplemented

    for wire, reason in (
        (HostWire(no_api, no_link), "no port"),
        (HostWire(stub.serve_api, no_link), "cannot be reached at /"),
    ):
        plugin = make(bundle, wire)
        async with living(plugin):
            assert await plugin.wait_settled() is PluginState.FAILED_TO_START
        assert reason in plugin.reason


async def test_stop_while_starting(tmp_path: Path) -> None:
    """A stop does not wait for a plugin that is slow to start, be it silent or busy in OnActivate."""
    silent = "import time\nwhile True: time.sleep(100)"
    plugin = make(write_bundle(tmp_path / "silent", silent), StubWire(), PATIENT)
    async with living(plugin):
        plugin.ask_stop()
        assert await plugin.wait_over() is PluginState.NOT_RUNNING
    assert plugin.reason == ""

    begun = anyio.Event()

    class Busy(StubPlugin):
        async def handle_hook(self, call: HookCall) -> Message:
            if call.name == "OnActivate":
                begun.set()
                await anyio.sleep_forever()
            return await super().handle_hook(call)

    plugin = make(write_bundle(tmp_path / "busy"), StubWire(Busy()), PATIENT)
    async with living(plugin):
        await begun.wait()
        plugin.ask_stop()
        assert await plugin.wait_over() is PluginState.NOT_RUNNING


async def test_fault_of_ours(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A crash in the wire ends this plugin only: it is logged, and nothing of the process stays."""

    @asynccontextmanager
    async def broken(handshake: Handshake, /) -> AsyncGenerator[HostLink]:
        if handshake.network == "unix":
            raise ZeroDivisionError
        yield NotImplemented

    plugin = make(write_bundle(tmp_path), HostWire(StubWire().serve_api, broken))
    async with living(plugin):
        assert await plugin.wait_settled() is PluginState.FAILED_TO_START
    assert plugin.reason == "An internal error of the host, see its log"
    assert "managing plugin com.example.x failed" in caplog.text
    assert plugin.pid is None
