"""Reports author's code that blocks the event loop, once, with the line it stands on.

Job:    notice from a thread of its own that the loop does not run, and find out which hook or background work keeps it.
Layer:  hooks.
Tasks:  ``run`` is the heartbeat: a task that stamps the time every ``limits.loop_watch_period_s`` while hooks are
        handled or background tasks are there, and sleeps without a timer otherwise. A daemon thread, started with the
        first hook and ended with ``run``, compares stamps with the clock and samples the loop thread's frames where
        they differ too much. Time for which the system did not let that thread run does not count.
Output: one WARNING for each function that blocks.

A hook is known by the frame of ``guard``, a task that it started by the context which that inherited. On uvloop such
tasks are known from Python 3.12 on only.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
import traceback
from collections.abc import Awaitable
from contextvars import Context
from types import FrameType
from typing import TypeVar

import anyio
from anyio.abc import TaskStatus

from mm_plugin import limits
from mm_plugin.hooks.source_places import OWN, authors_frame
from mm_plugin.hooks.thread_times import thread_times
from mm_plugin.hooks.work_name import BACKGROUND, set_hook, work_in

__all__ = ("LoopWatch",)

_T = TypeVar("_T")

logger = logging.getLogger("mm_plugin.hooks")

_current_frames = sys._current_frames  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - the only way
_DEBUGGERS = frozenset({"bdb", "pdb", "pydevd", "_pydevd_bundle", "debugpy"})


class LoopWatch:
    """Knows which hooks are being handled, and whether the loop runs meanwhile.

    Args:
        blocked_s: How long the loop may stand still.
        period_s: How often it shows that it runs.
    """

    def __init__(
        self, *, blocked_s: float = limits.loop_blocked_s, period_s: float = limits.loop_watch_period_s
    ) -> None:
        self._blocked_s = blocked_s
        self._period_s = period_s
        self._handling = 0
        self._calls = 0
        self._wake: anyio.Event | None = None  # set by the next call; None while the heart beats or ``run`` does not
        self._beat_at = 0.0
        self._loop_thread = 0
        self._loop_native_id = 0
        self._thread: threading.Thread | None = None
        self._watching = threading.Event()
        self._ended = threading.Event()
        self._told: set[tuple[str, str, str]] = set()
        #: The task whose children are background tasks, by its id; None while there can be none.
        self.background_parent: int | None = None

    async def guard(self, hook: str, call: Awaitable[_T]) -> _T:
        """Await a call of a hook; its frame tells the thread which hook runs, its context that of child tasks."""
        set_hook(hook)
        self._handling += 1
        self._calls += 1
        if self._wake is not None:
            self._begin(self._wake)
        try:
            return await call
        finally:
            self._handling -= 1

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Be the heartbeat until cancelled; the thread has been told to end then."""
        self._loop_thread = threading.get_ident()
        self._loop_native_id = threading.get_native_id()
        try:
            while True:
                self._wake = wake = anyio.Event()
                task_status.started()
                task_status = anyio.TASK_STATUS_IGNORED
                await wake.wait()
                await self._beat()
                self._watching.clear()
        finally:
            self._wake = None
            self._ended.set()
            self._watching.set()

    async def _beat(self) -> None:
        """Stamp the time until no hook has been handled for a while, and no background task is left."""
        idle_since = self._beat_at = time.monotonic()
        calls = self._calls
        while True:
            await anyio.sleep(self._period_s)
            self._beat_at = time.monotonic()
            if self._handling or self._calls != calls:
                idle_since, calls = self._beat_at, self._calls
            elif self._beat_at - idle_since >= limits.loop_watch_idle_s:
                if not self._has_background():
                    return
                idle_since = self._beat_at

    def _has_background(self) -> bool:
        parent = self.background_parent
        return parent is not None and any(task.parent_id == parent for task in anyio.get_running_tasks())

    def _begin(self, wake: anyio.Event) -> None:
        self._wake = None
        wake.set()
        self._beat_at = time.monotonic()  # the first hook may block before the heart beats
        if self._thread is None:
            self._thread = threading.Thread(target=self._look, name="mm_plugin loop watch", daemon=True)
            self._thread.start()
        self._watching.set()

    # -- in the thread ----------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Compare the last stamp with the clock, again and again."""
        not_before = 0.0
        done_with = 0.0
        now = 0.0
        seen_beat_at, seen_at, seen = 0.0, 0.0, thread_times(0)
        while not self._ended.is_set():
            if not self._watching.is_set():
                self._watching.wait()
                now = time.monotonic()
            looked_at = now
            self._ended.wait(self._period_s)
            now = time.monotonic()
            if now - looked_at > self._period_s + self._blocked_s / 2:
                # This thread did not run either: the whole process stood still, or the machine is busy.
                not_before = now
                continue
            beat_at = self._beat_at
            still_s = now - max(beat_at + self._period_s, not_before)
            if beat_at == done_with or still_s < self._blocked_s / 2:
                continue
            if beat_at != seen_beat_at:
                seen_beat_at, seen_at, seen = beat_at, now, thread_times(self._loop_native_id)
            if still_s < self._blocked_s:
                continue
            if still_s - thread_times(self._loop_native_id).waited_since_s(seen, now - seen_at) < self._blocked_s:
                continue  # it would run, were it let
            found = _find_work(_current_frames().get(self._loop_thread))
            if found is None or self._beat_at != beat_at:
                continue
            done_with = beat_at
            self._report(*found)

    def _report(self, work: str, stack: list[traceback.FrameSummary]) -> None:
        at = authors_frame(stack)
        # Without the name of background work: authors may make one up for each piece, and we remember them all.
        place = (work.partition(BACKGROUND)[0], at.filename, at.name)
        if place in self._told:
            return
        self._told.add(place)
        name = work.removeprefix(_TASK_OF)
        logger.warning(
            "%s blocks the event loop, for over %d ms now, at %s:%s in %s; await there, or make it `def`",
            work,
            self._blocked_s * 1000,
            at.filename,
            at.lineno,
            at.name,
            extra={
                **({"hook": name.removeprefix("hook ")} if name.startswith("hook ") else {"task": name}),
                "stack": "".join(traceback.format_list(stack)),
            },
        )


