"""The runtime of one plugin: what stands between its link, its supervisor and the author's code.

Job:    take the link's calls to the plugin's handlers, answer Implemented, and hold the plugin's activation.
Layer:  plugin. Implements the link's HookReceiver and the supervisor's view of a plugin.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

import anyio
from anyio.abc import TaskStatus

from mm_plugin import limits
from mm_plugin._proto.services import hook_methods
from mm_plugin.hooks.dispatch import Handler, HookDispatcher
from mm_plugin.hooks.loop_watch import LoopWatch
from mm_plugin.hooks.names import IMPLEMENTED, HookName
from mm_plugin.hooks.table import HOOK_TABLE
from mm_plugin.hooks.threads import HookThreads
from mm_plugin.plugin.activation import Activation
from mm_plugin.plugin.declared import call as call_author
from mm_plugin.plugin.http import PluginHTTP
from mm_plugin.plugin.intercepted import InterceptedHandler
from mm_plugin.plugin.plugin import (
    Attachment,
    Plugin,
    attach,
    bindings_of,
    commands_of,
    intervals_of,
    settings_class_of,
    surface_of,
)
from mm_plugin.transport.interceptors import CallDirection, CallInfo, InterceptedAPI, Interceptors

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from mm_plugin.hooks.registry import Binding
    from mm_plugin.plugin.command_router import CommandRouter
    from mm_plugin.serve_http.request import Request
    from mm_plugin.serve_http.response import Response
    from mm_plugin.settings import RuntimeConfig
    from mm_plugin.transport.link import APICaller, HookCall, HTTPExchange

__all__ = ("PluginRuntime",)

logger = logging.getLogger("mm_plugin.hooks")

#: Listed whatever the author handles: a host calls listed hooks only, and these carry the plugin's lifetime.
_ALWAYS = (HookName.OnActivate, HookName.OnDeactivate, HookName.OnConfigurationChange)


class PluginRuntime:
    """Ties a Plugin to its link.

    Args:
        plugin: The plugin; from here on it has its ``api``, ``config`` and the like.
        api_caller: The link's way out to the server's API.
        config: The runtime's settings.
    """

    def __init__(self, plugin: Plugin, api_caller: APICaller, config: RuntimeConfig) -> None:
        attachment = Attachment(config, api_caller)
        self._interceptors = Interceptors(attachment.metrics)
        attachment.api_caller = InterceptedAPI(api_caller, self._interceptors)
        attach(plugin, attachment)
        self._interceptors.add(*plugin.interceptors())
        threads = HookThreads()
        self._watch = LoopWatch()
        bindings = bindings_of(plugin)
        handlers: dict[HookName, Handler] = {
            name: InterceptedHandler(
                binding.row, getattr(plugin, binding.attribute), binding.on_failure, self._interceptors
            )
            for name, binding in bindings.items()
        }
        # Threads of its own: streams are long, and must not keep hooks waiting.
        self._http_threads = HookThreads(limits.http_threads)
        http = PluginHTTP(plugin, bindings.get(HookName.ServeHTTP), surface_of(plugin), self._http_threads)
        self._max_body_octets = http.max_body_octets
        self._serve_http: Callable[[Request, Response], Awaitable[None] | None] | None = (
            None if http.handler is None else self._watch.watched(HookName.ServeHTTP, http.handler)
        )
        preparations: list[Callable[[], Awaitable[None]]] = []
        if commands_of(plugin):
            router = _router(plugin, bindings[HookName.ExecuteCommand], threads)
            preparations.append(router.register)
            binding = bindings[HookName.ExecuteCommand]
            handlers[HookName.ExecuteCommand] = InterceptedHandler(
                binding.row, router.execute, binding.on_failure, self._interceptors
            )
        lifecycle = dict(handlers)
        settings_class = settings_class_of(plugin)
        if settings_class is not None:
            from mm_plugin.plugin.settings_keeper import SettingsKeeper

            keeper = SettingsKeeper(plugin, attachment, settings_class, threads)
            preparations.insert(0, keeper.load)
            _renew_first(handlers, keeper.renew, threads)
        preparations.append(http.start)
        self._activation = Activation(
            attachment, lifecycle, threads, self._watch, preparations=preparations, at_intervals=intervals_of(plugin)
        )
        self._listed = sorted({*bindings, *_ALWAYS})
        for name, function in (
            (HookName.OnActivate, self._activation.activate),
            (HookName.OnDeactivate, self._activation.deactivate),
        ):
            row = HOOK_TABLE[name]
            handlers[name] = Handler(row, function, row.default_policy)
        self._dispatcher = HookDispatcher(
            handlers.values(),
            timeout_s=config.hook_timeout_s,
            threads=threads,
            watch=self._watch,
            message_limit_octets=config.message_limit_octets,
        )

    # -- for the link -----------------------------------------------------------------------------------------

    async def handle_hook(self, call: HookCall) -> Message:
        """Answer one hook call; a hook that comes before on_activate has returned runs.

        Raises:
            CallFailure: There is no response; see HookDispatcher.
        """
        if call.name == IMPLEMENTED:
            return hook_methods()[IMPLEMENTED].response(hooks=self._listed)
        return await self._dispatcher.dispatch(call)

    async def handle_http(self, exchange: HTTPExchange) -> None:
        """Answer one HTTP request by the author's serve_http, with 404 where there is none."""
        from mm_plugin.serve_http.exchange import run_http

        handler = None if self._serve_http is None else self._serve_http_intercepted
        await run_http(exchange, handler, max_body_octets=self._max_body_octets)

    async def _serve_http_intercepted(self, request: Request, response: Response) -> None:
        assert self._serve_http is not None
        handler = partial(self._serve_http, request, response)
        call = CallInfo(CallDirection.HOOK, str(HookName.ServeHTTP), (request, response))
        await self._interceptors.run(call, partial(call_author, handler, self._http_threads))

    # -- for the supervisor -----------------------------------------------------------------------------------

    @property
    def receiver(self) -> PluginRuntime:
        """What takes the link's calls."""
        return self

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Own the plugin's activation for as long as the process serves; see Activation.run.

        Raises:
            BaseExceptionGroup: A task of the plugin's group crashed.
        """
        async with anyio.create_task_group() as tasks:
            await tasks.start(self._watch.run, name="loop watch")
            await tasks.start(self._dispatcher.run, name="handlers")
            await self._activation.run(task_status=task_status)

    async def deactivate(self) -> None:
        """Run on_deactivate if it has not run, then cancel and join the activation's group; a failure is logged."""
        try:
            result = await self._activation.deactivate()
        except Exception:
            logger.exception("hook OnDeactivate failed", extra=_DEACTIVATE)
        else:
            if result is not None:
                logger.error("hook OnDeactivate refused: %s", result, extra=_DEACTIVATE)


def _router(plugin: Plugin, binding: Binding, threads: HookThreads) -> CommandRouter:
    """Return what answers the plugin's commands; the author's own handler of the hook gets what they leave."""
    from mm_plugin.plugin.command_router import CommandRouter

    own = getattr(type(plugin), binding.attribute) is not Plugin.execute_command
    other = getattr(plugin, binding.attribute) if own else None
    return CommandRouter(plugin, commands_of(plugin), other, threads)


def _renew_first(handlers: dict[HookName, Handler], renew: Callable[[], Awaitable[None]], threads: HookThreads) -> None:
    """Have OnConfigurationChange renew the settings before the author's handler, if there is one, runs."""
    name = HookName.OnConfigurationChange
    inner = handlers.get(name)
    row = HOOK_TABLE[name]

    async def on_configuration_change() -> object:
        await renew()
        return None if inner is None else await inner.run(threads)

    policy = row.default_policy if inner is None else inner.on_failure
    handlers[name] = Handler(row, on_configuration_change, policy)


_DEACTIVATE = {"hook": str(HookName.OnDeactivate), "request_id": ""}
