"""Fault switches: what each does to a plugin, and how a command line names them."""

import textwrap
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from google.protobuf.message import Message

from mm_plugin._proto.api_kv_pb2 import KVCompareAndSetRequest, KVGetRequest, KVGetResponse, KVSetRequest
from mm_plugin._proto.post_pb2 import Post
from mm_plugin.exceptions import ConfigurationError, PluginStartError, StatusCode
from mm_plugin.hooks.names import HookName
from mm_plugin.host.faults import Faults, FaultyAPI, FaultyLink, parse_faults
from mm_plugin.host.host import open_host
from mm_plugin.host.state import PluginState
from mm_plugin.transport.link import CallFailure, FailureKind
from tests.host.guard_plugin import GUARD, OpenHost
from tests.host.stubs import QUICK, NoAPI, StubPlugin, StubWire, joined, says, write_bundle

pytestmark = pytest.mark.usefixtures("nothing_left")


def test_parse() -> None:
    """Switches by name, numbers after an equals sign; a dash is as good as an underscore."""
    assert parse_faults([]) == Faults()
    assert parse_faults(["delay-s=0.5", "drop=3", "kill=10", "hang=1", "kv-full", "garbage_handshake"]) == Faults(
        delay_s=0.5, drop=3, kill=10, hang=1, kv_full=True, garbage_handshake=True
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("burn", "fault 'burn': expected one of delay_s, drop, kill, hang, garbage_handshake, kv_full, api_delay_s"),
        ("delay_s", "fault 'delay_s': expected delay_s= and seconds, such as 0.5"),
        ("delay_s=nan", "fault 'delay_s=nan': expected delay_s= and seconds, such as 0.5"),
        ("delay_s=inf", "fault 'delay_s=inf': expected delay_s= and seconds, such as 0.5"),
        ("drop=-1", "fault 'drop=-1': expected drop= and a whole number, such as 3"),
        ("kill=1.5", "fault 'kill=1.5': expected kill= and a whole number, such as 3"),
        ("kv_full=yes", "fault 'kv_full=yes': kv_full is on or off and takes no value"),
    ],
)
def test_parse_nonsense(text: str, sentence: str) -> None:
    """What cannot be meant is told with what was expected."""
    with pytest.raises(ConfigurationError) as raised:
        parse_faults([text])
    assert str(raised.value) == sentence


async def test_drop_and_delay(tmp_path: Path) -> None:
    """Every second answer is lost though the plugin was called; the lifecycle is spared; switches act at once."""
    faults = Faults(drop=2)
    stub = StubPlugin({"UserWillLogIn": says(rejection_reason="no")})
    async with open_host(lambda _: NoAPI(), options=replace(QUICK, faults=faults), wire=StubWire(stub).wire) as host:
        plugin = await host.start(write_bundle(tmp_path))
        hooks = plugin.hooks
        assert hooks is not None
        assert (await hooks.call(HookName.UserWillLogIn)) is not None
        with pytest.raises(CallFailure) as raised:
            await hooks.call(HookName.UserWillLogIn)
        assert raised.value.kind is FailureKind.LOST
        assert stub.called[-2:] == ["UserWillLogIn"] * 2
        faults.drop, faults.delay_s = 0, 60
        with anyio.move_on_after(0.05) as scope:
            await hooks.call(HookName.UserWillLogIn)
        assert scope.cancelled_caught
        assert len(stub.called) == 4
        faults.delay_s = 0


async def test_delay_keeps_the_deadline() -> None:
    """A delay beyond the deadline ends there."""
    async with joined(StubPlugin()) as real:
        link = FaultyLink(real, Faults(delay_s=60), pid=1)
        with anyio.fail_after(10), pytest.raises(CallFailure) as raised:
            await link.call_hook("OnSendDailyTelemetry", Post(), deadline=anyio.current_time() + 0.01)
        assert raised.value.kind is FailureKind.DEADLINE


@pytest.mark.parametrize("faults", [Faults(kill=2), Faults(hang=2)], ids=["kill", "hang"])
async def test_kill_and_hang(open_a_host: OpenHost, tmp_path: Path, faults: Faults) -> None:
    """At the second hook the process is killed, or stops for ever: the first dies, the second misses its deadline."""
    async with open_a_host(
        faults=replace(faults), terminate_grace_s=0.1, stop_hook_timeout_s=0.1, ask_stop_s=0.1
    ) as host:
        plugin = await host.start(write_bundle(tmp_path, textwrap.dedent(GUARD)))
        hooks = plugin.hooks
        assert hooks is not None
        await hooks.call(HookName.MessageHasBeenPosted, post=Post())
        with pytest.raises(CallFailure) as raised:
            await hooks.call(HookName.MessageHasBeenPosted, post=Post(), timeout_s=5 if faults.kill else 0.3)
        if faults.kill:
            assert await plugin.wait_over() is PluginState.FAILED_TO_STAY_RUNNING
            assert plugin.reason.endswith("was killed by SIGKILL")
        else:
            assert raised.value.kind is FailureKind.DEADLINE
            assert plugin.state is PluginState.RUNNING


async def test_garbage_handshake(tmp_path: Path) -> None:
    """A start fails as if the plugin had printed something else first."""
    options = replace(QUICK, faults=Faults(garbage_handshake=True))
    async with open_host(lambda _: NoAPI(), options=options, wire=StubWire().wire) as host:
        with pytest.raises(PluginStartError, match="'Hello! This is no handshake"):
            await host.start(write_bundle(tmp_path))


class _Store:
    def __init__(self) -> None:
        self.methods: list[str] = []

    async def handle_api(self, method: str, request: Message, *, deadline: float | None) -> Message:
        self.methods.append(method)
        return KVGetResponse()


async def test_full_store() -> None:
    """A full store takes no value, but gives, deletes, and frees itself when the switch goes off."""
    faults, store = Faults(kv_full=True), _Store()
    api = FaultyAPI(store, faults)
    for method, request in (
        ("KVSet", KVSetRequest(key="k", value=b"v")),
        ("KVCompareAndSet", KVCompareAndSetRequest(key="k", new_value=b"v")),
    ):
        with pytest.raises(CallFailure) as raised:
            await api.handle_api(method, request, deadline=None)
        assert (raised.value.code, raised.value.id) == (
            StatusCode.RESOURCE_EXHAUSTED,
            "app.plugin.key_value.full.app_error",
        )
    await api.handle_api("KVGet", KVGetRequest(key="k"), deadline=None)
    await api.handle_api("KVSet", KVSetRequest(key="k"), deadline=None)
    faults.kv_full = False
    await api.handle_api("KVSet", KVSetRequest(key="k", value=b"v"), deadline=None)
    assert store.methods == ["KVGet", "KVSet", "KVSet"]


async def test_slow_api() -> None:
    """An API call waits before the handler sees it."""
    store = _Store()
    with anyio.move_on_after(0.02) as scope:
        await FaultyAPI(store, Faults(api_delay_s=60)).handle_api("KVGet", KVGetRequest(), deadline=None)
    assert scope.cancelled_caught
    assert store.methods == []
