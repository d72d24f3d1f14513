"""How long API calls may take, set for a stretch of code.

Layer:  api. A context variable, so that it holds for the code inside and for tasks and worker threads begun there.

A generator has no context of its own: what it sets stays set for whoever iterates over it while it waits at a
``yield``, and is set back when it ends, wherever that is. So each setting knows the task and, in a generator, the
frame that made it: in that task it counts until its end, and while that frame runs. Context managers written as
generators mean their settings for the code inside the ``with``, and keep them.
"""

from __future__ import annotations

import contextlib
import inspect
from contextvars import ContextVar
from types import FrameType, TracebackType

import anyio

__all__ = ("CallTimeout", "checked_timeout", "timeout_of")

#: The innermost setting; each knows the one around it.
_INNERMOST: ContextVar[CallTimeout | None] = ContextVar("mm_plugin_api_timeout", default=None)
_GENERATORS = inspect.CO_ASYNC_GENERATOR | inspect.CO_GENERATOR


class CallTimeout:
    """Let each call of one client inside take this long; the innermost setting counts. May be entered once.

    Args:
        client: Whose calls, since two clients in one process have nothing to do with each other.
        timeout_s: Seconds.

    Raises:
        TypeError: ``timeout_s`` is no number.
        ValueError: It is not above zero.
    """

    __slots__ = ("_ended", "_frame", "_outer", "_task", "client", "timeout_s")

    def __init__(self, client: object, timeout_s: float) -> None:
        self.client = client
        self.timeout_s = checked_timeout("timeout_s", timeout_s)
        self._outer: CallTimeout | None = None
        self._task: int | None = None
        self._frame: FrameType | None = None
        self._ended = False

    def __enter__(self) -> None:
        if self._ended or _INNERMOST.get() is self:
            raise RuntimeError("these options have been used; call options() again")
        self._task = _current_task()
        self._outer = _INNERMOST.get()
        while self._outer is not None and self._outer.is_over(self._task):
            self._outer = self._outer.around()  # kept, they would grow into a chain without end
        self._frame = _generator_of(inspect.currentframe())
        _INNERMOST.set(self)

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended = True
        self._frame = None
        if _INNERMOST.get() is self:  # else somebody has set more meanwhile, or the generator ends somewhere else
            _INNERMOST.set(self._outer)

    def around(self) -> CallTimeout | None:
        """Return the setting around this one."""
        return self._outer

    def is_over(self, task: int | None) -> bool:
        """Whether it never counts again in a task: its own, where it has ended."""
        return self._ended and task is not None and self._task == task

    def counts(self) -> bool:
        """Whether the code that runs is inside. Other tasks were begun inside, and keep it to their end."""
        if not self._ended and self._frame is None:
            return True
        if self._task is None or self._task != _current_task():
            return True
        return not self._ended and _is_called_by(self._frame)


def checked_timeout(name: str, timeout_s: float) -> float:
    """Return how long a call may take, if it is a time.

    Raises:
        TypeError: It is no number.
        ValueError: It is not above zero.
    """
    if isinstance(timeout_s, bool) or not isinstance(timeout_s, int | float):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"{name} must be a number of seconds, not {type(timeout_s).__name__}")
    if not timeout_s > 0:
        raise ValueError(f"{name} must be above 0, not {timeout_s}; float('inf') means no limit")
    return timeout_s


def timeout_of(client: object) -> float | None:
    """Return what has been set for a client here; None where nothing has."""
    setting = _INNERMOST.get()
    while setting is not None:
        if setting.client is client and setting.counts():
            return setting.timeout_s
        setting = setting.around()
    return None


def _current_task() -> int | None:
    try:
        return anyio.get_current_task().id
    except RuntimeError:  # NoEventLoopError, and what backends raise in worker threads
        return None


def _generator_of(frame: FrameType | None) -> FrameType | None:
    """Return the frame that called this one, if it is a generator's that is no context manager."""
    frame = None if frame is None else frame.f_back
    while frame is not None and frame.f_code.co_filename == contextlib.__file__:  # an ExitStack
        frame = frame.f_back
    if frame is None or not frame.f_code.co_flags & _GENERATORS:
        return None
    driver = frame.f_back
    return None if driver is not None and driver.f_code.co_filename == contextlib.__file__ else frame


def _is_called_by(wanted: FrameType | None) -> bool:
    frame = inspect.currentframe()
    while frame is not None and frame is not wanted:
        frame = frame.f_back
    return frame is not None
