"""Activation: the lifecycle hooks in their order, and the life of the plugin's task group."""

from __future__ import annotations

import logging
import time
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given, settings, strategies as st

from mm_plugin._proto.services import hook_methods
from mm_plugin.hooks.results import Reject
from mm_plugin.plugin.plugin import Plugin
from tests.plugin.running import running


class Recorder(Plugin):
    """Notes what happens to it, with a background task that lives as long as the activation."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.fail: dict[str, BaseException | Reject] = {}

    def note(self, name: str) -> Any:
        self.events.append(name)
        failure = self.fail.get(name)
        if isinstance(failure, BaseException):
            raise failure
        return failure

    async def background(self) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            self.events.append("background ended")

    async def on_configuration_change(self) -> Reject | None:
        result: Reject | None = self.note("configuration")
        return result

    async def on_activate(self) -> Reject | None:
        self.task_group.start_soon(self.background)
        await anyio.lowlevel.checkpoint()
        result: Reject | None = self.note("activate")
        return result

    async def on_deactivate(self) -> Reject | None:
        assert self.task_group is not None
        result: Reject | None = self.note("deactivate")
        return result


WHOLE_LIFE = ["configuration", "activate", "deactivate", "background ended"]


async def test_a_life_in_order() -> None:
    """Configuration, activate, deactivate, end of the background tasks; then the task group is gone."""
    plugin = Recorder()
    async with running(plugin) as run:
        assert not (await run.call("OnActivate")).HasField("error")
        assert not (await run.call("OnDeactivate")).HasField("error")
        assert plugin.events == WHOLE_LIFE
        with pytest.raises(RuntimeError, match="not active"):
            plugin.task_group  # noqa: B018 - reading it is the test


async def test_a_plugin_without_lifecycle_hooks_activates() -> None:
    """The runtime answers the three hooks an author leaves out, and other hooks as absent."""
    async with running(Plugin()) as run:
        for name in ("OnActivate", "OnConfigurationChange", "UserWillLogIn", "OnDeactivate"):
            assert (await run.call(name)).ByteSize() == 0


async def test_blocking_lifecycle_hooks_run_in_threads() -> None:
    """Def works for the lifecycle as for any hook."""
    events = []

    class Blocking(Plugin):
        def on_configuration_change(self) -> None:
            events.append("configuration")

        def on_activate(self) -> None:
            events.append("activate")

        def on_deactivate(self) -> None:
            events.append("deactivate")

    async with running(Blocking()) as run:
        await run.call("OnActivate")
        await run.call("OnDeactivate")
    assert events == ["configuration", "activate", "deactivate"]


@pytest.mark.parametrize("failure", [RuntimeError("no database"), Reject("no database")])
async def test_a_failing_on_activate_ends_the_group_and_reports_its_text(failure: Exception | Reject) -> None:
    """The background tasks are over before the error is answered, and a second try may succeed."""
    plugin = Recorder()
    plugin.fail["activate"] = failure
    async with running(plugin) as run:
        response = await run.call("OnActivate")
        assert "no database" in response.error.detailed_error
        assert plugin.events == ["configuration", "activate", "background ended"]
        assert not (await run.call("OnDeactivate")).HasField("error")
        assert "deactivate" not in plugin.events
        plugin.fail.clear()
        assert not (await run.call("OnActivate")).HasField("error")


@pytest.mark.parametrize("failure", [RuntimeError("bad settings"), Reject("bad settings")])
async def test_a_failing_first_configuration_is_logged_only(
    failure: Exception | Reject, caplog: pytest.LogCaptureFixture
) -> None:
    """OnConfigurationChange before OnActivate may fail without stopping the activation."""
    plugin = Recorder()
    plugin.fail["configuration"] = failure
    async with running(plugin) as run:
        assert not (await run.call("OnActivate")).HasField("error")
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.__dict__["hook"] == "OnConfigurationChange"


async def test_a_later_configuration_change_reports_its_failure() -> None:
    """The host's own OnConfigurationChange calls carry the error back."""
    plugin = Recorder()
    async with running(plugin) as run:
        await run.call("OnActivate")
        plugin.fail["configuration"] = RuntimeError("bad settings")
        response = await run.call("OnConfigurationChange")
        assert "bad settings" in response.error.detailed_error


