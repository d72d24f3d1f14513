"""Reports a hook that blocks the event loop, once, with the line it stands on.

Job:    notice from a thread of its own that the loop does not run, and find out which hook keeps it.
Layer:  hooks.
Tasks:  ``run`` is the heartbeat: a task that stamps the time every ``limits.loop_watch_period_s`` while hooks are
        handled, and sleeps without a timer when there are none. A daemon thread, started with the first hook and ended
        with ``run``, compares stamps with the clock and samples the loop thread's frames where they differ too much.
Output: one WARNING for each hook.
"""

from __future__ import annotations

import inspect
import logging
import os
import sys
import sysconfig
import threading
import time
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import FrameType
from typing import ParamSpec, TypeVar, cast

import anyio
from anyio.abc import TaskStatus

from mm_plugin import limits

__all__ = ("LoopWatch",)

_P = ParamSpec("_P")
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
        self._thread: threading.Thread | None = None
        self._watching = threading.Event()
        self._ended = threading.Event()
        self._told: set[str] = set()

    async def guard(self, hook: str, call: Awaitable[_T]) -> _T:  # noqa: ARG002 - the thread reads it in the frame
        """Await a call of a hook; its frame tells the thread which hook runs."""
        self._handling += 1
        self._calls += 1
        if self._wake is not None:
            self._begin(self._wake)
        try:
            return await call
        finally:
            self._handling -= 1

    def watched(self, hook: str, function: Callable[_P, _T]) -> Callable[_P, _T]:
        """Return a coroutine function under ``guard``, and any other as it is: that one runs in a thread."""
        if not inspect.iscoroutinefunction(function):
            return function

        async def guarded(*args: _P.args, **kwargs: _P.kwargs) -> object:
            return await self.guard(hook, function(*args, **kwargs))

        return cast("Callable[_P, _T]", guarded)

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Be the heartbeat until cancelled; the thread has been told to end then."""
        self._loop_thread = threading.get_ident()
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
        """Stamp the time until no hook has been handled for a while."""
        idle_since = self._beat_at = time.monotonic()
        calls = self._calls
        while self._beat_at - idle_since < limits.loop_watch_idle_s:
            await anyio.sleep(self._period_s)
            self._beat_at = time.monotonic()
            if self._handling or self._calls != calls:
                idle_since, calls = self._beat_at, self._calls

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
        while self._watching.wait() and not self._ended.is_set():
            looked_at = time.monotonic()
            self._ended.wait(self._period_s)
            now = time.monotonic()
            if now - looked_at > self._period_s + self._blocked_s / 2:
                not_before = (
                    now  # this thread did not run either: the whole process stood still, or the machine is busy
                )
                continue
            beat_at = self._beat_at
            if beat_at == done_with or now - max(beat_at + self._period_s, not_before) < self._blocked_s:
                continue
            found = _find_hook(_current_frames().get(self._loop_thread))
            if found is None or self._beat_at != beat_at:
                continue
            done_with = beat_at
            self._report(*found)

    def _report(self, hook: str, stack: list[traceback.FrameSummary]) -> None:
        if hook in self._told:
            return
        self._told.add(hook)
        authors = [frame for frame in stack if not frame.filename.startswith(_OWN)] or stack
        at = next((frame for frame in reversed(authors) if not frame.filename.startswith(_LIBRARIES)), authors[0])
        logger.warning(
            "hook %s blocks the event loop, for over %d ms now, at %s:%s in %s; await there, or make the handler `def`",
            hook,
            self._blocked_s * 1000,
            at.filename,
            at.lineno,
            at.name,
            extra={"hook": hook, "request_id": "", "stack": "".join(traceback.format_list(stack))},
        )


_GUARD = LoopWatch.guard.__code__
_OWN = f"{Path(__file__).parents[1]}{os.sep}"
_LIBRARIES = ("<", *(sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")))


def _find_hook(frame: FrameType | None) -> tuple[str, list[traceback.FrameSummary]] | None:
    """Return the hook that a thread is in, and its stack from the handler on; None where it is in none.

    A thread that stands in a debugger is in none: its author knows.
    """
    frames: list[tuple[FrameType, int]] = []
    while frame is not None and frame.f_code is not _GUARD:
        module: object = frame.f_globals.get("__name__")
        if isinstance(module, str) and module.partition(".")[0] in _DEBUGGERS:
            return None
        frames.append((frame, frame.f_lineno))
        frame = frame.f_back
    if frame is None or not frames:
        return None
    return str(frame.f_locals["hook"]), list(traceback.StackSummary.extract(reversed(frames)))
