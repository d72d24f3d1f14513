"""Request and response for blocking handlers: the same objects, from inside a worker thread.

Layer:  serve_http. Doors, not second implementations: each call runs in the event loop while the thread waits.
Errors: as the async twins. When the call is cancelled (the client has gone), the wait raises; let it pass.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import TYPE_CHECKING

from anyio import from_thread

from mm_plugin import limits

if TYPE_CHECKING:
    from mm_plugin.serve_http.events import EventStream
    from mm_plugin.serve_http.multipart import MultipartForm
    from mm_plugin.serve_http.request import Request
    from mm_plugin.serve_http.response import Response
    from mm_plugin.serve_http.target import Query
    from mm_plugin.types import JSONInput, JSONValue

__all__ = ("SyncEventStream", "SyncRequest", "SyncResponse")


class SyncRequest:
    """The body of a request for a worker thread; iterate over it for its pieces."""

    def __init__(self, request: Request) -> None:
        self._body = request.body

    def __iter__(self) -> Iterator[bytes]:
        """Give the body's pieces; see RequestBody.receive."""
        while piece := self.receive():
            yield piece

    def receive(self) -> bytes:
        """Wait for the next piece of the body; ``b""`` at its end. See RequestBody.receive."""
        return from_thread.run(self._body.receive)

    def read(self, limit_octets: int | None = None) -> bytes:
        """Read what is left of the body; see RequestBody.read."""
        return from_thread.run(self._body.read, limit_octets)

    def json(self, limit_octets: int = limits.http_parsed_body_octets) -> JSONValue:
        """Read the body and parse it as JSON; see RequestBody.json."""
        return from_thread.run(self._body.json, limit_octets)

    def form(self, limit_octets: int = limits.http_parsed_body_octets) -> Query:
        """Read the body and parse it as a url-encoded form; see RequestBody.form."""
        return from_thread.run(self._body.form, limit_octets)

    @contextmanager
    def multipart(self) -> Generator[MultipartForm]:
        """Read the body as ``multipart/form-data``; see RequestBody.multipart. Files are read by their ``file``."""
        form = from_thread.run(self._body.read_multipart)
        try:
            yield form
        finally:
            form.close()


class SyncResponse:
    """A response for a worker thread; status and headers are set on the response itself."""

    def __init__(self, response: Response) -> None:
        self._response = response

    def write(self, data: bytes | bytearray | memoryview | str, *, flush: bool = False) -> None:
        """Send a piece of the body; see Response.write."""
        from_thread.run(partial(self._response.write, data, flush=flush))

    def flush(self) -> None:
        """Have everything written so far reach the client now; see Response.flush."""
        from_thread.run(self._response.flush)

    def finish(self) -> None:
        """End the response as complete; see Response.finish."""
        from_thread.run(self._response.finish)

    def json(self, value: JSONInput, *, status: int | None = None) -> None:
        """Answer with a value as JSON and finish; see Response.json."""
        from_thread.run(partial(self._response.json, value, status=status))

    def text(self, text: str, *, status: int | None = None) -> None:
        """Answer with plain text and finish; see Response.text."""
        from_thread.run(partial(self._response.text, text, status=status))

    def redirect(self, url: str, *, status: int = 303) -> None:
        """Send the client elsewhere and finish; see Response.redirect."""
        from_thread.run(partial(self._response.redirect, url, status=status))

    def send_file(
        self, path: str | os.PathLike[str], *, content_type: str | None = None, filename: str | None = None
    ) -> None:
        """Answer with a file and finish; see Response.send_file."""
        from_thread.run(partial(self._response.send_file, path, content_type=content_type, filename=filename))

    def events(self) -> AbstractContextManager[SyncEventStream]:
        """Open a stream of server-sent events; see Response.events."""
        return self._events()

    @contextmanager
    def _events(self) -> Generator[SyncEventStream]:
        from mm_plugin.serve_http.events import EventStream, start_events

        from_thread.run(start_events, self._response)
        yield SyncEventStream(EventStream(self._response))


class SyncEventStream:
    """An open stream of events for a worker thread."""

    def __init__(self, stream: EventStream) -> None:
        self._stream = stream

    def send(
        self,
        data: str | None = None,
        *,
        event: str | None = None,
        id: str | None = None,  # noqa: A002 - the standard's name
        retry_ms: int | None = None,
    ) -> None:
        """Send one event, flushed; see EventStream.send."""
        from_thread.run(partial(self._stream.send, data, event=event, id=id, retry_ms=retry_ms))

    def comment(self, text: str = "") -> None:
        """Send a line that clients ignore; see EventStream.comment."""
        from_thread.run(self._stream.comment, text)
