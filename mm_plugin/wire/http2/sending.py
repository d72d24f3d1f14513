"""What goes out on streams: heads, data under flow control, trailers, resets.

Data that the windows do not let through waits in its stream. A stream held back by its own window waits for a
WINDOW_UPDATE of its own; those held back by the connection's window alone, or because enough waits for the socket,
stand in one line and send one frame each in turn, so nobody starves (RFC 9113, section 5.2). Only a little data ever
stands in the output (``Config.ready_octets``), so everything else that is sent comes before the data of the streams.

What holds after each call: a stream stands in the line only where the connection's window is shut or the output holds
``ready_octets``.
"""

from __future__ import annotations

from collections import deque

from mm_plugin.exceptions import LocalProtocolError
from mm_plugin.wire.http2.closed_streams import Ending
from mm_plugin.wire.http2.errors import ErrorCode
from mm_plugin.wire.http2.events import StreamWritable
from mm_plugin.wire.http2.fields import EMPTY_HEAD, Fields
from mm_plugin.wire.http2.frames import (
    CONTINUATION,
    DATA,
    DEFAULT_FRAME_OCTETS,
    END_HEADERS,
    END_STREAM,
    FRAME_HEAD,
    FRAME_HEAD_OCTETS,
    HEADERS,
    LARGEST_INT31,
    UINT32,
    WINDOW_UPDATE,
)
from mm_plugin.wire.http2.header_blocks import encode
from mm_plugin.wire.http2.state import State
from mm_plugin.wire.http2.stream import Stream

__all__ = ("Sending",)


class _Prefix(bytes):
    """A prefix in a queue: it goes out in one frame with what follows it."""


