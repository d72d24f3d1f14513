"""How long API calls may take, set for a stretch of code.

Layer:  api. A context variable, so that it holds for the code inside and for tasks and worker threads begun there.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ("call_timeout", "timeout_of")

#: By client, since two clients in one process have nothing to do with each other.
_TIMEOUTS_S: ContextVar[Mapping[object, float] | None] = ContextVar("mm_plugin_api_timeouts_s", default=None)


@contextmanager
def call_timeout(client: object, timeout_s: float) -> Generator[None]:
    """Let each call of one client inside take this long; the innermost setting counts.

    Raises:
        TypeError: ``timeout_s`` is no number.
        ValueError: It is not above zero.
    """
    if isinstance(timeout_s, bool) or not isinstance(timeout_s, int | float):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"timeout_s must be a number of seconds, not {type(timeout_s).__name__}")
    if not timeout_s > 0:
        raise ValueError(f"timeout_s must be above 0, not {timeout_s}; float('inf') means no limit")
    token = _TIMEOUTS_S.set({**(_TIMEOUTS_S.get() or {}), client: timeout_s})
    try:
        yield
    finally:
        _TIMEOUTS_S.reset(token)


def timeout_of(client: object) -> float | None:
    """Return what has been set for a client here; None where nothing has."""
    timeouts_s = _TIMEOUTS_S.get()
    return None if timeouts_s is None else timeouts_s.get(client)
