"""A call cancelled at each of its await points in turn: nothing is left, nothing hangs, the next call works."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import pytest

from mm_plugin import limits
from mm_plugin.serve_http import Request, Response, exchange as exchange_module, run_http
from mm_plugin.transport.link import CallFailure, HTTPExchange
from tests.contract.conftest import OpenPair
from tests.contract.links import Plugin, Server
from tests.contract.stepping import PIECE, Counting, stepped, until_past_the_end, until_tasks_are_gone, whole_call


@pytest.mark.timeout(120)
@pytest.mark.parametrize("where", ["answer", "upload"])
async def test_the_hosts_call_can_be_cancelled_at_every_step(open_link: OpenPair, where: str) -> None:
    """Wherever the host gives up, the plugin's handler ends too and the link serves the next call."""
    counting = Counting()

    async def echo(request: Request, response: Response) -> None:
        with counting.counted():
            async for piece in request.body:
                await response.write(piece, flush=True)

    async def serve(exchange: HTTPExchange) -> None:
        await run_http(exchange, echo)

    async with open_link(Plugin(on_http=serve), Server()) as (_, host):
        await whole_call(host)
        await counting.wait_idle()
        await anyio.wait_all_tasks_blocked()
        tasks = len(anyio.get_running_tasks())

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
                await until_tasks_are_gone(tasks)
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


@pytest.mark.timeout(120)
@pytest.mark.parametrize("what", ["pump", "call"])
async def test_the_pump_can_be_cancelled_at_every_step(
    open_link: OpenPair, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the pump is cancelled, alone or with its call, the call ends and never looks whole when it is not."""
    counting = Counting()
    step_of_run = 0
    was_cancelled = False
    call_scope = anyio.CancelScope()
    real_pump = exchange_module._pump

    async def pump(*arguments: object) -> None:
        nonlocal was_cancelled
        with counting.counted(), anyio.CancelScope() as own_scope:
            scope = own_scope if what == "pump" else call_scope
            try:
                await stepped(real_pump(*arguments), scope, step_of_run)  # type: ignore[arg-type]
            finally:
                was_cancelled = scope.cancel_called and anyio.current_effective_deadline() < 0

    async def echo(request: Request, response: Response) -> None:
        async for piece in request.body:
            await response.write(piece, flush=True)

    async def serve(exchange: HTTPExchange) -> None:
        nonlocal call_scope
        with counting.counted(), anyio.CancelScope() as call_scope:
            await run_http(exchange, echo)

    monkeypatch.setattr(exchange_module, "_pump", pump)
    async with open_link(Plugin(on_http=serve), Server()) as (_, host):
        assert len(await whole_call(host)) == 3 * len(PIECE)
        await counting.wait_idle()
        await anyio.wait_all_tasks_blocked()
        tasks = len(anyio.get_running_tasks())

        async def run(step: int) -> bool:
            nonlocal step_of_run
            with anyio.fail_after(10):
                step_of_run = step
                body = b""
                try:
                    body = await whole_call(host)
                except* CallFailure:
                    pass  # the answer broke off, visibly
                await counting.wait_idle()
                cancelled = was_cancelled
                assert len(body) == 3 * len(PIECE) or (cancelled and body in (b"", b"Bad Request\n"))
                step_of_run = 0
                assert len(await whole_call(host)) == 3 * len(PIECE)
                await counting.wait_idle()
                await until_tasks_are_gone(tasks)
            return cancelled

        assert await until_past_the_end(run) >= 3
