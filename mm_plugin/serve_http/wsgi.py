"""Run a WSGI app behind a plugin, in a worker thread, with both bodies streamed.

Layer:  serve_http. Of the libraries known to us none bridges WSGI on Trio too, so this is our own.
Errors: what the app raises is answered as for any handler: 500, or a broken response after the head.
See:    PEP 3333
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from anyio import from_thread

from mm_plugin.exceptions import RequestBodyAbortedError, RequestTooLargeError
from mm_plugin.serve_http.asgi import AppFailedError
from mm_plugin.serve_http.headers import text_of
from mm_plugin.serve_http.request import Request
from mm_plugin.serve_http.response import Response

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ("WSGIApp", "serve_wsgi")

_ExcInfo: TypeAlias = "tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]"
#: A WSGI app; what it is given is ``environ`` and ``start_response``.
WSGIApp: TypeAlias = Callable[..., Iterable[bytes]]


def serve_wsgi(app: WSGIApp, request: Request, response: Response, *, at: str, plugin: object) -> None:
    """Answer one request with a WSGI app; call this in a worker thread of the event loop.

    Each piece that the app yields reaches the client before the next is asked for.
    """
    body = _Input(request)
    head = _Head(response)
    pieces = app(_environ(request, body, at=at, plugin=plugin), head.start)
    try:
        for piece in pieces:
            if piece:
                head.check(body)
                if not response.is_bodyless:
                    response.sync.write(piece, flush=True)
    finally:
        close: object = getattr(pieces, "close", None)
        if callable(close):
            close()
    head.check(body)


class _Head:
    """Status and headers as the app gives them (PEP 3333, "The start_response() Callable")."""

    def __init__(self, response: Response) -> None:
        self._response = response
        self._given = False

    def start(
        self, status: str, headers: list[tuple[str, str]], exc_info: _ExcInfo | None = None
    ) -> Callable[[bytes], None]:
        """Take them; returns the old ``write``."""
        response = self._response
        if exc_info is not None and response.started:
            assert exc_info[1] is not None
            raise exc_info[1].with_traceback(exc_info[2])
        response.status = int(status.split(" ", 1)[0])
        for name in list(response.headers):
            del response.headers[name]  # a second call takes the place of the first
        for name, value in headers:
            response.headers.add(name, text_of(value.encode("latin-1")))
        self._given = True
        return partial(response.sync.write, flush=True)

    def check(self, body: _Input) -> None:
        """Refuse a response without a head, or to a body that could not be read, while nothing has been sent."""
        if self._response.started:
            return
        if body.error is not None:
            raise body.error  # our answer, not the app's: frameworks make a 500 of whatever reading raises
        if not self._given:
            raise AppFailedError("the WSGI app answered without calling start_response")


def _environ(request: Request, body: _Input, *, at: str, plugin: object) -> dict[str, object]:
    client, _, _ = request.remote_addr.rpartition(":")
    server, port = _split_host(request.host)
    secure = request.headers.get("X-Forwarded-Proto") == "https"
    environ: dict[str, object] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": _native(request.prefix + at),
        "PATH_INFO": _native(request.path.removeprefix(at)),
        "QUERY_STRING": request.query_string,
        "SERVER_NAME": server or "localhost",
        "SERVER_PORT": port or ("443" if secure else "80"),
        "SERVER_PROTOCOL": request.proto or "HTTP/1.1",
        "REMOTE_ADDR": client.strip("[]"),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https" if secure else "http",
        "wsgi.input": io.BufferedReader(body),
        "wsgi.input_terminated": True,  # reading ends at the body's end, whatever its length
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "mattermost.user_id": request.user_id,
        "mattermost.context": request.context,
        "mattermost.plugin": plugin,
    }
    if request.content_length >= 0:
        environ["CONTENT_LENGTH"] = str(request.content_length)
    if request.host:
        environ["HTTP_HOST"] = request.host
    for name in request.headers:
        key = name.upper().replace("-", "_")
        if "_" in name:  # X_A must not pass for X-A
            continue
        if key == "CONTENT_TYPE":
            environ[key] = request.headers[name]
        elif key != "CONTENT_LENGTH":
            separator = "; " if key == "COOKIE" else ", "
            environ[f"HTTP_{key}"] = _native(separator.join(request.headers.get_all(name)))
    return environ


def _split_host(host: str) -> tuple[str, str]:
    """Split a name and a port, which may be absent; an IPv6 address is in brackets (RFC 3986, section 3.2.2)."""
    name, colon, port = host.rpartition(":")
    return (name, port) if colon and not port.endswith("]") else (host, "")


def _native(text: str) -> str:
    """Spell text as WSGI has it: its UTF-8 octets as one character each."""
    return text.encode().decode("latin-1")


class _Input(io.RawIOBase):
    """The request body as a file of a worker thread.

    Attributes:
        error: Why it cannot be read on; None where it can.
    """

    def __init__(self, request: Request) -> None:
        self._body = request.body
        self._rest = memoryview(b"")
        self.error: RequestTooLargeError | RequestBodyAbortedError | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object, /) -> int:
        target = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        if not self._rest:
            try:
                self._rest = memoryview(from_thread.run(self._body.receive))
            except (RequestTooLargeError, RequestBodyAbortedError) as error:
                self.error = error
                raise
        octets = min(len(target), len(self._rest))
        target[:octets] = self._rest[:octets]
        self._rest = self._rest[octets:]
        return octets
