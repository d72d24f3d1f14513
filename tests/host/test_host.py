"""Several plugins in one host."""

import os
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import TaskStatus
from google.protobuf.message import Message

from mm_plugin._proto.hooks_message_pb2 import MessageWillBePostedRequest
from mm_plugin._proto.post_pb2 import Post
from mm_plugin._proto.user_pb2 import User
from mm_plugin.exceptions import ConfigurationError, ManifestError, PluginStartError
from mm_plugin.hooks.names import HookName
from mm_plugin.host.host import open_host, open_plugin
from mm_plugin.host.running_plugin import RunningPlugin
from mm_plugin.host.state import PluginState
from mm_plugin.messages.manifest import Manifest
from mm_plugin.transport.link import APIReceiver
from tests.host.stubs import DEAF, QUICK, Answer, NoAPI, StubPlugin, StubWire, says, write_bundle

pytestmark = pytest.mark.usefixtures("nothing_left")


def api(manifest: Manifest) -> APIReceiver:
    return NoAPI()


def adds(text: str) -> dict[str, Answer]:
    def answer(request: Message) -> dict[str, object]:
        assert isinstance(request, MessageWillBePostedRequest)
        return {"modified_post": Post(message=request.post.message + text)}

    return {"MessageWillBePosted": answer}


async def test_chain(tmp_path: Path) -> None:
    """Changes flow on in the order of the starts; a rejection ends the chain."""
    stubs = [
        StubPlugin(adds(" one")),
        StubPlugin(implements=["OnActivate"]),
        StubPlugin(adds(" two")),
    ]
    async with open_host(api, options=QUICK, wire=StubWire(*stubs).wire) as host:
        for name in ("c.c", "b.b", "a.a"):
            await host.start(write_bundle(tmp_path / name, plugin_id=name * 2))
        assert list(host.plugins) == ["c.cc.c", "b.bb.b", "a.aa.a"]
        decision = await host.message_will_be_posted(Post(message="zero"))
        assert decision.post is not None
        assert decision.post.message == "zero one two"
        stubs[0].answers["MessageWillBePosted"] = says(rejection_reason="no")
        stubs[2].calls.clear()
        decision = await host.message_will_be_posted(Post(message="zero"))
        assert (decision.post, decision.rejection, decision.rejected_by) == (None, "no", "c.cc.c")
        assert stubs[2].called == []


async def test_login(tmp_path: Path) -> None:
    """The first reason against a login counts, and the next plugin is not asked."""
    stubs = [StubPlugin({"UserWillLogIn": says(rejection_reason="no")}), StubPlugin({"UserWillLogIn": says()})]
    async with open_host(api, options=QUICK, wire=StubWire(*stubs).wire) as host:
        for name in ("one", "two"):
            await host.start(write_bundle(tmp_path / name, plugin_id=name))
        assert await host.user_will_log_in(User()) == "no"
        assert "UserWillLogIn" not in stubs[1].called
        await host.stop("one")
        assert await host.user_will_log_in(User()) == ""
        assert "UserWillLogIn" in stubs[1].called


async def test_notify(tmp_path: Path) -> None:
    """A notice reaches every plugin that runs, all at once."""
    stubs = [StubPlugin({"MessageHasBeenPosted": says()}) for _ in range(2)]
    async with open_host(api, options=QUICK, wire=StubWire(*stubs).wire) as host:
        for name in ("one", "two"):
            await host.start(write_bundle(tmp_path / name, plugin_id=name))
        await host.notify(HookName.MessageHasBeenPosted, post=Post(id="p"))
    assert [stub.called.count("MessageHasBeenPosted") for stub in stubs] == [1, 1]


async def test_lookup(tmp_path: Path) -> None:
    """Only a plugin that runs is found as running; one that stopped stays known."""
    async with open_host(api, options=QUICK, wire=StubWire(StubPlugin(), StubPlugin()).wire) as host:
        assert host.running("com.example.x") is None
        plugin = await host.start(write_bundle(tmp_path))
        assert host.running("com.example.x") is plugin
        await host.stop("com.example.x")
        assert host.running("com.example.x") is None
        assert host.plugins["com.example.x"].state is PluginState.NOT_RUNNING
        again = await host.start(tmp_path)
        assert host.running("com.example.x") is again
        with pytest.raises(KeyError):
            await host.stop("com.example.y")


async def test_http_link(tmp_path: Path) -> None:
    """The gateway finds plugins that run and serve HTTP, and no others."""
    stubs = [StubPlugin(implements=["OnActivate", "ServeHTTP"]), StubPlugin()]
    async with open_host(api, options=QUICK, wire=StubWire(*stubs).wire) as host:
        plugin = await host.start(write_bundle(tmp_path / "one", plugin_id="one"))
        await host.start(write_bundle(tmp_path / "two", plugin_id="two"))
        assert host.http_link("one") is plugin.link is not None
        assert host.http_link("two") is None
        assert host.http_link("three") is None
        await host.stop("one")
        assert host.http_link("one") is None


async def test_same_id(tmp_path: Path) -> None:
    """Two plugins of one id cannot run at once; the first is not disturbed."""
    async with open_host(api, options=QUICK, wire=StubWire(StubPlugin()).wire) as host:
        plugin = await host.start(write_bundle(tmp_path / "one"))
        with pytest.raises(ConfigurationError, match=r"two: a plugin of the id .* runs already, from .*one"):
            await host.start(write_bundle(tmp_path / "two"))
        assert host.running("com.example.x") is plugin


