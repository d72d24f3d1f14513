"""Octets of a body pass through pump, handler, gateway and back as the very objects they came as."""

from __future__ import annotations

from collections.abc import MutableMapping

import anyio

from mm_plugin import limits
from mm_plugin.host.gateway import Gateway
from mm_plugin.serve_http import Request, Response
from mm_plugin.serve_http.asgi import ASGIConnection, Receive, Scope, Send, build_scope
from mm_plugin.serve_http.exchange import HTTPHandler
from mm_plugin.wire.serve_http.chunking import cut
from tests.host.http_client import find_session
from tests.serve_http.served import served

PIECES = [bytes([number]) * limits.http_chunk_octets for number in range(3)]
SCOPE = {
    "type": "http",
    "http_version": "1.1",
    "method": "POST",
    "path": "/plugins/p/",
    "raw_path": b"/plugins/p/",
    "query_string": b"",
    "headers": [(b"transfer-encoding", b"chunked")],
    "client": ("127.0.0.1", 1),
}


class Browser:
    """A client that sends the pieces; what it receives."""

    def __init__(self) -> None:
        self.left = list(PIECES)
        self.received: list[object] = []

    async def ask(self, handler: HTTPHandler) -> None:
        """Send the request through the gateway to a handler."""
        async with served(handler) as link:
            await Gateway({"p": link}.get, find_session)(dict(SCOPE), self.receive, self.send)

    async def receive(self) -> MutableMapping[str, object]:
        await anyio.lowlevel.checkpoint()
        if not self.left:
            await anyio.sleep_forever()
        piece = self.left.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(self.left)}

    async def send(self, message: MutableMapping[str, object]) -> None:
        await anyio.lowlevel.checkpoint()
        if message.get("body"):
            self.received.append(message["body"])


def same(these: list[object], those: list[bytes]) -> bool:
    """Whether two lists hold the very same objects."""
    return [id(one) for one in these] == [id(one) for one in those]


async def test_a_body_is_not_copied_on_its_way_up_and_down() -> None:
    """What the browser's server gave reaches the handler, what the handler wrote the browser's server."""
    read: list[object] = []

    async def echo(request: Request, response: Response) -> None:
        async for piece in request.body:
            read.append(piece)
            await response.write(piece)

    browser = Browser()
    await browser.ask(echo)
    assert same(read, PIECES)
    assert same(browser.received, PIECES)


async def test_a_mounted_apps_body_is_not_copied_either() -> None:
    """ASGI's messages hold the same objects."""
    read: list[object] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while piece := (await receive())["body"]:
            read.append(piece)
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body"})

    async def mounted(request: Request, response: Response) -> None:
        async with anyio.create_task_group() as tasks:
            scope = build_scope(request, at="", plugin=None, state={})
            await ASGIConnection(request, response).serve(app, scope, tasks)

    browser = Browser()
    await browser.ask(mounted)
    assert same(read, PIECES)
    assert same(browser.received, PIECES)


async def test_a_body_of_one_piece_is_read_without_a_copy() -> None:
    """Small bodies, the most of all, come as one piece."""
    read: list[object] = []

    async def handler(request: Request, response: Response) -> None:
        read.append(await request.read())

    browser = Browser()
    del browser.left[1:]
    await browser.ask(handler)
    assert same(read, PIECES[:1])


def test_a_piece_that_fits_a_message_is_not_cut() -> None:
    """The chunk is the piece itself."""
    assert same(list(cut(PIECES[0])), PIECES[:1])
