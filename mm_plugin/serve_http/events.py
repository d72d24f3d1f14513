"""Server-sent events: a response that stays open, one event after the other.

Layer:  serve_http.
Errors: ValueError for a field that would break the stream's lines; nothing was sent.
See:    HTML Living Standard, section 9.2 (server-sent events)
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio

from mm_plugin.serve_http.response import Response

__all__ = ("EventStream", "format_event", "open_events", "start_events")

# Every line end the standard knows; a field must not have one of its own.
_LINE_END = re.compile(r"\r\n|\r|\n")


def format_event(
    data: str | None = None,
    *,
    event: str | None = None,
    id: str | None = None,  # noqa: A002 - the standard's name
    retry_ms: int | None = None,
) -> bytes:
    """Return one event as it goes over the wire.

    Raises:
        ValueError: ``event`` or ``id`` has a line end, ``id`` a NUL, or ``retry_ms`` is negative.
    """
    lines: list[str] = []
    if event is not None:
        lines.append(f"event: {_one_line('event', event)}")
    if id is not None:
        if "\0" in id:
            raise ValueError("an event's id must not have a NUL; browsers ignore such an id")
        lines.append(f"id: {_one_line('id', id)}")
    if retry_ms is not None:
        if retry_ms < 0:
            raise ValueError(f"retry_ms must be 0 or more, not {retry_ms}")
        lines.append(f"retry: {retry_ms}")
    if data is not None:
        lines += [f"data: {line}" for line in _LINE_END.split(data)]
    return "".join(f"{line}\n" for line in [*lines, ""]).encode()


def _comment(text: str) -> bytes:
    return b"".join(f": {line}\n".encode() for line in _LINE_END.split(text)) + b"\n"


def _one_line(name: str, value: str) -> str:
    if _LINE_END.search(value):
        raise ValueError(f"an event's {name} must be one line, not {value!r}")
    return value


class EventStream:
    """An open stream of events; any task may send, one event at a time."""

    def __init__(self, response: Response) -> None:
        self._response = response
        self._sending = anyio.Lock()

    async def send(
        self,
        data: str | None = None,
        *,
        event: str | None = None,
        id: str | None = None,  # noqa: A002 - the standard's name
        retry_ms: int | None = None,
    ) -> None:
        """Send one event, flushed; waits while the client does not take more.

        Args:
            data: Its text, of any number of lines. Without it the client dispatches no event, but takes the rest.
            event: Its type; ``message`` where absent.
            id: What the client repeats in ``Last-Event-ID`` when it connects again.
            retry_ms: How long the client waits before it connects again, from now on.

        Raises:
            ValueError: A field would break the stream; nothing was sent.
            ResponseStateError: The response is over.
        """
        await self._write(format_event(data, event=event, id=id, retry_ms=retry_ms))

    async def comment(self, text: str = "") -> None:
        """Send a line that clients ignore; keeps proxies from taking the stream for dead."""
        await self._write(_comment(text))

    async def _write(self, octets: bytes) -> None:
        async with self._sending:
            await self._response.write(octets, flush=True)

    async def settle(self) -> None:
        """Wait until nothing is being sent."""
        async with self._sending:
            pass

    async def keep_alive(self, every_s: float) -> None:
        """Send a comment again and again; for a task of its own."""
        while not self._response.finished:
            await anyio.sleep(every_s)
            async with self._sending:
                if not self._response.finished:
                    await self._response.write(_comment(""), flush=True)


async def start_events(response: Response) -> None:
    """Send the head of a stream of events."""
    response.headers["Content-Type"] = "text/event-stream; charset=utf-8"
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers.setdefault("X-Accel-Buffering", "no")  # a proxy in front must not collect events
    await response.flush()


@asynccontextmanager
async def open_events(response: Response, *, keep_alive_s: float | None = None) -> AsyncGenerator[EventStream]:
    """Open a stream of events on a response; see Response.events."""
    await start_events(response)
    stream = EventStream(response)
    if keep_alive_s is None:
        yield stream
        return
    failure: Exception | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stream.keep_alive, keep_alive_s, name="events: keep alive")
        try:
            yield stream
        except Exception as error:  # noqa: BLE001 - raised again below, as it is and in no group
            failure = error
        await stream.settle()  # a comment cut off halfway would end the response
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
