"""The runtime of one plugin: what stands between its link, its supervisor and the author's code.

Job:    take the link's calls to the plugin's handlers, answer Implemented, and hold the plugin's activation.
Layer:  plugin. Implements the link's HookReceiver and the supervisor's view of a plugin.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

import anyio
from anyio.abc import TaskStatus

from mm_plugin import limits
from mm_plugin._proto.services import hook_methods
from mm_plugin.exceptions import RequestTooLargeError
from mm_plugin.hooks.dispatch import Handler, HookDispatcher, unhandled
from mm_plugin.hooks.failure import log_failure
from mm_plugin.hooks.handler_tasks import is_cancelled
from mm_plugin.hooks.loop_watch import LoopWatch
from mm_plugin.hooks.names import IMPLEMENTED, HookName
from mm_plugin.hooks.scopes import SealedScope
from mm_plugin.hooks.table import HOOK_TABLE
from mm_plugin.hooks.threads import HookThreads
from mm_plugin.plugin.activation import Activation
from mm_plugin.plugin.declared import call as call_author
from mm_plugin.plugin.http import PluginHTTP
from mm_plugin.plugin.intercepted import InterceptedHandler, InterceptingHandler
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

    from mm_plugin.hooks.policy import FailurePolicy
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
#: The activation puts the interceptors around the author's part of these.
_INTERCEPTING = frozenset({HookName.OnActivate, HookName.OnDeactivate})
_UNARY = tuple(row.name for row in HOOK_TABLE.values() if not row.streaming)


class PluginRuntime:
    """Ties a Plugin to its link.

    Args:
        plugin: The plugin; from here on it has its ``api``, ``config`` and the like.
        api_caller: The link's way out to the server's API.
        config: The runtime's settings.
    """

    def __init__(self, plugin: Plugin, api_caller: APICaller, config: RuntimeConfig) -> None:
        attachment = Attachment(config, api_caller)
        self._hooks = 0  # under way
        self._hook_over: anyio.Event | None = None  # set for whoever waits for them
        self._interceptors = Interceptors(attachment.metrics)
        attachment.api_caller = InterceptedAPI(api_caller, self._interceptors)
        attach(plugin, attachment)
        self._interceptors.add(*plugin.interceptors())
        threads = HookThreads()
        self._watch = LoopWatch()
        bindings = bindings_of(plugin)
        # Hooks that nobody handles have interceptors around them like all others.
        functions: dict[HookName, Callable[..., object]] = dict.fromkeys(_UNARY, unhandled)
        functions |= {name: getattr(plugin, binding.attribute) for name, binding in bindings.items()}
        authors = {name: functions[name] for name, binding in bindings.items() if binding.owner is not object}
        # Threads of its own: streams are long, and must not keep hooks waiting.
        self._http_threads = HookThreads(limits.http_threads)
        http = PluginHTTP(plugin, bindings.get(HookName.ServeHTTP), surface_of(plugin), self._http_threads)
        self._max_body_octets = http.max_body_octets
        self._serve_http: Callable[[Request, Response], Awaitable[None] | None] = http.handler or _not_found
        preparations: list[Callable[[], Awaitable[None]]] = []
        if commands_of(plugin):
            router = _router(plugin, bindings[HookName.ExecuteCommand], threads)
            preparations.append(router.register)
            functions[HookName.ExecuteCommand] = router.execute
        lifecycle = {name: Handler(HOOK_TABLE[name], functions[name], _policy(bindings, name)) for name in _ALWAYS}
        settings_class = settings_class_of(plugin)
        if settings_class is not None:
            from mm_plugin.plugin.settings_keeper import SettingsKeeper

            keeper = SettingsKeeper(plugin, attachment, settings_class, threads)
            preparations.insert(0, keeper.load)
            functions[HookName.OnConfigurationChange] = _after(
                keeper.renew, functions[HookName.OnConfigurationChange], threads
            )
        preparations.append(http.start)
        self._activation = Activation(
            attachment,
            lifecycle,
            threads,
            self._watch,
            self._interceptors,
            preparations=preparations,
            at_intervals=intervals_of(plugin),
        )
        functions[HookName.OnActivate] = self._activation.activate
        functions[HookName.OnDeactivate] = self._activation.deactivate
        self._listed = sorted({*bindings, *_ALWAYS})
        self._dispatcher = HookDispatcher(
            (
                (InterceptingHandler if name in _INTERCEPTING else InterceptedHandler)(
                    HOOK_TABLE[name], functions[name], _policy(bindings, name), self._interceptors
                )
                for name in _UNARY
            ),
            timeout_s=config.hook_timeout_s,
            threads=threads,
            watch=self._watch,
            authors=authors,
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
        self._hooks += 1
        try:
            return await self._dispatcher.dispatch(call)
        finally:
            self._hooks -= 1
            if self._hook_over is not None:
                self._hook_over.set()

    async def handle_http(self, exchange: HTTPExchange) -> None:
        """Answer one HTTP request by the author's serve_http, with 404 where there is none."""
        from mm_plugin.serve_http.exchange import run_http

        await run_http(exchange, self._serve_http_intercepted, log_failure=log_failure)

    async def _serve_http_intercepted(self, request: Request, response: Response) -> None:
        handler = partial(call_author, partial(self._serve_http, request, response), self._http_threads)
        try:
            if self._max_body_octets is not None:
                request.body.limit(self._max_body_octets)
        except RequestTooLargeError as error:
            handler = partial(_raise, error)  # interceptors see the request, its handler does not
        call = CallInfo(CallDirection.HOOK, str(HookName.ServeHTTP), (request, response))
        run = self._interceptors.run(call, handler)
        with SealedScope():
            await self._watch.guard(HookName.ServeHTTP, run)

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
            await tasks.start(self._activation.run, name="activation")  # the parent of background tasks alone
            task_status.started()

    async def deactivate(self) -> None:
        """Run on_deactivate if it has not run, then cancel and join the activation's group; a failure is logged.

        Hooks that still run get what on_deactivate leaves of its time: all, where the host has called it before.
        """
        try:
            with SealedScope():
                result = await self._activation.end()
        except BaseException as error:
            if is_cancelled():
                raise
            log_failure("hook OnDeactivate failed", error, _DEACTIVATE)
        else:
            if result is not None:
                logger.error("hook OnDeactivate refused: %s", result, extra=_DEACTIVATE)
        while self._hooks:
            self._hook_over = anyio.Event()
            await self._hook_over.wait()


def _router(plugin: Plugin, binding: Binding, threads: HookThreads) -> CommandRouter:
    """Return what answers the plugin's commands; the author's own handler of the hook gets what they leave."""
    from mm_plugin.plugin.command_router import CommandRouter

    own = getattr(type(plugin), binding.attribute) is not Plugin.execute_command
    other = getattr(plugin, binding.attribute) if own else None
    return CommandRouter(plugin, commands_of(plugin), other, threads)


def _after(
    renew: Callable[[], Awaitable[None]], function: Callable[..., object], threads: HookThreads
) -> Callable[[], Awaitable[object]]:
    """Have OnConfigurationChange renew the settings before the author's handler, if there is one, runs."""

    async def on_configuration_change() -> object:
        await renew()
        return await call_author(function, threads)

    return on_configuration_change


def _policy(bindings: Mapping[HookName, Binding], name: HookName) -> FailurePolicy:
    return bindings[name].on_failure if name in bindings else HOOK_TABLE[name].default_policy


async def _raise(error: Exception) -> object:
    raise error


async def _not_found(request: Request, response: Response) -> None:  # noqa: ARG001 - a handler
    await response.text("Not Found\n", status=404)


_DEACTIVATE = {"hook": str(HookName.OnDeactivate)}
