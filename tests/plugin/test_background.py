"""Background work: when it begins and ends, its grid in time, and what a crash in it leads to."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import pytest
from hypothesis import given, settings, strategies as st

from mm_plugin import limits
from mm_plugin.exceptions import DeclarationError
from mm_plugin.plugin.background import Background, Crashes, Every, OnCrash, every
from mm_plugin.plugin.plugin import Plugin, intervals_of
from tests.plugin.running import running

# -- the life of a task ---------------------------------------------------------------------------------------


class Worker(Plugin):
    """Starts work in on_activate and in a later hook, and notes its beginning and end."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.begun = anyio.Event()

    async def work(self, name: str) -> None:
        self.events.append(f"{name} begins")
        self.begun.set()
        try:
            await anyio.sleep_forever()
        finally:
            self.events.append(f"{name} ends")

    async def on_activate(self) -> None:
        self.start_soon(self.work, "first")

    def message_has_been_posted(self, context: Any, post: Any) -> None:
        self.start_soon(self.work, "second")  # from a worker thread

    async def on_deactivate(self) -> None:
        self.events.append("deactivate")


async def test_work_lives_from_its_start_to_the_end_of_the_activation() -> None:
    """start_soon works in on_activate and in later hooks, blocking ones too; all work ends after on_deactivate."""
    plugin = Worker()
    async with running(plugin) as run:
        await run.call("OnActivate")
        await plugin.begun.wait()
        plugin.begun = anyio.Event()
        await run.call("MessageHasBeenPosted")
        await plugin.begun.wait()
        await run.call("OnDeactivate")
    assert plugin.events[:3] == ["first begins", "second begins", "deactivate"]
    assert sorted(plugin.events[3:]) == ["first ends", "second ends"]


async def test_start_soon_needs_an_active_plugin() -> None:
    """Before on_activate and after on_deactivate it says why it cannot."""
    plugin = Worker()
    with pytest.raises(RuntimeError, match="once the runtime has started"):
        plugin.start_soon(plugin.work, "early")
    async with running(plugin) as run:
        with pytest.raises(RuntimeError, match="not active"):
            plugin.start_soon(plugin.work, "early")
        await run.call("OnActivate")
        await run.call("OnDeactivate")
        with pytest.raises(RuntimeError, match="not active"):
            plugin.start_soon(plugin.work, "late")


async def test_blocking_work_runs_in_a_worker_thread() -> None:
    """A def started by start_soon or @every does not hold the event loop."""
    seen: dict[str, int] = {}
    done = {"one": anyio.Event(), "two": anyio.Event()}

    class Blocking(Plugin):
        async def on_activate(self) -> None:
            self.start_soon(self.note, "one")

        @every(seconds=3600)
        def tick(self) -> None:
            self.note("two")

        def note(self, name: str) -> None:
            seen[name] = threading.get_ident()
            anyio.from_thread.run_sync(done[name].set)

    async with running(Blocking()) as run:
        await run.call("OnActivate")
        for event in done.values():
            await event.wait()
    assert threading.get_ident() not in seen.values()


# -- intervals ------------------------------------------------------------------------------------------------


