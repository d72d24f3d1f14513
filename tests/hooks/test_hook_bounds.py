"""Time and threads: API calls stay inside a handler's deadline, and blocking handlers cannot starve anybody."""

from __future__ import annotations

import logging
from threading import Event
from typing import Any

import anyio
import pytest
from google.protobuf.message import Message

from mm_plugin import limits
from mm_plugin.exceptions import DeadlineError
from mm_plugin.hooks.names import HookName
from mm_plugin.hooks.table import HOOK_TABLE
from mm_plugin.plugin.plugin import Plugin
from mm_plugin.plugin.runtime import PluginRuntime
from mm_plugin.settings import RuntimeConfig
from mm_plugin.transport.link import HostLink
from mm_plugin.transport.memory import memory_link
from tests.contract.links import LINKS
from tests.hooks.rows import host_reads, request_of
from tests.hooks.test_hook_outcomes import behind


class SilentAPI:
    """A server that never answers, and knows when it was asked and given up."""

    def __init__(self) -> None:
        self.asked, self.given_up = anyio.Event(), anyio.Event()
        self.deadline: float | None = None

    async def handle_api(self, method: str, request: Message, *, deadline: float | None) -> Message:
        self.deadline = deadline
        self.asked.set()
        try:
            await anyio.sleep_forever()
        finally:
            self.given_up.set()
        raise AssertionError


class AsyncCaller(Plugin):
    async def user_will_log_in(self, context: Any, user: Any) -> None:
        await self.api.get_user("u")


class BlockingCaller(Plugin):
    def user_will_log_in(self, context: Any, user: Any) -> None:
        try:
            self.api.sync.get_user("u")
        except DeadlineError:
            self.logger.info("cut")
            raise


@pytest.mark.parametrize("plugin_class", [AsyncCaller, BlockingCaller])
async def test_an_api_call_ends_with_the_handler_that_made_it(
    plugin_class: type[Plugin], caplog: pytest.LogCaptureFixture
) -> None:
    """The server learns the handler's deadline, and the call is given up when that has passed."""
    caplog.set_level(logging.INFO)
    api = SilentAPI()
    plugin_end, host_end = memory_link(api)
    runtime = PluginRuntime(plugin_class(), plugin_end, RuntimeConfig(hook_timeout_s=1))
    row = HOOK_TABLE[HookName.UserWillLogIn]
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            await tasks.start(runtime.run)
            await tasks.start(plugin_end.serve, runtime)
            began = anyio.current_time()
            assert host_reads(row, await host_end.call_hook(row.name, request_of(row.name))) == "refused"
            await api.given_up.wait()
            assert api.deadline is not None
            assert api.deadline < began + 10
            while plugin_class is BlockingCaller and "cut" not in caplog.messages:  # noqa: ASYNC110 - a thread says it
                await anyio.sleep(0.005)
            await plugin_end.aclose()
            tasks.cancel_scope.cancel()


class Stuck(Plugin):
    """Its blocking hook holds a thread until it is let go."""

    def __init__(self) -> None:
        self.release = Event()

    def user_has_logged_in(self, context: Any, user: Any) -> None:
        self.release.wait(60)

    def user_will_log_in(self, context: Any, user: Any) -> None: ...

    async def message_has_been_posted(self, context: Any, post: Any) -> None: ...


async def stick(host: HostLink) -> None:
    await host.call_hook("UserHasLoggedIn", request_of(HookName.UserHasLoggedIn))


@pytest.mark.parametrize("link", LINKS)
async def test_when_all_threads_are_stuck_async_hooks_and_health_go_on(
    link: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A further blocking handler waits within its own time and is answered by policy; all else is served at once."""
    plugin = Stuck()
    login = HOOK_TABLE[HookName.UserWillLogIn]
    try:
        with anyio.fail_after(30):
            async with behind(link, plugin, hook_timeout_s=0.3) as host:
                async with anyio.create_task_group() as tasks:
                    for _ in range(limits.hook_threads):
                        tasks.start_soon(stick, host)
                # All of them were answered at their deadlines, and still hold their threads.
                assert host_reads(login, await host.call_hook(login.name, request_of(login.name))) == "refused"
                await host.call_hook("MessageHasBeenPosted", request_of(HookName.MessageHasBeenPosted))
                await host.check_health()
                plugin.release.set()
                while host_reads(login, await host.call_hook(login.name, request_of(login.name))) == "refused":
                    pass  # until the threads have noticed
    finally:
        plugin.release.set()
    assert {record.levelno for record in caplog.records} <= {logging.ERROR, logging.INFO}
