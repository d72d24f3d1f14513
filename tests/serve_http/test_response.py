"""What a handler may write, and when."""

from collections.abc import Awaitable, Callable

import anyio
import pytest

from mm_plugin import limits
from mm_plugin.exceptions import ResponseStateError
from mm_plugin.serve_http import Request, Response
from tests.serve_http.served import ask, get, read_answer, served

Write = Callable[[Response], Awaitable[None]]


def _refused(write: Write, text: str) -> Callable[[Request, Response], Awaitable[None]]:
    """A handler that expects ``write`` to be refused."""

    async def handler(request: Request, response: Response) -> None:
        with pytest.raises((ResponseStateError, ValueError), match=text):
            await write(response)

    return handler


async def test_a_handler_that_does_nothing_answers_200() -> None:
    """The head is sent when the handler returns."""
    answer = await ask(_do_nothing)
    assert (answer.head.status, answer.head.headers, answer.body, answer.broken) == (200, (), b"", False)


async def _do_nothing(request: Request, response: Response) -> None:
    pass


async def test_status_headers_text_and_octets_go_out() -> None:
    """Text is UTF-8; octets of any kind are taken; empty writes are no pieces."""

    async def handler(request: Request, response: Response) -> None:
        response.status = 201
        response.headers["x-one"] = "1"
        for data in ("ü", b"b", bytearray(b"c"), memoryview(b"d"), b"", ""):
            await response.write(data)

    answer = await ask(handler)
    assert (answer.head.status, answer.head.headers) == (201, (("x-one", "1"),))
    assert (answer.body, answer.flushes, answer.broken) == ("übcd".encode(), 0, False)


async def test_a_flush_sends_the_head_at_once() -> None:
    """A client sees the head, and each flushed piece, while the handler still runs."""
    go_on = anyio.Event()

    async def handler(request: Request, response: Response) -> None:
        await response.flush()
        await go_on.wait()
        await response.write(b"data: 1\n\n")
        await response.flush()
        await anyio.sleep_forever()

    async with served(handler) as host, host.open_http(get()) as call:
        assert (await call.receive_head()).status == 200
        go_on.set()
        body, flushes = b"", 0
        while flushes < 2:
            part = await call.receive()
            assert part is not None
            body, flushes = body + part.data, flushes + part.flush
        assert body == b"data: 1\n\n"


@pytest.mark.parametrize("status", [-1, 0, 100, 101, 199, 1000])
async def test_a_status_that_is_not_final_is_refused(status: int) -> None:
    """An informational or impossible status is an error where it is set."""

    async def handler(request: Request, response: Response) -> None:
        with pytest.raises(ValueError, match=f"status {status}"):
            response.status = status

    assert (await ask(handler)).head.status == 200


async def test_the_head_is_settled_once_sent() -> None:
    """A late status or header is refused instead of lost."""

    async def handler(request: Request, response: Response) -> None:
        await response.write(b"x")
        with pytest.raises(ResponseStateError):
            response.status = 404
        with pytest.raises(ResponseStateError):
            response.headers["a"] = "b"
        assert response.started
        assert response.status == 200
        assert not response.finished

    answer = await ask(handler)
    assert (answer.head.status, answer.body) == (200, b"x")


async def test_nothing_follows_the_end() -> None:
    """After an early finish writes are refused, and the handler's return is no second end."""

    async def handler(request: Request, response: Response) -> None:
        await response.write(b"all")
        await response.finish()
        assert response.finished
        for late in (response.write(b"x"), response.flush(), response.finish()):
            with pytest.raises(ResponseStateError, match="after the end"):
                await late

    answer = await ask(handler)
    assert (answer.body, answer.broken) == (b"all", False)


async def test_the_answer_to_head_has_no_body() -> None:
    """One handler serves GET and HEAD; Content-Length may say what GET would give."""

    async def handler(request: Request, response: Response) -> None:
        response.headers["content-length"] = "5"
        await response.write(b"hello")

    answer = await ask(handler, get(method="HEAD"))
    assert (answer.head.headers, answer.body, answer.broken) == ((("content-length", "5"),), b"", False)


@pytest.mark.parametrize("status", [204, 304])
async def test_some_statuses_have_no_body(status: int) -> None:
    """A body where none may be is refused before anything is sent."""

    async def write(response: Response) -> None:
        response.status = status
        await response.write(b"x")

    answer = await ask(_refused(write, f"status {status} has no body"))
    assert (answer.head.status, answer.body, answer.broken) == (status, b"", False)


