"""One HTTP exchange of the memory link, seen from both ends.

Job:    carry a request body one way and a response the other, with back-pressure and visible aborts.
Layer:  transport. No chunk sizes here: those belong to wires.
"""

from __future__ import annotations

from enum import Enum, unique

import anyio

from mm_plugin import limits
from mm_plugin.exceptions import RequestBodyAbortedError, ResponseStateError, StatusCode
from mm_plugin.transport.link import CallFailure, FailureKind, RequestHead, ResponseHead, ResponsePart

__all__ = ("MemoryHTTP", "MemoryHTTPCall")


@unique
class _End(Enum):
    COMPLETE = "complete"
    ABORTED = "aborted"


class MemoryHTTP:
    """The plugin's end (an HTTPExchange), and the two streams it shares with the host's end."""

    def __init__(self, head: RequestHead) -> None:
        self.head = head
        self.deadline: float | None = None
        self.body_in, self._body = anyio.create_memory_object_stream[bytes | _End](limits.http_body_pieces)
        self._response, self.response_out = anyio.create_memory_object_stream[ResponseHead | ResponsePart | _End](
            limits.http_body_pieces
        )
        self._body_end: _End | None = None
        self._head: ResponseHead | None = None
        self._head_sent = False
        self.over = False
        self.failure = ""

    async def receive(self) -> bytes:
        """Wait for the next piece of the body; see HTTPExchange."""
        while self._body_end is None:
            try:
                item = await self._body.receive()
            except (anyio.EndOfStream, anyio.ClosedResourceError):
                item = _End.ABORTED
            if not isinstance(item, _End):
                return item
            self._body_end = item
        if self._body_end is _End.ABORTED:
            raise RequestBodyAbortedError("the request body ended before it was complete")
        return b""

    async def respond(self, head: ResponseHead) -> None:
        """Start the response; see HTTPExchange."""
        if self.over or self._head is not None:
            raise ResponseStateError("the response has a head already")
        self._head = head

    async def write(self, data: bytes, *, flush: bool = False) -> None:
        """Send a piece of the response body; see HTTPExchange."""
        await self._send_head()
        if data or flush:
            await self._send(ResponsePart(bytes(data), flush))

    async def flush(self) -> None:
        """Have everything written so far reach the client now."""
        await self._send_head()
        await self._send(ResponsePart(b"", flush=True))

    async def finish(self) -> None:
        """End the response as complete."""
        await self._send_head()
        await self._send(_End.COMPLETE)
        self.over = True
        self._body.close()
        self._response.close()

    async def abort(self, text: str = "") -> None:
        """End the response as broken."""
        self.end_of_handler(text)
        await anyio.lowlevel.checkpoint()

    def end_of_handler(self, text: str = "") -> None:
        """End the response as broken unless it is over."""
        if not self.over:
            self.over = True
            self.failure = text or "the response was aborted"
        self._body.close()
        self._response.close()

    def host_left(self) -> None:
        """Close the host's side of both streams: nobody reads the response any more."""
        self.body_in.close()
        self.response_out.close()

    async def _send_head(self) -> None:
        if self.over:
            raise ResponseStateError("the response is over")
        if self._head is None:
            raise ResponseStateError("the response has no head yet")
        if not self._head_sent:
            await self._send(self._head)
            self._head_sent = True

    async def _send(self, item: ResponseHead | ResponsePart | _End) -> None:
        try:
            await self._response.send(item)
        except anyio.BrokenResourceError:
            # The client has gone: the link cancels this call, so wait for it as a blocked write would.
            await anyio.sleep_forever()


class MemoryHTTPCall:
    """The host's end (an HTTPCall)."""

    def __init__(self, http: MemoryHTTP) -> None:
        self._http = http
        self._part: ResponsePart | None = None
        self._done = False

    async def send(self, data: bytes) -> None:
        """Send a piece of the request body; see HTTPCall."""
        if data:
            await self._send(bytes(data))

    async def finish(self) -> None:
        """Say that the request body is complete."""
        await self._send(_End.COMPLETE)
        self._http.body_in.close()

    async def abort(self) -> None:
        """Say that the request body ends here without being complete."""
        self._http.body_in.close()
        await anyio.lowlevel.checkpoint()

    async def _send(self, item: bytes | _End) -> None:
        try:
            await self._http.body_in.send(item)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            if not self._http.over:
                raise _broken("the plugin has gone") from None

    async def receive_head(self) -> ResponseHead:
        """Wait for the response's head."""
        item = await self._next()
        if not isinstance(item, ResponseHead):
            raise _broken(self._http.failure or "the plugin gave no response")
        return item

    async def receive(self) -> ResponsePart | None:
        """Wait for the next piece of the response body; None once it is complete."""
        if self._done:
            return None
        item = await self._next()
        if isinstance(item, ResponsePart):
            return item
        if item is _End.COMPLETE:
            self._done = True
            return None
        raise _broken(self._http.failure or "the response broke off")

    async def _next(self) -> ResponseHead | ResponsePart | _End:
        try:
            return await self._http.response_out.receive()
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            return _End.ABORTED


def _broken(text: str) -> CallFailure:
    return CallFailure(text, kind=FailureKind.LOST, code=StatusCode.ABORTED)
