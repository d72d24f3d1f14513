"""Pump and handler side by side: early answers, clients that go, handlers that fail."""

from __future__ import annotations

import logging

import anyio
import pytest

from mm_plugin import limits
from mm_plugin.exceptions import RemoteProtocolError, RequestBodyAbortedError
from mm_plugin.serve_http import Request, Response, run_http
from mm_plugin.transport.link import RequestHead, ResponseHead
from tests.serve_http.served import ask, get, read_answer, served


async def test_a_body_is_echoed_while_it_arrives() -> None:
    """Reading and writing go on at the same time: each piece comes back before the next is sent."""

    async def echo(request: Request, response: Response) -> None:
        async for piece in request.body:
            await response.write(piece)
            await response.flush()

    async with served(echo) as host, host.open_http(get(method="POST")) as call:
        for piece in (b"one", b"two", b"three"):
            await call.send(piece)
            if piece == b"one":
                assert (await call.receive_head()).status == 200
            part = await call.receive()
            assert part is not None
            assert part.data == piece
            part = await call.receive()
            assert part is not None
            assert part.flush
        await call.finish()
        assert await call.receive() is None


async def test_an_early_answer_does_not_wait_for_the_upload() -> None:
    """The handler has answered and is gone while the body never ends; further sends return silently."""

    async def handler(request: Request, response: Response) -> None:
        response.status = 413
        await response.write("too much")

    async with served(handler) as host, host.open_http(get(method="POST")) as call:
        await call.send(b"x")
        answer = await read_answer(call)
        assert (answer.head.status, answer.body, answer.broken) == (413, b"too much", False)
        for _ in range(10):
            await call.send(b"x")


async def test_without_a_handler_the_answer_is_404() -> None:
    """A plugin that serves no HTTP says so."""
    answer = await ask(None)
    assert (answer.head.status, answer.body) == (404, b"Not Found\n")
    answer = await ask(None, get(method="HEAD"))
    assert (answer.head.status, answer.body) == (404, b"")


async def test_a_crash_before_the_head_is_a_plain_500(caplog: pytest.LogCaptureFixture) -> None:
    """The client learns nothing of the error; the log has it once, without the query."""

    async def handler(request: Request, response: Response) -> None:
        response.status = 201
        response.headers["x-secret"] = "1"
        raise RuntimeError("the password is swordfish")

    answer = await ask(handler, get("/path?token=hush"))
    assert (answer.head.status, answer.body, answer.broken) == (500, b"Internal Server Error\n", False)
    assert dict(answer.head.headers)["Content-Type"].startswith("text/plain")
    assert "x-secret" not in dict(answer.head.headers)
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage() == "hook ServeHTTP failed at GET /path"
    assert record.exc_info is not None


