"""The gRPC link, host's end: hook calls and HTTP requests out.

Job:    present a GRPCChannel to one plugin as a HostLink.
Layer:  transport/grpc. Health and stop are go-plugin's: ``transport/goplugin`` gives the functions.
Errors: CallFailure.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

from mm_plugin._proto.hooks_http_pb2 import ServeHTTPRequest, ServeHTTPResponse
from mm_plugin._proto.services import hook_methods
from mm_plugin.exceptions import StatusCode
from mm_plugin.transport.grpc.channel import GRPCChannel
from mm_plugin.transport.grpc.errors import GRPCStatusError
from mm_plugin.transport.grpc.failures import failure_of
from mm_plugin.transport.grpc.http_host import GRPCHTTPCall
from mm_plugin.transport.link import CallFailure, HTTPCall, RequestHead

if TYPE_CHECKING:
    from google.protobuf.message import Message

__all__ = ("GRPCHostLink",)


class GRPCHostLink:
    """The calls of a HostLink that belong to PluginHooks.

    Args:
        channel: Leads to the plugin; owned by the caller.
    """

    def __init__(self, channel: GRPCChannel) -> None:
        self._channel = channel

    async def call_hook(self, name: str, request: Message, *, deadline: float | None = None) -> Message:
        """Call a hook; see HostLink."""
        method = hook_methods().get(name)
        if method is None or method.client_streaming:
            raise CallFailure(f"there is no hook {name} to call", code=StatusCode.UNIMPLEMENTED)
        try:
            return await self._channel.unary(method.path, request, method.response, deadline=deadline)
        except GRPCStatusError as error:
            raise failure_of(error) from error

    @asynccontextmanager
    async def open_http(self, head: RequestHead) -> AsyncGenerator[HTTPCall]:
        """Open one HTTP request; see HostLink."""
        method = hook_methods()["ServeHTTP"]
        request_type = cast("type[ServeHTTPRequest]", method.request)
        response_type = cast("type[ServeHTTPResponse]", method.response)
        try:
            async with self._channel.open_stream(method.path, request_type, response_type) as stream:
                yield GRPCHTTPCall(stream, head)
        except GRPCStatusError as error:
            raise failure_of(error) from error
