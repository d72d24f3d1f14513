"""Handlers in tasks of their own: the answer goes out at the deadline, whatever a handler does."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from threading import Event
from typing import Any

import anyio
import pytest
from anyio import to_thread

from mm_plugin import limits
from mm_plugin.hooks.dispatch import Handler, HookDispatcher
from mm_plugin.hooks.names import HookName
from mm_plugin.hooks.results import Reject
from mm_plugin.hooks.table import HOOK_TABLE
from mm_plugin.hooks.threads import HookThreads
from mm_plugin.transport.link import HookCall
from tests.hooks.rows import request_of

LOGIN = HookName.UserWillLogIn


@asynccontextmanager
async def dispatching(function: Callable[..., object], timeout_s: float = 0.05) -> AsyncGenerator[Callable[[], Any]]:
    """Run a dispatcher with one handler, of UserWillLogIn, and give what calls it."""
    row = HOOK_TABLE[LOGIN]
    dispatcher = HookDispatcher(
        [Handler(row, function, row.default_policy)], timeout_s=timeout_s, threads=HookThreads(2)
    )
    async with anyio.create_task_group() as tasks:
        await tasks.start(dispatcher.run)
        yield lambda: dispatcher.dispatch(HookCall(name=LOGIN, request=request_of(LOGIN)))
        tasks.cancel_scope.cancel()


async def test_a_shielded_handler_is_answered_at_its_deadline() -> None:
    """A handler that cancellation cannot reach keeps the user out in time, and is joined at the end."""
    release, ended = anyio.Event(), False

    async def handler(*_: object) -> None:
        nonlocal ended
        with anyio.CancelScope(shield=True):
            await release.wait()
            ended = True

    with anyio.fail_after(10):
        async with dispatching(handler) as call:
            assert (await call()).rejection_reason
            assert not ended
            release.set()
        assert ended


async def test_a_handler_in_a_thread_of_its_own_is_answered_at_its_deadline() -> None:
    """A blocking call under to_thread, which cancellation does not end, does not delay the answer."""
    release = Event()

    async def handler(*_: object) -> None:
        await to_thread.run_sync(release.wait, 30)

    with anyio.fail_after(10):
        async with dispatching(handler) as call:
            assert (await call()).rejection_reason
            release.set()


async def test_a_handler_that_swallows_its_cancellation_did_not_consent() -> None:
    """What a handler returns after its deadline does not count: neither on its way out nor much later."""
    release = anyio.Event()
    reasons: list[str] = []

    async def at_once(*_: object) -> None:
        try:
            await anyio.sleep_forever()
        except BaseException:  # noqa: BLE001 - as authors do
            return

    async def again(*_: object) -> None:
        while not release.is_set():
            try:
                await anyio.sleep(0.01)
            except anyio.get_cancelled_exc_class():
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(0.01)

    with anyio.fail_after(10):
        for handler in (at_once, again):
            async with dispatching(handler) as call:
                reasons.append((await call()).rejection_reason)
                if handler is again:
                    release.set()
    assert all(reasons)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
async def test_a_handler_ends_nothing_but_itself(error: type[BaseException]) -> None:
    """What would end the process is answered by policy, and the next call is served."""

    async def handler(*_: object) -> None:
        raise error

    async with dispatching(handler, timeout_s=30) as call:
        assert (await call()).rejection_reason
        assert (await call()).rejection_reason


async def test_handlers_that_do_not_end_are_bounded(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Once too many handlers linger, calls are answered without one; when they have ended, handlers run again."""
    monkeypatch.setattr(limits, "hook_lingering_handlers", 2)
    release, began, ended = anyio.Event(), 0, 0

    async def handler(*_: object) -> Reject | None:
        nonlocal began, ended
        began += 1
        if release.is_set():
            return Reject("mine")
        with anyio.CancelScope(shield=True):
            await release.wait()
        ended += 1
        return None

    with anyio.fail_after(10):
        async with dispatching(handler) as call:
            try:
                for _ in range(4):
                    assert (await call()).rejection_reason
                assert began == 2
                assert "have not ended" in caplog.records[-1].getMessage()
            finally:
                release.set()  # or the handlers would outlive the test
            while ended < 2:
                await anyio.lowlevel.checkpoint()
            await anyio.wait_all_tasks_blocked()
            assert (await call()).rejection_reason == "mine"


async def test_a_call_that_is_cancelled_joins_its_handler(caplog: pytest.LogCaptureFixture) -> None:
    """When the client has gone the handler is cancelled and has unwound before the call ends; nothing is answered."""
    began, unwound, answered = anyio.Event(), anyio.Event(), False

    async def handler(*_: object) -> None:
        began.set()
        try:
            await anyio.sleep_forever()
        finally:
            unwound.set()

    async with dispatching(handler, timeout_s=30) as call:

        async def one() -> None:
            nonlocal answered
            await call()
            answered = True

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one)
            await began.wait()
            tasks.cancel_scope.cancel()
        assert unwound.is_set()
    assert not answered
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_handler_sees_the_context_and_the_deadline_of_its_call() -> None:
    """Context variables of the call's task are the handler's too, and so is the deadline."""
    variable: ContextVar[str] = ContextVar("variable")
    seen: list[object] = []

    async def handler(*_: object) -> None:
        seen.extend((variable.get(), anyio.current_effective_deadline() - anyio.current_time()))

    async with dispatching(handler, timeout_s=30) as call:
        variable.set("call")
        await call()
    assert seen[0] == "call"
    assert seen[1] == pytest.approx(30, abs=1)


async def test_a_stop_answers_calls_under_way_by_policy() -> None:
    """When the dispatcher is cancelled, its handlers are, and their calls are refused."""
    began, reasons = anyio.Event(), list[str]()

    async def handler(*_: object) -> None:
        began.set()
        await anyio.sleep_forever()

    async with anyio.create_task_group() as tasks, dispatching(handler, timeout_s=30) as call:

        async def one() -> None:
            reasons.append((await call()).rejection_reason)

        tasks.start_soon(one)
        await began.wait()
    assert len(reasons) == 1
    assert reasons[0]


async def test_an_awaitable_that_an_async_handler_returns_is_awaited() -> None:
    """As with a blocking one: a decorator may hide a coroutine behind another."""

    async def inner() -> Reject:
        return Reject("inner")

    async def handler(*_: object) -> object:
        return inner()

    async with dispatching(handler, timeout_s=30) as call:
        assert (await call()).rejection_reason == "inner"