_TASK_OF = "a task of "
_GUARD = LoopWatch.guard.__code__
_IMPORTING = "importlib._bootstrap"
#: The functions of event loops in whose frames the context of the task that they run is found.
_LOOP_FUNCTIONS = frozenset({"_run", "unrolled_run", "_run_wrapped_task"})


def _find_work(frame: FrameType | None) -> tuple[str, list[traceback.FrameSummary]] | None:
    """Return what a thread does for an author, and its stack from the author's code on; None where it is nothing.

    A thread that stands in a debugger does nothing: its author knows. Nor does one that imports our own modules, which
    happens once.
    """
    frames: list[tuple[FrameType, int]] = []
    work = ""
    while frame is not None and not work:
        module: object = frame.f_globals.get("__name__")
        if isinstance(module, str) and module.partition(".")[0] in _DEBUGGERS:
            return None
        if frame.f_code is _GUARD:
            work = f"hook {frame.f_locals.get('hook', '')}"
        elif frame.f_code.co_name in _LOOP_FUNCTIONS and (context := _context_of(frame)) is not None:
            work = work_in(context)
            if not work:
                return None
            work = work if work.startswith(BACKGROUND) else f"{_TASK_OF}{work}"
        else:
            frames.append((frame, frame.f_lineno))
        frame = frame.f_back
    if not work or not frames or _is_importing_ours(frames):
        return None
    return work, list(traceback.StackSummary.extract(reversed(frames)))


def _context_of(frame: FrameType) -> Context | None:
    """Return the context of the task that a function of an event loop runs; None where it is no such function."""
    module: object = frame.f_globals.get("__name__")
    if not isinstance(module, str) or not module.startswith(("asyncio.", "trio.", "anyio.")):
        return None
    variables = frame.f_locals
    for owner in (variables.get("self"), variables.get("task")):  # asyncio's Handle, Trio's Task
        for name in ("_context", "context"):
            context: object = getattr(owner, name, None)
            if isinstance(context, Context):
                return context
    get_context: object = getattr(variables.get("task"), "get_context", None)  # asyncio's Task, on uvloop
    context = get_context() if callable(get_context) else None
    return context if isinstance(context, Context) else None


def _is_importing_ours(frames: list[tuple[FrameType, int]]) -> bool:
    """Tell whether a stack, innermost frame first, is in an import that our own code asked for."""
    outermost = max((at for at, (one, _) in enumerate(frames) if _is_import(one)), default=-1)
    return 0 <= outermost < len(frames) - 1 and frames[outermost + 1][0].f_code.co_filename.startswith(OWN)


def _is_import(frame: FrameType) -> bool:
    return _IMPORTING in frame.f_code.co_filename
