"""What hook calls leave behind: nothing that only the collector of cycles would free."""

from __future__ import annotations

import gc
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

import anyio
import pytest

from mm_plugin._proto.services import hook_methods
from mm_plugin.hooks.dispatch import Handler, HookDispatcher
from mm_plugin.hooks.names import HookName
from mm_plugin.hooks.table import HOOK_TABLE
from mm_plugin.hooks.threads import HookThreads
from mm_plugin.transport.link import CallFailure, HookCall


async def return_nothing(*_arguments: object) -> None:
    pass


async def fail(*_arguments: object) -> None:
    raise ValueError("a fault of the author's")


async def overrun(*_arguments: object) -> None:
    await anyio.sleep_forever()


async def overrun_and_fail(*_arguments: object) -> None:
    try:
        await anyio.sleep_forever()
    finally:
        raise ValueError("instead of the cancellation")


def hook_calls() -> int:
    """Count the calls that are in memory."""
    return sum(type(found) is HookCall for found in gc.get_objects())


@pytest.mark.parametrize("name", [HookName.UserWillLogIn, HookName.MessageHasBeenPosted])
@pytest.mark.parametrize("handler", [return_nothing, fail, overrun, overrun_and_fail])
async def test_a_hook_call_leaves_no_cycle(
    name: HookName, handler: Callable[..., Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However its handler ends, in a task of its own or not; a request may be an uploaded file."""
    monkeypatch.setattr(logging.getLogger("mm_plugin.hooks"), "disabled", True)  # pytest would keep the tracebacks
    row = HOOK_TABLE[name]
    dispatcher = HookDispatcher([Handler(row, handler, row.default_policy)], timeout_s=0.02, threads=HookThreads())
    request = hook_methods()[name].request()
    async with anyio.create_task_group() as tasks:
        await tasks.start(dispatcher.run)
        gc.collect()
        known, left = hook_calls(), -1  # other tests may hold some
        gc.disable()
        try:
            for _ in range(3):
                with suppress(CallFailure):
                    await dispatcher.dispatch(HookCall(name=name, request=request, deadline=None))
            await anyio.wait_all_tasks_blocked()
            left = hook_calls()
        finally:
            gc.enable()
        tasks.cancel_scope.cancel()
    assert left <= known
