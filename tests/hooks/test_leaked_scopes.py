"""A handler that enters a cancel scope and never leaves it is one failed hook; whatever else runs goes on."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from mm_plugin.hooks.names import HookName
from mm_plugin.hooks.scopes import LeakedScopeError, SealedScope
from mm_plugin.hooks.table import HOOK_TABLE
from mm_plugin.plugin.background import OnCrash
from mm_plugin.plugin.plugin import Plugin
from mm_plugin.serve_http.request import Request
from mm_plugin.serve_http.response import Response
from mm_plugin.transport.link import RequestHead
from tests.contract.links import LINKS
from tests.hooks.rows import READS, host_reads, request_of
from tests.hooks.test_hook_outcomes import ask, behind
from tests.plugin.running import running

Leak = Callable[[], Awaitable[None]]


async def enter_only() -> None:
    anyio.CancelScope().__enter__()


async def enter_and_cancel() -> None:
    scope = anyio.CancelScope()
    scope.__enter__()
    scope.cancel()


async def wait_beyond_the_deadline() -> None:
    anyio.CancelScope(deadline=anyio.current_time() + 0.02).__enter__()
    await anyio.sleep_forever()


async def enter_two() -> None:
    await enter_only()
    await enter_and_cancel()


async def enter_group() -> None:
    await anyio.create_task_group().__aenter__()


async def enter_groups_with_tasks() -> None:
    for _ in range(2):
        tasks = anyio.create_task_group()
        await tasks.__aenter__()
        tasks.start_soon(anyio.sleep_forever)
        tasks.start_soon(crash_once_cancelled)
    await anyio.lowlevel.checkpoint()


async def crash_once_cancelled() -> None:
    try:
        await anyio.sleep_forever()
    finally:
        raise KeyError("left behind")


LEAKS = (enter_only, enter_and_cancel, wait_beyond_the_deadline, enter_two, enter_group, enter_groups_with_tasks)


def plugin_of(leak: Leak) -> Plugin:
    class Leaking(Plugin):
        async def user_will_log_in(self, context: Any, user: Any) -> None:
            await leak()

        async def message_has_been_posted(self, context: Any, post: Any) -> None:
            await leak()

        async def serve_http(self, request: Request, response: Response) -> None:
            await leak()

        async def execute_command(self, context: Any, args: Any) -> None:
            await anyio.sleep(0.3)

    return Leaking()


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("leak", LEAKS)
async def test_a_scope_that_is_never_left_fails_its_hook_alone(
    leak: Leak, link: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The policy answers, the log says what to mend, and calls before, beside and after it are none the worse."""
    answers: list[Any] = []

    async def beside() -> None:
        row = HOOK_TABLE[HookName.ExecuteCommand]
        answers.append(await ask(host, row, request_of(row.name)))

    with anyio.fail_after(30):
        async with behind(link, plugin_of(leak)) as host, anyio.create_task_group() as tasks:
            tasks.start_soon(beside)
            for name in (HookName.UserWillLogIn, HookName.MessageHasBeenPosted) * 2:
                row = HOOK_TABLE[name]
                assert host_reads(row, await ask(host, row, request_of(name))) == READS[row.default_policy]
            async with host.open_http(RequestHead(method="GET", url="/")) as call:
                await call.finish()
                assert (await call.receive_head()).status == 500
    assert [host_reads(HOOK_TABLE[HookName.ExecuteCommand], answer) for answer in answers] == ["let pass"]
    errors = [record.exc_info[1] for record in caplog.records if record.levelno == logging.ERROR and record.exc_info]
    assert len(errors) == 5
    for error in errors:
        assert isinstance(error, LeakedScopeError)
        assert "enter it by `with`" in str(error)


async def test_background_work_that_leaks_a_scope_is_a_crash(caplog: pytest.LogCaptureFixture) -> None:
    """Its declared choice decides, here a restart."""
    restarted = anyio.Event()

    class Leaking(Plugin):
        runs = 0

        async def on_activate(self) -> None:
            self.start_soon(self.leak, on_crash=OnCrash.RESTART)

        async def leak(self) -> None:
            self.runs += 1
            if self.runs == 2:
                restarted.set()
            else:
                await enter_only()

    with anyio.fail_after(20):
        async with running(Leaking()) as run:
            await run.call("OnActivate")
            await restarted.wait()
    assert [text for text in caplog.messages if "crashed: LeakedScopeError" in text]


async def test_a_sealed_scope_passes_on_what_is_no_leak() -> None:
    """Errors and cancellations go through as they are, and nothing is left behind."""
    with pytest.raises(KeyError), SealedScope():
        raise KeyError
    with anyio.move_on_after(0.02) as scope, SealedScope():
        await anyio.sleep_forever()
    assert scope.cancelled_caught
    with pytest.raises(LeakedScopeError), SealedScope():
        await enter_and_cancel()
    await anyio.lowlevel.checkpoint()
