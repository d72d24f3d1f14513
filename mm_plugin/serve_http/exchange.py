"""Run one HTTP request: the pump and the handler as sibling tasks.

Job:    feed the body to the handler and its answer to the link, whichever is faster.
Layer:  serve_http. Sees the link's HTTPExchange only.
Tasks:  ``run_http`` owns both. The *pump* moves body pieces from the exchange into a bounded stream; the *responder*
        runs the handler and ends the response. Once the response has ended the pump is cancelled, not awaited, so an
        early answer never waits for an upload. When the link cancels the call (the client has gone), both are.
Errors: whatever the handler raises is answered or aborted here, and logged once.
"""

from __future__ import annotations

import inspect
import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Protocol, TypeAlias, cast

import anyio
from anyio import to_thread
from anyio.streams.memory import MemoryObjectSendStream

from mm_plugin import limits
from mm_plugin.exceptions import (
    HookResultError,
    HookTimeoutError,
    RequestBodyAbortedError,
    RequestFormatError,
    RequestTooLargeError,
)
from mm_plugin.serve_http.request import Request, RequestBody
from mm_plugin.serve_http.response import Response
from mm_plugin.transport.link import HTTPExchange, ResponseHead

__all__ = ("HTTPHandler", "RunInThread", "call_handler", "run_http")

logger = logging.getLogger("mm_plugin.serve_http")

#: What answers a request: an author's ``serve_http``, async or not.
HTTPHandler: TypeAlias = Callable[[Request, Response], Awaitable[None] | None]


#: Logs what failed, why, and the fields of the record.
LogFailure: TypeAlias = Callable[[str, Exception, Mapping[str, str]], None]


class RunInThread(Protocol):
    """Runs a function in a worker thread; once cancelled it returns at once and leaves the thread to itself."""

    async def __call__(self, function: Callable[[], None], /) -> None:
        """Run it."""
        ...


async def _run_in_thread(function: Callable[[], None], /) -> None:
    await to_thread.run_sync(function, abandon_on_cancel=True)


def _log_failure(what: str, error: Exception, fields: Mapping[str, str], /) -> None:
    logger.error("%s", what, exc_info=error, extra=dict(fields))


async def run_http(
    exchange: HTTPExchange,
    handler: HTTPHandler | None,
    *,
    max_body_octets: int | None = None,
    run_in_thread: RunInThread = _run_in_thread,
    log_failure: LogFailure = _log_failure,
) -> None:
    """Answer one HTTP request with ``handler``; returns once the response has been finished or aborted.

    Without a handler the answer is 404. A handler that raises before the head gives a plain 500 without traceback
    (413 for RequestTooLargeError, 400 for a body that broke off and, with its text as reason, for RequestFormatError),
    after the head the response is aborted, so that the client sees a broken body and not a whole one. Returning
    anything but None is such a failure too. Each is logged once.

    Where the caller gives a deadline, the handler is cancelled shortly before it, and the answer is a plain 504, or an
    aborted response after the head.

    Cancellation cancels the handler and aborts the response. The handler's ``finally`` blocks run; what they await
    needs a shielded scope of their own, such as ``anyio.move_on_after(1, shield=True)``. The abort is shielded for
    ``limits.cleanup_s``. The thread of a blocking handler is left to itself: its next read or write raises.

    Args:
        exchange: The request.
        handler: ``async def``, or ``def``, which runs in a worker thread.
        max_body_octets: The longest body taken, unless the handler says otherwise. A declared length over it is
            answered with 413 before the handler runs or anything is read.
        run_in_thread: Runs blocking handlers.
        log_failure: Logs a handler's failure.
    """
    if handler is None:
        await _send_page(exchange, 404)
        return
    deadline = math.inf if exchange.deadline is None else exchange.deadline
    # One piece more is in the pump's hands.
    pieces, body_pieces = anyio.create_memory_object_stream[bytes](limits.http_body_pieces - 1)
    body = RequestBody(exchange.head, body_pieces)

    async def limited(request: Request, response: Response) -> None:
        if max_body_octets is not None:
            body.limit(max_body_octets)
        with anyio.CancelScope(deadline=_handlers_deadline(deadline)) as scope:
            await call_handler(handler, request, response, run_in_thread)
        if scope.cancelled_caught:
            raise HookTimeoutError("ServeHTTP: its handler did not finish in time and was cancelled")

    with anyio.CancelScope(deadline=deadline), pieces, body_pieces:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_pump, exchange, pieces, body, name="HTTP pump")
            tasks.start_soon(_respond, exchange, limited, body, tasks.cancel_scope, log_failure, name="HTTP handler")


def _handlers_deadline(deadline: float) -> float:
    """Return the caller's deadline less what an answer needs to reach it; half of it at least is the handler's."""
    return deadline - min(limits.hook_deadline_margin_s, max(deadline - anyio.current_time(), 0.0) / 2)


