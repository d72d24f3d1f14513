"""Background work: tasks that live as long as the activation, and what becomes of the plugin when one crashes.

Job:    start tasks in the activation's group, run methods at intervals, restart what may be restarted.
Layer:  plugin. The task group is the activation's; nothing here outlives it.
Errors: DeclarationError at the class statement for ``@every``. A crash leaves the task group, and so ends the process,
        unless the task was declared with OnCrash.RESTART and its budget of restarts is not spent.
See:    docs/how-to/background-work.md
"""

from __future__ import annotations

import inspect
import logging
import math
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from enum import Enum, unique
from typing import TYPE_CHECKING, Protocol, TypeVar, TypeVarTuple

import anyio
from anyio import from_thread

from mm_plugin import limits
from mm_plugin.exceptions import DeclarationError
from mm_plugin.hooks.scopes import SealedScope
from mm_plugin.hooks.source_places import describe, from_author_on
from mm_plugin.hooks.threads import HookThreads
from mm_plugin.hooks.work_name import set_background
from mm_plugin.plugin.declared import call, marked, marks_of_class

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

__all__ = ("Background", "Clock", "Crashes", "Every", "OnCrash", "check_every", "every")

logger = logging.getLogger("mm_plugin.background")

_F = TypeVar("_F", bound=Callable[..., object])
_Ts = TypeVarTuple("_Ts")
_ATTRIBUTE = "__mm_plugin_every__"


@unique
class OnCrash(Enum):
    """What becomes of the plugin when background work raises."""

    #: The process ends with a non-zero exit; the server starts the plugin again by its own rules.
    STOP = "stop"
    #: The crash is logged and the work begins again after a pause that grows; too many crashes stop the plugin.
    RESTART = "restart"


@dataclass(frozen=True, slots=True)
class Every:
    """What ``@every`` said about one method.

    Attributes:
        seconds: From one start to the next.
        at_start: Whether the first run begins with the activation, not one interval later.
        on_crash: What a run that raises leads to.
    """

    seconds: float
    at_start: bool
    on_crash: OnCrash


def every(seconds: float, *, at_start: bool = True, on_crash: OnCrash = OnCrash.STOP) -> Callable[[_F], _F]:
    """Run a method of a Plugin at intervals, from the moment on_activate has succeeded until on_deactivate has ended.

    Starts keep to a grid of ``seconds`` and do not drift. A run never overlaps the one before: starts that fall into
    it are left out. The method takes ``self`` only; ``def`` runs in a worker thread.

    Args:
        seconds: From one start to the next.
        at_start: True: the first run begins at once; False: one interval after the activation.
        on_crash: What a run that raises leads to; with RESTART the next start on the grid after a pause.

    Raises:
        DeclarationError: ``@every`` stands there without its seconds. By the ``class`` statement: the method takes
            arguments, or ``seconds`` is not above 0.
    """
    if callable(seconds):
        name = getattr(seconds, "__qualname__", repr(seconds))
        raise DeclarationError(f"{name}: @every needs its seconds, such as @every(seconds=60)")
    return lambda function: marked(function, _ATTRIBUTE, Every(seconds, at_start, on_crash))


def check_every(cls: type) -> Mapping[str, Every]:
    """Return what ``@every`` said about the methods of a class.

    Raises:
        DeclarationError: See ``every``.
    """
    found = marks_of_class(cls, _ATTRIBUTE, Every)
    for name, mark in found.items():
        where = f"{cls.__qualname__}.{name}"
        is_number = isinstance(mark.seconds, int | float)  # pyright: ignore[reportUnnecessaryIsInstance] - authors may not check types
        if not is_number or not 0 < mark.seconds < math.inf:
            raise DeclarationError(f"{where}: @every needs seconds above 0, such as seconds=60, not {mark.seconds!r}")
        signature = inspect.signature(getattr(cls, name))
        try:
            signature.bind(None)
        except TypeError:
            raise DeclarationError(
                f"{where}{signature}: a method under @every is called without arguments; expected: def {name}(self)"
            ) from None
    return found


class Clock(Protocol):
    """The time that intervals and pauses are measured by."""

    def now(self) -> float:
        """Return the time in seconds."""
        ...

    async def sleep_until(self, deadline: float) -> None:
        """Wait for a moment; returns at once, though with a checkpoint, where it has passed."""
        ...


