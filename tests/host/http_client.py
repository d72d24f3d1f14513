"""An app or a handler behind a real port, and a client on a raw socket."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import httpx
import pytest
from anyio.abc import SocketStream

from mm_plugin.host.gateway import Gateway, Session
from mm_plugin.host.http_server import ASGIApp, serve_http_app
from mm_plugin.serve_http import HTTPHandler, Request, Response
from mm_plugin.transport.link import HostLink
from tests.serve_http.served import served

SESSION = Session(user_id="user1", session_id="session1", csrf_token="csrf1")


PROTOCOLS = pytest.mark.parametrize("http2", [False, True], ids=["http1", "http2"])


async def find_session(token: str) -> Session | None:
    """The one session there is."""
    return SESSION if token == "token1" else None


@asynccontextmanager
async def app_on_port(app: ASGIApp, *, grace_s: float = 0.2, limit_s: float = 20) -> AsyncGenerator[int]:
    """Serve an app for ``limit_s`` at most; gives the port. On exit the server has stopped."""
    with anyio.fail_after(limit_s):
        async with anyio.create_task_group() as tasks:

            async def run(*, task_status: anyio.abc.TaskStatus[int]) -> None:
                await serve_http_app(app, grace_s=grace_s, task_status=task_status)

            yield await tasks.start(run)
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def link_on_port(link: HostLink, *, limit_s: float = 20) -> AsyncGenerator[int]:
    """Serve the gateway with ``link`` as the plugin ``p``; gives the port."""
    gateway = Gateway({"p": link}.get, find_session)
    async with app_on_port(gateway, limit_s=limit_s) as port:
        yield port


@asynccontextmanager
async def handler_on_port(handler: HTTPHandler | None, *, limit_s: float = 20) -> AsyncGenerator[int]:
    """Serve the gateway with a plugin ``p`` whose ``serve_http`` is this handler; gives the port."""
    async with served(handler, limit_s=limit_s) as link, link_on_port(link, limit_s=limit_s) as port:
        yield port


@asynccontextmanager
async def client_of(port: int, *, http2: bool = False) -> AsyncGenerator[httpx.AsyncClient]:
    """An httpx client of one protocol."""
    async with httpx.AsyncClient(
        http1=not http2, http2=http2, base_url=f"http://127.0.0.1:{port}", timeout=10
    ) as client:
        yield client


async def echo(request: Request, response: Response) -> None:
    """Send each piece of the body back as it comes."""
    response.headers["x-method"] = request.method
    async for piece in request.body:
        await response.write(piece)
        await response.flush()


class RawClient:
    """HTTP/1.1 by hand: what the wire shows, when it shows it."""

    def __init__(self, stream: SocketStream) -> None:
        self.stream = stream
        self.seen = b""

    async def send(self, data: bytes) -> None:
        await self.stream.send(data)

    async def read_until(self, mark: bytes) -> bytes:
        """Read on until everything seen so far contains ``mark``; gives all of it."""
        while mark not in self.seen[-len(mark) - 65_536 :]:
            self.seen += await self.stream.receive()
        return self.seen

    async def read_to_end(self) -> bytes:
        """Read until the server closes, well or by a reset."""
        try:
            while True:
                self.seen += await self.stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return self.seen


@asynccontextmanager
async def raw_client(port: int) -> AsyncGenerator[RawClient]:
    """Connect by hand."""
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        yield RawClient(stream)
