"""hypercorn's WebSocket connections, with what it leaves out: a way to cut off a client that does not read.

Job:    end a connection whose last write waits for a client, which no cancellation can do on Trio.
Layer:  host. It leans on internals of hypercorn 0.18, which the extra ``dev`` pins; where they change,
        tests/devserver/test_websocket_slow.py fails.
See:    RFC 6455, section 7.1.7 (fail the WebSocket connection)

hypercorn 0.18 shields its writes on Trio, and writes once more after the app has returned: with a client that does not
read, neither comes to an end.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from typing import Any, cast

from hypercorn.protocol.h11 import H11Protocol
from hypercorn.protocol.ws_stream import WSStream

__all__ = ("add_cutter", "cut_off")

#: Where a WebSocket's scope holds what cuts it off.
_KEY = "mm_plugin.cut_off"


def add_cutter(scope: MutableMapping[str, object], send: object) -> None:
    """Put into the scope of a WebSocket over HTTP/1.1 what ``cut_off`` needs; over HTTP/2 a stream can be cancelled."""
    stream = getattr(send, "__self__", None)
    protocol = getattr(stream.send, "__self__", None) if isinstance(stream, WSStream) else None
    if isinstance(protocol, H11Protocol):
        server: Any = getattr(protocol.send, "__self__", None)
        scope[_KEY] = lambda: _cut(server)


def cut_off(scope: MutableMapping[str, object]) -> None:
    """Cut the connection of a WebSocket: writes that wait for its client end, as if the client had gone."""
    cut = cast("Callable[[], None] | None", scope.get(_KEY))
    if cut is not None:
        cut()


def _cut(server: Any) -> None:
    if hasattr(server, "writer"):  # asyncio's
        server.writer.transport.abort()
    else:
        with suppress(OSError):  # it has gone already
            server.stream.socket.shutdown(socket.SHUT_RDWR)
