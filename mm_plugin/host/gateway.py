"""The host's HTTP gateway: an ASGI app that passes ``/plugins/<id>/…`` to plugins and streams both ways.

Job:    one browser's request to one ServeHTTP call, and its answer back.
Layer:  host, over HostLink. Runs on any ASGI 3 server; ``http_server`` has what ours needs of it.
Tasks:  each request owns two: the *upload* reads the client and feeds the plugin, the app's own task passes the
        response on. The upload never holds an answer back; after an early answer it reads on and drops what comes.
        A client that goes away cancels the call, and with it the plugin's handler.
Errors: 404 no such plugin or it serves no HTTP, 503 it cannot be reached, 502 no head came, 500 an impossible status.
        A response that breaks off raises PluginResponseError, so that the server breaks the client's connection too.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import ClassVar, cast

import anyio

from mm_plugin import limits
from mm_plugin.exceptions import MMPluginError, StatusCode
from mm_plugin.host.gateway_request import Incoming, Session
from mm_plugin.host.gateway_response import Outgoing
from mm_plugin.host.http_server import Receive, Scope, Send
from mm_plugin.host.in_flight import EventsEnded
from mm_plugin.transport.link import CallFailure, FailureKind, HostLink, HTTPCall, RequestHead, ResponseHead

__all__ = ("Gateway", "PluginResponseError", "Session")

logger = logging.getLogger("mm_plugin.host.gateway")

_PAGES = {404: "Not Found", 500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable"}


class PluginResponseError(MMPluginError):
    """A plugin's response broke off; the client must not take what it got for the whole."""

    docs_code = "MMP222"
    #: For the server's log.
    logged_already: ClassVar[bool] = True


class Gateway:
    """The ASGI app.

    Args:
        find_link: Gives the link to a running plugin that serves HTTP, by its id; None where there is none.
        find_session: Gives the session a token stands for; None where it is not valid.
    """

    def __init__(
        self,
        find_link: Callable[[str], HostLink | None],
        find_session: Callable[[str], Awaitable[Session | None]],
    ) -> None:
        self._find_link = find_link
        self._find_session = find_session

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; see ASGI.

        Cancellation cancels the plugin's handler.

        Raises:
            PluginResponseError: The plugin's response broke off after its head.
        """
        match scope["type"]:
            case "http":
                await self._serve(scope, receive, send)
            case "lifespan":
                await _live(receive, send)
            case _:  # a WebSocket: ServeHTTP cannot carry it
                await receive()
                await send({"type": "websocket.close"})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Incoming(scope)
        link = self._find_link(request.plugin_id)
        session = await self._find_session(request.token) if link is not None and request.token else None
        if session is not None and not request.passes_csrf(session):
            session = None
        exchange = _Exchange(request.plugin_id, request.head(session), send)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(exchange.upload, receive, tasks.cancel_scope, name="HTTP upload")
            await exchange.answer(link)
            tasks.cancel_scope.cancel()
        if exchange.broken:
            raise PluginResponseError(f"plugin {request.plugin_id}: {exchange.broken}")


class _Exchange:
    """One request on its way through: what its two tasks share.

    Attributes:
        broken: Why the response broke off; "" where it did not.
    """

    def __init__(self, plugin_id: str, head: RequestHead, send: Send) -> None:
        self._plugin_id = plugin_id
        self._head = head
        self._send = send
        self._call: HTTPCall | None = None
        self._settled = anyio.Event()  # whether there is a call to upload to
        self._ending = False  # the last message is on its way
        self.broken = ""

    async def upload(self, receive: Receive, both: anyio.CancelScope) -> None:
        """Pass the body to the plugin, and watch for the client's going, which cancels ``both`` tasks.

        Within the last ``send`` hypercorn says http.disconnect by itself, before it closes the connection or makes it
        ready for the next request: that must not be cancelled, but may not last either.
        """
        await self._settled.wait()
        while (message := await receive())["type"] == "http.request":
            if self._call is None:
                continue
            try:
                await self._call.send(cast("bytes", message.get("body", b"")))
                if not message.get("more_body", False):
                    await self._call.finish()
                    self._call = None
            except CallFailure:
                self._call = None  # the task that waits for the answer hears of it too
        if self._ending:
            both.deadline = anyio.current_time() + limits.cleanup_s
        else:
            both.cancel()

    async def answer(self, link: HostLink | None) -> None:
        """Pass the plugin's response to the client, or answer with a page."""
        if link is None:
            await self._answer_page(404)
            return
        status = 503
        try:
            async with link.open_http(self._head) as call:
                self._call = call
                self._settled.set()
                try:
                    response = await call.receive_head()
                    status = 500 if not 100 <= response.status <= 999 else 0
                    if status:
                        logger.warning("plugin %s answered with status %d", self._plugin_id, response.status)
                    else:
                        await self._pass_response(call, response)
                        return
                except CallFailure as failure:
                    logger.warning("plugin %s gave no response: %s", self._plugin_id, failure)
                    status = _status_of(failure)
        except CallFailure as failure:
            logger.warning("plugin %s cannot be reached: %s", self._plugin_id, failure)
        await self._answer_page(status)

    async def _pass_response(self, call: HTTPCall, head: ResponseHead) -> None:
        """Pass a response on, piece by piece; every piece is on its way before the next is asked for."""
        outgoing = Outgoing(head, self._head.method)
        for fault in outgoing.faults:
            logger.warning("plugin %s: a field of its response is left out: %s", self._plugin_id, fault)
        await self._start(outgoing)
        while not self.broken:
            try:
                part = await call.receive()
            except CallFailure as failure:
                level = logging.DEBUG if isinstance(failure, EventsEnded) else logging.WARNING
                logger.log(level, "plugin %s broke its response off: %s", self._plugin_id, failure)
                self.broken = failure.text or failure.code.name
                return
            if part is None:
                self.broken = outgoing.end()
                break
            if part.data and outgoing.has_body:  # a flush alone has nothing to do: the server keeps nothing back
                self.broken = outgoing.count(len(part.data))
                if not self.broken:
                    await self._send({"type": "http.response.body", "body": part.data, "more_body": True})
        if self.broken:
            logger.warning("plugin %s: %s", self._plugin_id, self.broken)
        else:
            await self._end(b"")

    async def _answer_page(self, status: int) -> None:
        self._call = None
        self._settled.set()
        text = f"{_PAGES[status]}\n".encode()
        headers = (
            ("Content-Type", "text/plain; charset=utf-8"),
            ("X-Content-Type-Options", "nosniff"),
            ("Content-Length", str(len(text))),
        )
        await self._start(Outgoing(ResponseHead(status=status, headers=headers), self._head.method))
        await self._end(text)

    async def _start(self, head: Outgoing) -> None:
        await self._send({"type": "http.response.start", "status": head.status, "headers": head.fields})

    async def _end(self, body: bytes) -> None:
        self._ending = True
        await self._send({"type": "http.response.body", "body": body, "more_body": False})


def _status_of(failure: CallFailure) -> int:
    """Give the page's status for a call that brought no head."""
    if failure.kind in (FailureKind.UNREACHABLE, FailureKind.REFUSED):
        return 503
    # OUT_OF_RANGE is how a link says that the plugin's status was none.
    return 500 if failure.code is StatusCode.OUT_OF_RANGE else 502


async def _live(receive: Receive, send: Send) -> None:
    """Say yes to the server's start and stop: the gateway has nothing of its own to prepare."""
    while True:
        event = cast("str", (await receive())["type"])
        await send({"type": f"{event}.complete"})
        if event == "lifespan.shutdown":
            return
