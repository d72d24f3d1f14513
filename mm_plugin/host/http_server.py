"""Serve an ASGI app over real HTTP, on asyncio and Trio alike.

Job:    run hypercorn on the current event loop, with the signals and the port left to us.
Layer:  host. Needs the extra ``dev``; hypercorn is imported when the server starts.
Errors: OSError where the port cannot be bound.

What hypercorn 0.18 does with streams, which the gateway has to live with:

- Over HTTP/1.1 an upload waits in a queue of ``limits.http_server_pieces`` pieces. While it is full, nothing of that
  connection is read, and a client that goes away is noticed only when the app reads on or writes.
- The end of a response waits until that queue has room, so an app that answers early must go on reading until its
  last ``send`` has returned. Over HTTP/1.1 the connection is then closed, with what the client still sends.
- An app that raises in the middle of a response breaks an HTTP/1.1 connection. What it does over HTTP/2 is mended
  by ``http2_streams``: the stream is reset, and an unread upload holds nobody else up.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, TypeAlias, cast

import anyio
from anyio.abc import TaskStatus
from anyio.lowlevel import current_token

from mm_plugin import limits

if TYPE_CHECKING:
    from hypercorn.typing import ASGIFramework

__all__ = ("ASGIApp", "Receive", "Scope", "Send", "serve_http_app")

logger = logging.getLogger("mm_plugin.host.http_server")

Scope: TypeAlias = "MutableMapping[str, object]"
Receive: TypeAlias = "Callable[[], Awaitable[MutableMapping[str, object]]]"
Send: TypeAlias = "Callable[[MutableMapping[str, object]], Awaitable[None]]"
#: ASGI 3 (https://asgi.readthedocs.io/en/latest/specs/main.html).
ASGIApp: TypeAlias = "Callable[[Scope, Receive, Send], Awaitable[None]]"


async def serve_http_app(
    app: ASGIApp,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    grace_s: float = limits.cleanup_s,
    task_status: TaskStatus[int] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Serve ``app`` over HTTP/1.1 and HTTP/2 (cleartext, by prior knowledge) until cancelled.

    Reports the port once clients can connect. Cancellation stops taking requests, waits for the running ones, then
    cancels them.

    Args:
        app: The app; its ``lifespan`` is run.
        host: Address to listen on; IPv4 or IPv6.
        port: 0 takes a free one.
        grace_s: Longest wait for running requests at the end.
        task_status: Gets the port.

    Raises:
        OSError: The address cannot be bound; nothing runs.
    """
    from hypercorn.config import Config

    from mm_plugin.host.http2_streams import install

    install()
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # hypercorn does the same, but not for a socket it is given; without it small writes wait for an ACK.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind((host, port))
        listener.listen(limits.http_server_backlog)
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"cannot listen on {host}:{port}: {error.strerror}") from error
    bound_port: int = listener.getsockname()[1]

    config = Config()
    config.bind = [f"fd://{listener.detach()}"]  # hypercorn owns and closes it from here on
    config.backlog = limits.http_server_backlog
    config.accesslog = None
    config.errorlog = _server_log()
    config.include_server_header = False
    config.max_app_queue_size = limits.http_server_pieces
    config.websocket_max_message_size = limits.http_server_websocket_octets
    config.h2_max_concurrent_streams = limits.http2_concurrent_streams
    # Only what our own cancelling does not reach; after it hypercorn cancels by itself.
    config.graceful_timeout = grace_s + limits.cleanup_s

    requests = _Requests(app)
    stop = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_run_server, requests, config, stop, name="HTTP server")
        task_status.started(bound_port)
        try:
            await anyio.sleep_forever()
        finally:
            stop.set()
            with anyio.move_on_after(grace_s, shield=True):
                await requests.wait_idle()
            requests.cancel()


async def _run_server(app: ASGIApp, config: object, stop: anyio.Event) -> None:
    """Run hypercorn, shielded: its own tasks are not ours to cancel, it ends by ``stop``."""
    from hypercorn.config import Config

    assert isinstance(config, Config)
    framework = cast("ASGIFramework", app)
    # Of hypercorn's types only those for WSGI are unknown.
    with anyio.CancelScope(shield=True):
        if type(current_token().native_token).__module__.partition(".")[0] == "trio":
            from hypercorn.trio import serve as serve_on_trio  # pyright: ignore[reportUnknownVariableType]

            await serve_on_trio(framework, config, shutdown_trigger=stop.wait, mode="asgi")
        else:
            from hypercorn.asyncio import serve as serve_on_asyncio  # pyright: ignore[reportUnknownVariableType]

            await serve_on_asyncio(framework, config, shutdown_trigger=stop.wait, mode="asgi")


class _Requests:
    """The app, with its running requests remembered so that a stop can end them."""

    takes_http2_streams = True  # for ``http2_streams``

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._running: set[anyio.CancelScope] = set()
        self._idle = anyio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        from mm_plugin.host.http2_streams import stream_of

        if scope["type"] == "websocket":
            from mm_plugin.host.websocket_streams import add_cutter

            add_cutter(scope, send)
        stream = stream_of(scope)
        with anyio.CancelScope() as request:
            self._running.add(request)
            try:
                await self._app(scope, receive if stream is None else stream.credited(receive), send)
            except BaseException:
                if stream is not None:
                    await stream.break_off()
                raise
            finally:
                self._running.discard(request)
                if not self._running:
                    self._idle.set()

    async def wait_idle(self) -> None:
        """Wait until no request runs."""
        while self._running:
            self._idle = anyio.Event()
            await self._idle.wait()

    def cancel(self) -> None:
        """Cancel the running requests."""
        for request in self._running:
            request.cancel()


def _server_log() -> logging.Logger:
    """Return the logger hypercorn writes to: its warnings and errors, without its greeting."""
    log = logger.getChild("hypercorn")
    log.setLevel(logging.WARNING)
    if not log.filters:
        log.addFilter(_is_news)
    return log


def _is_news(record: logging.LogRecord) -> bool:
    """Tell whether a record says what we have not logged ourselves."""
    error = record.exc_info[1] if record.exc_info else None
    return not getattr(error, "logged_already", False)