async def test_a_failing_on_deactivate_still_ends_the_group() -> None:
    """The error is answered and the background tasks are over."""
    plugin = Recorder()
    plugin.fail["deactivate"] = RuntimeError("cannot save")
    async with running(plugin) as run:
        await run.call("OnActivate")
        response = await run.call("OnDeactivate")
        assert "cannot save" in response.error.detailed_error
        assert plugin.events[-1] == "background ended"


async def test_on_activate_twice_is_an_error_and_changes_nothing() -> None:
    """The second call is refused; the first activation goes on."""
    plugin = Recorder()
    async with running(plugin) as run:
        await run.call("OnActivate")
        assert "active already" in (await run.call("OnActivate")).error.detailed_error
        assert plugin.events == ["configuration", "activate"]
        await run.call("OnDeactivate")
        assert plugin.events == WHOLE_LIFE


async def test_a_deactivated_plugin_can_be_activated_again() -> None:
    """A new activation gets a new task group."""
    plugin = Recorder()
    async with running(plugin) as run:
        for _ in range(2):
            await run.call("OnActivate")
            await run.call("OnDeactivate")
    assert plugin.events == WHOLE_LIFE * 2


async def test_the_supervisor_deactivates_only_what_is_active(caplog: pytest.LogCaptureFixture) -> None:
    """deactivate() runs on_deactivate once, logs its failure, and does nothing before or after."""
    plugin = Recorder()
    plugin.fail["deactivate"] = RuntimeError("cannot save")
    async with running(plugin) as run:
        await run.runtime.deactivate()
        assert plugin.events == []
        await run.call("OnActivate")
        await run.runtime.deactivate()
        await run.runtime.deactivate()
        await run.call("OnDeactivate")
    assert plugin.events == WHOLE_LIFE
    assert len([record for record in caplog.records if record.levelno >= logging.ERROR]) == 1


async def test_deactivation_waits_for_one_under_way() -> None:
    """The supervisor's deactivate does not return before the host's OnDeactivate has closed the group."""
    entered, proceed = anyio.Event(), anyio.Event()

    class Slow(Recorder):
        async def on_deactivate(self) -> None:
            entered.set()
            await proceed.wait()

    plugin = Slow()
    async with running(plugin) as run:
        await run.call("OnActivate")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run.call, "OnDeactivate")
            await entered.wait()
            tasks.start_soon(run.runtime.deactivate)
            await anyio.wait_all_tasks_blocked()
            assert "background ended" not in plugin.events
            proceed.set()
        assert plugin.events[-1] == "background ended"


async def test_a_crash_in_the_task_group_leaves_run() -> None:
    """The supervisor sees the crash, so that the process can end non-zero."""

    class Crashing(Plugin):
        async def on_activate(self) -> None:
            self.task_group.start_soon(self.crash)

        async def crash(self) -> None:
            raise LookupError

    async def live() -> None:
        async with running(Crashing()) as run:
            await run.call("OnActivate")
            await anyio.sleep_forever()

    with pytest.raises(BaseExceptionGroup) as caught:
        await live()
    assert caught.group_contains(LookupError)


async def test_a_cancelled_on_activate_ends_the_group() -> None:
    """When the host gives up, or the deadline passes, no background task is left."""
    entered = anyio.Event()

    class Stuck(Recorder):
        async def on_activate(self) -> None:
            self.task_group.start_soon(self.background)
            await anyio.lowlevel.checkpoint()
            entered.set()
            await anyio.sleep_forever()

    plugin = Stuck()
    async with running(plugin) as run:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run.call, "OnActivate")
            await entered.wait()
            tasks.cancel_scope.cancel()
        assert plugin.events == ["configuration", "background ended"]


async def test_cancelling_run_ends_the_group_without_on_deactivate() -> None:
    """The hard way out joins the background tasks and calls no hook."""
    plugin = Recorder()
    async with running(plugin) as run:
        await run.call("OnActivate")
    assert plugin.events == ["configuration", "activate", "background ended"]
    assert "stopping" in (await run.call("OnActivate")).error.detailed_error


