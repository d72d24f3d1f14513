"""Every link under one name, joined and served, and the far sides the contract suite puts behind them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
from google.protobuf.message import Message

from mm_plugin._proto import api_user_pb2, hooks_message_pb2
from mm_plugin.exceptions import StatusCode
from mm_plugin.settings import RuntimeConfig
from mm_plugin.transport.goplugin.host_end import open_host_link
from mm_plugin.transport.goplugin.plugin_end import open_plugin_link
from mm_plugin.transport.grpc.api_end import open_api_server
from mm_plugin.transport.link import (
    APIReceiver,
    CallFailure,
    CallFault,
    HookCall,
    HookReceiver,
    HostLink,
    HTTPExchange,
    PluginLink,
    ResponseHead,
)
from mm_plugin.transport.memory import memory_link

MESSAGE_LIMIT_OCTETS = 256 * 1024
LINKS = ("memory", "grpc")


@asynccontextmanager
async def open_pair(kind: str, receiver: HookReceiver, api: APIReceiver) -> AsyncGenerator[tuple[PluginLink, HostLink]]:
    """Open both ends of a link of this kind; on exit everything of it is gone."""
    opener = {"memory": _open_memory, "grpc": _open_grpc}[kind]
    async with opener(api) as (plugin, host), anyio.create_task_group() as tasks:
        await tasks.start(plugin.serve, receiver)
        yield plugin, host
        await host.aclose()
        await plugin.aclose()


@asynccontextmanager
async def _open_memory(api: APIReceiver) -> AsyncGenerator[tuple[PluginLink, HostLink]]:
    yield memory_link(api, message_limit_octets=MESSAGE_LIMIT_OCTETS)


@asynccontextmanager
async def _open_grpc(api: APIReceiver) -> AsyncGenerator[tuple[PluginLink, HostLink]]:
    async with open_api_server(api, message_limit_octets=MESSAGE_LIMIT_OCTETS) as target:
        config = RuntimeConfig(api_target=target, message_limit_octets=MESSAGE_LIMIT_OCTETS)
        async with (
            open_plugin_link(config, {}) as (plugin, handshake),
            open_host_link(handshake, message_limit_octets=MESSAGE_LIMIT_OCTETS) as host,
        ):
            yield plugin, host


@dataclass
class Plugin:
    """A plugin's side whose hook and HTTP handlers each test sets; it answers faults by name alone."""

    on_hook: Callable[[HookCall], Awaitable[Message]] | None = None
    on_http: Callable[[HTTPExchange], Awaitable[None]] | None = None
    calls: list[HookCall] = field(default_factory=list)

    async def handle_hook(self, call: HookCall) -> Message:
        self.calls.append(call)
        if isinstance(call.request, CallFault):
            if call.name == "MessageWillBePosted":
                return hooks_message_pb2.MessageWillBePostedResponse(rejection_reason=call.request.name)
            raise CallFailure(call.request.value, code=StatusCode.RESOURCE_EXHAUSTED)
        assert self.on_hook is not None
        return await self.on_hook(call)

    async def handle_http(self, exchange: HTTPExchange) -> None:
        if self.on_http is None:
            await exchange.respond(ResponseHead(status=404))
            await exchange.finish()
            return
        await self.on_http(exchange)


@dataclass
class Server:
    """A server's side of the API whose handler each test sets."""

    on_api: Callable[[str, Message], Awaitable[Message]] | None = None
    calls: list[tuple[str, Message, float | None]] = field(default_factory=list)

    async def handle_api(self, method: str, request: Message, *, deadline: float | None) -> Message:
        self.calls.append((method, request, deadline))
        if self.on_api is None:
            return api_user_pb2.GetUserResponse()
        return await self.on_api(method, request)