async def test_failed_start(tmp_path: Path) -> None:
    """A plugin that does not start is an error of start, stays known with its state, and ends nobody else."""
    async with open_host(api, options=QUICK, wire=StubWire(StubPlugin()).wire) as host:
        good = await host.start(write_bundle(tmp_path / "good", plugin_id="good"))
        with pytest.raises(PluginStartError) as raised:
            await host.start(write_bundle(tmp_path / "bad", "raise SystemExit('why')", plugin_id="bad"))
        assert str(raised.value) == (
            "bad: The plugin exited with code 1 before it printed its handshake line\n"
            "Standard error ended with:\n    why"
        )
        assert host.plugins["bad"].state is PluginState.FAILED_TO_START
        with pytest.raises(ManifestError):
            await host.start(tmp_path / "nowhere")
        assert good.state is PluginState.RUNNING


@pytest.mark.parametrize("how", ["normally", "with an error", "cancelled"])
async def test_leaving_stops_all(tmp_path: Path, how: str) -> None:
    """Leaving the host, also with an error or by cancellation, deactivates all plugins; the error comes out bare."""
    stubs = [StubPlugin(), StubPlugin()]
    plugins: list[RunningPlugin] = []
    pids: list[int | None] = []
    with anyio.fail_after(20), anyio.CancelScope() as scope:
        try:
            async with open_host(api, options=QUICK, wire=StubWire(*stubs).wire) as host:
                for name in ("one", "two"):
                    plugins.append(await host.start(write_bundle(tmp_path / name, plugin_id=name)))  # noqa: PERF401
                pids = [plugin.pid for plugin in plugins]
                if how == "with an error":
                    raise ZeroDivisionError
                if how == "cancelled":
                    scope.cancel()
                    await anyio.sleep_forever()
        except ZeroDivisionError:
            assert how == "with an error"
    assert scope.cancelled_caught == (how == "cancelled")
    assert [stub.called[-1] for stub in stubs] == ["OnDeactivate"] * 2
    assert [plugin.state for plugin in plugins] == [PluginState.NOT_RUNNING] * 2
    for pid in pids:
        assert pid is not None
        with pytest.raises(ProcessLookupError):
            os.killpg(pid, 0)


async def test_cancelled_start(tmp_path: Path) -> None:
    """Cancelling a start stops the plugin."""
    silent = "import time\nwhile True: time.sleep(100)"
    async with open_host(api, options=QUICK, wire=StubWire().wire) as host:
        with anyio.move_on_after(0.1):
            await host.start(write_bundle(tmp_path, silent))
        with anyio.fail_after(10):
            assert await host.plugins["com.example.x"].wait_over() is PluginState.NOT_RUNNING


async def test_open_plugin(tmp_path: Path) -> None:
    """One plugin, for as long as the context is open; a failed start comes out as it is."""
    states: list[PluginState] = []
    async with open_plugin(write_bundle(tmp_path), NoAPI(), options=QUICK, wire=StubWire(StubPlugin()).wire) as plugin:
        states.append(plugin.state)
    states.append(plugin.state)
    assert states == [PluginState.RUNNING, PluginState.NOT_RUNNING]
    with pytest.raises(PluginStartError):
        async with open_plugin(write_bundle(tmp_path, "1/0"), NoAPI(), options=QUICK, wire=StubWire().wire):
            pytest.fail("it did not start")


async def test_no_start_while_stopping(tmp_path: Path) -> None:
    """A restart that is under way when the host stops does not begin a life that nobody would end."""
    with anyio.fail_after(20):
        async with open_host(api, options=QUICK, wire=StubWire(StubPlugin(), StubPlugin()).wire) as host:
            plugin = await host.start(write_bundle(tmp_path, DEAF))  # goes only after a grace
            async with anyio.create_task_group() as tasks:

                async def restart() -> None:
                    with pytest.raises(ConfigurationError, match="the host is stopping, it starts no plugin any more"):
                        await host.restart("com.example.x")

                tasks.start_soon(restart)
                assert await plugin.wait_change() is PluginState.STOPPING
                await host.aclose()


async def test_an_observer_that_raises_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What on_change raises, from the first state on, is logged; the plugin starts, stops and is waited for as ever."""

    def fail(plugin: RunningPlugin) -> None:
        raise ZeroDivisionError(plugin.state.name)

    with anyio.fail_after(20):
        async with open_host(api, options=QUICK, wire=StubWire(StubPlugin()).wire, on_change=fail) as host:
            await host.start(write_bundle(tmp_path))
    told = [record.exc_info[1].args[0] for record in caplog.records if record.exc_info and record.exc_info[1]]
    assert told == ["STARTING", "RUNNING", "STOPPING", "NOT_RUNNING"]


async def test_unknown_fields_of_a_manifest_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A plugin whose manifest has a misspelt field starts, and the log says what was probably meant."""
    async with open_host(api, options=QUICK, wire=StubWire(StubPlugin()).wire) as host:
        await host.start(write_bundle(tmp_path, pyhton_version="3.11"))
    assert "server.pyhton_version: is no field of a manifest" in caplog.text
    assert "did you mean python_version?" in caplog.text


async def test_a_plugin_started_while_it_is_removed_stays_known(tmp_path: Path) -> None:
    """Who starts a plugin the moment it is over wins over its removal: nothing runs that the host does not know."""
    wire = StubWire(StubPlugin(), StubPlugin()).wire
    with anyio.fail_after(20):
        async with open_host(api, options=QUICK, wire=wire) as host:
            plugin = await host.start(write_bundle(tmp_path))

            async def start_when_over(*, task_status: TaskStatus[None]) -> None:
                task_status.started()
                await plugin.wait_over()
                await host.start(tmp_path)

            async with anyio.create_task_group() as tasks:
                await tasks.start(start_when_over)
                await anyio.lowlevel.checkpoint()
                await host.remove(plugin.id)
            assert host.running(plugin.id) is not None
            await host.remove(plugin.id)
            assert host.plugins == {}
