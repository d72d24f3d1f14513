"""Several plugins in one host: start and stop them, find them, and ask them in order.

Job:    hold the plugins' lives in one task group, and be what the stand-in server asks about hooks.
Layer:  host.
Output: RunningPlugin by id, their reports; the joined decision of all plugins.
Errors: PluginStartError and ConfigurationError from ``start``; a plugin's later trouble stays in its state.
"""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

import anyio
from anyio.abc import TaskGroup

from mm_plugin import limits
from mm_plugin.exceptions import ConfigurationError
from mm_plugin.hooks.names import HookName
from mm_plugin.host.chain import Decision, ask_in_order
from mm_plugin.host.guard import Guard, open_guard
from mm_plugin.host.hook_client import HookClient, HookContext, PostDecision
from mm_plugin.host.options import HostOptions
from mm_plugin.host.plugin_http import PluginHTTP
from mm_plugin.host.running_plugin import RunningPlugin
from mm_plugin.host.state import PluginReport, PluginState
from mm_plugin.host.ungrouped import ungrouped
from mm_plugin.host.wires import HostWire, grpc_wire
from mm_plugin.messages.manifest import Manifest, load_manifest
from mm_plugin.transport.link import APIReceiver, HostLink

if TYPE_CHECKING:
    from mm_plugin._proto.post_pb2 import Post
    from mm_plugin._proto.user_pb2 import User

__all__ = ("Host", "open_host", "open_plugin")

logger = logging.getLogger("mm_plugin.host")


