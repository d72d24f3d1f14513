"""The gRPC link, plugin's end: hook server in, API channel out.

Job:    present a GRPCServer and a GRPCChannel as a PluginLink.
Layer:  transport/grpc. Knows the contract's descriptors; go-plugin's services are handed in by ``transport/goplugin``.
Errors: CallFailure above; statuses on the wire.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import anyio

from mm_plugin import limits
from mm_plugin._proto.services import Method, hook_methods
from mm_plugin.exceptions import StatusCode
from mm_plugin.transport.grpc.failures import status_of
from mm_plugin.transport.grpc.handlers import CallInfo, Handler, Streaming, Unary
from mm_plugin.transport.grpc.http_plugin import HTTPServerStream, serve_exchange
from mm_plugin.transport.grpc.server import GRPCServer
from mm_plugin.transport.link import APICaller, CallFailure, CallFault, FailureKind, HookCall, HookReceiver

if TYPE_CHECKING:
    from anyio.abc import ByteStream, Listener, TaskStatus
    from google.protobuf.message import Message

__all__ = ("GRPCPluginLink", "hook_handlers")


class GRPCPluginLink:
    """A PluginLink over gRPC.

    Args:
        listener: Where the host connects; closed at the end.
        api: The way out to the server's API; owned by the caller, who closes it after the link.
        services: Handlers served beside the hooks, by path: health and the like.
        on_serving: Told what ``set_serving`` says.
        stop_asked: Set when the host asks for a stop.
        message_limit_octets: Longest message taken and sent.
    """

    def __init__(
        self,
        listener: Listener[ByteStream],
        *,
        api: APICaller,
        services: Mapping[str, Handler],
        on_serving: Callable[[bool], None],
        stop_asked: anyio.Event,
        message_limit_octets: int = limits.message_limit_octets,
    ) -> None:
        self._listener = listener
        self._api = api
        self._services = services
        self._on_serving = on_serving
        self._stop_asked = stop_asked
        self._limit_octets = message_limit_octets
        self._server: GRPCServer | None = None
        self._closed = False

    async def serve(self, receiver: HookReceiver, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Take calls until ``aclose``; see PluginLink."""
        handlers = {**hook_handlers(receiver), **self._services}
        self._server = GRPCServer(handlers, message_limit_octets=self._limit_octets, stop_asked=self._stop_asked.is_set)
        if self._closed:
            await self._listener.aclose()
            return
        await self._server.serve(self._listener, task_status=task_status)

    async def call_api(self, method: str, request: Message, *, deadline: float | None = None) -> Message:
        """Call an API method; see APICaller."""
        if self._closed:
            raise CallFailure("the link is closed", kind=FailureKind.UNREACHABLE, code=StatusCode.UNAVAILABLE)
        return await self._api.call_api(method, request, deadline=deadline)

    def set_serving(self, serving: bool) -> None:
        """Tell whoever asks for our health."""
        self._on_serving(serving)

    async def wait_stop_asked(self) -> None:
        """Wait until the host asks us to stop."""
        await self._stop_asked.wait()

    async def drain(self, *, grace_s: float) -> int:
        """Hand new calls up as DRAINING and wait for the running ones; see PluginLink."""
        return 0 if self._server is None else await self._server.drain(grace_s=grace_s)

    async def aclose(self) -> None:
        """Cut what still runs and end ``serve``."""
        self._closed = True
        if self._server is None:
            await self._listener.aclose()
        else:
            await self._server.aclose()


def hook_handlers(receiver: HookReceiver) -> dict[str, Handler]:
    """Return the handlers of PluginHooks, by path, that hand every call up to ``receiver``."""
    handlers: dict[str, Handler] = {}
    for name, method in hook_methods().items():
        if method.client_streaming:
            handlers[method.path] = _http_handler(method, receiver)
        else:
            handlers[method.path] = _hook_handler(name, method, receiver)
    return handlers


def _hook_handler(name: str, method: Method, receiver: HookReceiver) -> Handler:
    async def answer(request: Message | CallFault, info: CallInfo, text: str = "") -> Message:
        try:
            return await receiver.handle_hook(HookCall(name=name, request=request, deadline=info.deadline, text=text))
        except CallFailure as failure:
            raise status_of(failure) from failure

    async def answer_fault(fault: CallFault, text: str, info: CallInfo) -> Message:
        return await answer(fault, info, text)

    return Unary(answer, method.request, method.response, on_fault=answer_fault)


def _http_handler(method: Method, receiver: HookReceiver) -> Handler:
    async def serve(stream: HTTPServerStream) -> None:
        await serve_exchange(stream, receiver)

    return Streaming(serve, method.request, method.response)
