"""Whether a plugin is under a debugger, and that nothing is hurried then."""

import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from google.protobuf.message import Message

from mm_plugin import settings
from mm_plugin.hooks.names import HookName
from mm_plugin.host import debugger as module
from mm_plugin.host.debugger import Debugger
from mm_plugin.host.environment import plugin_environment
from mm_plugin.host.faults import Faults, FaultyLink
from mm_plugin.host.hook_client import HookClient
from mm_plugin.host.host import open_host
from mm_plugin.host.options import HostOptions
from mm_plugin.host.state import PluginState
from mm_plugin.host.supervision import SupervisionRules
from mm_plugin.host.wires import HostWire
from mm_plugin.transport.link import CallFailure, FailureKind, HookCall, HostLink
from mm_plugin.wire.handshake import Handshake
from tests.host.stubs import QUICK, NoAPI, StubPlugin, StubWire, joined, says, write_bundle


@pytest.mark.parametrize(
    ("option", "environment", "attached"),
    [
        (None, {}, False),
        (None, {"DEBUGPY_RUNNING": "true"}, True),
        (None, {"PYDEVD_LOAD_VALUES_ASYNC": "True"}, True),
        (None, {"DEBUGPY_RUNNING": ""}, False),
        (None, {"PYDEVD_DISABLE_FILE_VALIDATION": "1"}, False),
        (False, {"DEBUGPY_RUNNING": "true"}, False),
        (True, {}, True),
    ],
)
async def test_option_and_environment(option: bool | None, environment: dict[str, str], attached: bool) -> None:
    """The operator's word counts; without it the variables that debuggers give to the programs they start."""
    assert Debugger(option, environment, pid=1_000_000_000).attached() is attached


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says who traces whom")
@pytest.mark.parametrize("tracer", ["0", "4711"])
async def test_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tracer: str) -> None:
    """The kernel's TracerPid tells, and is asked again only after a while."""
    status = tmp_path / "status"
    status.write_text(f"Name:\tpython\nTracerPid:\t{tracer}\nUid:\t0\n")
    monkeypatch.setattr(module, "Path", lambda _: status)
    debugger = Debugger(None, {}, pid=1)
    assert debugger.attached() is (tracer != "0")
    status.unlink()
    assert debugger.attached() is (tracer != "0")
    debugger._look_again_at = anyio.current_time()
    assert debugger.attached() is False


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says who traces whom")
async def test_real_process() -> None:
    """A real status file is understood: nobody traces this child."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:  # noqa: ASYNC220
        assert b"TracerPid:" in Path(f"/proc/{child.pid}/status").read_bytes()
        assert Debugger(None, {}, child.pid).attached() is False
        child.communicate(b"\n")


def test_hook_timeout_of_the_plugin() -> None:
    """A plugin that starts under a debugger is told not to hurry its own hooks; what the operator set stays."""

    def hook_timeout(options: HostOptions, **inherited: str) -> str | None:
        made = plugin_environment(inherited, options, plugin_id="x", bundle=Path("/b"), api_target="t")
        return made.get(settings.HOOK_TIMEOUT)

    debugged = replace(QUICK, debugger=True)
    assert hook_timeout(QUICK) is None
    assert hook_timeout(debugged) == "86400"
    assert hook_timeout(debugged, MATTERMOST_PLUGIN_HOOK_TIMEOUT="5") == "5"


@pytest.mark.parametrize("unhurried", [True, False])
async def test_hooks_have_no_deadline(unhurried: bool) -> None:
    """Under a debugger a hook may take any time."""
    stub = StubPlugin({"UserWillLogIn": says()})
    async with joined(stub) as link:
        hooks = HookClient(link, "x", unhurried=lambda: unhurried)
        await hooks.ask_implemented()
        await hooks.call(HookName.UserWillLogIn)
    assert all((call.deadline is None) is unhurried for call in stub.calls)


async def test_a_stop_keeps_its_time(tmp_path: Path) -> None:
    """A plugin that stands at a breakpoint in OnDeactivate is ended within the budgets, debugger or not."""

    class Standing(StubPlugin):
        async def handle_hook(self, call: HookCall) -> Message:
            if call.name == "OnDeactivate":
                await anyio.sleep_forever()
            return await super().handle_hook(call)

    options = replace(QUICK, debugger=True, hook_timeout_s=0.1, stop_hook_timeout_s=0.1)
    with anyio.fail_after(20):
        async with open_host(lambda _: NoAPI(), options=options, wire=StubWire(Standing()).wire) as host:
            plugin = await host.start(write_bundle(tmp_path))
            await host.stop(plugin.id)


class DeafLink(FaultyLink):
    """Answers the first health check, which belongs to the start, and none after it."""

    pings = -1
    enough: anyio.Event

    async def check_health(self, *, deadline: float | None = None) -> bool:
        self.pings += 1
        if self.pings == 10:
            self.enough.set()
        if self.pings:
            raise CallFailure("deaf", kind=FailureKind.DEADLINE)
        return True


@pytest.mark.parametrize("debugger", [True, False])
async def test_health_is_suspended(tmp_path: Path, debugger: bool) -> None:
    """Missed health checks count for nothing under a debugger; without one, three in a row end the plugin."""
    stub_wire = StubWire(StubPlugin())
    links: list[DeafLink] = []

    @asynccontextmanager
    async def open_link(handshake: Handshake, /) -> AsyncGenerator[HostLink]:
        async with stub_wire.open_link(handshake) as link:
            deaf = DeafLink(link, Faults(), pid=0)
            deaf.enough = anyio.Event()
            links.append(deaf)
            yield deaf

    rules = SupervisionRules(ping_interval_s=0.01, failures=1)
    options = replace(QUICK, debugger=debugger, supervision=rules)
    wire = HostWire(stub_wire.serve_api, open_link)
    with anyio.fail_after(20):
        async with open_host(lambda _: NoAPI(), options=options, wire=wire) as host:
            plugin = await host.start(write_bundle(tmp_path))
            if debugger:
                await links[0].enough.wait()
                assert plugin.state is PluginState.RUNNING
            else:
                assert await plugin.wait_over() is PluginState.FAILED_TO_STAY_RUNNING
                assert plugin.reason == "The plugin failed 3 health checks in a row: UNKNOWN: deaf"
                assert links[0].pings == 3


@pytest.mark.parametrize("debugger", [True, False])
async def test_the_first_health_check_is_suspended(tmp_path: Path, debugger: bool) -> None:
    """A plugin that stands at a breakpoint before it serves has all its time for the check of its start too."""
    stub_wire = StubWire(StubPlugin())
    deadlines: list[float | None] = []

    class Noting(FaultyLink):
        async def check_health(self, *, deadline: float | None = None) -> bool:
            deadlines.append(deadline)
            return True

    @asynccontextmanager
    async def open_link(handshake: Handshake, /) -> AsyncGenerator[HostLink]:
        async with stub_wire.open_link(handshake) as link:
            yield Noting(link, Faults(), pid=0)

    options = replace(QUICK, debugger=debugger)
    async with open_host(lambda _: NoAPI(), options=options, wire=HostWire(stub_wire.serve_api, open_link)) as host:
        await host.start(write_bundle(tmp_path))
    assert (deadlines == [None]) is debugger