class Host:
    """The plugins of one server; made by ``open_host``."""

    def __init__(
        self,
        tasks: TaskGroup,
        api: Callable[[Manifest], APIReceiver],
        *,
        wire: HostWire,
        options: HostOptions,
        guard: Guard,
        on_change: Callable[[RunningPlugin], None] | None,
    ) -> None:
        self._tasks = tasks
        self._api = api
        self._wire = wire
        self._options = options
        self._guard = guard
        self._on_change = on_change
        self._plugins: dict[str, RunningPlugin] = {}
        self._turns: dict[str, anyio.Lock] = {}
        self._closing = False

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

    def reports(self) -> list[PluginReport]:
        """Return what is known of all plugins, in their order."""
        return [plugin.report() for plugin in self._plugins.values()]

    async def start(self, bundle: Path) -> RunningPlugin:
        """Start the plugin of a bundle, and wait until it runs. One that was known before keeps its place in the order.

        Cancellation stops the plugin.

        Args:
            bundle: The bundle's folder, which holds plugin.json.

        Raises:
            ManifestError: plugin.json is missing or wrong; nothing was started.
            ConfigurationError: A plugin of the same id has not ended; nothing was started.
            PluginStartError: It did not start; nothing of it runs, and its state says why.
        """
        return await self._settle(self._begin(bundle))

    async def start_all(self, bundles: Iterable[Path]) -> list[RunningPlugin]:
        """Start several plugins at once, and wait until each runs or has failed, which its state says.

        Their place in the order of hooks is their place here. Cancellation stops them.

        Raises:
            ManifestError: A plugin.json is missing or wrong; those before it are stopped again.
            ConfigurationError: Likewise, for two of the same id.
        """
        plugins: list[RunningPlugin] = []
        try:
            for bundle in bundles:
                plugins.append(self._begin(bundle))  # noqa: PERF401 - those begun must be known when one raises
            for plugin in plugins:
                await plugin.wait_settled()
        except BaseException:
            for plugin in plugins:
                plugin.ask_stop()
            raise
        return plugins

    async def enable(self, plugin_id: str) -> RunningPlugin:
        """Start a plugin that is over, from its bundle as it is now; does nothing where it runs.

        Raises:
            KeyError: There is no plugin of that id.
            ManifestError, ConfigurationError, PluginStartError: As for ``start``.
        """
        async with self._turn(plugin_id):
            plugin = self._plugins[plugin_id]
            if plugin.state.is_over:
                plugin = self._begin(plugin.bundle)
            return await self._settle(plugin)

    async def stop(self, plugin_id: str) -> None:
        """Stop (disable) a plugin and wait until nothing of it runs; it stays known, for ``enable``.

        Raises:
            KeyError: There is no plugin of that id.
        """
        plugin = self._plugins[plugin_id]
        plugin.ask_stop()
        await plugin.wait_over()

    async def restart(self, plugin_id: str) -> RunningPlugin:
        """Stop a plugin and start it from its bundle as it is now; several who ask at once are served in turn.

        Raises:
            KeyError: There is no plugin of that id.
            ManifestError: Its plugin.json is wrong now; it goes on running.
            PluginStartError: It did not start.
        """
        async with self._turn(plugin_id):
            known = self._plugins[plugin_id]
            load_manifest(known.bundle)  # before anything is stopped
            known.ask_stop()
            await known.wait_over()
            return await self._settle(self._begin(known.bundle))

    async def remove(self, plugin_id: str) -> None:
        """Stop a plugin and forget it.

        Raises:
            KeyError: There is no plugin of that id.
        """
        async with self._turn(plugin_id):
            plugin = self._plugins[plugin_id]
            await self.stop(plugin_id)
            # Somebody may have started it again meanwhile; one that runs must stay known, to be stopped at the end.
            if self._plugins.get(plugin_id) is plugin:
                del self._plugins[plugin_id]

    async def stop_all(self) -> None:
        """Stop all plugins at once, as for the end of the server, and wait until nothing of them runs."""
        for plugin in self._plugins.values():
            plugin.ask_stop_with_host()
        for plugin in list(self._plugins.values()):
            await plugin.wait_over()

    async def aclose(self) -> None:
        """Start no plugin any more, and stop all; what leaving the host does."""
        self._closing = True
        await self.stop_all()

    # -- the hooks of all plugins -----------------------------------------------------------------------------

    async def ask(
        self,
        name: HookName,
        /,
        *,
        context: HookContext | None = None,
        timeout_s: float = limits.host_hook_timeout_s,
        **fields: object,
    ) -> Decision:
        """Ask the plugins one after the other: each sees the last one's changes, a refusal ends it.

        Args:
            name: The hook, such as ``HookName.FileWillBeUploaded``.
            context: For whom.
            timeout_s: Longest wait for each answer.
            fields: The request's fields by name.

        Raises:
            PluginAPIError: A plugin refused by an error, at a hook that has one.
            CallFailure: A plugin failed, at a hook where the server takes that for an error.
        """
        return await ask_in_order(self._hooks(), name, context=context, timeout_s=timeout_s, fields=fields)

    async def message_will_be_posted(self, post: Post, *, context: HookContext | None = None) -> PostDecision:
        """Ask the plugins about a post, one after the other: each sees the last one's changes, a rejection ends it."""
        decision = await self.ask(HookName.MessageWillBePosted, context=context, post=post)
        kept = None if decision.rejection else cast("Post", decision.fields["post"])
        return PostDecision(post=kept, rejection=decision.rejection, rejected_by=decision.rejected_by)

    async def user_will_log_in(self, user: User, *, context: HookContext | None = None) -> str:
        """Ask the plugins, one after the other, whether a user may log in.

        Returns:
            The first reason why not; "" where nothing speaks against it.
        """
        return (await self.ask(HookName.UserWillLogIn, context=context, user=user)).rejection

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

    # -- within -----------------------------------------------------------------------------------------------

    def _begin(self, bundle: Path) -> RunningPlugin:
        """Put a plugin in its place and begin its life."""
        bundle = Path(os.path.abspath(bundle))
        manifest = load_manifest(bundle)
        if self._closing:
            raise ConfigurationError(f"{bundle}: the host is stopping, it starts no plugin any more")
        known = self._plugins.get(manifest.id)
        if known is not None and not known.state.is_over:
            raise ConfigurationError(f"{bundle}: a plugin of the id {manifest.id} runs already, from {known.bundle}")
        for warning in manifest.warnings:
            logger.warning("%s", warning)
        api = PluginHTTP(
            self._api(manifest),
            caller=manifest.id,
            find_link=self.http_link,
            answer_limit_octets=self._options.message_limit_octets // 2,  # room for the rest of the message
        )
        plugin = RunningPlugin(
            bundle,
            manifest,
            api,
            wire=self._wire,
            options=self._options,
            guard=self._guard,
            on_change=self._on_change,
        )
        self._plugins[manifest.id] = plugin
        plugin.begin()
        self._tasks.start_soon(plugin.run, name=f"plugin {plugin.id}")
        return plugin

    async def _settle(self, plugin: RunningPlugin) -> RunningPlugin:
        """Wait until a plugin runs.

        Raises:
            PluginStartError: It did not start.
        """
        try:
            state = await plugin.wait_settled()
        except BaseException:
            plugin.ask_stop()
            raise
        if state is not PluginState.RUNNING:
            raise plugin.start_error()
        return plugin

    def _turn(self, plugin_id: str) -> anyio.Lock:
        """Who changes a plugin's life waits for whoever does so already."""
        return self._turns.setdefault(plugin_id, anyio.Lock())

    def _hooks(self) -> list[HookClient]:
        return [plugin.hooks for plugin in self._plugins.values() if plugin.hooks is not None]


@asynccontextmanager
async def open_host(
    api: Callable[[Manifest], APIReceiver],
    *,
    options: HostOptions | None = None,
    wire: HostWire | None = None,
    on_change: Callable[[RunningPlugin], None] | None = None,
) -> AsyncGenerator[Host]:
    """Open a host; leaving the context, also by cancellation, stops all its plugins in good order.

    Args:
        api: Makes what answers the API calls of one plugin, all but PluginHTTP, which the host answers.
        options: The operator's choices.
        wire: How calls are carried; gRPC where None.
        on_change: Called after each change of a plugin's state; what it raises is logged and changes nothing.
    """
    options = options or HostOptions()
    wire = wire or grpc_wire(message_limit_octets=options.message_limit_octets, api_unix_socket=options.api_unix_socket)
    with ungrouped():
        async with open_guard() as guard, anyio.create_task_group() as tasks:
            host = Host(tasks, api, wire=wire, options=options, guard=guard, on_change=on_change)
            try:
                yield host
            finally:
                with anyio.CancelScope(shield=True):
                    await host.aclose()


@asynccontextmanager
async def open_plugin(
    bundle: Path, api: APIReceiver, *, options: HostOptions | None = None, wire: HostWire | None = None
) -> AsyncGenerator[RunningPlugin]:
    """Run one plugin while the context is open; see ``open_host`` and ``Host.start``."""
    async with open_host(lambda _manifest: api, options=options, wire=wire) as host:
        yield await host.start(bundle)
