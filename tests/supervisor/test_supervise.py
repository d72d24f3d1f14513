"""supervise(): a plugin joined to its link, and the order and the times of its stop."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio.abc import TaskStatus
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from mm_plugin.exceptions import StatusCode
from mm_plugin.supervisor.stop import StopControl
from mm_plugin.supervisor.supervise import supervise
from mm_plugin.transport.link import CallFailure, CallFault, HookCall, HTTPExchange
from mm_plugin.transport.memory import MemoryHostLink, MemoryPluginLink, memory_link
from mm_plugin.wire.drain import Phase


class NoAPI:
    """A server without any method."""

    async def handle_api(self, method: str, request: Message, *, deadline: float | None) -> Message:
        raise CallFailure(method, code=StatusCode.UNIMPLEMENTED)


class RecordingPlugin:
    """A plugin whose hooks wait where a test wants it, and that writes down what happens to it."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.hook_started = anyio.Event()
        self.release_hook = anyio.Event()
        self.crash = anyio.Event()
        self.deactivate_hangs = False
        self.receiver = self

    async def handle_hook(self, call: HookCall) -> Message:
        if call.request is CallFault.DRAINING:
            self.log.append("refused")
            return Empty()
        self.hook_started.set()
        try:
            await self.release_hook.wait()
        except anyio.get_cancelled_exc_class():
            self.log.append("hook cancelled")
            raise
        self.log.append("hook done")
        return Empty()

    async def handle_http(self, exchange: HTTPExchange) -> None:
        raise NotImplementedError

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        task_status.started()
        try:
            await self.crash.wait()
            raise ValueError("boom")
        except anyio.get_cancelled_exc_class():
            self.log.append("activation cancelled")
            raise

    async def deactivate(self) -> None:
        self.log.append("deactivate")
        if self.deactivate_hangs:
            await anyio.sleep_forever()


class Rig:
    """A supervised plugin on a memory link, with its host."""

    def __init__(self, plugin: RecordingPlugin) -> None:
        self.plugin = plugin
        self.stop = StopControl()
        self.link: MemoryPluginLink
        self.host: MemoryHostLink
        self.link, self.host = memory_link(NoAPI())
        self.ended = anyio.Event()

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        await supervise(self.plugin, self.link, stop=self.stop, task_status=task_status)
        self.ended.set()


@asynccontextmanager
async def running(plugin: RecordingPlugin) -> AsyncIterator[Rig]:
    rig = Rig(plugin)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            await tasks.start(rig.run)
            yield rig
            await rig.ended.wait()


async def call_and_forget(host: MemoryHostLink) -> None:
    """Call a hook that is cut; the policy of RecordingPlugin answers it."""
    assert await host.call_hook("OnActivate", Empty()) == Empty()


async def test_idle_plugin_stops_in_order_when_the_host_asks() -> None:
    """Shutdown runs on_deactivate, then cancels the activation, then closes the link."""
    plugin = RecordingPlugin()
    async with running(plugin) as rig:
        assert await rig.host.check_health()
        start = anyio.current_time()
        await rig.host.ask_stop()
        await rig.ended.wait()
        assert anyio.current_time() - start < 1
    assert plugin.log == ["deactivate", "activation cancelled"]
    assert rig.stop.phase is Phase.CLOSED
    with pytest.raises(CallFailure):
        await rig.host.call_hook("OnActivate", Empty())


async def test_running_call_may_finish_while_new_ones_are_refused() -> None:
    """Draining gives a running call its time, and health says NOT_SERVING meanwhile."""
    plugin = RecordingPlugin()
    async with running(plugin) as rig, anyio.create_task_group() as calls:
        calls.start_soon(rig.host.call_hook, "OnActivate", Empty())
        await plugin.hook_started.wait()
        rig.stop.ask("test", within_s=30)
        while rig.stop.phase is not Phase.DRAINING:
            await anyio.lowlevel.checkpoint()
        await anyio.wait_all_tasks_blocked()
        assert not await rig.host.check_health()
        await rig.host.call_hook("OnActivate", Empty())
        plugin.release_hook.set()
    assert plugin.log == ["refused", "hook done", "deactivate", "activation cancelled"]