async def test_hooks_run_while_on_activate_is_under_way() -> None:
    """A hook that arrives before on_activate has returned is not held back."""
    entered, proceed = anyio.Event(), anyio.Event()

    class Slow(Plugin):
        async def on_activate(self) -> None:
            entered.set()
            await proceed.wait()

        async def user_will_log_in(self, context: Any, user: Any) -> Reject:
            return Reject("early")

    async with running(Slow()) as run, anyio.create_task_group() as tasks:
        tasks.start_soon(run.call, "OnActivate")
        await entered.wait()
        assert (await run.call("UserWillLogIn")).rejection_reason == "early"
        proceed.set()


_STEPS = ("activate", "fail to activate", "deactivate", "fail to deactivate", "deactivate by the supervisor", "change")


@settings(max_examples=60)
@given(steps=st.lists(st.sampled_from(_STEPS), max_size=12))
async def test_any_order_of_lifecycle_calls(steps: list[str]) -> None:
    """Whatever order the calls come in, hooks run only where they should and no background task outlives its life."""
    plugin, expected, active = Recorder(), list[str](), False
    async with running(plugin) as run:
        for step in steps:
            plugin.fail = {step.rsplit(" ", 1)[-1]: RuntimeError("no")} if step.startswith("fail") else {}
            refused = False
            match step:
                case "change":
                    expected.append("configuration")
                    refused = (await run.call("OnConfigurationChange")).HasField("error")
                    assert not refused
                case "activate" | "fail to activate":
                    refused = (await run.call("OnActivate")).HasField("error")
                    assert refused is (active or step.startswith("fail"))
                    if not active:
                        expected += ["configuration", "activate"]
                        expected += ["background ended"] if refused else []
                        active = not refused
                case "deactivate by the supervisor":
                    await run.runtime.deactivate()
                case _:
                    refused = (await run.call("OnDeactivate")).HasField("error")
                    assert refused is (active and step.startswith("fail"))
            if "deactivate" in step and active:
                expected += ["deactivate", "background ended"]
                active = False
            assert plugin.events == expected
    assert plugin.events == expected + (["background ended"] if active else [])


async def test_a_first_configuration_change_that_blocks_is_reported_by_its_own_name(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """OnConfigurationChange runs within OnActivate, and the report names the one that blocks."""

    class Blocking(Plugin):
        async def on_configuration_change(self) -> None:
            give_up_at = time.monotonic() + 20
            while not caplog.records and time.monotonic() < give_up_at:
                time.sleep(0.01)  # noqa: ASYNC251 - blocking is what this is about

    async with running(Blocking()) as run:
        await run.call("OnActivate")
    assert "hook OnConfigurationChange blocks" in caplog.text


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
async def test_what_ends_programs_ends_neither_an_activation_nor_a_stop(
    kind: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    """Raised by the hooks whose failure is only logged it is one logged failure, with the author's line."""

    class Ending(Plugin):
        async def on_configuration_change(self) -> None:
            raise kind

        async def on_deactivate(self) -> None:
            raise kind

    async with running(Ending()) as run:
        assert await run.call("OnActivate") == hook_methods()["OnActivate"].response()
        await run.runtime.deactivate()
    records = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.__dict__["hook"] for record in records] == ["OnConfigurationChange", "OnDeactivate"]
    for record in records:
        assert f"{kind.__name__} at {__file__}:" in record.getMessage()


async def test_a_scope_left_open_before_and_after_fails_its_hook_alone(caplog: pytest.LogCaptureFixture) -> None:
    """OnConfigurationChange and OnDeactivate of the plugin side's own leave nothing behind."""

    class Leaking(Plugin):
        async def on_configuration_change(self) -> None:
            anyio.CancelScope().__enter__()

        on_deactivate = on_configuration_change

    async with running(Leaking()) as run:
        assert await run.call("OnActivate") == hook_methods()["OnActivate"].response()
        await run.runtime.deactivate()
        await anyio.lowlevel.checkpoint()
    assert [text.partition(" failed")[0] for text in caplog.messages] == [
        "hook OnConfigurationChange",
        "hook OnDeactivate",
    ]
    assert all("LeakedScopeError" in text for text in caplog.messages)
