"""Early answers, slow readers and clients that go, through the gateway."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import pytest

from mm_plugin.host.gateway import Gateway
from mm_plugin.host.http_server import Receive, Scope, Send
from mm_plugin.serve_http import Request, Response, run_http
from mm_plugin.transport.link import (
    HostLink,
    HTTPCall,
    HTTPExchange,
    RequestHead,
)
from tests.contract.links import LINKS, Plugin, Server, open_pair
from tests.host.http_client import (
    app_on_port,
    find_session,
    handler_on_port,
    raw_client,
)
from tests.host.scripted_link import UNREACHABLE, ScriptedLink


async def test_an_early_answer_is_not_held_back_by_an_upload() -> None:
    """The whole answer arrives while the client still has most of its body to send."""

    async def handler(request: Request, response: Response) -> None:
        response.status = 413
        response.headers["content-length"] = "8"
        await response.write("too much")

    async with handler_on_port(handler) as port, raw_client(port) as client:
        await client.send(b"POST /plugins/p/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\nstart")
        answer = await client.read_until(b"too much")
        assert answer.startswith(b"HTTP/1.1 413")


async def flooded(link: HostLink) -> bytes:
    """What a client sees that sends without end; returns once the gateway's request has ended too."""
    ended = anyio.Event()
    gateway = Gateway({"p": link}.get, find_session)

    async def watched(scope: Scope, receive: Receive, send: Send) -> None:
        await gateway(scope, receive, send)
        if scope["type"] == "http":
            ended.set()

    async with app_on_port(watched) as port, raw_client(port) as client:
        await client.send(b"POST /plugins/p/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n")

        async def flood() -> None:
            try:
                while True:
                    await client.send(bytes(65_536))
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                return  # the server has closed: it wants no more

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(flood)
            answer = await client.read_to_end()
            tasks.cancel_scope.cancel()
        await ended.wait()
    return answer


async def stuck() -> None:
    """Wait until an upload that nobody reads has filled everything on its way."""
    with anyio.move_on_after(0.3):
        await anyio.sleep_forever()


@pytest.mark.parametrize("kind", LINKS)
async def test_an_early_answer_meets_a_flood(kind: str) -> None:
    """A client that sends as fast as it can neither blocks the answer nor leaves a request hanging."""

    async def handler(request: Request, response: Response) -> None:
        await stuck()
        response.status = 413
        await response.write("too much")

    async def serve(exchange: HTTPExchange) -> None:
        await run_http(exchange, handler)

    async with open_pair(kind, Plugin(on_http=serve), Server()) as (_, link):
        answer = await flooded(link)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"too much" in answer


async def test_a_page_meets_a_flood() -> None:
    """An upload to a plugin that cannot be reached does not block its page either."""

    class Unreachable:
        @asynccontextmanager
        async def open_http(self, head: RequestHead) -> AsyncGenerator[HTTPCall]:
            await stuck()
            async with ScriptedLink(UNREACHABLE, opens=False).open_http(head) as call:
                yield call

    answer = await flooded(Unreachable())  # type: ignore[arg-type]
    assert answer.startswith(b"HTTP/1.1 503")


async def test_a_slow_reader_holds_the_plugin_back() -> None:
    """What the client does not take is not made: memory stays flat between plugin and client."""
    written = 0

    async def handler(request: Request, response: Response) -> None:
        nonlocal written
        while True:
            await response.write(bytes(65_536))
            written += 65_536

    async with handler_on_port(handler) as port, raw_client(port) as client:
        await client.send(b"GET /plugins/p/ HTTP/1.1\r\nHost: x\r\n\r\n")
        await client.read_until(b"\r\n\r\n")
        before = -1
        while before != written:
            before = written
            with anyio.move_on_after(0.2):
                await anyio.sleep_forever()
        assert written < 32 * 1024 * 1024  # what sockets of this machine hold at most


async def test_a_client_that_goes_cancels_the_handler() -> None:
    """The plugin hears of it while it waits for something else."""
    running, cancelled = anyio.Event(), anyio.Event()

    async def handler(request: Request, response: Response) -> None:
        await response.flush()
        running.set()
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()

    async with handler_on_port(handler) as port:
        async with raw_client(port) as client:
            await client.send(b"GET /plugins/p/ HTTP/1.1\r\nHost: x\r\n\r\n")
            await client.read_until(b"\r\n\r\n")
            await running.wait()
        await cancelled.wait()


async def test_a_client_that_goes_within_its_upload_cancels_the_handler() -> None:
    """Half an upload is never taken for a whole one."""
    read: list[bytes] = []
    running, cancelled = anyio.Event(), anyio.Event()

    async def handler(request: Request, response: Response) -> None:
        running.set()
        try:
            read.append(await request.read())
        finally:
            cancelled.set()

    async with handler_on_port(handler) as port:
        async with raw_client(port) as client:
            await client.send(b"POST /plugins/p/ HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
            await running.wait()
        await cancelled.wait()
    assert read == []


async def test_a_client_that_waits_for_leave_to_send_gets_its_413() -> None:
    """With Expect: 100-continue the whole answer comes although not one octet of the body was sent."""

    async def handler(request: Request, response: Response) -> None:
        request.body.limit(10)

    async with handler_on_port(handler) as port, raw_client(port) as client:
        await client.send(
            b"POST /plugins/p/ HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1000000000\r\n\r\n"
        )
        answer = await client.read_to_end()
    assert b"HTTP/1.1 413" in answer
    assert answer.endswith(b"Content Too Large\n")


async def test_a_chunked_body_over_its_limit_is_413_before_its_end() -> None:
    """Its length is not known beforehand; the answer does not wait for it."""

    async def handler(request: Request, response: Response) -> None:
        request.body.limit(10)
        await request.read()

    async with handler_on_port(handler) as port, raw_client(port) as client:
        await client.send(b"POST /plugins/p/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        await client.send(b"b\r\nelevenocts!\r\n")
        assert (await client.read_until(b"Too Large\n")).startswith(b"HTTP/1.1 413")