async def test_content_length_is_kept() -> None:
    """Exactly what was promised is a whole answer; a 304 may promise what it does not send."""

    async def exact(request: Request, response: Response) -> None:
        response.headers["content-length"] = "2"
        await response.write(b"a")
        await response.write(b"b")

    async def not_modified(request: Request, response: Response) -> None:
        response.status = 304
        response.headers["content-length"] = "2"

    answer = await ask(exact)
    assert (answer.body, answer.broken) == (b"ab", False)
    answer = await ask(not_modified)
    assert (answer.head.status, answer.broken) == (304, False)


async def test_more_than_content_length_is_refused() -> None:
    """What is too much is not sent; the rest is."""

    async def handler(request: Request, response: Response) -> None:
        response.headers["content-length"] = "3"
        await response.write(b"ab")
        with pytest.raises(ResponseStateError, match="allows 1 octets more"):
            await response.write(b"cd")
        await response.write(b"c")

    answer = await ask(handler)
    assert (answer.body, answer.broken) == (b"abc", False)


async def test_less_than_content_length_breaks_the_response(caplog: pytest.LogCaptureFixture) -> None:
    """A short body is seen as broken by the client, and said in the log."""

    async def handler(request: Request, response: Response) -> None:
        response.headers["content-length"] = "3"
        await response.write(b"ab")

    answer = await ask(handler)
    assert answer.broken
    assert caplog.records[0].exc_info is not None
    assert "promises 1 octets more" in str(caplog.records[0].exc_info[1])


@pytest.mark.parametrize(
    ("status", "values", "text"),
    [(200, ["x"], "one number"), (200, ["1", "1"], "one number"), (200, ["²"], "one number"), (204, ["0"], "204")],
)
async def test_a_wrong_content_length_is_refused(status: int, values: list[str], text: str) -> None:
    """It is refused before anything is sent, so it can still be mended."""

    async def handler(request: Request, response: Response) -> None:
        response.status = status
        for value in values:
            response.headers.add("Content-Length", value)
        for step in (response.write(b""), response.flush(), response.finish()):
            with pytest.raises(ResponseStateError, match=text):
                await step
        del response.headers["content-length"]

    assert (await ask(handler)).head.headers == ()


async def test_a_head_has_a_bound() -> None:
    """Headers that no client takes are refused here, where the author sees it."""

    async def write(response: Response) -> None:
        response.headers["x"] = "y" * limits.http_head_octets
        try:
            await response.flush()
        finally:
            del response.headers["x"]

    answer = await ask(_refused(write, "are allowed"))
    assert answer.head.headers == ()


async def test_a_write_cancelled_halfway_breaks_the_response() -> None:
    """Nobody knows what of it was sent, so nothing may follow."""
    gave_up = anyio.Event()

    async def handler(request: Request, response: Response) -> None:
        with anyio.move_on_after(0.1):
            while True:  # until the client's side is full
                await response.write(b"x")
        with pytest.raises(ResponseStateError, match="cancelled halfway"):
            await response.write(b"y")
        gave_up.set()

    async with served(handler) as host, host.open_http(get()) as call:
        await gave_up.wait()
        answer = await read_answer(call)
    assert answer.broken
    assert set(answer.body) == set(b"x")


async def test_a_slow_client_holds_the_handler_back() -> None:
    """Writing waits for the client, so memory stays flat."""
    written = 0

    async def handler(request: Request, response: Response) -> None:
        nonlocal written
        for _ in range(100):
            await response.write(b"x")
            written += 1

    async with served(handler) as host, host.open_http(get()) as call:
        await anyio.wait_all_tasks_blocked()
        assert written <= limits.http_body_pieces
        answer = await read_answer(call)
    assert (answer.body, written) == (b"x" * 100, 100)


@pytest.mark.parametrize("data", [{"a": 1}, [1], 5, None])
async def test_what_is_neither_octets_nor_text_is_not_written(data: object) -> None:
    """The error says what was found and what to call instead; nothing was sent, so that an answer is still possible."""

    async def handler(request: Request, response: Response) -> None:
        with pytest.raises(TypeError, match=rf"bytes or str, found {type(data).__name__}; use response\.json"):
            await response.write(data)  # type: ignore[arg-type]
        response.status = 418

    assert (await ask(handler)).head.status == 418
