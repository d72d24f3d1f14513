"""Worker threads for blocking handlers, bounded so that a thread that never returns keeps its slot.

AnyIO's asyncio backend gives a slot back as soon as the waiting task is cancelled, its Trio backend when the thread
ends. Here the slot is given back when the thread ends, on both: a handler that hangs cannot make us start ever more
threads.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from threading import Lock, Thread, get_ident
from types import FrameType
from typing import Generic, TypeVar

import anyio
import anyio.lowlevel
from anyio import CapacityLimiter, from_thread, to_thread

from mm_plugin import limits
from mm_plugin.hooks.source_places import LIBRARIES
from mm_plugin.hooks.work_name import work_name
from mm_plugin.transport.thread_calls import ThreadCalls

__all__ = ("HookThreads", "threads_at_work")

_T = TypeVar("_T")

_current_frames = sys._current_frames  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - the only way
#: What each thread of this process does for an author, by its identifier.
_at_work: dict[int, str] = {}


def threads_at_work() -> list[tuple[str, str]]:
    """Return what the threads of this process do for authors, ``hook X`` or ``background work x``, and where they are.

    Where is ``file:line in function``, of the innermost frame that is no library's.
    """
    frames = _current_frames()
    return [(work, _place(frames.get(thread))) for thread, work in list(_at_work.items())]


def _place(frame: FrameType | None) -> str:
    innermost = frame
    while frame is not None and frame.f_code.co_filename.startswith(LIBRARIES):
        frame = frame.f_back
    frame = frame or innermost
    return "?" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"


class HookThreads:
    """The slots in which blocking handlers run.

    Args:
        slots: Threads that may be busy at once; further handlers wait for one of them.
    """

    def __init__(self, slots: int = limits.hook_threads) -> None:
        self._slots = CapacityLimiter(slots)
        self._unbounded = CapacityLimiter(math.inf)

    @property
    def busy(self) -> int:
        """Slots in use, those of abandoned threads included."""
        return self._slots.borrowed_tokens

    async def run(self, function: Callable[[], _T]) -> _T:
        """Run a function in a worker thread and return its result.

        Cancellation returns at once: a function that has not begun never will, one that has runs on unobserved and
        holds its slot until it ends. The API calls it makes are cancelled then.
        """
        job = _Job(function, self._slots)
        await self._slots.acquire_on_behalf_of(job)
        try:
            (result,) = await to_thread.run_sync(job.run, abandon_on_cancel=True, limiter=self._unbounded)
            return result
        finally:
            job.leave()


class _Job(Generic[_T]):
    """One function and its slot, which the last of the two sides to leave gives back."""

    __slots__ = ("_abandoned", "_calls", "_function", "_lock", "_running", "_slots", "_token", "_work")

    def __init__(self, function: Callable[[], _T], slots: CapacityLimiter) -> None:
        self._function = function
        self._slots = slots
        self._lock = Lock()
        self._running = False
        self._abandoned = False
        self._calls = ThreadCalls(anyio.current_effective_deadline())
        self._token = anyio.lowlevel.current_token()
        self._work = work_name()

    def run(self) -> tuple[_T]:
        """Run the function; called in the thread. Boxed, because Trio takes no awaitable for a thread's result."""
        with self._lock:
            if self._abandoned:
                raise RuntimeError("the call was given up before its thread began")
            self._running = True
        if self._work:
            _at_work[get_ident()] = self._work
        try:
            return (self._calls.run(self._function),)
        except Exception:
            raise
        except BaseException as error:  # in the loop it would end the task that waits, or all of the loop
            raise RuntimeError(f"a blocking handler cannot end anything by {type(error).__name__}") from error
        finally:
            _at_work.pop(get_ident(), None)
            with self._lock:
                self._running = False
                late = self._was_abandoned()
            if late:
                self._release_late()

    def _was_abandoned(self) -> bool:
        return self._abandoned

    def _release_late(self) -> None:
        """Give the slot back from outside the loop.

        Telling a loop that is just ending may wait for ever, and the interpreter waits for this thread when it exits;
        a daemon thread may wait.
        """
        releasing = Thread(target=self._release_in_loop, name="mm_plugin late hook thread", daemon=True)
        try:
            releasing.start()
        except RuntimeError:
            pass  # the interpreter is going

    def _release_in_loop(self) -> None:
        try:
            from_thread.run_sync(self._slots.release_on_behalf_of, self, token=self._token)
        except anyio.RunFinishedError:
            pass  # the loop has ended, and the slots with it

    def leave(self) -> None:
        """Give the slot back unless the function still runs; called in the loop when nobody waits any more."""
        with self._lock:
            self._abandoned = True
            running = self._running
        self._calls.give_up()
        if not running:
            self._slots.release_on_behalf_of(self)
