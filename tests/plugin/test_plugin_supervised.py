"""A plugin under the supervisor, behind the memory link: stopping in order, and a crash that ends it."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from mm_plugin._proto.services import hook_methods
from mm_plugin.plugin.plugin import Plugin
from mm_plugin.plugin.runtime import PluginRuntime
from mm_plugin.supervisor.supervise import supervise
from mm_plugin.transport.memory import MemoryHostLink, memory_link
from tests.plugin.running import CONFIG, EmptyAPI


async def live(plugin: Plugin, then: Any) -> None:
    """Supervise a plugin until it ends; ``then`` gets the host's end once it serves."""
    plugin_end, host_end = memory_link(EmptyAPI())
    async with anyio.create_task_group() as tasks:

        async def supervised(*, task_status: Any) -> None:
            await supervise(PluginRuntime(plugin, plugin_end, CONFIG), plugin_end, task_status=task_status)

        await tasks.start(supervised)
        await then(host_end)


async def activate(host: MemoryHostLink) -> None:
    await host.call_hook("OnActivate", hook_methods()["OnActivate"].request())


async def test_a_stop_asked_for_runs_on_deactivate_and_ends() -> None:
    """The host's request to stop deactivates the plugin, joins its tasks and ends the supervisor without an error."""
    events = []

    class Tidy(Plugin):
        async def on_activate(self) -> None:
            self.task_group.start_soon(self.background)
            await anyio.lowlevel.checkpoint()

        async def background(self) -> None:
            try:
                await anyio.sleep_forever()
            finally:
                events.append("background ended")

        async def on_deactivate(self) -> None:
            await self.api.get_server_version()
            events.append("deactivated")

    async def then(host: MemoryHostLink) -> None:
        await activate(host)
        await host.ask_stop()

    with anyio.fail_after(20):
        await live(Tidy(), then)
    assert events == ["deactivated", "background ended"]


async def test_a_crash_of_a_background_task_leaves_the_supervisor() -> None:
    """The crash comes out of supervise, which is what makes the process end non-zero."""

    class Crashing(Plugin):
        async def on_activate(self) -> None:
            self.task_group.start_soon(self.crash)

        async def crash(self) -> None:
            raise LookupError

    with pytest.raises(BaseExceptionGroup) as caught, anyio.fail_after(20):
        await live(Crashing(), activate)
    assert caught.group_contains(LookupError)
