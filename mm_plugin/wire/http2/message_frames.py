"""Received frames that carry messages: HEADERS, CONTINUATION and DATA (RFC 9113, sections 6.1, 6.2, 6.10 and 8.1).

A server expects head, data, trailers; a client informational heads, head, data, trailers. Header blocks are decoded
even where the stream is gone, for the dynamic table is the connection's.
"""

from __future__ import annotations

from dataclasses import dataclass

from mm_plugin.wire.http2.closed_streams import Ending
from mm_plugin.wire.http2.config import Config, Role
from mm_plugin.wire.http2.control_frames import ControlFrames
from mm_plugin.wire.http2.errors import ConnectionFault, ErrorCode, StreamFault
from mm_plugin.wire.http2.events import (
    DataReceived,
    InformationalReceived,
    RequestReceived,
    ResponseReceived,
    TrailersReceived,
)
from mm_plugin.wire.http2.fields import Head
from mm_plugin.wire.http2.frames import (
    END_HEADERS,
    END_STREAM,
    LARGEST_INT31,
    PADDED,
    PRIORITIZED,
    UINT32,
    WINDOW_UPDATE,
)
from mm_plugin.wire.http2.header_blocks import BlockDecoder
from mm_plugin.wire.http2.stream import Stream

__all__ = ("MessageFrames",)


@dataclass(slots=True)
class _OpenBlock:
    """A header block that awaits its CONTINUATION frames."""

    stream_id: int
    flags: int
    own_parent: bool
    parts: list[bytes]
    octets: int