class VirtualClock:
    """A clock that jumps to whatever is waited for."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.waits: list[float] = []

    def now(self) -> float:
        return self.time

    async def sleep_until(self, deadline: float) -> None:
        await anyio.lowlevel.checkpoint()
        self.waits.append(deadline)
        self.time = max(self.time, deadline)


async def ticks(count: int, mark: Every, during: Callable[[VirtualClock, int], None] = lambda *_: None) -> list[float]:
    """Return the moments, from the beginning on, at which the first runs began."""
    clock, moments = VirtualClock(), list[float]()

    async with anyio.create_task_group() as tasks:

        async def run() -> None:
            if len(moments) == count:
                tasks.cancel_scope.cancel()
                await anyio.lowlevel.checkpoint()
            moments.append(clock.time - 1000)
            during(clock, len(moments))

        background = Background(tasks, clock)
        background.start_every(run, "run", mark)
    return moments


def pass_time(durations: list[float], clock: VirtualClock, run: int) -> None:
    clock.time += durations[run - 1]


async def test_intervals_begin_at_once_or_one_later() -> None:
    """at_start decides when the first run is; the others follow in steps of the interval."""
    assert await ticks(3, Every(10, True, OnCrash.STOP)) == [0, 10, 20]
    assert await ticks(3, Every(10, False, OnCrash.STOP)) == [10, 20, 30]


async def test_slow_runs_do_not_shift_the_grid_and_do_not_overlap() -> None:
    """Starts that fall into a run are left out, later ones stand on the grid."""
    runs = await ticks(5, Every(10, True, OnCrash.STOP), partial(pass_time, [3, 25, 0, 10, 0]))
    assert runs == [0, 10, 40, 50, 60]


@settings(max_examples=50)
@given(durations=st.lists(st.floats(0, 100), min_size=1, max_size=12), seconds=st.floats(0.01, 50))
async def test_any_durations_keep_to_the_grid(durations: list[float], seconds: float) -> None:
    """Each start is a multiple of the interval, after the end of the run before and less than an interval later."""
    runs = await ticks(len(durations), Every(seconds, True, OnCrash.STOP), partial(pass_time, durations))
    for earlier, later, duration in zip(runs, runs[1:], durations, strict=False):
        assert later / seconds == pytest.approx(round(later / seconds))
        assert later >= earlier + duration - 1e-6
        assert later <= max(earlier + duration, earlier) + seconds + 1e-6


class Ticking(Plugin):
    """Two jobs at intervals."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.third = anyio.Event()
        self.refuse = False

    async def on_activate(self) -> None:
        await anyio.lowlevel.checkpoint()
        self.events.append("activated")
        if self.refuse:
            raise LookupError

    @every(seconds=0.001)
    async def tick(self) -> None:
        self.events.append("tick")
        if self.events.count("tick") == 3:
            self.third.set()

    @every(seconds=3600, at_start=False)
    async def rarely(self) -> None:
        self.events.append("rarely")


async def test_methods_run_at_intervals_once_on_activate_has_succeeded() -> None:
    """The first run comes after on_activate, the last before the end of the activation."""
    plugin = Ticking()
    async with running(plugin) as run:
        await run.call("OnActivate")
        await plugin.third.wait()
        await run.call("OnDeactivate")
        count = len(plugin.events)
        await anyio.wait_all_tasks_blocked()
        assert len(plugin.events) == count
    assert plugin.events[:3] == ["activated", "tick", "tick"]
    assert "rarely" not in plugin.events


async def test_a_failed_activation_begins_no_intervals() -> None:
    """Methods under @every do not run where on_activate refused."""
    plugin = Ticking()
    plugin.refuse = True
    async with running(plugin) as run:
        assert (await run.call("OnActivate")).HasField("error")
        await anyio.wait_all_tasks_blocked()
    assert plugin.events == ["activated"]


async def test_an_override_keeps_its_interval_and_none_gives_it_up() -> None:
    """Intervals are inherited as hooks are."""
    ran = anyio.Event()

    class Child(Ticking):
        async def tick(self) -> None:
            self.events.append("child")
            ran.set()

        rarely = None  # type: ignore[assignment]

    plugin = Child()
    async with running(plugin) as run:
        await run.call("OnActivate")
        await ran.wait()
    assert set(plugin.events) == {"activated", "child"}


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan"), "a"])
def test_an_impossible_interval_is_refused_at_the_class_statement(seconds: Any) -> None:
    """The error names the method and what it wants."""
    with pytest.raises(DeclarationError, match=r"Wrong\.tick: @every needs seconds above 0"):

        class Wrong(Plugin):
            @every(seconds=seconds)
            async def tick(self) -> None: ...


def test_an_interval_may_be_given_by_its_place() -> None:
    """``@every(300)`` says the same as ``@every(seconds=300)``; without seconds the error shows how to write it."""

    class Right(Plugin):
        @every(300)
        async def tick(self) -> None: ...

    assert intervals_of(Right())["tick"][1].seconds == 300
    with pytest.raises(DeclarationError, match=r"Wrong\.tick: @every needs its seconds, such as @every\(seconds=60\)"):

        class Wrong(Plugin):
            @every  # type: ignore[arg-type]
            async def tick(self) -> None: ...  # type: ignore[misc]


def test_a_method_with_arguments_is_refused_at_the_class_statement() -> None:
    """Nobody could say what they are."""
    with pytest.raises(DeclarationError, match=r"expected: def tick\(self\)"):

        class Wrong(Plugin):
            @every(seconds=1)
            async def tick(self, post: object) -> None: ...


# -- crashes --------------------------------------------------------------------------------------------------


