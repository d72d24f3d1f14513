"""The API over gRPC: the plugin's way out to a target, and the host's server for it.

Layer:  transport/grpc.
Errors: CallFailure; an unset target is UNREACHABLE with a text that names the variable.
"""

from __future__ import annotations

import hmac
import socket
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from mm_plugin import limits
from mm_plugin._proto.services import Method, api_method, api_methods
from mm_plugin.exceptions import StatusCode
from mm_plugin.settings import API_SECRET, API_TARGET
from mm_plugin.transport.grpc.addresses import connector_to
from mm_plugin.transport.grpc.channel import GRPCChannel
from mm_plugin.transport.grpc.errors import GRPCStatusError
from mm_plugin.transport.grpc.failures import failure_of, status_of
from mm_plugin.transport.grpc.handlers import CallInfo, Handler, Unary
from mm_plugin.transport.grpc.server import GRPCServer
from mm_plugin.transport.grpc.sockets import SocketListener
from mm_plugin.transport.link import APICaller, APIReceiver, CallFailure, FailureKind
from mm_plugin.transport.message_size import check_request_size

if TYPE_CHECKING:
    from google.protobuf.message import Message

__all__ = ("api_handlers", "open_api", "open_api_server")

#: The metadata that carries a plugin's secret.
_SECRET = "mm-plugin-secret"  # noqa: S105 - the field's name


@asynccontextmanager
async def open_api(
    target: str, *, secret: str = "", message_limit_octets: int = limits.message_limit_octets
) -> AsyncGenerator[APICaller]:
    """Open the way to a server's API; the first call connects.

    Args:
        target: ``host:port`` or ``unix:/path``; with "" every call fails and names the variable that is unset.
        secret: Goes with every call, so that the host knows whose it is; "" sends none.
        message_limit_octets: Longest message sent and taken.

    Raises:
        ConfigurationError: The target is neither form.
    """
    if not target:
        yield _NoTarget()
        return
    metadata = ((_SECRET, secret),) if secret else ()
    connect = connector_to(target)
    async with GRPCChannel(connect, message_limit_octets=message_limit_octets, metadata=metadata) as channel:
        yield _ChannelCaller(channel, message_limit_octets)


def api_handlers(receiver: APIReceiver, *, secret: str = "") -> Mapping[str, Handler]:
    """Return the handlers of PluginAPI, by path, that hand every call to ``receiver``.

    Args:
        receiver: Answers the calls.
        secret: What a call must carry, else it ends with UNAUTHENTICATED; "" takes every call.
    """
    return {method.path: _api_handler(method, receiver, secret) for method in api_methods().values()}


@asynccontextmanager
async def open_api_server(
    receiver: APIReceiver,
    *,
    secret: str = "",
    unix_path: str = "",
    message_limit_octets: int = limits.message_limit_octets,
) -> AsyncGenerator[str]:
    """Serve the API to one plugin; on the way out what still runs is cut.

    Args:
        receiver: Answers the calls.
        secret: What every call must carry; see ``api_handlers``.
        unix_path: Listen on a unix socket made here, for this user only, instead of on a free loopback port.
        message_limit_octets: Longest message sent and taken.

    Yields:
        The target for the plugin, ``127.0.0.1:port`` or ``unix:/path``.

    Raises:
        OSError: There is nowhere to listen.
    """
    listening = _listen(unix_path)
    target = f"unix:{unix_path}" if unix_path else f"127.0.0.1:{listening.getsockname()[1]}"
    server = GRPCServer(api_handlers(receiver, secret=secret), message_limit_octets=message_limit_octets)
    async with anyio.create_task_group() as tasks:
        await tasks.start(server.serve, SocketListener(listening))
        try:
            yield target
        finally:
            with anyio.move_on_after(limits.cleanup_s, shield=True):
                await server.aclose()
            tasks.cancel_scope.cancel()


def _listen(unix_path: str) -> socket.socket:
    """Return a socket that listens on a path for this user only, or on a free port of the loopback."""
    if not unix_path:
        return socket.create_server(("127.0.0.1", 0), backlog=limits.listen_backlog)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listening.bind(unix_path)
        Path(unix_path).chmod(0o600)  # nobody can connect before listen(), so it is right from the first moment on
        listening.listen(limits.listen_backlog)
    except BaseException:
        listening.close()
        raise
    return listening


class _NoTarget:
    async def call_api(self, *_: object, **__: object) -> Message:
        raise CallFailure(
            f"the server's API cannot be reached: {API_TARGET} is not set",
            kind=FailureKind.UNREACHABLE,
            code=StatusCode.UNAVAILABLE,
        )


class _ChannelCaller:
    def __init__(self, channel: GRPCChannel, message_limit_octets: int) -> None:
        self._channel = channel
        self._limit_octets = message_limit_octets

    async def call_api(self, method: str, request: Message, *, deadline: float | None = None) -> Message:
        found = api_method(method, type(request))
        octets = request.SerializeToString()
        check_request_size(method, len(octets), self._limit_octets)
        try:
            return await self._channel.unary(found.path, octets, found.response, deadline=deadline)
        except GRPCStatusError as error:
            raise failure_of(error) from error


def _api_handler(method: Method, receiver: APIReceiver, secret: str) -> Handler:
    async def answer(request: Message, info: CallInfo) -> Message:
        if secret and not _has_secret(info, secret):
            raise GRPCStatusError(
                StatusCode.UNAUTHENTICATED, f"the call does not carry what {API_SECRET} told the plugin"
            )
        try:
            return await receiver.handle_api(method.name, request, deadline=info.deadline)
        except CallFailure as failure:
            raise status_of(failure) from failure

    return Unary(answer, method.request, method.response)


def _has_secret(info: CallInfo, secret: str) -> bool:
    """Compare in a time that does not tell how much of the secret was right."""
    given = next((value for name, value in info.metadata if name == _SECRET), "")
    return isinstance(given, str) and hmac.compare_digest(given.encode(), secret.encode())
