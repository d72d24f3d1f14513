"""The calls that a worker thread makes through the event loop: they end with whoever waits for the thread.

Job:    let a blocking handler's API calls be cancelled when its time is over, although its thread runs on.
Layer:  transport, below hooks and api, which meet here: hooks run the threads, api makes the calls.

AnyIO cancels such calls on asyncio only; on Trio a call from a thread that may be abandoned has no parent.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TypeVar

import anyio

from mm_plugin.exceptions import DeadlineError, StatusCode

__all__ = ("ThreadCalls", "calls_of_this_thread")

_T = TypeVar("_T")

_local = threading.local()


class ThreadCalls:
    """The calls under way for one function that runs in a worker thread.

    Args:
        deadline: When nobody waits for the function any more.
    """

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._scopes: set[anyio.CancelScope] = set()
        self._given_up = False

    def run(self, function: Callable[[], _T]) -> _T:
        """Run a function whose calls these are; called in the thread."""
        _local.calls = self
        try:
            return function()
        finally:
            _local.calls = None

    def give_up(self) -> None:
        """Cancel the calls under way, and those to come; called in the loop."""
        self._given_up = True
        for scope in self._scopes:
            scope.cancel()

    @contextmanager
    def scope(self) -> Generator[None]:
        """Hold one call; used in the loop, around the call.

        Raises:
            DeadlineError: The call was cancelled because nobody waits for the thread any more.
        """
        # Shielded, so that both backends do the same: what ends the waiting for the thread gives up its calls.
        with anyio.CancelScope(deadline=self._deadline, shield=True) as scope:
            self._scopes.add(scope)
            if self._given_up:
                scope.cancel()
            try:
                yield
            finally:
                self._scopes.discard(scope)
        if scope.cancelled_caught:
            raise DeadlineError(
                "the blocking handler that made this call was given up; its answer has gone out",
                code=StatusCode.DEADLINE_EXCEEDED,
            )


def calls_of_this_thread() -> ThreadCalls | None:
    """Return the calls of the function that this thread runs, None in a thread of nobody's."""
    calls: object = getattr(_local, "calls", None)
    return calls if isinstance(calls, ThreadCalls) else None
