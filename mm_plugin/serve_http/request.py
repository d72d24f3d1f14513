"""An HTTP request as its handler sees it: the head as values, the body as a stream."""

from __future__ import annotations

from functools import cached_property

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream

from mm_plugin.exceptions import RequestBodyAbortedError, RequestTooLargeError
from mm_plugin.serve_http.headers import Headers
from mm_plugin.serve_http.target import Query, split_target
from mm_plugin.transport.link import RequestContextFields, RequestHead

__all__ = ("Request", "RequestBody")


class RequestBody:
    """The pieces of a request body, in order, each at least one octet; iterate over it once.

    Reading waits for the pump, which stays at most ``limits.http_body_pieces`` pieces ahead, so an upload that nobody
    reads is held back at its client. Cancellation loses nothing: the piece stays for the next read.
    """

    def __init__(self, pieces: MemoryObjectReceiveStream[bytes]) -> None:
        self._pieces = pieces
        self._error: RequestBodyAbortedError | None = None

    def break_off(self, error: RequestBodyAbortedError) -> None:
        """Make the end of the pieces an error; for the pump."""
        self._error = error

    def __aiter__(self) -> RequestBody:
        return self

    async def __anext__(self) -> bytes:
        """Wait for the next piece.

        Raises:
            RequestBodyAbortedError: The body ended before it was complete; every later read raises again.
        """
        try:
            return await self._pieces.receive()
        except anyio.EndOfStream:
            if self._error is not None:
                raise RequestBodyAbortedError(*self._error.args) from self._error
            raise StopAsyncIteration from None


class Request:
    """One HTTP request to the plugin.

    Attributes:
        method: Such as ``GET``.
        url: As the server gives it: path and query without the prefix ``/plugins/<id>``; an absolute url is tolerated.
        request_uri: The target the client asked for, with that prefix.
        path: The path of ``url``, percent-decoded.
        query_string: The query of ``url`` as it stands, without ``?``.
        headers: Case-insensitive; ``Host`` stands in ``host`` only.
        host: The host the client asked for.
        remote_addr: ``address:port`` of the client.
        content_length: Octets of the body; -1 where unknown.
        context: Session, request id and the like; None where the server sent none.
        body: The body's pieces, an async iterable.
    """

    def __init__(self, head: RequestHead, body: RequestBody) -> None:
        self.method = head.method
        self.url = head.url
        self.request_uri = head.request_uri
        self.path, self.query_string = split_target(head.url)
        self.headers = Headers(head.headers)
        self.host = head.host
        self.remote_addr = head.remote_addr
        self.content_length = head.content_length
        self.context: RequestContextFields | None = head.context
        self.body = body

    @cached_property
    def query(self) -> Query:
        """The query's parameters; as a mapping each name has its first value."""
        return Query(self.query_string)

    @property
    def user_id(self) -> str:
        """The signed-in user, as the server says; "" where nobody is (the server removes what a client claims)."""
        return self.headers.get("Mattermost-User-Id", "")

    async def read(self, limit_octets: int | None = None) -> bytes:
        """Read what is left of the body.

        Cancellation loses what had been read by this call.

        Args:
            limit_octets: The longest body wanted; None takes any length.

        Raises:
            RequestTooLargeError: There is more than that; the rest stays unread.
            RequestBodyAbortedError: The body ended before it was complete.
        """
        if limit_octets is not None and self.content_length > limit_octets:
            raise self._too_large(limit_octets)
        pieces: list[bytes] = []
        octets = 0
        async for piece in self.body:
            octets += len(piece)
            if limit_octets is not None and octets > limit_octets:
                raise self._too_large(limit_octets)
            pieces.append(piece)
        return b"".join(pieces)

    def _too_large(self, limit_octets: int) -> RequestTooLargeError:
        return RequestTooLargeError(f"the body of {self.method} {self.path} is longer than {limit_octets} octets")

    def __repr__(self) -> str:
        # The query may hold a token.
        return f"<Request {self.method} {self.path}>"
