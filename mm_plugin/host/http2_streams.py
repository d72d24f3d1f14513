"""hypercorn's HTTP/2 connection, with what it leaves out: resets, and credit for uploads as they are read.

Job:    end the stream of a broken answer with RST_STREAM, stop an upload nobody wants, and give a client credit for
        its upload when the app has read it.
Layer:  host. A subclass of hypercorn's protocol in the place of the original; connections of other servers in the same
        process behave as before. It leans on internals of hypercorn 0.18, which the extra ``dev`` pins; where they
        change, tests/host/test_http2_streams.py fails.
See:    docs/decisions/0008-http2-at-the-gateway.md; RFC 9113, sections 5.2, 5.4.2 and 8.1

hypercorn 0.18 by itself waits for room in an app's queue before it reads the connection on, so that one unread upload
stops all of its streams; it forgets a stream whose app failed, so that its client waits for ever; and data that comes
after the end of the response ends the connection.
"""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, cast

import anyio
import hypercorn.protocol
from h2.errors import ErrorCodes
from h2.events import DataReceived
from h2.exceptions import ProtocolError
from hypercorn.protocol.events import Body
from hypercorn.protocol.h2 import H2Protocol
from hypercorn.protocol.http_stream import ASGIHTTPState, HTTPStream

from mm_plugin import limits

if TYPE_CHECKING:
    from h2.events import Event

__all__ = ("HTTP2Stream", "install", "stream_of")

#: Where a request's scope holds its stream; ``stream_of`` takes it out.
_KEY = "mm_plugin.http2_stream"

Message = MutableMapping[str, object]


class HTTP2Stream:
    """One request's stream, for the server around the app."""

    def __init__(self, protocol: StreamingH2Protocol, stream: HTTPStream) -> None:
        self._protocol = protocol
        self._stream = stream

    def credited(self, receive: Callable[[], Awaitable[Message]]) -> Callable[[], Awaitable[Message]]:
        """Return a ``receive`` that gives the client credit for what it returns."""

        async def receive_and_credit() -> Message:
            message = await receive()
            octets = len(cast("bytes", message.get("body", b"")))
            if octets:
                await self._protocol.give_credit(octets, self._stream.stream_id)
            return message

        return receive_and_credit

    async def break_off(self) -> None:
        """Reset the stream where its response has begun and not ended, after what was written has gone out.

        Waits for the client for ``limits.cleanup_s`` at most; cancellation is held off meanwhile.
        """
        if self._stream.state is ASGIHTTPState.RESPONSE and not self._stream.closed:
            with anyio.CancelScope(shield=True):
                await self._protocol.reset(self._stream.stream_id)


class StreamingH2Protocol(H2Protocol):
    """One connection of a browser."""

    def __init__(self, app: Any, config: Any, context: Any, task_group: Any, *rest: Any, **named: Any) -> None:
        self._ours = getattr(getattr(app, "app", None), "takes_http2_streams", False)
        if self._ours:
            config = copy.copy(config)
            # What waits is bounded by the stream's window, as credit is given when it is read: this is no bound, but
            # it must never be reached.
            config.max_app_queue_size = limits.http2_stream_window_octets
            task_group = _Tasks(task_group, self)
        super().__init__(app, config, context, task_group, *rest, **named)

    async def _handle_events(self, events: list[Event]) -> None:
        for event in events:
            if self._ours and isinstance(event, DataReceived):
                await self._take_data(event)
            else:
                await super()._handle_events([event])
        await self._flush()

    async def _take_data(self, event: DataReceived) -> None:
        """Take a piece of an upload; the connection's credit comes back at once, the stream's when it is read."""
        octets = event.flow_controlled_length or 0
        stream_id = event.stream_id
        if octets:
            self.connection.increment_flow_control_window(octets)
        stream = self.streams.get(stream_id)
        if stream is None:  # the response is over: the client may stop (RFC 9113, section 8.1)
            self._try(self.connection.reset_stream, stream_id, ErrorCodes.NO_ERROR)
            return
        data = event.data or b""
        if octets > len(data):  # padding is never read
            self._try(self.connection.increment_flow_control_window, octets - len(data), stream_id)
        if data:
            await stream.handle(Body(stream_id=stream_id, data=data))

    async def give_credit(self, octets: int, stream_id: int) -> None:
        """Let the client send as much again on a stream; does nothing where that is over."""
        self._try(self.connection.increment_flow_control_window, octets, stream_id)
        await self._flush()

    async def reset(self, stream_id: int) -> None:
        """Reset a stream once its client has taken what was written, or does not take it."""
        buffer = self.stream_buffers.get(stream_id)
        if buffer is not None:
            with anyio.move_on_after(limits.cleanup_s):
                await buffer.drain()
        self._try(self.connection.reset_stream, stream_id, ErrorCodes.INTERNAL_ERROR)
        await self._flush()
        await self._window_updated(stream_id)  # the sending task drops the stream

    @staticmethod
    def _try(act: Callable[..., None], *arguments: int) -> None:
        try:
            act(*arguments)
        except (ProtocolError, KeyError):
            pass  # the stream or the connection has ended meanwhile


class _Tasks:
    """hypercorn's task group, which tells each app its stream."""

    def __init__(self, tasks: Any, protocol: StreamingH2Protocol) -> None:
        self._tasks = tasks
        self._protocol = protocol

    async def spawn_app(self, app: object, config: object, scope: Any, send: Any) -> object:
        if isinstance(send.__self__, HTTPStream):
            scope[_KEY] = HTTP2Stream(self._protocol, send.__self__)
        return await self._tasks.spawn_app(app, config, scope, send)

    def __getattr__(self, name: str) -> object:
        return getattr(self._tasks, name)


def install() -> None:
    """Put our connection in the place of hypercorn's; a second call changes nothing."""
    hypercorn.protocol.H2Protocol = StreamingH2Protocol  # type: ignore[attr-defined]  # pyright: ignore[reportPrivateImportUsage]


def stream_of(scope: MutableMapping[str, object]) -> HTTP2Stream | None:
    """Take the stream of a request out of its scope; None over HTTP/1.1."""
    return cast("HTTP2Stream | None", scope.pop(_KEY, None))
