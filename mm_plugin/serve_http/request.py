"""An HTTP request as its handler sees it: the head as values, the body as a stream."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

from mm_plugin import limits
from mm_plugin.exceptions import RequestFormatError
from mm_plugin.serve_http.body import RequestBody
from mm_plugin.serve_http.headers import Headers, parse_cookies
from mm_plugin.serve_http.target import Query, split_target
from mm_plugin.transport.link import RequestContextFields, RequestHead

if TYPE_CHECKING:
    from mm_plugin.serve_http.multipart import MultipartForm
    from mm_plugin.serve_http.sync import SyncRequest
    from mm_plugin.types import JSONValue

__all__ = ("Request", "RequestBody")


class Request:
    """One HTTP request to the plugin.

    Attributes:
        method: Such as ``GET``.
        url: As the server gives it: path and query without the prefix ``/plugins/<id>``; an absolute url is tolerated.
        request_uri: The target the client asked for, with that prefix.
        path: The path of ``url``, percent-decoded.
        raw_path: The path of ``url`` as it stands.
        query_string: The query of ``url`` as it stands, without ``?``.
        headers: Case-insensitive; ``Host`` stands in ``host`` only.
        host: The host the client asked for.
        proto: The protocol between client and server, such as ``HTTP/1.1``.
        remote_addr: ``address:port`` of the client.
        content_length: Octets of the body; -1 where unknown.
        context: Session, request id and the like; None where the server sent none.
        body: The body's pieces, an async iterable.
    """

    def __init__(self, head: RequestHead, body: RequestBody) -> None:
        self.method = head.method
        self.url = head.url
        self.request_uri = head.request_uri
        self.raw_path, self.path, self.query_string = split_target(head.url)
        self.headers = Headers(head.headers)
        self.host = head.host
        self.proto = head.proto
        self.remote_addr = head.remote_addr
        self.content_length = head.content_length
        self.context: RequestContextFields | None = head.context
        self.body = body

    @cached_property
    def query(self) -> Query:
        """The query's parameters; as a mapping each name has its first value.

        Raises:
            RequestFormatError: There are more of them than ``limits.http_parameters``.
        """
        try:
            return Query(self.query_string)
        except ValueError as error:
            raise RequestFormatError(f"the query of {self.method} {self.path} cannot be taken: {error}") from error

    @cached_property
    def cookies(self) -> Mapping[str, str]:
        """The cookies by name; the server keeps its own session's back."""
        return MappingProxyType(parse_cookies(self.headers.get_all("Cookie")))

    @property
    def user_id(self) -> str:
        """The signed-in user, as the server says; "" where nobody is (the server removes what a client claims)."""
        return self.headers.get("Mattermost-User-Id", "")

    @property
    def prefix(self) -> str:
        """What the server took off the path the client asked for, such as ``/plugins/<id>``; "" where that is unknown.

        Links in a page begin with it.
        """
        asked = split_target(self.request_uri)[0]
        return asked.removesuffix(self.raw_path).rstrip("/") if asked.endswith(self.raw_path) else ""

    @cached_property
    def sync(self) -> SyncRequest:
        """The same request for a blocking handler, which runs in a worker thread."""
        from mm_plugin.serve_http.sync import SyncRequest

        return SyncRequest(self)

    async def read(self, limit_octets: int | None = None) -> bytes:
        """Read what is left of the body; see RequestBody.read."""
        return await self.body.read(limit_octets)

    async def json(self, limit_octets: int = limits.http_parsed_body_octets) -> JSONValue:
        """Read the body and parse it as JSON; see RequestBody.json."""
        return await self.body.json(limit_octets)

    async def form(self, limit_octets: int = limits.http_parsed_body_octets) -> Query:
        """Read the body and parse it as a url-encoded form; see RequestBody.form."""
        return await self.body.form(limit_octets)

    def multipart(self) -> AbstractAsyncContextManager[MultipartForm]:
        """Read the body as ``multipart/form-data`` within ``async with``; see RequestBody.multipart."""
        return self.body.multipart()

    def __repr__(self) -> str:
        # The query may hold a token.
        return f"<Request {self.method} {self.path}>"
