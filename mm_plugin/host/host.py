"""Several plugins in one host: start and stop them, find them, and ask them in order.

Job:    hold the plugins' lives in one task group, and be what the stand-in server asks about hooks.
Layer:  host.
Output: RunningPlugin by id; the joined decision of all plugins.
Errors: PluginStartError and ConfigurationError from ``start``; a plugin's later trouble stays in its state.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import anyio
from anyio.abc import TaskGroup

from mm_plugin import limits
from mm_plugin.exceptions import ConfigurationError
from mm_plugin.hooks.names import HookName
from mm_plugin.host.hook_client import HookClient, HookContext, PostDecision
from mm_plugin.host.options import HostOptions
from mm_plugin.host.running_plugin import RunningPlugin
from mm_plugin.host.state import PluginState
from mm_plugin.host.wires import HostWire, grpc_wire
from mm_plugin.messages.manifest import Manifest, load_manifest
from mm_plugin.transport.link import APIReceiver, HostLink

if TYPE_CHECKING:
    from mm_plugin._proto.post_pb2 import Post
    from mm_plugin._proto.user_pb2 import User

__all__ = ("Host", "open_host", "open_plugin")


class Host:
    """The plugins of one server; made by ``open_host``."""

    def __init__(
        self, tasks: TaskGroup, api: Callable[[Manifest], APIReceiver], *, wire: HostWire, options: HostOptions
    ) -> None:
        self._tasks = tasks
        self._api = api
        self._wire = wire
        self._options = options
        self._plugins: dict[str, RunningPlugin] = {}

    @property
    def plugins(self) -> Mapping[str, RunningPlugin]:
        """All plugins by id, in the order in which they were first started, whatever their state."""
        return MappingProxyType(self._plugins)

    def running(self, plugin_id: str) -> RunningPlugin | None:
        """Return the plugin of that id if it is RUNNING."""
        plugin = self._plugins.get(plugin_id)
        return plugin if plugin is not None and plugin.state is PluginState.RUNNING else None

    def http_link(self, plugin_id: str) -> HostLink | None:
        """Return the link to a plugin that runs and serves HTTP, as the gateway asks for it."""
        plugin = self._plugins.get(plugin_id)
        if plugin is None or plugin.hooks is None or HookName.ServeHTTP not in plugin.hooks.implemented:
            return None
        return plugin.link

    async def start(self, bundle: Path) -> RunningPlugin:
        """Start the plugin of a bundle, and wait until it runs. One that failed before keeps its place in the order.

        Cancellation stops the plugin.

        Args:
            bundle: The bundle's folder, which holds plugin.json.

        Raises:
            ManifestError: plugin.json is missing or wrong; nothing was started.
            ConfigurationError: A plugin of the same id has not ended; nothing was started.
            PluginStartError: It did not start; nothing of it runs, and its state says why.
        """
        plugin = self._add(Path(os.path.abspath(bundle)))  # noqa: ASYNC240 - looks at strings only
        plugin.begin()
        self._tasks.start_soon(plugin.run, name=f"plugin {plugin.id}")
        try:
            state = await plugin.wait_settled()
        except BaseException:
            plugin.ask_stop()
            raise
        if state is not PluginState.RUNNING:
            raise plugin.start_error()
        return plugin

    async def stop(self, plugin_id: str) -> None:
        """Stop a plugin and wait until nothing of it runs.

        Raises:
            KeyError: There is no plugin of that id.
        """
        plugin = self._plugins[plugin_id]
        plugin.ask_stop()
        await plugin.wait_over()

    async def stop_all(self) -> None:
        """Stop all plugins at once, as for the end of the server, and wait until nothing of them runs."""
        for plugin in self._plugins.values():
            plugin.ask_stop(hook_timeout_s=self._options.stop_hook_timeout_s)
        for plugin in self._plugins.values():
            await plugin.wait_over()

    # -- the hooks of all plugins -----------------------------------------------------------------------------

    async def message_will_be_posted(self, post: Post, *, context: HookContext | None = None) -> PostDecision:
        """Ask the plugins about a post, one after the other: each sees the last one's changes, a rejection ends it."""
        decision = PostDecision(post=post)
        for hooks in self._hooks():
            if decision.post is None:
                break
            decision = await hooks.message_will_be_posted(decision.post, context=context)
        return decision

    async def user_will_log_in(self, user: User, *, context: HookContext | None = None) -> str:
        """Ask the plugins, one after the other, whether a user may log in.

        Returns:
            The first reason why not; "" where nothing speaks against it.
        """
        for hooks in self._hooks():
            reason = await hooks.user_will_log_in(user, context=context)
            if reason:
                return reason
        return ""

    async def notify(
        self,
        name: HookName,
        /,
        *,
        context: HookContext | None = None,
        timeout_s: float = limits.host_hook_timeout_s,
        **fields: object,
    ) -> None:
        """Call a hook that has no answer, in all plugins at once; returns when all have answered, failures are logged.

        Args:
            name: The hook, such as ``HookName.MessageHasBeenPosted``.
            context: For whom.
            timeout_s: Longest wait for the answers.
            fields: The request's fields by name.
        """

        async def call(hooks: HookClient) -> None:
            await hooks.call_or_allow(name, context=context, timeout_s=timeout_s, **fields)

        async with anyio.create_task_group() as tasks:
            for hooks in self._hooks():
                tasks.start_soon(call, hooks)

    def _add(self, bundle: Path) -> RunningPlugin:
        manifest = load_manifest(bundle)
        known = self._plugins.get(manifest.id)
        if known is not None and not known.state.is_over:
            raise ConfigurationError(f"{bundle}: a plugin of the id {manifest.id} runs already, from {known.bundle}")
        plugin = RunningPlugin(bundle, manifest, self._api(manifest), wire=self._wire, options=self._options)
        self._plugins[manifest.id] = plugin
        return plugin

    def _hooks(self) -> list[HookClient]:
        return [plugin.hooks for plugin in self._plugins.values() if plugin.hooks is not None]


@asynccontextmanager
async def open_host(
    api: Callable[[Manifest], APIReceiver], *, options: HostOptions | None = None, wire: HostWire | None = None
) -> AsyncGenerator[Host]:
    """Open a host; leaving the context, also by cancellation, stops all its plugins in good order.

    Args:
        api: Makes what answers the API calls of one plugin.
        options: The operator's choices.
        wire: How calls are carried; gRPC where None.
    """
    try:
        async with anyio.create_task_group() as tasks:
            host = Host(tasks, api, wire=wire or grpc_wire(), options=options or HostOptions())
            try:
                yield host
            finally:
                with anyio.CancelScope(shield=True):
                    await host.stop_all()
    except BaseExceptionGroup as group:
        # The plugins' tasks raise nothing, so this is the body's own exception.
        if len(group.exceptions) == 1:
            raise group.exceptions[0] from group.exceptions[0].__cause__
        raise


@asynccontextmanager
async def open_plugin(
    bundle: Path, api: APIReceiver, *, options: HostOptions | None = None, wire: HostWire | None = None
) -> AsyncGenerator[RunningPlugin]:
    """Run one plugin while the context is open; see ``open_host`` and ``Host.start``."""
    async with open_host(lambda _manifest: api, options=options, wire=wire) as host:
        yield await host.start(bundle)
