"""The API over gRPC: the plugin's way out to a target, and the host's server for it.

Layer:  transport/grpc.
Errors: CallFailure; an unset target is UNREACHABLE with a text that names the variable.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
from anyio.abc import SocketAttribute

from mm_plugin import limits
from mm_plugin._proto.services import Method, api_method, api_methods
from mm_plugin.exceptions import StatusCode
from mm_plugin.settings import API_TARGET
from mm_plugin.transport.grpc.addresses import connector_to
from mm_plugin.transport.grpc.channel import GRPCChannel
from mm_plugin.transport.grpc.errors import GRPCStatusError
from mm_plugin.transport.grpc.failures import failure_of, status_of
from mm_plugin.transport.grpc.handlers import CallInfo, Handler, Unary
from mm_plugin.transport.grpc.server import GRPCServer
from mm_plugin.transport.link import APICaller, APIReceiver, CallFailure, FailureKind

if TYPE_CHECKING:
    from google.protobuf.message import Message

__all__ = ("api_handlers", "open_api", "open_api_server")


@asynccontextmanager
async def open_api(
    target: str, *, message_limit_octets: int = limits.message_limit_octets
) -> AsyncGenerator[APICaller]:
    """Open the way to a server's API; the first call connects.

    Args:
        target: ``host:port`` or ``unix:/path``; with "" every call fails and names the variable that is unset.
        message_limit_octets: Longest message sent and taken.

    Raises:
        ConfigurationError: The target is neither form.
    """
    if not target:
        yield _NoTarget()
        return
    async with GRPCChannel(connector_to(target), message_limit_octets=message_limit_octets) as channel:
        yield _ChannelCaller(channel)


def api_handlers(receiver: APIReceiver) -> Mapping[str, Handler]:
    """Return the handlers of PluginAPI, by path, that hand every call to ``receiver``."""
    return {method.path: _api_handler(method, receiver) for method in api_methods().values()}


@asynccontextmanager
async def open_api_server(
    receiver: APIReceiver, *, message_limit_octets: int = limits.message_limit_octets
) -> AsyncGenerator[str]:
    """Serve the API on a free loopback port; on the way out what still runs is cut.

    Yields:
        The target for a plugin, ``127.0.0.1:port``.
    """
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    port: int = listener.extra(SocketAttribute.local_port)  # noqa: S610 - not Django's
    server = GRPCServer(api_handlers(receiver), message_limit_octets=message_limit_octets)
    async with anyio.create_task_group() as tasks:
        await tasks.start(server.serve, listener)
        try:
            yield f"127.0.0.1:{port}"
        finally:
            with anyio.move_on_after(limits.cleanup_s, shield=True):
                await server.aclose()
            tasks.cancel_scope.cancel()


class _NoTarget:
    async def call_api(self, *_: object, **__: object) -> Message:
        raise CallFailure(
            f"the server's API cannot be reached: {API_TARGET} is not set",
            kind=FailureKind.UNREACHABLE,
            code=StatusCode.UNAVAILABLE,
        )


class _ChannelCaller:
    def __init__(self, channel: GRPCChannel) -> None:
        self._channel = channel

    async def call_api(self, method: str, request: Message, *, deadline: float | None = None) -> Message:
        found = api_method(method, type(request))
        try:
            return await self._channel.unary(found.path, request, found.response, deadline=deadline)
        except GRPCStatusError as error:
            raise failure_of(error) from error


def _api_handler(method: Method, receiver: APIReceiver) -> Handler:
    async def answer(request: Message, info: CallInfo) -> Message:
        try:
            return await receiver.handle_api(method.name, request, deadline=info.deadline)
        except CallFailure as failure:
            raise status_of(failure) from failure

    return Unary(answer, method.request, method.response)
