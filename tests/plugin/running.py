"""What the tests of the runtime share: a plugin that runs without a link, and one behind the memory link."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from google.protobuf.message import Message

from mm_plugin._proto.services import api_methods, hook_methods
from mm_plugin.plugin.plugin import Plugin
from mm_plugin.plugin.runtime import PluginRuntime
from mm_plugin.settings import RuntimeConfig
from mm_plugin.transport.link import APICaller, HookCall
from mm_plugin.transport.memory import MemoryHostLink, memory_link

CONFIG = RuntimeConfig(plugin_id="com.example.guard")


class EmptyAPI:
    """Answers every API method with its empty response, and keeps what was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def handle_api(self, method: str, request: Message, *, deadline: float | None) -> Message:
        """Answer one call."""
        self.asked.append(method)
        return api_methods()[method].response()

    async def call_api(self, method: str, request: Message, *, deadline: float | None = None) -> Message:
        """Answer one call without a link."""
        return await self.handle_api(method, request, deadline=deadline)


class Running:
    """A runtime whose ``run`` is under way."""

    def __init__(self, plugin: Plugin, api: APICaller | None = None) -> None:
        self.api = EmptyAPI()
        self.runtime = PluginRuntime(plugin, api or self.api, CONFIG)

    async def call(self, name: str, **fields: Any) -> Any:
        """Call a hook with a request of these fields."""
        return await self.runtime.handle_hook(HookCall(name=name, request=hook_methods()[name].request(**fields)))


@asynccontextmanager
async def running(plugin: Plugin, api: APICaller | None = None) -> AsyncGenerator[Running]:
    """Run a plugin's runtime, with an API of its own where given; on leaving, ``run`` is cancelled."""
    run = Running(plugin, api)
    async with anyio.create_task_group() as tasks:
        await tasks.start(run.runtime.run)
        yield run
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def linked(plugin: Plugin, config: RuntimeConfig = CONFIG) -> AsyncGenerator[MemoryHostLink]:
    """Run a plugin behind a memory link and give the host's end."""
    plugin_end, host_end = memory_link(EmptyAPI())
    runtime = PluginRuntime(plugin, plugin_end, config)
    async with anyio.create_task_group() as tasks:
        await tasks.start(runtime.run)
        await tasks.start(plugin_end.serve, runtime.receiver)
        yield host_end
        await plugin_end.aclose()
        tasks.cancel_scope.cancel()