async def call_handler(handler: HTTPHandler, request: Request, response: Response, run_in_thread: RunInThread) -> None:
    """Run a handler, in a worker thread where it is no ``async def``.

    Raises:
        HookResultError: It returned something, which would be lost: the answer goes through ``response``.
    """
    if _is_async(handler):
        _check_result(handler, await cast("Awaitable[object]", handler(request, response)))
    else:
        await run_in_thread(lambda: _check_result(handler, handler(request, response)))


def _is_async(handler: Callable[..., object]) -> bool:
    handler = _unwrapped(handler)
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(type(handler).__call__)


def _check_result(handler: HTTPHandler, result: object) -> None:
    if result is None:
        return
    name = getattr(_unwrapped(handler), "__qualname__", type(handler).__name__)
    if inspect.iscoroutine(result):
        result.close()
        error = HookResultError(f"{name} is no `async def` but returned a coroutine; make it one")
    else:
        error = HookResultError(
            f"{name} returned a value of type {type(result).__name__}, which would be lost; answer with "
            "response.json(…), response.text(…) or response.write(…) and return None"
        )
    error.blame(handler)
    raise error


def _unwrapped(handler: Callable[..., object]) -> Callable[..., object]:
    while isinstance(handler, partial):
        handler = cast("Callable[..., object]", handler.func)
    return handler


async def _pump(exchange: HTTPExchange, pieces: MemoryObjectSendStream[bytes], body: RequestBody) -> None:
    """Move the body's pieces to the handler, then close the stream, as whole or broken."""
    with pieces:
        try:
            while piece := await exchange.receive():
                await pieces.send(piece)
        except RequestBodyAbortedError as error:
            body.end(error)
        else:
            body.end()


async def _respond(
    exchange: HTTPExchange,
    handler: Callable[[Request, Response], Awaitable[None]],
    body: RequestBody,
    both: anyio.CancelScope,
    log_failure: LogFailure,
) -> None:
    """Run the handler, end the response and then cancel ``both`` tasks, of which only the pump still runs."""
    request, response = Request(exchange.head, body), Response(exchange)
    ended = False
    try:
        await handler(request, response)
        if not response.finished:
            await response.finish()
        ended = True
    except Exception as error:  # noqa: BLE001 - an author's code may raise anything; it must not end the link
        ended = await _answer_failure(exchange, request, response, error, log_failure)
    except BaseException as error:
        if anyio.current_effective_deadline() == -math.inf:  # a cancellation, and not just one that the handler raised
            # AnyIO keeps it in a cycle that only the collector ends: without the frames, which hold request and body.
            error.__traceback__ = None
            raise
        stray = RuntimeError(f"the handler raised {type(error).__name__}, which ends nothing here")
        stray.__cause__ = error
        ended = await _answer_failure(exchange, request, response, stray, log_failure)
    finally:
        if not ended:
            with anyio.move_on_after(limits.cleanup_s, shield=True):
                await exchange.abort("the handler did not finish")
    both.cancel()


async def _answer_failure(
    exchange: HTTPExchange, request: Request, response: Response, error: Exception, log_failure: LogFailure
) -> bool:
    """Log the failure and answer it with a page where that is still possible; tells whether the response has ended."""
    what = f"{request.method} {request.path}"
    reason = _alone(error)
    if isinstance(reason, RequestTooLargeError):
        logger.warning("%s", reason)
        status = 413
    elif isinstance(reason, RequestBodyAbortedError | RequestFormatError):
        logger.info("%s: %s", what, reason)
        status = 400
    else:
        context = exchange.head.context
        request_id = "" if context is None else context.request_id
        fields = {"hook": "ServeHTTP", **({"request_id": request_id} if request_id else {})}
        log_failure(f"hook ServeHTTP failed at {what}", error, fields)
        status = 504 if isinstance(error, HookTimeoutError) else 500
    if not response.started:
        await _send_page(exchange, status, str(reason) if isinstance(reason, RequestFormatError) else "")
        return True
    return response.finished


def _alone(error: Exception) -> Exception:
    """Return what a group has as its one error, however deep: it was raised within a task group."""
    if not isinstance(error, ExceptionGroup):
        return error
    group = cast("ExceptionGroup[Exception]", error)
    return _alone(group.exceptions[0]) if len(group.exceptions) == 1 else group


_PAGES = {
    400: "Bad Request",
    404: "Not Found",
    413: "Content Too Large",
    500: "Internal Server Error",
    504: "Gateway Timeout",
}


async def _send_page(exchange: HTTPExchange, status: int, reason: str = "") -> None:
    """Answer with a line of plain text that gives nothing away but the reason, which is for the client."""
    line = " ".join(reason[: limits.http_error_reason_characters].split())
    text = f"{_PAGES[status]}: {line}\n" if line else f"{_PAGES[status]}\n"
    page = text.encode(errors="replace")
    headers = (
        ("Content-Type", "text/plain; charset=utf-8"),
        ("X-Content-Type-Options", "nosniff"),
        ("Content-Length", str(len(page))),
    )
    await exchange.respond(ResponseHead(status=status, headers=headers))
    if exchange.head.method != "HEAD":
        await exchange.write(page)
    await exchange.finish()
