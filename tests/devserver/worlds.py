"""What the devserver's tests share: an app over a memory link, with real plugins but no processes."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import anyio

from mm_plugin.api.client import PluginAPIClient
from mm_plugin.devserver.api import DevServerAPI
from mm_plugin.devserver.app import App
from mm_plugin.devserver.seed import Seed, open_seed
from mm_plugin.devserver.server import open_app
from mm_plugin.devserver.store import open_store
from mm_plugin.host.api_receiver import HandlerAPI
from mm_plugin.host.hook_client import HookClient
from mm_plugin.host.running_plugin import RunningPlugin
from mm_plugin.host.state import PluginState
from mm_plugin.messages.manifest import Manifest, ManifestServer
from mm_plugin.plugin.plugin import Plugin
from mm_plugin.plugin.runtime import PluginRuntime
from mm_plugin.settings import RuntimeConfig
from mm_plugin.transport.memory import MemoryHostLink, memory_link


@dataclass
class MemoryPlugin:
    """A plugin of the host that lives in this process; stands where a RunningPlugin stands."""

    manifest: Manifest
    hooks: HookClient
    link: MemoryHostLink
    bundle: Path = Path("/bundle")
    state: PluginState = PluginState.RUNNING

    @property
    def id(self) -> str:
        return self.manifest.id

    def ask_stop(self, **_: object) -> None:
        self.state = PluginState.NOT_RUNNING

    async def wait_over(self) -> None:
        pass


@dataclass
class World:
    """A server without doors, seeded, with a way in for plugins."""

    app: App
    seed: Seed
    plugins: list[Plugin] = field(default_factory=list)

    @asynccontextmanager
    async def running(self, plugin: Plugin, plugin_id: str = "com.example.test") -> AsyncGenerator[Plugin]:
        """Run a plugin in this process, activated, until the context ends."""
        manifest = Manifest(id=plugin_id, name=plugin_id, server=ManifestServer(executable="plugin.py"))
        plugin_end, host_end = memory_link(HandlerAPI(DevServerAPI(self.app, manifest)))
        runtime = PluginRuntime(plugin, plugin_end, RuntimeConfig(plugin_id=plugin_id))
        hooks = HookClient(host_end, plugin_id)
        async with anyio.create_task_group() as tasks:
            await tasks.start(runtime.run)
            await tasks.start(plugin_end.serve, runtime.receiver)
            await hooks.ask_implemented()
            known = self.app.host._plugins
            known[plugin_id] = cast("RunningPlugin", MemoryPlugin(manifest, hooks, host_end))
            await hooks.on_activate()
            yield plugin
            await hooks.on_deactivate()
            known.pop(plugin_id, None)  # unless the API has removed it
            tasks.cancel_scope.cancel()

    @asynccontextmanager
    async def client(self, plugin_id: str = "com.example.test") -> AsyncGenerator[PluginAPIClient]:
        """Give the API as a plugin of that id has it, over a memory link."""
        async with self.running(Plugin(), plugin_id) as plugin:
            yield plugin.api


@asynccontextmanager
async def open_world(state: Path | None = None) -> AsyncGenerator[World]:
    """Open a seeded server without doors."""
    async with open_store(state) as store, open_app(store) as app:
        yield World(app, await open_seed(app))