class Crashing(Plugin):
    """Its work crashes as often as it is told to, then stays."""

    def __init__(self, crashes: int, on_crash: OnCrash) -> None:
        self.left = crashes
        self.policy = on_crash
        self.stays = anyio.Event()

    async def on_activate(self) -> None:
        self.start_soon(self.work, name="the work", on_crash=self.policy)

    async def work(self) -> None:
        if self.left:
            self.left -= 1
            raise LookupError("lost")
        self.stays.set()
        await anyio.sleep_forever()


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "restart_backoff_s", 0.0)


async def test_a_crash_stops_the_plugin_by_default() -> None:
    """The crash leaves the runtime, with a note on which work it was."""

    async def live() -> None:
        async with running(Crashing(1, OnCrash.STOP)) as run:
            await run.call("OnActivate")
            await anyio.sleep_forever()

    with pytest.raises(BaseExceptionGroup) as caught:
        await live()
    assert caught.group_contains(LookupError, match="lost")
    assert "'the work'" in str(_leaf(caught.value).__notes__)


def _leaf(error: BaseException) -> BaseException:
    return _leaf(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


@pytest.mark.usefixtures("no_pause")
async def test_work_that_may_be_restarted_is(caplog: pytest.LogCaptureFixture) -> None:
    """Each crash is logged with its traceback, and the plugin lives on."""
    plugin = Crashing(3, OnCrash.RESTART)
    async with running(plugin) as run:
        await run.call("OnActivate")
        await plugin.stays.wait()
        assert not (await run.call("UserWillLogIn")).rejection_reason
    records = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(records) == 3
    assert all(record.exc_info and record.__dict__["task"] == "the work" for record in records)


@pytest.mark.usefixtures("no_pause")
async def test_restarts_have_a_budget() -> None:
    """One crash more than is forgiven stops the plugin after all."""

    async def live() -> None:
        async with running(plugin) as run:
            await run.call("OnActivate")
            await anyio.sleep_forever()

    plugin = Crashing(limits.restarts + 1, OnCrash.RESTART)
    with pytest.raises(BaseExceptionGroup) as caught:
        await live()
    assert f"more than {limits.restarts} times" in str(_leaf(caught.value).__notes__)
    assert plugin.left == 0


async def test_a_crashing_run_follows_the_policy_of_its_interval() -> None:
    """STOP leaves the task; RESTART goes on at the first start on the grid after the pause."""

    def crash_twice(clock: VirtualClock, run: int) -> None:
        if run <= 2:
            raise LookupError("lost")

    with pytest.raises(BaseExceptionGroup) as caught:
        await ticks(4, Every(10, True, OnCrash.STOP), crash_twice)
    assert caught.group_contains(LookupError)
    assert await ticks(4, Every(0.3, True, OnCrash.RESTART), crash_twice) == pytest.approx([0, 0.6, 1.8, 2.1])


@given(gaps=st.lists(st.floats(0, limits.restart_window_s * 2), max_size=40))
def test_pauses_grow_up_to_a_bound_and_the_budget_is_for_the_window(gaps: list[float]) -> None:
    """Against a plain list of all crashes: the pause depends on how many of them lie within the window."""
    crashes, now, times = Crashes(), 0.0, list[float]()
    for gap in gaps:
        now += gap
        times.append(now)
        recent = sum(time > now - limits.restart_window_s for time in times)
        pause_s = crashes.note(now)
        if recent > limits.restarts:
            assert pause_s is None
            return
        assert pause_s == min(limits.restart_backoff_s * 2 ** (recent - 1), limits.restart_backoff_max_s)


# -- what would end the process -------------------------------------------------------------------------------


class Exiting(Plugin):
    """Its background work tries to end the process, with success."""

    stray: BaseException

    async def on_activate(self) -> None:
        self.start_soon(self.leave, on_crash=OnCrash.RESTART)

    async def leave(self) -> None:
        raise self.stray


@pytest.mark.parametrize("stray", [SystemExit(0), KeyboardInterrupt()], ids=["SystemExit", "KeyboardInterrupt"])
async def test_work_that_exits_is_a_crash_of_the_plugin(stray: BaseException) -> None:
    """sys.exit in background work never ends the process as if all were well, nor does it begin again."""
    plugin = Exiting()
    plugin.stray = stray

    async def run_it() -> None:
        async with running(plugin) as run:
            await run.call("OnActivate")
            await anyio.sleep_forever()

    with anyio.fail_after(10), pytest.raises(ExceptionGroup) as caught:
        await run_it()
    error: BaseException = caught.value
    while isinstance(error, BaseExceptionGroup):
        (error,) = error.exceptions
    assert isinstance(error, RuntimeError)
    assert error.__cause__ is stray
