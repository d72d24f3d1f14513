"""A call cancelled at each of its await points in turn: nothing is left, nothing hangs, the next call works.

The steps are counted, not guessed: a wrapper drives the call's coroutine and cancels it the n-th time it gives up
control, for n = 1, 2, 3 … until a run ends without having been cancelled.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator
from functools import partial
from types import coroutine
from typing import TypeVar

import anyio
import pytest

from mm_plugin import limits
from mm_plugin.serve_http import Request, Response, run_http
from mm_plugin.transport.link import CallFailure, HostLink, HTTPExchange, RequestHead
from tests.contract.conftest import OpenPair
from tests.contract.links import Plugin, Server

T = TypeVar("T")
AroundUpload = Callable[[Callable[[], Awaitable[None]]], Coroutine[object, object, None]]
PIECE = bytes(limits.http_chunk_octets)


@coroutine
def stepped(call: Awaitable[T], scope: anyio.CancelScope, step: int) -> Generator[object, object, T]:
    """Await ``call``; cancel ``scope`` when it gives up control for the ``step``-th time."""
    inner = call.__await__()
    count = 0
    value: object = None
    error: BaseException | None = None
    while True:
        try:
            waits_for = inner.send(value) if error is None else inner.throw(error)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        count += 1
        if count == step:
            scope.cancel()
        value = error = None
        try:
            value = yield waits_for
        except BaseException as caught:  # noqa: BLE001 - passed on to the call as it is
            error = caught


async def until_past_the_end(run: Callable[[int], Awaitable[bool]]) -> int:
    """Cancel at step 1, 2, 3 … until a run was not cancelled; gives the number of steps."""
    step = 1
    while await run(step):
        step += 1
        assert step < 2_000, "the call never ends"
    return step - 1


class Counting:
    """Counts what runs, so that a leak shows."""

    def __init__(self) -> None:
        self.running = 0
        self.idle = anyio.Event()

    async def wait_idle(self) -> None:
        """Wait until no handler is left."""
        while self.running:
            self.idle = anyio.Event()
            await self.idle.wait()


async def whole_call(host: HostLink, around_upload: AroundUpload | None = None) -> bytes:
    """Upload three pieces while the answer is read: every await point a call has at the host."""
    body = b""
    async with (
        host.open_http(RequestHead(method="POST", url="/echo")) as call,
        anyio.create_task_group() as tasks,
    ):

        async def upload() -> None:
            for _ in range(3):
                await call.send(PIECE)
            await call.finish()

        tasks.start_soon(upload if around_upload is None else partial(around_upload, upload))
        await call.receive_head()
        while (part := await call.receive()) is not None:
            body += part.data
    return body


@pytest.mark.timeout(120)
@pytest.mark.parametrize("where", ["answer", "upload"])
async def test_the_hosts_call_can_be_cancelled_at_every_step(open_link: OpenPair, where: str) -> None:
    """Wherever the host gives up, the plugin's handler ends too and the link serves the next call."""
    counting = Counting()

    async def echo(request: Request, response: Response) -> None:
        counting.running += 1
        try:
            async for piece in request.body:
                await response.write(piece, flush=True)
        finally:
            counting.running -= 1
            counting.idle.set()

    async def serve(exchange: HTTPExchange) -> None:
        await run_http(exchange, echo)

    async with open_link(Plugin(on_http=serve), Server()) as (_, host):

        async def run(step: int) -> bool:
            with anyio.fail_after(10):
                with anyio.CancelScope() as scope:

                    async def around(upload: Callable[[], Awaitable[None]]) -> None:
                        await stepped(upload(), scope, step)

                    if where == "answer":
                        await stepped(whole_call(host), scope, step)
                    else:
                        await whole_call(host, around)
                await counting.wait_idle()
                assert len(await whole_call(host)) == 3 * len(PIECE)
                await counting.wait_idle()
            return scope.cancel_called

        steps = await until_past_the_end(run)
    assert steps >= 3


@pytest.mark.timeout(120)
async def test_the_plugins_handler_can_be_cancelled_at_every_step(open_link: OpenPair) -> None:
    """Wherever the handler is cancelled from inside the plugin, the host sees an end and the link goes on."""
    counting = Counting()
    steps = 0
    was_cancelled = True
    cleaned_up = 0

    async def echo(request: Request, response: Response) -> None:
        nonlocal cleaned_up
        try:
            async for piece in request.body:
                await response.write(piece, flush=True)
        finally:
            with anyio.move_on_after(limits.cleanup_s, shield=True):
                await anyio.lowlevel.checkpoint()
                cleaned_up += 1

    async def serve(exchange: HTTPExchange) -> None:
        nonlocal was_cancelled
        counting.running += 1
        try:
            with anyio.CancelScope() as scope:
                await run_http(exchange, echo_at(scope))
        finally:
            was_cancelled = scope.cancel_called
            counting.running -= 1
            counting.idle.set()

    def echo_at(scope: anyio.CancelScope) -> Callable[[Request, Response], Awaitable[None]]:
        async def handler(request: Request, response: Response) -> None:
            await stepped(echo(request, response), scope, steps)

        return handler

    async with open_link(Plugin(on_http=serve), Server()) as (_, host):

        async def run(step: int) -> bool:
            nonlocal steps, cleaned_up
            steps, cleaned_up = step, 0
            with anyio.fail_after(10):
                body = b""
                try:
                    body = await whole_call(host)
                except* CallFailure:
                    pass  # the answer broke off, visibly
                await counting.wait_idle()
            assert cleaned_up == 1
            assert was_cancelled or len(body) == 3 * len(PIECE)
            return was_cancelled

        assert await until_past_the_end(run) >= 3
        steps = 0
        assert len(await whole_call(host)) == 3 * len(PIECE)