class _LoopClock:
    """The event loop's clock."""

    def now(self) -> float:
        return anyio.current_time()

    async def sleep_until(self, deadline: float) -> None:
        await anyio.sleep_until(deadline)


class Crashes:
    """The crashes of one task that still count."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=limits.restarts + 1)

    def note(self, now: float) -> float | None:
        """Note a crash; return the pause in seconds before the next try, None where the budget is spent."""
        while self._times and self._times[0] <= now - limits.restart_window_s:
            self._times.popleft()
        self._times.append(now)
        if len(self._times) > limits.restarts:
            return None
        return float(min(limits.restart_backoff_s * 2 ** (len(self._times) - 1), limits.restart_backoff_max_s))


class _StrayError(RuntimeError):
    """Background work raised what would end the event loop, such as SystemExit: a crash, whatever its policy."""


async def _call(function: Callable[[], object], name: str, threads: HookThreads) -> None:
    """Call an author's function; what is neither an exception nor a cancellation becomes _StrayError."""
    try:
        with SealedScope():
            await call(function, threads)
    except Exception:
        raise
    except BaseException as error:
        if anyio.current_effective_deadline() == -math.inf:
            raise
        raise _StrayError(f"the background work {name!r} of the plugin raised {type(error).__name__}") from error


class Background:
    """The background work of one activation.

    Args:
        tasks: The activation's task group.
        clock: The time; the event loop's own by default.
    """

    def __init__(self, tasks: TaskGroup, clock: Clock | None = None) -> None:
        self._tasks = tasks
        self._clock = clock or _LoopClock()
        self._loop_thread = threading.get_ident()
        self._threads = HookThreads(limits.background_threads)

    def start_soon(self, function: Callable[[], object], name: str, on_crash: OnCrash) -> None:
        """Start a task; may be called in the event loop or in a worker thread.

        Raises:
            RuntimeError: The activation has ended.
        """
        self._start(name, self._run, function, name, on_crash)

    def start_every(self, function: Callable[[], object], name: str, mark: Every) -> None:
        """Start a task that calls a function at intervals."""
        self._start(name, self.run_every, function, name, mark)

    def _start(self, name: str, task: Callable[[*_Ts], Coroutine[object, object, None]], *args: *_Ts) -> None:
        def start() -> None:
            self._tasks.start_soon(task, *args, name=name)

        if threading.get_ident() == self._loop_thread:
            start()
        else:
            from_thread.run_sync(start)

    async def _run(self, function: Callable[[], object], name: str, on_crash: OnCrash) -> None:
        set_background(name)
        crashes = Crashes()
        while True:
            try:
                await _call(function, name, self._threads)
            except _StrayError:
                raise
            except Exception as error:  # noqa: BLE001 - an author's code may raise anything
                await self._clock.sleep_until(self._begin_again_at(error, name, on_crash, crashes))
            else:
                return

    async def run_every(self, function: Callable[[], object], name: str, mark: Every) -> None:
        """Call a function at intervals; never returns by itself.

        Raises:
            Exception: What a run raised, where ``mark`` does not say otherwise.
        """
        set_background(name)
        crashes = Crashes()
        start = self._clock.now()
        tick = 0 if mark.at_start else 1
        while True:
            await self._clock.sleep_until(start + tick * mark.seconds)
            not_before = 0.0
            try:
                await _call(function, name, self._threads)
            except _StrayError:
                raise
            except Exception as error:  # noqa: BLE001 - an author's code may raise anything
                not_before = self._begin_again_at(error, name, mark.on_crash, crashes)
            not_before = max(not_before, self._clock.now())
            tick = max(tick + 1, math.ceil((not_before - start) / mark.seconds))

    def _begin_again_at(self, error: Exception, name: str, on_crash: OnCrash, crashes: Crashes) -> float:
        """Return when crashed work may begin again, or raise the error where it may not."""
        if on_crash is OnCrash.STOP:
            error.add_note(f"in the background work {name!r} of the plugin")
            raise error
        now = self._clock.now()
        pause_s = crashes.note(now)
        if pause_s is None:
            error.add_note(
                f"in the background work {name!r} of the plugin, which crashed more than {limits.restarts} times "
                f"within {limits.restart_window_s:g} s"
            )
            raise error
        logger.error(
            "background work %s crashed: %s; it begins again in %g s at the earliest",
            name,
            describe(error),
            pause_s,
            exc_info=(type(error), error, from_author_on(error)),
            extra={"task": name},
        )
        return now + pause_s
