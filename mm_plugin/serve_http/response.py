"""An HTTP response as its handler writes it, with the rules of HTTP kept."""

from __future__ import annotations

import json
import os
from contextlib import AbstractAsyncContextManager
from enum import Enum, unique
from functools import cached_property
from typing import TYPE_CHECKING

from mm_plugin import limits
from mm_plugin.exceptions import ResponseStateError
from mm_plugin.messages.structs import plain_json
from mm_plugin.serve_http.headers import ResponseHeaders
from mm_plugin.transport.link import HTTPExchange, ResponseHead

if TYPE_CHECKING:
    from mm_plugin.serve_http.events import EventStream
    from mm_plugin.serve_http.sync import SyncResponse
    from mm_plugin.types import JSONInput

__all__ = ("Response",)


@unique
class _State(Enum):
    NEW = "before the head"
    OPEN = "within the body"
    BUSY = "while another write is under way, or after one was cancelled halfway"
    FINISHED = "after the end"


class Response:
    """The response to one HTTP request.

    The head goes out with the first ``write`` or ``flush``, or when the handler returns; ``status`` and ``headers`` can
    be changed until then. Writing waits while the client does not take more, so memory stays flat. Its methods belong
    to one task at a time.
    """

    def __init__(self, exchange: HTTPExchange) -> None:
        self._exchange = exchange
        self._is_head_request = exchange.head.method == "HEAD"
        self._status = 200
        self._state = _State.NEW
        self._left: int | None = None  # octets that Content-Length still promises
        self.headers = ResponseHeaders()

    @property
    def status(self) -> int:
        """The status, 200 unless set.

        Raises:
            ValueError: On setting: it is not a final status, 200 to 999.
            ResponseStateError: On setting: the head has been sent.
        """
        return self._status

    @status.setter
    def status(self, status: int) -> None:
        if not 200 <= status <= 999:
            raise ValueError(f"status {status}: a response needs a final status, 200 to 999")
        if self.started:
            raise ResponseStateError("the status cannot be changed after the head has been sent; set it before writing")
        self._status = int(status)

    @property
    def started(self) -> bool:
        """Whether the head has been sent, so that status and headers are settled."""
        return self._state is not _State.NEW

    @property
    def finished(self) -> bool:
        """Whether the response is complete."""
        return self._state is _State.FINISHED

    @property
    def is_bodyless(self) -> bool:
        """Whether what is written is left out, because the request was HEAD, or must not be, by the status."""
        return self._is_head_request or self._status in (204, 304)

    @cached_property
    def sync(self) -> SyncResponse:
        """The same response for a blocking handler, which runs in a worker thread."""
        from mm_plugin.serve_http.sync import SyncResponse

        return SyncResponse(self)

    async def write(self, data: bytes | bytearray | memoryview | str, *, flush: bool = False) -> None:
        """Send a piece of the body, text as UTF-8; the head goes first where it has not been sent.

        With ``flush`` everything written so far reaches the client now.

        In the answer to HEAD the body is left out. Cancellation may leave a part sent, so no further write is
        possible; the client then sees a broken response.

        Raises:
            ResponseStateError: The status allows no body, there is more than Content-Length says, or the response is
                over; nothing of ``data`` was sent.
            TypeError: ``data`` is neither octets nor text; nothing was sent.
        """
        if not isinstance(data, bytes | bytearray | memoryview | str):  # pyright: ignore[reportUnnecessaryIsInstance] - authors may not check types
            raise TypeError(f"write expects bytes or str, found {type(data).__name__}; use response.json for values")
        octets = data.encode() if isinstance(data, str) else bytes(data)
        self._check_head()
        if octets and self._status in (204, 304):
            raise ResponseStateError(f"a response with status {self._status} has no body (RFC 9110, section 6.4.1)")
        if self._left is not None and len(octets) > self._left and not self._is_head_request:
            raise ResponseStateError(
                f"Content-Length allows {self._left} octets more, but {len(octets)} were to be written"
            )
        await self._start()
        if self._is_head_request:
            octets = b""
        if not (octets or flush):
            return
        if self._left is not None:
            self._left -= len(octets)
        self._state = _State.BUSY
        await self._exchange.write(octets, flush=flush)
        self._state = _State.OPEN

    async def flush(self) -> None:
        """Have everything written so far, at least the head, reach the client now.

        Cancellation leaves it open whether it has; no further write is possible.

        Raises:
            ResponseStateError: The response is over.
        """
        self._check_head()
        await self._start()
        self._state = _State.BUSY
        await self._exchange.flush()
        self._state = _State.OPEN

    async def finish(self) -> None:
        """End the response as complete; happens by itself when the handler returns.

        Cancellation breaks the response off.

        Raises:
            ResponseStateError: Less was written than Content-Length says, or the response is over.
        """
        self._check_head()
        if self._left and not self._is_head_request and self._status != 304:
            raise ResponseStateError(f"Content-Length promises {self._left} octets more than were written")
        await self._start()
        self._state = _State.BUSY
        await self._exchange.finish()
        self._state = _State.FINISHED

    # -- whole responses --------------------------------------------------------------------------------------

    async def json(self, value: JSONInput, *, status: int | None = None) -> None:
        """Answer with a value as JSON and finish; typed dicts, and lists of them, are taken as they are.

        Raises:
            TypeError: JSON cannot say it; nothing was sent.
            ValueError: It is not finite, or holds itself; nothing was sent.
            ResponseStateError: The head has been sent.
        """
        octets = json.dumps(
            value, allow_nan=False, ensure_ascii=False, separators=(",", ":"), default=plain_json
        ).encode()
        await self._send_whole(octets, "application/json", status)

    async def text(self, text: str, *, status: int | None = None) -> None:
        """Answer with plain text and finish; another Content-Type that has been set stays.

        Raises:
            ResponseStateError: The head has been sent.
        """
        await self._send_whole(text.encode(), "text/plain; charset=utf-8", status)

    async def redirect(self, url: str, *, status: int = 303) -> None:
        """Send the client elsewhere and finish.

        Args:
            url: Where; a path below the plugin begins with ``request.prefix``.
            status: 303 makes it a GET, 307 and 308 keep the method.

        Raises:
            ValueError: The status is no redirect, or the url is not ASCII or has control characters.
            ResponseStateError: The head has been sent.
        """
        if status not in (301, 302, 303, 307, 308):
            raise ValueError(f"status {status} is no redirect; use 301, 302, 303, 307 or 308")
        if not url.isascii():
            raise ValueError("the url of a redirect must be ASCII; percent-encode it (urllib.parse.quote)")
        self.headers["Location"] = url
        await self._send_whole(b"", None, status)

    async def send_file(
        self, path: str | os.PathLike[str], *, content_type: str | None = None, filename: str | None = None
    ) -> None:
        """Answer with a file and finish; worker threads read it piece by piece.

        A request for one range gets that part (206), a client that has the file already 304.

        Args:
            path: The file. Never join it with what a client gave without a check.
            content_type: Guessed from the name where absent.
            filename: Makes the browser save it under this name instead of showing it.

        Raises:
            OSError: The file cannot be opened; nothing was sent.
            ResponseStateError: The head has been sent, or the file shrank meanwhile.
        """
        from mm_plugin.serve_http.files import send_file

        await send_file(self, self._exchange.head, path, content_type=content_type, filename=filename)

    def events(self, *, keep_alive_s: float | None = None) -> AbstractAsyncContextManager[EventStream]:
        """Open a stream of server-sent events within ``async with``; its head goes out at once.

        Leaving the context does not end the response; the handler's return does.

        Args:
            keep_alive_s: Sends a comment as often, so that proxies do not take an idle stream for dead.

        Raises:
            ResponseStateError: The head has been sent.
        """
        from mm_plugin.serve_http.events import open_events

        return open_events(self, keep_alive_s=keep_alive_s)

    async def _send_whole(self, octets: bytes, content_type: str | None, status: int | None) -> None:
        if status is not None:
            self.status = status
        if content_type is not None and "Content-Type" not in self.headers:
            self.headers["Content-Type"] = content_type
        self.headers["Content-Length"] = str(len(octets))
        await self.write(octets)
        await self.finish()

    # -- the head ---------------------------------------------------------------------------------------------

    async def _start(self) -> None:
        if self._state is _State.OPEN:
            return
        if self._state is not _State.NEW:
            raise ResponseStateError(f"nothing can be sent {self._state.value}")
        self._state = _State.BUSY
        await self._exchange.respond(ResponseHead(status=self._status, headers=self.headers.close()))
        self._state = _State.OPEN

    def _check_head(self) -> None:
        """Check what can only be seen of the head as a whole, and read Content-Length; once, before it is sent."""
        if self._state is not _State.NEW:
            return
        octets = sum(len(name) + len(value) for name, value in self.headers.fields)
        if octets > limits.http_head_octets:
            raise ResponseStateError(f"the headers have {octets} octets; {limits.http_head_octets} are allowed")
        lengths = self.headers.get_all("Content-Length")
        if not lengths:
            return
        if self._status == 204:
            raise ResponseStateError("a response with status 204 has no Content-Length (RFC 9110, section 8.6)")
        if len(lengths) > 1 or not (lengths[0].isascii() and lengths[0].isdigit()):
            raise ResponseStateError(f"Content-Length must be one number of octets, not {', '.join(lengths)!r}")
        self._left = int(lengths[0])
