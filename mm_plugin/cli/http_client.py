"""A small HTTP client for the tour: the standard library's, in worker threads."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import TypeVar, cast
from urllib.parse import urlsplit

from anyio import to_thread

from mm_plugin import limits
from mm_plugin.types import JSONObject, JSONValue

__all__ = ("EventStream", "HTTPClient")

_T = TypeVar("_T")


class EventStream:
    """Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html), those with data."""

    def __init__(self, response: HTTPResponse) -> None:
        self._response = response

    async def receive(self) -> JSONValue:
        """Wait for the next event and return its data, which must be JSON in one line.

        Raises:
            OSError: The stream broke off, or nothing came for ``limits.tour_step_s``.
            ValueError: It is no JSON.
        """
        while True:
            line = await _in_thread(self._response.readline)
            if not line:
                raise OSError("the stream has ended")
            if line.startswith(b"data:"):
                return cast("JSONValue", json.loads(line.removeprefix(b"data:")))


class HTTPClient:
    """Requests of one user.

    Args:
        url: The server's.
        token: The user's.
    """

    def __init__(self, url: str, token: str) -> None:
        self._address = urlsplit(url).netloc
        self._headers = {"Authorization": f"Bearer {token}"}

    async def call(self, method: str, path: str, body: JSONObject | None = None) -> tuple[int, JSONValue]:
        """Send one request and return status and JSON of the answer.

        Raises:
            OSError: The server cannot be reached, or says nothing for ``limits.tour_step_s``.
            ValueError: The answer is no JSON.
        """

        def call() -> tuple[int, JSONValue]:
            connection = self._connection()
            try:
                response = self._send(connection, method, path, body)
                return response.status, cast("JSONValue", json.loads(response.read()))
            finally:
                connection.close()

        return await _in_thread(call)

    @asynccontextmanager
    async def open_events(self, path: str) -> AsyncGenerator[EventStream]:
        """Open a stream of server-sent events, which ends with the context.

        Raises:
            OSError: The server cannot be reached, or answers with something else.
        """
        connection = self._connection()
        try:
            response = await _in_thread(lambda: self._send(connection, "GET", path))
            kind = response.headers.get_content_type()
            if response.status != 200 or kind != "text/event-stream":
                raise OSError(f"GET {path} was answered with {response.status} {kind}")
            yield EventStream(response)
            response.close()
        finally:
            connection.close()

    def _connection(self) -> HTTPConnection:
        return HTTPConnection(self._address, timeout=limits.tour_step_s)

    def _send(self, connection: HTTPConnection, method: str, path: str, body: JSONObject | None = None) -> HTTPResponse:
        connection.request(method, path, None if body is None else json.dumps(body), self._headers)
        return connection.getresponse()


async def _in_thread(function: Callable[[], _T]) -> _T:
    """Run a function that waits for the network; cancellation leaves it to its own timeout."""
    try:
        return await to_thread.run_sync(function, abandon_on_cancel=True)
    except HTTPException as error:
        raise OSError(f"no HTTP answer: {error!r}") from error