@pytest.mark.parametrize(
    "stray",
    [SystemExit(0), KeyboardInterrupt(), BaseExceptionGroup("several", [SystemExit(0)])],
    ids=type,
)
@pytest.mark.parametrize("is_blocking", [False, True])
async def test_what_would_end_the_process_is_a_crash_of_the_handler(
    stray: BaseException, is_blocking: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """sys.exit and the like end the request with 500 and one record, and nothing else."""

    async def handler(request: Request, response: Response) -> None:
        raise stray

    def blocking(request: Request, response: Response) -> None:
        raise stray

    answer = await ask(blocking if is_blocking else handler)
    assert (answer.head.status, answer.broken) == (500, False)
    (record,) = caplog.records
    assert record.levelno == logging.ERROR


async def test_a_crash_after_the_head_breaks_the_response(caplog: pytest.LogCaptureFixture) -> None:
    """The client must not take half a body for a whole one."""

    async def handler(request: Request, response: Response) -> None:
        await response.write(b"half")
        raise RuntimeError("no more")

    answer = await ask(handler)
    assert (answer.head.status, answer.body, answer.broken) == (200, b"half", True)
    assert len(caplog.records) == 1


async def test_a_crash_after_the_end_leaves_the_response_whole(caplog: pytest.LogCaptureFixture) -> None:
    """What a handler does after an early finish cannot harm the answer."""

    async def handler(request: Request, response: Response) -> None:
        await response.finish()
        raise RuntimeError("too late")

    answer = await ask(handler)
    assert (answer.head.status, answer.broken) == (200, False)
    assert len(caplog.records) == 1


async def test_a_body_over_the_handlers_limit_is_413() -> None:
    """The handler need not catch what it asked for."""

    async def handler(request: Request, response: Response) -> None:
        await request.read(limit_octets=2)

    answer = await ask(handler, get(method="POST"), b"abc")
    assert (answer.head.status, answer.body) == (413, b"Content Too Large\n")


async def test_a_client_error_out_of_a_task_group_is_the_same() -> None:
    """A handler may read in a task of its own; the group around the error changes nothing."""

    async def handler(request: Request, response: Response) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(request.json if request.path == "/json" else request.read, 2)

    assert (await ask(handler, get(method="POST"), b"abc")).head.status == 413
    assert (await ask(handler, get("/json", method="POST"), b"x")).head.status == 400


async def test_a_broken_upload_that_nobody_catches_is_400(caplog: pytest.LogCaptureFixture) -> None:
    """A truncated upload is the client's doing, so it is no error in the log."""

    async def handler(request: Request, response: Response) -> None:
        await request.read()

    async with served(handler) as host, host.open_http(get(method="POST")) as call:
        await call.abort()
        answer = await read_answer(call)
    assert answer.head.status == 400
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_client_that_goes_cancels_the_handler() -> None:
    """The handler is cancelled, its shielded cleanup runs to its end, and the next call works."""
    steps: list[str] = []
    running, cleaned = anyio.Event(), anyio.Event()

    async def handler(request: Request, response: Response) -> None:
        if request.path == "/next":
            return
        await response.flush()
        running.set()
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.move_on_after(5, shield=True):
                await anyio.sleep(0.01)
                steps.append("cleaned")
                cleaned.set()

    async with served(handler) as host:
        async with host.open_http(get()) as call:
            await call.receive_head()
            await running.wait()
        await cleaned.wait()
        assert steps == ["cleaned"]
        async with host.open_http(get("/next")) as call:
            await call.finish()
            assert not (await read_answer(call)).broken


class Exchange:
    """An exchange of the link's shape that records what is done to it; each wait is an await point."""

    def __init__(self, pieces: list[bytes], *, method: str = "POST") -> None:
        self.head = RequestHead(method=method, url="/")
        self.deadline: float | None = None
        self.pieces = pieces
        self.broken: Exception | None = None
        self.received = 0
        self.done: list[str] = []
        self.abort_blocks = False

    async def receive(self) -> bytes:
        await anyio.lowlevel.checkpoint()
        if self.pieces:
            self.received += 1
            return self.pieces.pop(0)
        if self.broken is not None:
            raise self.broken
        return b""

    async def respond(self, head: ResponseHead) -> None:
        await anyio.lowlevel.checkpoint()
        self.done.append(f"head {head.status}")

    async def write(self, data: bytes, *, flush: bool = False) -> None:
        await anyio.lowlevel.checkpoint()
        self.done.append(data.decode())

    async def flush(self) -> None:
        await anyio.lowlevel.checkpoint()
        self.done.append("flush")

    async def finish(self) -> None:
        await anyio.lowlevel.checkpoint()
        self.done.append("finish")

    async def abort(self, text: str = "") -> None:
        self.done.append("abort begins")
        await anyio.lowlevel.checkpoint()
        if self.abort_blocks:
            await anyio.sleep_forever()
        self.done.append("abort")


async def _copy(request: Request, response: Response) -> None:
    async for piece in request.body:
        await response.write(piece)


async def test_the_calls_on_the_exchange_come_in_order() -> None:
    """One head, the pieces, one end."""
    exchange = Exchange([b"a", b"b", b"c"])
    await run_http(exchange, _copy)
    assert exchange.done == ["head 200", "a", "b", "c", "finish"]


async def test_the_pump_is_lazy() -> None:
    """Of a body that nobody reads at most ``http_body_pieces`` pieces are pulled."""
    exchange = Exchange([b"x"] * 100)

    async def handler(request: Request, response: Response) -> None:
        await anyio.wait_all_tasks_blocked()

    await run_http(exchange, handler)
    assert exchange.received == limits.http_body_pieces
    assert exchange.done == ["head 200", "finish"]


@pytest.mark.parametrize("steps", range(30))
async def test_a_call_cancelled_at_any_step_ends_once(steps: int) -> None:
    """Wherever the cancellation falls, the response is finished or aborted exactly once, and nothing hangs."""
    exchange = Exchange([b"a", b"b", b"c"])
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run_http, exchange, _copy)
            for _ in range(steps):
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
    assert [step for step in exchange.done if step in ("finish", "abort")] in (["finish"], ["abort"], [])
    if any(step.startswith("head") for step in exchange.done):
        assert exchange.done[-1] in ("finish", "abort")


async def test_an_abort_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shielded cleanup has a budget: a dead peer does not hold the stop."""
    monkeypatch.setattr(limits, "cleanup_s", 0.05)
    exchange = Exchange([])
    exchange.abort_blocks = True

    async def handler(request: Request, response: Response) -> None:
        await response.flush()
        await anyio.sleep_forever()

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run_http, exchange, handler)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
    assert exchange.done == ["head 200", "flush", "abort begins"]


async def test_a_deadline_of_the_caller_is_kept() -> None:
    """Where the caller says how long it waits, the handler is cancelled before that, in time for a plain 504."""
    exchange = Exchange([])
    exchange.deadline = anyio.current_time() + 0.05

    async def handler(request: Request, response: Response) -> None:
        await anyio.sleep_forever()

    with anyio.fail_after(5):
        await run_http(exchange, handler)
    assert exchange.done == ["head 504", "Gateway Timeout\n", "finish"]


async def test_a_host_that_breaks_the_protocol_cancels_the_handler() -> None:
    """What is neither a body nor its end leaves run_http as it came, after the response was aborted."""
    exchange = Exchange([b"a"])
    exchange.broken = RemoteProtocolError("a second init")

    async def handler(request: Request, response: Response) -> None:
        await anyio.sleep_forever()

    with pytest.raises(ExceptionGroup) as caught:
        await run_http(exchange, handler)
    assert caught.group_contains(RemoteProtocolError)
    assert exchange.done == ["abort begins", "abort"]


async def test_an_aborted_body_ends_after_its_pieces() -> None:
    """What had arrived is readable before the error is seen."""
    exchange = Exchange([b"a", b"b"])
    exchange.broken = RequestBodyAbortedError("gone")
    seen: list[bytes] = []

    async def handler(request: Request, response: Response) -> None:
        body = aiter(request.body)
        seen.append(await anext(body))
        seen.append(await anext(body))
        with pytest.raises(RequestBodyAbortedError, match="gone"):
            await anext(body)
        response.status = 422

    await run_http(exchange, handler)
    assert seen == [b"a", b"b"]
    assert exchange.done == ["head 422", "finish"]
