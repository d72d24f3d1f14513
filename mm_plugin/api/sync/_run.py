"""What every blocking API method runs through: hand the call to the event loop and wait for it. Internal.

Layer:  api, above the client, whose calls these are.
Errors: those of the client's method; RuntimeError in a thread where waiting is wrong or impossible.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import anyio
from anyio import from_thread

from mm_plugin.transport.thread_calls import calls_of_this_thread

if TYPE_CHECKING:
    from mm_plugin.api.client import PluginAPIClient

__all__ = ("SyncCore",)

_P = ParamSpec("_P")
_Result = TypeVar("_Result")


class SyncCore:
    """The way from a worker thread to the client, shared by all topics.

    Args:
        api: The client that makes the calls, in its event loop.
    """

    def __init__(self, api: PluginAPIClient) -> None:
        self._api = api

    def options(self, *, timeout_s: float) -> AbstractContextManager[None]:
        """Set how long each call made inside may take; see ``PluginAPIClient.options``."""
        return self._api.options(timeout_s=timeout_s)

    def _run(self, method: Callable[_P, Awaitable[_Result]], /, *arguments: _P.args, **keywords: _P.kwargs) -> _Result:
        """Call one of the client's methods in the event loop and wait for its end.

        Raises:
            DeadlineError: The thread runs a handler whose time is over.
            RuntimeError: This thread runs an event loop, or is no worker thread of the client's own; nothing was sent.
        """
        calls = calls_of_this_thread()

        async def call() -> _Result:
            if not self._api.in_its_loop:
                raise RuntimeError(
                    f"api.sync.{method.__name__} was called in a worker thread of another event loop than the one that "
                    f"this client was opened in; open a PluginAPIClient of its own there"
                )
            if calls is None:
                return await method(*arguments, **keywords)
            with calls.scope():
                return await method(*arguments, **keywords)

        try:
            return from_thread.run(call)
        except anyio.NoEventLoopError:
            raise RuntimeError(_advice(method.__name__)) from None


def _advice(name: str) -> str:
    try:
        anyio.get_current_task()
    except anyio.NoEventLoopError:
        return (
            f"api.sync.{name} was called in a thread that the event loop does not know; start such threads with "
            f"`await anyio.to_thread.run_sync(function)`, or go through `anyio.from_thread.BlockingPortal`"
        )
    return (
        f"api.sync.{name} would block the event loop, which this thread runs; write `await api.{name}(...)`, "
        f"or do the blocking work in a worker thread: a handler that is `def`, or `anyio.to_thread.run_sync(function)`"
    )
