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
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import anyio
from anyio.streams.memory import MemoryObjectSendStream

from mm_plugin import limits
from mm_plugin.exceptions import HookRegistrationError, RequestBodyAbortedError, RequestTooLargeError
from mm_plugin.serve_http.request import Request, RequestBody
from mm_plugin.serve_http.response import Response
from mm_plugin.transport.link import HTTPExchange, ResponseHead

__all__ = ("HTTPHandler", "check_handler", "run_http")

logger = logging.getLogger("mm_plugin.serve_http")

#: What answers a request: an author's ``serve_http``.
HTTPHandler: TypeAlias = Callable[[Request, Response], Awaitable[None]]


def check_handler(handler: Callable[..., object]) -> None:
    """Check that ``handler`` can serve HTTP; for the moment when a plugin class is created.

    Raises:
        HookRegistrationError: It is a blocking function. Reading and writing a stream awaits, so ``serve_http`` is
            ``async def``; blocking work belongs into ``anyio.to_thread.run_sync``.
    """
    if not (inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(type(handler).__call__)):
        name = getattr(handler, "__qualname__", repr(handler))
        raise HookRegistrationError(
            f"{name} serves HTTP and must be `async def`: use anyio.to_thread.run_sync for blocking work inside it"
        )


async def run_http(exchange: HTTPExchange, handler: HTTPHandler | None) -> None:
    """Answer one HTTP request with ``handler``; returns once the response has been finished or aborted.

    Without a handler the answer is 404. A handler that raises before the head gives a plain 500 without traceback
    (413 for RequestTooLargeError, 400 for a body that broke off), after the head the response is aborted, so that the
    client sees a broken body and not a whole one. Each is logged once.

    Cancellation cancels the handler and aborts the response. The handler's ``finally`` blocks run; what they await
    needs a shielded scope of their own, such as ``anyio.move_on_after(1, shield=True)``. The abort is shielded for
    ``limits.cleanup_s``.
    """
    if handler is None:
        await _send_page(exchange, 404)
        return
    deadline = math.inf if exchange.deadline is None else exchange.deadline
    # One piece more is in the pump's hands.
    pieces, body_pieces = anyio.create_memory_object_stream[bytes](limits.http_body_pieces - 1)
    body = RequestBody(body_pieces)
    with anyio.CancelScope(deadline=deadline), pieces, body_pieces:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_pump, exchange, pieces, body, name="HTTP pump")
            tasks.start_soon(_respond, exchange, handler, body, tasks.cancel_scope, name="HTTP handler")


async def _pump(exchange: HTTPExchange, pieces: MemoryObjectSendStream[bytes], body: RequestBody) -> None:
    """Move the body's pieces to the handler, then close the stream, as whole or broken."""
    with pieces:
        try:
            while piece := await exchange.receive():
                await pieces.send(piece)
        except RequestBodyAbortedError as error:
            body.break_off(error)


async def _respond(exchange: HTTPExchange, handler: HTTPHandler, body: RequestBody, both: anyio.CancelScope) -> None:
    """Run the handler, end the response and then cancel ``both`` tasks, of which only the pump still runs."""
    request, response = Request(exchange.head, body), Response(exchange)
    ended = False
    try:
        await handler(request, response)
        if not response.finished:
            await response.finish()
        ended = True
    except Exception as error:  # noqa: BLE001 - an author's code may raise anything; it must not end the link
        ended = await _answer_failure(exchange, request, response, error)
    finally:
        if not ended:
            with anyio.move_on_after(limits.cleanup_s, shield=True):
                await exchange.abort("the handler did not finish")
    both.cancel()


async def _answer_failure(exchange: HTTPExchange, request: Request, response: Response, error: Exception) -> bool:
    """Log the failure and answer it with a page where that is still possible; tells whether the response has ended."""
    what = f"{request.method} {request.path}"
    if isinstance(error, RequestTooLargeError):
        logger.warning("%s", error)
        status = 413
    elif isinstance(error, RequestBodyAbortedError):
        logger.info("%s: %s", what, error)
        status = 400
    else:
        logger.error("serve_http failed at %s", what, exc_info=error)
        status = 500
    if not response.started:
        await _send_page(exchange, status)
        return True
    return response.finished


_PAGES = {
    400: "Bad Request",
    404: "Not Found",
    413: "Content Too Large",
    500: "Internal Server Error",
}


async def _send_page(exchange: HTTPExchange, status: int) -> None:
    """Answer with a line of plain text that gives nothing away."""
    text = f"{_PAGES[status]}\n".encode()
    headers = (
        ("Content-Type", "text/plain; charset=utf-8"),
        ("X-Content-Type-Options", "nosniff"),
        ("Content-Length", str(len(text))),
    )
    await exchange.respond(ResponseHead(status=status, headers=headers))
    if exchange.head.method != "HEAD":
        await exchange.write(text)
    await exchange.finish()
