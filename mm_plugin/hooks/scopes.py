"""Cancel scopes that an author's code enters and never leaves: found at the edge of that code, and left in its stead.

Job:    keep such a mistake one failed hook. AnyIO's asyncio backend would go on to fail in the task group around it and
        end all other handlers with it; Trio repairs its own state, but fails a task that has left a nursery open.
Layer:  hooks.
Errors: LeakedScopeError.
"""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, cast

import anyio

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("LeakedScopeError", "SealedScope", "leak_of")

_ASYNCIO = "anyio._backends._asyncio"


class LeakedScopeError(RuntimeError):
    """Code entered a cancel scope or a task group and ended without leaving it."""


class _TaskState(Protocol):
    cancel_scope: anyio.CancelScope | None


class _AsyncioBackend(Protocol):
    _task_states: Mapping[object, _TaskState]

    def current_task(self) -> object: ...


class _CancelStatus(Protocol):
    abandoned_by_misnesting: bool


class _Nursery(Protocol):
    _cancel_status: _CancelStatus


class _TrioTask(Protocol):
    _child_nurseries: list[_Nursery]


class _TrioLowlevel(Protocol):
    def current_task(self) -> _TrioTask: ...


class _Trio(Protocol):
    """What Trio offers no public way to: the nurseries that a task has open."""

    lowlevel: _TrioLowlevel


def leak_of(scope: anyio.CancelScope, error: BaseException) -> LeakedScopeError | None:
    """Tell whether leaving a scope failed because one inside of it was never left; both have been left then.

    Costs nothing where no scope fails; call it where leaving one has raised.

    Args:
        scope: The scope whose ``with`` block raised.
        error: What it raised.
    """
    leaked = None
    if type(scope).__module__ == _ASYNCIO:
        state = _state_of_current_task()
        if state is not None and _is_around(state.cancel_scope, scope):
            while state.cancel_scope is not None and state.cancel_scope is not scope:
                leaked = state.cancel_scope
                leaked.cancel()  # of a task group: its tasks
                leaked.__exit__(None, None, None)
            scope.__exit__(None, None, None)
    elif isinstance(error, RuntimeError) and str(error).startswith("Cancel scope stack corrupted"):
        leaked = scope
        _forget_nurseries()
    if leaked is None:
        return None
    failure = LeakedScopeError(
        "a cancel scope or task group was entered and never left; enter it by `with` or `async with`"
    )
    failure.__cause__ = error
    return failure


def _state_of_current_task() -> _TaskState | None:
    """Return what AnyIO offers no public way to, the innermost scope of the current task.

    None where this AnyIO keeps it elsewhere: a leak then stays a leak, but every other error goes its way.
    """
    backend = cast("_AsyncioBackend", sys.modules[_ASYNCIO])
    try:
        return backend._task_states.get(backend.current_task())  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    except AttributeError:
        return None


def _forget_nurseries() -> None:
    """Take from the current Trio task the nurseries that it left open, or Trio would fail it as a whole when it ends.

    Trio has cancelled their tasks when the scope around them was left; those end by themselves, their errors are lost.
    """
    nurseries = cast("_Trio", sys.modules["trio"]).lowlevel.current_task()._child_nurseries  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    nurseries[:] = [one for one in nurseries if not one._cancel_status.abandoned_by_misnesting]  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


def _is_around(inner: anyio.CancelScope | None, outer: anyio.CancelScope) -> bool:
    """Tell whether one scope of a task is really inside of another; both may be one."""
    while inner is not None and inner is not outer:
        inner = getattr(inner, "_parent_scope", None)
    return inner is not None


class SealedScope:
    """A ``with`` block that no cancel scope leaks out of.

    Raises:
        LeakedScopeError: One was entered in the block and not left; it has been left now.
    """

    def __enter__(self) -> None:
        self._scope = anyio.CancelScope()
        self._scope.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        try:
            return self._scope.__exit__(kind, error, traceback)
        except BaseException as failure:
            leaked = leak_of(self._scope, failure)
            if leaked is None:
                raise
            raise leaked from error
