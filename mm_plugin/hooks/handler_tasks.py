"""Runs handlers in tasks of their own, so that a call is answered at its deadline whatever its handler does.

Job:    start a handler, wait for its end or its deadline, give up on one that does not end when it is cancelled; or
        run it in the call's own task, where a late answer loses nothing.
Layer:  hooks.
Tasks:  ``run`` owns the group in which handlers live; one that was given up stays there until it ends, and the group
        is joined when ``run`` is cancelled.
Errors: HookTimeoutError for a missed deadline; else the handler's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import anyio
from anyio.abc import TaskGroup, TaskStatus

from mm_plugin import limits
from mm_plugin.exceptions import HookTimeoutError
from mm_plugin.hooks.scopes import leak_of
from mm_plugin.hooks.source_places import innermost_place, waiting_place

__all__ = ("HandlerTasks", "is_cancelled")

_T = TypeVar("_T")


class _Run(Generic[_T]):
    """A handler at work."""

    __slots__ = ("error", "has_ended", "is_given_up", "place", "result", "scope")

    def __init__(self, scope: anyio.CancelScope) -> None:
        self.scope = scope
        self.result: tuple[_T] | None = None
        self.error: BaseException | None = None
        self.has_ended = False
        self.is_given_up = False
        self.place = ""  # where of the author's it was when it was cancelled


class HandlerTasks:
    """The tasks in which handlers run."""

    def __init__(self) -> None:
        self._tasks: TaskGroup | None = None
        self._scope = anyio.CancelScope
        self._lingering = 0

    @property
    def is_full(self) -> bool:
        """Whether so many handlers linger that no further one may be given to ``call``."""
        return self._lingering >= limits.hook_lingering_handlers

    @property
    def lingering(self) -> int:
        """Handlers whose calls were answered without them and which have not ended yet."""
        return self._lingering

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Own the group until cancelled; the handlers in it are cancelled then, and joined."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            # The backend's own class: anyio.CancelScope asks each time which backend runs, and Python then initialises
            # what it returns a second time, because it is no instance of the class that was called.
            self._scope = type(tasks.cancel_scope)
            try:
                task_status.started()
                await anyio.sleep_forever()
            finally:
                self._tasks = None
                self._scope = anyio.CancelScope

    async def call(self, name: str, work: Callable[[], Awaitable[_T]], deadline: float) -> _T:
        """Run the work of one call of a hook and return its result.

        The work sees the deadline as that of its cancel scope. Cancellation from outside cancels the work, waits
        ``limits.cleanup_s`` for its end and propagates. Where ``run`` is not under way the work is joined at any rate.

        Raises:
            HookTimeoutError: It has not ended by the deadline, or did so only because it was cancelled.
            RuntimeError: ``run`` is being cancelled.
            BaseException: What the work raised.
        """
        run = _Run[_T](self._scope(deadline=deadline))
        if self._tasks is None:
            async with anyio.create_task_group() as tasks:
                await self._await_end(tasks, name, work, run)
        else:
            await self._await_end(self._tasks, name, work, run)
        error, run.error = run.error, None
        try:
            if run.scope.cancel_called:
                raise _late(name, run.place) from error
            if error is not None:
                raise error
        finally:
            del error  # its traceback leads to this frame and to the run: a cycle that holds the request
        if run.result is None:
            raise RuntimeError(f"{name}: the plugin stopped before its handler had finished")
        return run.result[0]

    async def call_here(self, name: str, work: Callable[[], Awaitable[_T]], deadline: float) -> _T:
        """Run the work in the caller's own task, which costs half as much; for calls that may be answered late.

        A host that waits no longer for such a call takes its failure for consent, as it would take the answer.

        Raises:
            HookTimeoutError: It has not ended by the deadline, or did so only because it was cancelled.
            BaseException: What the work raised.
        """
        result: tuple[_T] | None = None
        place = ""
        scope = self._scope(deadline=deadline)
        try:
            with scope:
                try:
                    result = (await work(),)
                except BaseException as error:
                    place = innermost_place(error) if scope.cancel_called else ""
                    raise
        except BaseException as error:
            if (leak := leak_of(scope, error)) is not None:
                raise leak from error
            raise
        if result is None or scope.cancel_called:
            raise _late(name, place)
        return result[0]

    async def _await_end(self, tasks: TaskGroup, name: str, work: Callable[[], Awaitable[_T]], run: _Run[_T]) -> None:
        coroutine = self._work(work, run)
        task = tasks.create_task(coroutine, name=name)
        try:
            with self._scope(deadline=run.scope.deadline):
                await task.wait()
        except BaseException:
            run.scope.cancel()
            with anyio.move_on_after(limits.cleanup_s, shield=True):
                await task.wait()
            raise
        finally:
            if not run.has_ended:
                run.place = waiting_place(coroutine)
                run.scope.cancel()
                run.is_given_up = True
                self._lingering += 1

    async def _work(self, work: Callable[[], Awaitable[_T]], run: _Run[_T]) -> None:
        try:
            with run.scope:
                try:
                    run.result = (await work(),)
                except BaseException as error:
                    run.place = innermost_place(error) if run.scope.cancel_called else ""
                    raise
        except BaseException as error:
            leak = leak_of(run.scope, error)
            if leak is None and is_cancelled():
                raise
            run.error = leak or error
        finally:
            run.has_ended = True
            self._lingering -= run.is_given_up


def _late(name: str, place: str) -> HookTimeoutError:
    error = HookTimeoutError(f"{name}: its handler did not finish in time and was cancelled")
    error.place = place
    return error


def is_cancelled() -> bool:
    """Tell whether a scope around the current task was cancelled, and not just a cancellation raised by somebody."""
    return anyio.current_effective_deadline() == float("-inf")
