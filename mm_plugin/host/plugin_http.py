"""HTTP between plugins: the API's ``PluginHTTP``, answered by the other plugin's ServeHTTP.

Job:    stand before whatever answers a plugin's API calls, and answer this one method.
Layer:  host.
Errors: none of its own: as in the Go server, what goes wrong is an HTTP status of the answer.
See:    Mattermost's ``PluginHTTP``: the URL's path begins with the other plugin's id, which gets the rest of it and
        the caller's id in ``Mattermost-Plugin-ID``. Request and answer are held in memory whole.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

import anyio

from mm_plugin import limits
from mm_plugin.exceptions import StatusCode
from mm_plugin.messages.helpers import new_id
from mm_plugin.transport.link import (
    APIReceiver,
    CallFailure,
    FailureKind,
    HostLink,
    HTTPCall,
    RequestContextFields,
    RequestHead,
)

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from mm_plugin._proto.api_misc_pb2 import PluginHTTPRequest, PluginHTTPResponse

__all__ = ("PluginHTTP",)

logger = logging.getLogger("mm_plugin.host")

_CALLER = "Mattermost-Plugin-ID"


class PluginHTTP:
    """An APIReceiver that answers PluginHTTP and passes everything else on.

    Args:
        receiver: Answers everything else.
        caller: The id of the plugin whose calls these are.
        find_link: Gives the link to a running plugin that serves HTTP, by its id.
        answer_limit_octets: Longest body taken from the other plugin.
    """

    def __init__(
        self,
        receiver: APIReceiver,
        *,
        caller: str,
        find_link: Callable[[str], HostLink | None],
        answer_limit_octets: int = limits.message_limit_octets,
    ) -> None:
        self._receiver = receiver
        self._caller = caller
        self._find_link = find_link
        self._answer_limit_octets = answer_limit_octets

    async def handle_api(self, method: str, request: Message, *, deadline: float | None) -> Message:
        """Answer one API call; see APIReceiver."""
        if method != "PluginHTTP":
            return await self._receiver.handle_api(method, request, deadline=deadline)
        return await self._answer(cast("PluginHTTPRequest", request))

    async def _answer(self, request: PluginHTTPRequest) -> PluginHTTPResponse:
        try:
            url = urlsplit(request.url)
        except ValueError:
            url = urlsplit("")
        plugin_id, slash, path = url.path.removeprefix("/").partition("/")
        if not plugin_id or not slash:
            return _page(400, f"expected the URL /<plugin id>/<path>, found {request.url!r}")
        link = self._find_link(plugin_id)
        if link is None:
            return _page(404, f"no plugin {plugin_id!r} runs and serves HTTP")
        target = f"/{path}" + (f"?{url.query}" if url.query else "")
        headers = [(name, value) for name, value in request.headers.items() if name.lower() != _CALLER.lower()]
        head = RequestHead(
            method=request.method or "GET",
            url=target,
            headers=((_CALLER, self._caller), *headers),
            host=url.netloc,
            request_uri=target,
            content_length=len(request.body),
            context=RequestContextFields(request_id=new_id()),
        )
        try:
            async with link.open_http(head) as call:
                return await self._exchange(call, request.body)
        except CallFailure as failure:
            logger.warning("plugin %s gave %s no HTTP response: %s", plugin_id, self._caller, failure)
            unreachable = failure.kind in (FailureKind.UNREACHABLE, FailureKind.REFUSED)
            return _page(503 if unreachable else 502, f"the plugin {plugin_id} gave no response: {failure}")

    async def _exchange(self, call: HTTPCall, body: bytes) -> PluginHTTPResponse:
        """Send the body and read the answer at once: a plugin may answer while it reads."""
        answer: PluginHTTPResponse | CallFailure = CallFailure("the exchange was cut short")
        async with anyio.create_task_group() as tasks:

            async def upload() -> None:
                try:
                    if body:
                        await call.send(body)
                    await call.finish()
                except CallFailure:
                    pass  # the task that waits for the answer hears of it too

            tasks.start_soon(upload)
            try:
                answer = await self._read(call)
            except CallFailure as failure:
                answer = failure
            tasks.cancel_scope.cancel()
        if isinstance(answer, CallFailure):
            raise answer
        return answer

    async def _read(self, call: HTTPCall) -> PluginHTTPResponse:
        """Read the whole answer.

        Raises:
            CallFailure: It broke off, or is too long.
        """
        from mm_plugin._proto.api_misc_pb2 import PluginHTTPResponse

        head = await call.receive_head()
        headers: dict[str, str] = {}
        for name, value in head.headers:
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        body = bytearray()
        while (part := await call.receive()) is not None:
            body += part.data
            if len(body) > self._answer_limit_octets:
                raise CallFailure(
                    f"the answer is over {self._answer_limit_octets} octets", code=StatusCode.RESOURCE_EXHAUSTED
                )
        return PluginHTTPResponse(status_code=head.status, headers=headers, body=bytes(body))


def _page(status: int, text: str) -> PluginHTTPResponse:
    from mm_plugin._proto.api_misc_pb2 import PluginHTTPResponse

    headers = {"Content-Type": "text/plain; charset=utf-8"}
    return PluginHTTPResponse(status_code=status, headers=headers, body=f"{text}\n".encode())
