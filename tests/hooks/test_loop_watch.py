"""A hook that blocks the event loop is reported once, with its name and the line it stands on."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from mm_plugin._proto.services import hook_methods
from mm_plugin.hooks.loop_watch import LoopWatch, _find_work
from mm_plugin.plugin.plugin import Plugin
from mm_plugin.serve_http.request import Request
from mm_plugin.serve_http.response import Response
from mm_plugin.transport.link import RequestHead
from tests.plugin.running import linked, running


@asynccontextmanager
async def watching(**options: float) -> AsyncGenerator[LoopWatch]:
    watch = LoopWatch(**options)
    async with anyio.create_task_group() as tasks:
        await tasks.start(watch.run)
        yield watch
        tasks.cancel_scope.cancel()


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.levelno == logging.WARNING]


def block_until_told(caplog: pytest.LogCaptureFixture, count: int = 1) -> None:
    """Block this thread until the watch has spoken, or far too long."""
    give_up_at = time.monotonic() + 20
    while len(warnings_in(caplog)) < count and time.monotonic() < give_up_at:
        time.sleep(0.005)  # the line that is reported


async def test_a_blocking_hook_is_reported_with_its_line(caplog: pytest.LogCaptureFixture) -> None:
    """The very first hook blocks; the report names it and the line in the author's code, not in a library."""

    class Blocking(Plugin):
        async def message_has_been_posted(self, context: Any, post: Any) -> None:
            block_until_told(caplog)

    async with running(Blocking()) as plugin:
        await plugin.call("MessageHasBeenPosted")
    (record,) = warnings_in(caplog)
    assert record.__dict__["hook"] == "MessageHasBeenPosted"
    text = record.getMessage()
    assert "hook MessageHasBeenPosted blocks the event loop" in text
    assert "test_loop_watch.py:" in text
    assert "block_until_told" in text
    assert "message_has_been_posted" in record.__dict__["stack"]


async def test_each_hook_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    """Blocking again is not reported again; another hook is. HTTP counts as a hook."""

    class Blocking(Plugin):
        async def user_has_logged_in(self, context: Any, user: Any) -> None:
            block_until_told(caplog, 1)

        async def serve_http(self, request: Request, response: Response) -> None:
            block_until_told(caplog, 2)

    async with linked(Blocking()) as host:
        request = hook_methods()["UserHasLoggedIn"].request()
        await host.call_hook("UserHasLoggedIn", request)
        async with host.open_http(RequestHead(method="GET", url="/")) as call:
            await call.finish()
            await call.receive_head()
        time.sleep(0.2)  # noqa: ASYNC251 - no hook blocks now, the test does
        await host.call_hook("UserHasLoggedIn", request)
    assert [record.__dict__["hook"] for record in warnings_in(caplog)] == ["UserHasLoggedIn", "ServeHTTP"]


async def test_hooks_that_await_are_never_reported(caplog: pytest.LogCaptureFixture) -> None:
    """A hook may take long, and many hooks may be handled, as long as the loop runs."""
    async with watching(blocked_s=0.2, period_s=0.01) as watch:

        async def patient() -> None:
            for _ in range(30):
                await anyio.sleep(0.01)

        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(watch.guard, "OnInstall", patient())
    assert not warnings_in(caplog)


async def test_the_thread_starts_with_the_first_hook_and_ends_with_the_runtime() -> None:
    """A plugin that handles nothing has no such thread, and none is left behind."""

    def threads() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread.name == "mm_plugin loop watch"]

    async def hook() -> None: ...

    before = threads()
    async with watching() as watch:
        assert threads() == before
        await watch.guard("OnInstall", hook())
        (thread,) = [thread for thread in threads() if thread not in before]
        await watch.guard("OnInstall", hook())
    await anyio.to_thread.run_sync(thread.join, 20)
    assert not thread.is_alive()


async def test_the_heart_stops_when_no_hook_is_handled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without hooks there are no timers; the next hook starts the watch again."""
    monkeypatch.setattr("mm_plugin.limits.loop_watch_idle_s", 0.02)

    async def hook() -> None: ...

    async with watching(period_s=0.005) as watch:
        for _ in range(2):
            await watch.guard("OnInstall", hook())
            with anyio.fail_after(20):
                while watch._wake is None:  # noqa: ASYNC110 - what it does by itself is the point
                    await anyio.sleep(0.005)
            assert not watch._watching.is_set()


async def test_without_a_heartbeat_nothing_is_watched() -> None:
    """A dispatcher of its own, without a runtime, starts no thread."""

    async def hook() -> int:
        return 7

    watch = LoopWatch()
    assert await watch.guard("OnInstall", hook()) == 7
    assert watch._thread is None


async def test_who_stands_in_a_debugger_is_left_alone() -> None:
    """A stack that leads through pdb is nobody's fault."""
    found: list[object] = []

    async def hook() -> None:
        found.append(_find_work(sys._getframe()))
        exec(
            "look(frame())", {"__name__": "pdb", "look": lambda f: found.append(_find_work(f)), "frame": sys._getframe}
        )

    await LoopWatch().guard("OnInstall", hook())
    assert isinstance(found[0], tuple)
    assert found[0][0] == "hook OnInstall"
    assert found[1] is None