async def test_hanging_call_is_cut_when_the_grace_is_over() -> None:
    """A call that never ends costs no more than its share of the time."""
    plugin = RecordingPlugin()
    async with running(plugin) as rig, anyio.create_task_group() as calls:
        calls.start_soon(call_and_forget, rig.host)
        await plugin.hook_started.wait()
        start = anyio.current_time()
        rig.stop.ask("test", within_s=0.2)
        await rig.ended.wait()
        assert anyio.current_time() - start < 2
    assert plugin.log == ["deactivate", "activation cancelled", "refused", "hook cancelled"]


async def test_hanging_on_deactivate_is_cut() -> None:
    """on_deactivate has its share of the time, the activation is cancelled all the same."""
    plugin = RecordingPlugin()
    plugin.deactivate_hangs = True
    async with running(plugin) as rig:
        rig.stop.ask("test", within_s=0.2)
    assert plugin.log == ["deactivate", "activation cancelled"]


async def test_second_signal_skips_to_cancel() -> None:
    """A hurry ends draining at once and leaves on_deactivate out."""
    plugin = RecordingPlugin()
    async with running(plugin) as rig, anyio.create_task_group() as calls:
        calls.start_soon(call_and_forget, rig.host)
        await plugin.hook_started.wait()
        rig.stop.ask("first", within_s=3600)
        await anyio.wait_all_tasks_blocked()
        rig.stop.hurry("second")
    assert plugin.log == ["activation cancelled", "refused", "hook cancelled"]


async def test_asking_again_shortens_a_stop_under_way() -> None:
    """A host that asks during the long stop of a signal gets the short one."""
    plugin = RecordingPlugin()
    async with running(plugin) as rig, anyio.create_task_group() as calls:
        calls.start_soon(call_and_forget, rig.host)
        await plugin.hook_started.wait()
        rig.stop.ask("signal", within_s=3600)
        await anyio.wait_all_tasks_blocked()
        await rig.host.ask_stop()
    assert plugin.log == ["deactivate", "activation cancelled", "refused", "hook cancelled"]


async def test_crash_of_a_plugin_task_ends_everything() -> None:
    """What a task of the plugin raises comes out of supervise, and running hooks are answered by their policies."""
    plugin = RecordingPlugin()
    with pytest.RaisesGroup(pytest.RaisesGroup(pytest.RaisesExc(ValueError, match="boom"))):
        async with running(plugin) as rig, anyio.create_task_group() as calls:
            calls.start_soon(call_and_forget, rig.host)
            await plugin.hook_started.wait()
            plugin.crash.set()
    assert plugin.log == ["refused", "hook cancelled"]
    assert rig.stop.phase is Phase.CANCELLING


async def test_stop_before_the_start_serves_nobody() -> None:
    """A stop asked before the link serves ends the plugin without on_deactivate."""
    plugin = RecordingPlugin()
    rig = Rig(plugin)
    rig.stop.ask("early", within_s=1)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            await tasks.start(rig.run)
            assert rig.stop.phase is not Phase.SERVING
    assert plugin.log == ["activation cancelled"]


async def test_link_that_ends_by_itself_ends_the_plugin() -> None:
    """Without a link nothing can be drained."""
    plugin = RecordingPlugin()
    async with running(plugin) as rig:
        await rig.link.aclose()
    assert plugin.log == ["activation cancelled"]


async def test_cancellation_cancels_the_activation_and_closes_the_link() -> None:
    """Cancelled from outside, nothing is left behind."""
    plugin = RecordingPlugin()
    rig = Rig(plugin)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            await tasks.start(rig.run)
            tasks.cancel_scope.cancel()
    assert plugin.log == ["activation cancelled"]
    with pytest.raises(CallFailure):
        await rig.host.check_health()


async def test_cancellation_answers_running_hooks() -> None:
    """Cancelled from outside, a running hook is answered by its policy once the activation has ended."""
    plugin = RecordingPlugin()
    rig = Rig(plugin)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as calls, anyio.create_task_group() as tasks:
            await tasks.start(rig.run)
            calls.start_soon(call_and_forget, rig.host)
            await plugin.hook_started.wait()
            tasks.cancel_scope.cancel()
    assert plugin.log == ["activation cancelled", "refused", "hook cancelled"]


async def test_every_change_of_the_end_is_told() -> None:
    """Whoever guards the process learns how long the stop may take."""
    told: list[float] = []
    stop = StopControl(on_deadline=told.append)
    stop.ask("first", within_s=5)
    stop.ask("second", within_s=50)
    stop.hurry("third")
    assert [math.ceil(seconds) for seconds in told] == [5, 5, 1]