class MessageFrames(ControlFrames):
    """The receiving of frames that carry messages."""

    __slots__ = ("_blocks", "_open_block", "_out_of_order")

    def __init__(self, role: Role, config: Config | None) -> None:
        super().__init__(role, config)
        self._blocks = BlockDecoder(self.config.header_list_octets)
        self._open_block: _OpenBlock | None = None
        self._out_of_order = True  # only some frames may come now: the first SETTINGS, or the rest of a header block

    # -- header blocks --

    def _on_headers(self, flags: int, stream_id: int, payload: bytes) -> None:
        if not stream_id & 1 or (stream_id > self._last_id and not self._is_server):
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"HEADERS on stream {stream_id}, which is not the client's")
        if flags & PADDED:
            start, end = _without_padding(payload, 0, len(payload))
            payload = payload[start:end]
        own_parent = False
        if flags & PRIORITIZED:
            if len(payload) < 5:
                raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "HEADERS too short for its priority")
            own_parent = UINT32.unpack_from(payload)[0] & LARGEST_INT31 == stream_id
            payload = payload[5:]
        if flags & END_HEADERS:
            if len(payload) > self.config.header_block_octets:
                raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "header block too long")
            self._take_block(flags, stream_id, own_parent, payload)
        else:
            self._open_block = _OpenBlock(stream_id, flags, own_parent, [payload], len(payload))
            self._out_of_order = True

    def _on_continuation(self, flags: int, _stream_id: int, payload: bytes) -> None:
        block = self._open_block
        if block is None:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "CONTINUATION without HEADERS")
        self._waste()
        block.parts.append(payload)
        block.octets += len(payload)
        if block.octets > self.config.header_block_octets or len(block.parts) > self.config.continuation_frames + 1:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "header block too long")
        if flags & END_HEADERS:
            self._open_block = None
            self._out_of_order = False
            self._take_block(block.flags, block.stream_id, block.own_parent, b"".join(block.parts))

    def _take_block(self, flags: int, stream_id: int, own_parent: bool, block: bytes) -> None:
        head = self._blocks.decode(block)
        end_stream = flags & END_STREAM != 0
        stream = self.streams.get(stream_id)
        if stream is None and stream_id <= self._last_id:
            self._late_block(stream_id)
            return
        if stream is None:
            self._last_id = stream_id
        elif not stream.remote_open:
            raise StreamFault(stream_id, ErrorCode.STREAM_CLOSED, "HEADERS after the end of the stream")
        fault = "a stream depends on itself" if own_parent else head.fault
        if fault is not None:
            raise StreamFault(stream_id, ErrorCode.PROTOCOL_ERROR, fault)
        if stream is None:
            self._take_request(stream_id, head, end_stream)
        elif stream.head_received:
            self._take_trailers(stream, head, end_stream)
        else:
            self._take_response(stream, head, end_stream)

    def _late_block(self, stream_id: int) -> None:
        """HEADERS on a stream that is not open any more."""
        ending = self._closed.ending(stream_id)
        if self._is_late(ending):
            if self._is_server:
                self._waste()  # no honest client sends trailers after our reset, by the thousand
            else:
                self._charge_late_frame()
        elif ending is Ending.FORGOTTEN:
            raise StreamFault(stream_id, ErrorCode.STREAM_CLOSED, "HEADERS on a closed stream")
        elif ending is Ending.NEVER_OPENED:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"stream {stream_id} is below the newest")
        else:
            raise ConnectionFault(ErrorCode.STREAM_CLOSED, f"HEADERS on stream {stream_id}, {ending.value}")

    def _take_request(self, stream_id: int, head: Head, end_stream: bool) -> None:
        if not head.method:
            raise StreamFault(stream_id, ErrorCode.PROTOCOL_ERROR, "a request needs its pseudo-header fields")
        if end_stream and head.content_length:
            raise StreamFault(stream_id, ErrorCode.PROTOCOL_ERROR, "content-length without a body")
        if self._final_goaway or len(self.streams) >= self._max_streams:
            raise StreamFault(stream_id, ErrorCode.REFUSED_STREAM, "no room for another stream")
        stream = Stream(stream_id, head, self._peer_stream_window, self._stream_window)
        stream.head_received = True
        self.streams[stream_id] = stream
        self._events.append(RequestReceived(stream, end_stream))
        if end_stream:
            stream.remote_open = False

    def _take_response(self, stream: Stream, head: Head, end_stream: bool) -> None:
        status = head.status
        if status is None:
            raise StreamFault(stream.id, ErrorCode.PROTOCOL_ERROR, "a response needs :status")
        if status < 200:
            if end_stream:
                raise StreamFault(stream.id, ErrorCode.PROTOCOL_ERROR, "an informational head ends the stream")
            self._waste()
            self._events.append(InformationalReceived(stream, head))
            return
        stream.head = head
        stream.head_received = True
        if status not in (204, 304):  # those may announce a length they do not send (RFC 9110, section 8.6)
            stream.content_left = head.content_length
        if end_stream and stream.content_left:
            raise StreamFault(stream.id, ErrorCode.PROTOCOL_ERROR, "content-length without a body")
        self._events.append(ResponseReceived(stream, head, end_stream))
        if end_stream:
            self._end_received(stream)

    def _take_trailers(self, stream: Stream, head: Head, end_stream: bool) -> None:
        if not head.is_trailers:
            raise StreamFault(stream.id, ErrorCode.PROTOCOL_ERROR, "pseudo-header fields in trailers")
        if not end_stream:
            raise StreamFault(stream.id, ErrorCode.PROTOCOL_ERROR, "trailers that do not end the stream")
        if stream.content_left:
            raise StreamFault(stream.id, ErrorCode.PROTOCOL_ERROR, "body shorter than its content-length")
        self._events.append(TrailersReceived(stream, head))
        self._end_received(stream)

    # -- data --

    def _on_data(self, flags: int, stream_id: int, octets: bytes | bytearray, start: int, end: int) -> None:
        size = end - start
        self._credit_connection(size)
        stream = self.streams.get(stream_id)
        if stream is None or not stream.remote_open:
            if stream is None and self._is_late(self._ending(stream_id)):
                if size:
                    self._charge_late_frame()
                else:
                    self._waste()
                return  # it was on its way before our reset arrived
            raise StreamFault(stream_id, ErrorCode.STREAM_CLOSED, "DATA after the end of the stream")
        if not stream.head_received:
            raise StreamFault(stream_id, ErrorCode.PROTOCOL_ERROR, "DATA before the head")
        stream.recv_window -= size
        if stream.recv_window < 0:
            raise StreamFault(stream_id, ErrorCode.FLOW_CONTROL_ERROR, "DATA over the window of the stream")
        if flags & PADDED:
            start, end = _without_padding(octets, start, end)
        end_stream = flags & END_STREAM != 0
        if stream.content_left is not None:
            stream.content_left -= end - start
            if stream.content_left < 0 or (end_stream and stream.content_left):
                raise StreamFault(stream_id, ErrorCode.PROTOCOL_ERROR, "body differs from its content-length")
        if start < end or end_stream:
            self._events.append(DataReceived(stream, octets, start, end, size, end_stream))
            if end_stream:
                self._end_received(stream)
        else:
            self._waste()
            self.consumed(stream, size)  # padding only: nobody will consume it

    def _credit_connection(self, octets: int) -> None:
        """Take octets out of the connection's window, and give credit back at once, in bulk.

        An unread body thus holds back its own stream and no other; the streams' windows bound what we hold.
        """
        window = self._recv_window - octets
        if window < 0:
            raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "DATA over the window of the connection")
        uncredited = self._uncredited + octets
        if uncredited > window:
            self._write(WINDOW_UPDATE, 0, 0, UINT32.pack(uncredited))
            window += uncredited
            uncredited = 0
        self._recv_window = window
        self._uncredited = uncredited

    def _end_received(self, stream: Stream) -> None:
        stream.remote_open = False
        if not stream.local_open:
            self._close(stream, Ending.ENDED)


def _without_padding(octets: bytes | bytearray, start: int, end: int) -> tuple[int, int]:
    """Return where the content of a padded payload starts and ends (RFC 9113, section 6.1)."""
    if start == end:
        raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "padded frame without a pad length")
    if octets[start] >= end - start:
        raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "padding longer than the frame")
    return start + 1, end - octets[start]