class Sending(State):
    """The sending half of a connection."""

    __slots__ = ()

    @property
    def room(self) -> int:
        """Client: how many more streams may be opened now; 0 when draining, terminated or on a server."""
        if self._is_server or self.draining or self.terminated:
            return 0
        return max(0, self._max_streams - len(self.streams))

    def open_stream(self, head: bytes | Fields, *, end_stream: bool = False) -> Stream:
        """Client: open a stream with its request head (fields, or a block from ``encode``).

        Raises:
            LocalProtocolError: There is no room, or this is a server.
        """
        if not self.room:
            raise LocalProtocolError("no stream may be opened on this connection now: look at room first")
        block = head if isinstance(head, bytes) else encode(head)
        stream_id = self._next_id()
        stream = Stream(stream_id, EMPTY_HEAD, self._peer_stream_window, self._stream_window)
        self.streams[stream_id] = stream
        self._redeem()
        self._write_block(stream, block, end_stream)
        return stream

    def send_request(self, head: bytes, data: bytes, *, prefix: bytes = b"") -> Stream:
        """Client: open a stream with a whole request, a ready block and one body, in one go where the windows allow it.

        Args:
            head: A block from ``encode``.
            data: The body.
            prefix: A few octets before the body, as in ``send_data``.

        Raises:
            LocalProtocolError: There is no room, or this is a server.
        """
        size, head_size = len(prefix) + len(data), len(head)
        if (
            self.room
            and 0 < size <= self._send_window
            and size <= self._peer_stream_window
            and size <= self._peer_frame_octets
            and head_size <= DEFAULT_FRAME_OCTETS
            and self.output_octets < self._ready_octets
        ):
            stream_id = self._next_id()
            stream = Stream(stream_id, EMPTY_HEAD, self._peer_stream_window - size, self._stream_window)
            stream.head_sent = stream.ending = True
            stream.local_open = False
            self.streams[stream_id] = stream
            self._redeem(size)
            self._send_window -= size
            pack = FRAME_HEAD.pack
            self._out += (
                pack(head_size >> 8, head_size & 0xFF, HEADERS, END_HEADERS, stream_id),
                head,
                pack(size >> 8, size & 0xFF, DATA, END_STREAM, stream_id),
                prefix,
                data,
            )
            self.output_octets += 2 * FRAME_HEAD_OCTETS + head_size + size
        else:
            stream = self.open_stream(head)
            self.send_data(stream, data, prefix=prefix, end_stream=True)
        return stream

    def send_headers(self, stream: Stream, head: bytes | Fields, *, end_stream: bool = False) -> None:
        """Server: send a response head: 1xx, final, or with ``end_stream`` a response that is head only.

        Raises:
            LocalProtocolError: Our end was handed over before, data was sent before, or this is a client.
        """
        if not self._is_server:
            raise LocalProtocolError("a client sends its head with open_stream")
        if self._may_send(stream):
            block = head if isinstance(head, bytes) else encode(head)
            if end_stream:
                self._redeem()
            self._write_block(stream, block, end_stream)

    def send_data(
        self, stream: Stream, data: bytes | memoryview, *, prefix: bytes = b"", end_stream: bool = False
    ) -> None:
        """Send or queue body octets; ``data`` is kept uncopied until ``take``: do not change it.

        When ``stream.queued_octets`` reaches ``Config.stream_output_octets`` wait for ``StreamWritable``.

        Args:
            stream: Where to.
            data: The octets.
            prefix: A few octets before them, given apart so that nobody copies ``data`` to put them there.
            end_stream: Nothing follows.

        Raises:
            LocalProtocolError: Our end was handed over before, or no head was sent.
        """
        if not self._may_send(stream):
            return
        if not stream.head_sent:
            raise LocalProtocolError("data before the head")
        size = len(prefix) + len(data)
        self._redeem(size)
        if stream.queued_octets or (
            size
            and (
                size > min(self._peer_frame_octets, stream.send_window, self._send_window)
                or self.output_octets >= self._ready_octets
            )
        ):
            stream.ending = end_stream
            if size:
                self._queue(stream, data, prefix)
        elif size or end_stream:
            self._write_data(stream, data, end_stream, prefix)

    def send_trailers(self, stream: Stream, trailers: bytes | Fields) -> None:
        """End our side with trailers, behind what is queued.

        Raises:
            LocalProtocolError: Our end was handed over before, or no head was sent.
        """
        if not self._may_send(stream):
            return
        if not stream.head_sent:
            raise LocalProtocolError("trailers before the head: a head alone goes by send_headers with end_stream")
        block = trailers if isinstance(trailers, bytes) else encode(trailers)
        self._redeem()
        if stream.queued_octets:
            stream.ending = True
            stream.trailers = block
        else:
            self._write_block(stream, block, end_stream=True)

    def send_response(self, stream: Stream, head: bytes, data: bytes, trailers: bytes, *, prefix: bytes = b"") -> None:
        """Server: send a whole response of ready blocks and one body, in one go where the windows allow it.

        Args:
            stream: Where to.
            head: A block from ``encode``.
            data: The body.
            trailers: A block from ``encode``.
            prefix: A few octets before the body, as in ``send_data``.

        Raises:
            LocalProtocolError: Our end was handed over before, or this is a client.
        """
        size = len(prefix) + len(data)
        if (
            self._is_server
            and stream.local_open
            and not (stream.head_sent or self.terminated)
            and 0 < size <= self._send_window
            and size <= stream.send_window
            and size <= self._peer_frame_octets
            and len(head) + len(trailers) <= DEFAULT_FRAME_OCTETS
            and self.output_octets < self._ready_octets
        ):
            if self._wasted:
                self._redeem(size)
            self._send_window -= size
            stream.send_window -= size
            pack, stream_id = FRAME_HEAD.pack, stream.id
            head_size, end_size = len(head), len(trailers)
            self._out += (
                pack(head_size >> 8, head_size & 0xFF, HEADERS, END_HEADERS, stream_id),
                head,
                pack(size >> 8, size & 0xFF, DATA, 0, stream_id),
                prefix,
                data,
                pack(end_size >> 8, end_size & 0xFF, HEADERS, END_HEADERS | END_STREAM, stream_id),
                trailers,
            )
            self.output_octets += 3 * FRAME_HEAD_OCTETS + head_size + size + end_size
            stream.head_sent = True
            if stream.remote_open:
                self._end_sent(stream)
            else:
                stream.ending = True
                self._close(stream, Ending.ENDED)
        else:
            self.send_headers(stream, head)
            self.send_data(stream, data, prefix=prefix)
            self.send_trailers(stream, trailers)

    def stop_request(self, stream: Stream) -> None:
        """Server: after our end was handed over, tell the client to stop sending its request.

        RST_STREAM with NO_ERROR goes out once our end is out; nothing where the request is complete (RFC 9113,
        section 8.1).

        Raises:
            LocalProtocolError: Our end was not handed over yet.
        """
        if not stream.remote_open or self.terminated:
            return
        if not stream.ending:
            raise LocalProtocolError("the response has no end yet: end it, or reset the stream")
        if stream.local_open:
            stream.stop_request = True
        else:
            self.reset(stream, ErrorCode.NO_ERROR)

    def awaits_credit(self, stream: Stream) -> bool:
        """Say whether queued data waits for the peer's credit, rather than for its turn or for the socket."""
        return stream.queued_octets > 0 >= min(stream.send_window, self._send_window)

    @property
    def streams_ready(self) -> int:
        """How many streams have data that waits for the socket and for nothing else."""
        return len(self._turn) if self._turn and self._send_window > 0 else 0

    def reset(self, stream: Stream, code: ErrorCode) -> None:
        """Close the stream both ways with RST_STREAM and drop what it has queued; no event. Closed: does nothing."""
        if not (stream.closed or self.terminated):
            self._close(stream, Ending.RESET_HERE)
            self._write_reset(stream.id, code)

    def consumed(self, stream: Stream, octets: int) -> None:
        """Give the peer credit for body octets that the application has taken (``DataReceived.credit_octets``).

        It is sent in bulk, at half of the window.

        Raises:
            LocalProtocolError: More than was received.
        """
        if not stream.remote_open or self.terminated:
            return
        uncredited = stream.uncredited + octets
        if octets < 0 or stream.recv_window + uncredited > self._stream_window:
            raise LocalProtocolError(f"{octets} octets consumed on stream {stream.id}, more than it received")
        if uncredited * 2 >= self._stream_window:
            self._write(WINDOW_UPDATE, 0, stream.id, UINT32.pack(uncredited))
            stream.recv_window += uncredited
            uncredited = 0
        stream.uncredited = uncredited

    # -- the chapters' own --

    def _next_id(self) -> int:
        """Return the number of a client's next stream; after the last one it drains (RFC 9113, section 5.1.1)."""
        self._last_id = stream_id = self._last_id + 2
        if stream_id >= LARGEST_INT31:
            self.draining = True
        return stream_id

    def _may_send(self, stream: Stream) -> bool:
        if stream.ending:
            raise LocalProtocolError(f"stream {stream.id} was ended: nothing more can be sent on it")
        return stream.local_open and not self.terminated

    def _write_block(self, stream: Stream, block: bytes, end_stream: bool) -> None:
        """Write HEADERS, and CONTINUATION frames where the block is longer than one frame."""
        stream.head_sent = True
        end = END_STREAM if end_stream else 0
        limit = self._peer_frame_octets
        if len(block) <= limit:
            self._write(HEADERS, END_HEADERS | end, stream.id, block)
        else:
            self._write(HEADERS, end, stream.id, block[:limit])
            for at in range(limit, len(block), limit):
                flags = END_HEADERS if at + limit >= len(block) else 0
                self._write(CONTINUATION, flags, stream.id, block[at : at + limit])
        if end_stream:
            self._end_sent(stream)

    def _write_data(self, stream: Stream, data: bytes | memoryview, end_stream: bool, prefix: bytes = b"") -> None:
        """Write one DATA frame that the windows allow."""
        size = len(prefix) + len(data)
        self._send_window -= size
        stream.send_window -= size
        end = END_STREAM if end_stream else 0
        self._out += (FRAME_HEAD.pack(size >> 8, size & 0xFF, DATA, end, stream.id) + prefix, data)
        self.output_octets += FRAME_HEAD_OCTETS + size
        if end_stream:
            self._end_sent(stream)

    def _end_sent(self, stream: Stream) -> None:
        stream.ending = True
        stream.local_open = False
        if not stream.remote_open:
            self._close(stream, Ending.ENDED)
        elif stream.stop_request:
            self.reset(stream, ErrorCode.NO_ERROR)

    def _queue(self, stream: Stream, data: bytes | memoryview, prefix: bytes) -> None:
        if stream.queue is None:
            stream.queue = deque()
        stream.queued_octets += len(prefix) + len(data)
        if prefix:
            stream.queue.append(_Prefix(prefix) if data else prefix)
        if data:
            stream.queue.append(data)
        self._join_turn(stream)
        self._pump(self._ready_octets)
        stream.over_mark = stream.queued_octets * 2 >= self.config.stream_output_octets

    def _join_turn(self, stream: Stream) -> None:
        """Let a stream send whose own window allows it."""
        if stream.queued_octets and stream.send_window > 0 and not stream.waiting:
            stream.waiting = True
            if self._turn is None:
                self._turn = deque()
            self._turn.append(stream)

    def _pump(self, output_octets: int) -> None:
        """Send one frame of each waiting stream in turn, as far as the connection's window and the bound go."""
        turn = self._turn
        while turn and self._send_window > 0 and self.output_octets < output_octets:
            stream = turn.popleft()
            stream.waiting = False
            if stream.send_window > 0:  # a lowered setting may have closed it while it stood in line
                self._send_piece(stream)
                self._join_turn(stream)

    def _send_piece(self, stream: Stream) -> None:
        """Send one frame of a stream that has queued data, and its end where that was all."""
        queue = stream.queue
        assert queue is not None
        room = min(self._peer_frame_octets, stream.send_window, self._send_window)
        prefix, piece = b"", queue[0]
        if isinstance(piece, _Prefix) and len(piece) < room:
            prefix = piece
            queue.popleft()
            piece = queue[0]
        size = min(len(piece), room - len(prefix))
        if size < len(piece):
            rest = memoryview(piece)
            piece, queue[0] = rest[:size], rest[size:]
        else:
            queue.popleft()
        stream.queued_octets -= len(prefix) + size
        stream.moved = True
        if stream.over_mark and stream.queued_octets * 2 < self.config.stream_output_octets:
            stream.over_mark = False
            self._events.append(StreamWritable(stream))
        last = stream.ending and not stream.queued_octets
        if last and stream.trailers is not None:
            self._write_data(stream, piece, False, prefix)
            self._write_block(stream, stream.trailers, end_stream=True)
        else:
            self._write_data(stream, piece, last, prefix)
