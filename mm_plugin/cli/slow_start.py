"""Tell people when a plugin's start takes long, so that nobody sits before a silent terminal.

Layer:  cli, over AnyIO.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from mm_plugin import limits
from mm_plugin.host.state import PluginState
from mm_plugin.host.ungrouped import ungrouped

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from mm_plugin.host.running_plugin import RunningPlugin

__all__ = ("SlowStarts", "open_slow_starts")


class SlowStarts:
    """Follows one plugin's states; see ``open_slow_starts``."""

    def __init__(self, tasks: TaskGroup, told: Callable[[RunningPlugin, float], None]) -> None:
        self._tasks = tasks
        self._told = told
        self._start = anyio.CancelScope()

    def follow(self, plugin: RunningPlugin) -> None:
        """Note a change of the plugin's state; a start with a reason (an installation) is told elsewhere."""
        self._start.cancel()
        if plugin.state is PluginState.STARTING and not plugin.reason:
            self._start = anyio.CancelScope()
            self._tasks.start_soon(self._wait, plugin, self._start)

    async def _wait(self, plugin: RunningPlugin, start: anyio.CancelScope) -> None:
        with start:
            await anyio.sleep(limits.cli_slow_start_s)
            self._told(plugin, limits.cli_slow_start_s)


@asynccontextmanager
async def open_slow_starts(told: Callable[[RunningPlugin, float], None]) -> AsyncGenerator[SlowStarts]:
    """Watch starts while the context is open.

    Args:
        told: Called once for each start that is still under way after some seconds, with those seconds.
    """
    with ungrouped():
        async with anyio.create_task_group() as tasks:
            yield SlowStarts(tasks, told)
            tasks.cancel_scope.cancel()
