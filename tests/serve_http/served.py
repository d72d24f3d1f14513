"""A handler behind the memory link, and the smallest client that reads a whole answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import anyio
from google.protobuf.message import Message

from mm_plugin.exceptions import StatusCode
from mm_plugin.serve_http import HTTPHandler, run_http
from mm_plugin.transport.link import CallFailure, HookCall, HostLink, HTTPCall, HTTPExchange, RequestHead, ResponseHead
from mm_plugin.transport.memory import memory_link

OnHTTP = Callable[[HTTPExchange], Awaitable[None]]


class _Plugin:
    """A plugin's side that knows HTTP only."""

    def __init__(self, on_http: OnHTTP) -> None:
        self._on_http = on_http

    async def handle_hook(self, call: HookCall) -> Message:
        raise CallFailure(f"no hook {call.name}", code=StatusCode.UNIMPLEMENTED)

    async def handle_http(self, exchange: HTTPExchange) -> None:
        await self._on_http(exchange)


class _NoAPI:
    async def handle_api(self, method: str, request: Message, *, deadline: float | None) -> Message:
        raise CallFailure(f"no method {method}", code=StatusCode.UNIMPLEMENTED)


@asynccontextmanager
async def served(
    handler: HTTPHandler | None, *, on_http: OnHTTP | None = None, limit_s: float = 20
) -> AsyncGenerator[HostLink]:
    """Serve HTTP with ``handler``, or with ``on_http`` in its place; gives the host's end of the link."""
    plugin, host = memory_link(_NoAPI())
    with anyio.fail_after(limit_s):
        async with anyio.create_task_group() as tasks:
            await tasks.start(plugin.serve, _Plugin(on_http or partial(run_http, handler=handler)))
            yield host
            await host.aclose()
            await plugin.aclose()


@dataclass
class Answer:
    """A whole response; ``broken`` says that it broke off."""

    head: ResponseHead
    body: bytes = b""
    flushes: int = 0
    broken: bool = False


def get(url: str = "/", method: str = "GET", headers: tuple[tuple[str, str], ...] = ()) -> RequestHead:
    """A request's head."""
    return RequestHead(method=method, url=url, headers=headers)


async def read_answer(call: HTTPCall) -> Answer:
    """Read a response from its head to its end."""
    return await read_rest(call, await call.receive_head())


async def read_rest(call: HTTPCall, head: ResponseHead) -> Answer:
    """Read a response whose head has been read to its end."""
    answer = Answer(head)
    try:
        while (part := await call.receive()) is not None:
            answer.body += part.data
            answer.flushes += part.flush
    except CallFailure:
        answer.broken = True
    return answer


async def ask(handler: HTTPHandler | None, head: RequestHead | None = None, *pieces: bytes) -> Answer:
    """Send one request with a body of these pieces and read the response."""
    async with served(handler) as host, host.open_http(head or get()) as call:
        for piece in pieces:
            await call.send(piece)
        await call.finish()
        return await read_answer(call)
