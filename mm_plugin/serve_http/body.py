"""A request body as its handler reads it: a stream of pieces, or parsed as a whole.

Layer:  serve_http.
Errors: RequestBodyAbortedError for a body that is not whole, RequestTooLargeError over a limit, RequestFormatError for
        one that is not what it was asked to be; unless the handler catches them the answer is 400, 413 and 400.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream

from mm_plugin import limits
from mm_plugin.exceptions import RequestBodyAbortedError, RequestFormatError, RequestTooLargeError
from mm_plugin.serve_http.target import Query
from mm_plugin.transport.link import RequestHead

if TYPE_CHECKING:
    from mm_plugin.serve_http.multipart import MultipartForm
    from mm_plugin.types import JSONValue

__all__ = ("RequestBody",)

_GIVEN_UP = "the rest of the request body was given up"


class RequestBody:
    """The pieces of a request body, in order, each at least one octet; iterate over it once.

    Reading waits for the pump, which stays at most ``limits.http_body_pieces`` pieces ahead, so an upload that nobody
    reads is held back at its client. Cancellation loses nothing: the piece stays for the next read.
    """

    def __init__(self, head: RequestHead, pieces: MemoryObjectReceiveStream[bytes]) -> None:
        self._head = head
        self._pieces = pieces
        self._max_octets: int | None = None
        self._octets = 0
        self._error: RequestBodyAbortedError | None = RequestBodyAbortedError(_GIVEN_UP)

    # -- for the pump -----------------------------------------------------------------------------------------

    def end(self, error: RequestBodyAbortedError | None = None) -> None:
        """Say how the pieces end; until this is said, their end means that the pump was given up."""
        self._error = error

    # -- for the handler --------------------------------------------------------------------------------------

    def limit(self, max_octets: int) -> None:
        """Refuse a longer body: at once where its length is declared, else as soon as it shows.

        Raises:
            RequestTooLargeError: Its declared length is over the limit; nothing was read.
        """
        if self._head.content_length > max_octets or self._octets > max_octets:
            raise self._too_large(max_octets)
        self._max_octets = max_octets

    async def receive(self) -> bytes:
        """Wait for the next piece; ``b""`` once the body is complete, and ever after.

        Raises:
            RequestBodyAbortedError: The body ended before it was complete; every later read raises again.
            RequestTooLargeError: The body is over its limit; the rest stays unread.
        """
        self._check_limit()
        try:
            piece = await self._pieces.receive()
        except anyio.EndOfStream:
            if self._error is not None:
                raise RequestBodyAbortedError(*self._error.args) from self._error
            return b""
        self._octets += len(piece)
        self._check_limit()
        return piece

    def __aiter__(self) -> RequestBody:
        return self

    async def __anext__(self) -> bytes:
        """Wait for the next piece; raises like ``receive``."""
        if piece := await self.receive():
            return piece
        raise StopAsyncIteration

    async def read(self, limit_octets: int | None = None) -> bytes:
        """Read what is left of the body.

        Cancellation loses what had been read by this call.

        Args:
            limit_octets: The longest body wanted; None takes any length.

        Raises:
            RequestTooLargeError: There is more than that; the rest stays unread.
            RequestBodyAbortedError: The body ended before it was complete.
        """
        if limit_octets is not None and self._head.content_length > limit_octets:
            raise self._too_large(limit_octets)
        pieces: list[bytes] = []
        octets = 0
        while piece := await self.receive():
            octets += len(piece)
            if limit_octets is not None and octets > limit_octets:
                raise self._too_large(limit_octets)
            pieces.append(piece)
        return b"".join(pieces)

    async def json(self, limit_octets: int = limits.http_parsed_body_octets) -> JSONValue:
        """Read the body and parse it as JSON, whatever its Content-Type says.

        Raises:
            RequestFormatError: It is no JSON in UTF-8.
            RequestTooLargeError: It is longer than ``limit_octets``.
            RequestBodyAbortedError: It ended before it was complete.
        """
        try:
            value: JSONValue = json.loads(await self.read(limit_octets))
        except (ValueError, RecursionError) as error:
            why = "it is nested too deeply" if isinstance(error, RecursionError) else error
            raise RequestFormatError(f"the body of {self._what} is no JSON: {why}") from error
        return value

    async def form(self, limit_octets: int = limits.http_parsed_body_octets) -> Query:
        """Read the body and parse it as ``application/x-www-form-urlencoded``.

        Raises:
            RequestFormatError: It is not UTF-8, or its Content-Type says that it is something else.
            RequestTooLargeError: It is longer than ``limit_octets``.
            RequestBodyAbortedError: It ended before it was complete.
        """
        content_type = self._content_type
        if content_type.partition(";")[0].strip().lower() not in ("", "application/x-www-form-urlencoded"):
            raise RequestFormatError(
                f"the body of {self._what} is {content_type}, not a form of application/x-www-form-urlencoded"
            )
        try:
            return Query((await self.read(limit_octets)).decode())
        except ValueError as error:  # not UTF-8, or too many fields
            raise RequestFormatError(f"the body of {self._what} is no form: {error}") from error

    @asynccontextmanager
    async def multipart(self) -> AsyncGenerator[MultipartForm]:
        """Read the body as ``multipart/form-data``; the files live until the context is left.

        A file longer than ``limits.http_multipart_memory_octets`` is written to a temporary file by worker threads
        while it arrives. How long a body may be is up to ``limit``.

        Raises:
            ImportError: The extra ``http`` is not installed.
            RequestFormatError: It is no such body.
            RequestTooLargeError: It has too many parts, or a field that is no file is too long.
            RequestBodyAbortedError: It ended before it was complete.
        """
        form = await self.read_multipart()
        try:
            yield form
        finally:
            form.close()

    async def read_multipart(self) -> MultipartForm:
        """Read the body as ``multipart`` does; the caller closes the form."""
        from mm_plugin.serve_http.multipart import read_multipart

        return await read_multipart(self, self._content_type, self._what)

    @property
    def _content_type(self) -> str:
        return next((value for name, value in self._head.headers if name.lower() == "content-type"), "")

    @property
    def _what(self) -> str:
        return f"{self._head.method} {self._head.url.partition('?')[0]}"  # the query may hold a token

    def _check_limit(self) -> None:
        if self._max_octets is not None and self._octets > self._max_octets:
            raise self._too_large(self._max_octets)

    def _too_large(self, limit_octets: int) -> RequestTooLargeError:
        return RequestTooLargeError(f"the body of {self._what} is longer than {limit_octets} octets")
