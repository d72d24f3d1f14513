"""Run an ASGI 3 app behind a plugin: one request of ours as one connection of ASGI's.

Job:    the scope, ``receive`` and ``send`` of one HTTP request; the lifespan of one app.
Layer:  serve_http.
Tasks:  the app runs in a task of the plugin's own group, so what it does after its response (background tasks) lives
        until deactivation at most. The request's task waits for the response's end. Where the client goes, ``receive``
        gives ``http.disconnect``, ``send`` raises OSError, and after ``limits.cleanup_s`` the app is cancelled.
Errors: what the app raises is answered as for any handler: 500, or a broken response after the head.
See:    ASGI 3, HTTP protocol, spec version 2.4
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import TypeAlias, cast

import anyio
from anyio.abc import TaskGroup

from mm_plugin import limits
from mm_plugin.exceptions import MMPluginError, RequestBodyAbortedError, RequestTooLargeError
from mm_plugin.serve_http.headers import text_of
from mm_plugin.serve_http.request import Request
from mm_plugin.serve_http.response import Response

__all__ = ("ASGIApp", "ASGIConnection", "ASGIMessage", "AppFailedError", "Receive", "Scope", "Send", "build_scope")

logger = logging.getLogger("mm_plugin.serve_http")

Scope: TypeAlias = "MutableMapping[str, object]"
ASGIMessage: TypeAlias = "MutableMapping[str, object]"
Receive: TypeAlias = Callable[[], Awaitable[ASGIMessage]]
Send: TypeAlias = Callable[[ASGIMessage], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


def build_scope(request: Request, *, at: str, plugin: object, state: Mapping[str, object]) -> Scope:
    """Return the scope of a request.

    ``root_path`` is where the app is mounted, as the browser sees it; ``path`` begins with it. Beside what ASGI
    demands, ``mattermost`` holds ``user_id`` ("" where nobody is signed in), ``context`` and ``plugin``.

    Args:
        request: The request.
        at: Where the plugin has mounted the app: "" or a path without a slash at its end.
        plugin: The plugin.
        state: What the app's lifespan left.
    """
    prefix = request.prefix
    version = request.proto.partition("/")[2]
    scope: Scope = {
        "type": "http",
        # With an older version frameworks listen for the disconnect beside a streaming answer, and so eat the body.
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": {"2.0": "2", "3.0": "3"}.get(version, version) or "1.1",
        "method": request.method,
        "scheme": "https" if request.headers.get("X-Forwarded-Proto") == "https" else "http",
        "path": prefix + request.path,
        "raw_path": (prefix + request.raw_path).encode(),
        "query_string": request.query_string.encode(),
        "root_path": prefix + at,
        "headers": [(b"host", request.host.encode())] * bool(request.host)
        + [(name.lower().encode(), value.encode()) for name, value in request.headers.fields],
        "client": _address(request.remote_addr),
        "server": None,
        "state": dict(state),
        "mattermost": {"user_id": request.user_id, "context": request.context, "plugin": plugin},
    }
    return scope


def _address(text: str) -> tuple[str, int] | None:
    host, colon, port = text.rpartition(":")
    return (host.strip("[]"), int(port)) if colon and port.isdigit() else None


class AppFailedError(MMPluginError):
    """An app ended without a whole response."""

    docs_code = "MMP223"


class ASGIConnection:
    """One request as an ASGI app sees it."""

    def __init__(self, request: Request, response: Response) -> None:
        self._request = request
        self._response = response
        self._request_read = False
        self._started = False
        self._io: set[anyio.CancelScope] = set()  # waits for the client, which its going ends
        self._gone = anyio.Event()
        self._over = anyio.Event()  # the response is finished, or the app has ended
        self._done = anyio.Event()
        self._app_scope = anyio.CancelScope()
        self._error: Exception | None = None

    async def serve(self, app: ASGIApp, scope: Scope, tasks: TaskGroup) -> None:
        """Run the app in ``tasks`` until the response is finished.

        Cancellation says ``http.disconnect`` to the app and waits for it for ``limits.cleanup_s``; so does a body that
        is over its limit.

        Raises:
            RequestTooLargeError: The app has read a body up to its limit; what it makes of that is not sent.
            Exception: What the app raised before it had finished the response.
        """
        tasks.start_soon(self._run, app, scope, name=f"ASGI {self._request.method}")
        try:
            await self._over.wait()
        finally:
            self._disconnect()
            if not self._response.finished:
                with anyio.move_on_after(limits.cleanup_s, shield=True):
                    await self._done.wait()
                self._app_scope.cancel()
        if self._error is not None:
            raise self._error
        if not self._response.finished:
            raise AppFailedError("the ASGI app ended without finishing its response")

    async def _run(self, app: ASGIApp, scope: Scope) -> None:
        try:
            with self._app_scope:
                await app(scope, self.receive, self.send)
        except Exception as error:
            if self._gone.is_set() and not self._response.finished:
                # Frameworks raise to end a request that has lost its client.
                logger.info("an ASGI app ended %s without its client: %r", self._request, error)
            elif self._over.is_set():
                logger.exception("an ASGI app failed after its response to %s", self._request)
            else:
                self._error = error
        finally:
            self._over.set()
            self._done.set()

    async def receive(self) -> ASGIMessage:
        """Give the next piece of the body, or the client's going, which after the body is waited for."""
        if not self._request_read and not self._gone.is_set():
            with anyio.CancelScope() as scope:
                self._io.add(scope)
                try:
                    piece = await self._request.body.receive()
                except RequestBodyAbortedError:
                    return {"type": "http.disconnect"}
                except RequestTooLargeError as error:
                    # Our answer, not the app's: frameworks make a 500 of whatever reading raises.
                    self._error = error
                    self._gone.set()
                    self._over.set()
                    return {"type": "http.disconnect"}
                else:
                    self._request_read = not piece
                    return {"type": "http.request", "body": piece, "more_body": bool(piece)}
                finally:
                    self._io.discard(scope)
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: ASGIMessage) -> None:
        """Take the response: its head, then its pieces, each of which reaches the client before the next.

        Raises:
            OSError: The client has gone.
            RuntimeError: The message comes out of order, or is none that the server knows.
        """
        if self._gone.is_set() and not self._response.finished:
            raise OSError("the client has gone")
        match message["type"]:
            case "http.response.start":
                self._start(message)
                await anyio.lowlevel.checkpoint()
            case "http.response.body":
                await self._write(cast("bytes", message.get("body", b"")), more=bool(message.get("more_body", False)))
            case other:
                raise RuntimeError(f"ASGI message {other!r} is not supported here")

    def _start(self, message: ASGIMessage) -> None:
        if self._response.started or self._started:
            raise RuntimeError("http.response.start came twice")
        self._started = True
        self._response.status = cast("int", message["status"])
        for name, value in cast("list[tuple[bytes, bytes]]", message.get("headers", ())):
            self._response.headers.add(name.decode("latin-1"), text_of(value).strip())

    async def _write(self, data: bytes, *, more: bool) -> None:
        if not self._started:
            raise RuntimeError("http.response.body came before http.response.start")
        with anyio.CancelScope() as scope:
            self._io.add(scope)
            try:
                if data or more:
                    await self._response.write(b"" if self._response.is_bodyless else data, flush=more)
                if not more:
                    await self._response.finish()
                    self._over.set()
                return
            finally:
                self._io.discard(scope)
        raise OSError("the client has gone")

    def _disconnect(self) -> None:
        self._gone.set()
        for scope in self._io:
            scope.cancel()
