"""One HTTP/2 connection, sans-IO: octets in, events out; calls in, octets out."""

from __future__ import annotations

import sys

from mm_plugin.exceptions import LocalProtocolError
from mm_plugin.wire.http2.closed_streams import Ending
from mm_plugin.wire.http2.config import Config, Role
from mm_plugin.wire.http2.errors import ConnectionFault, ErrorCode, StreamFault
from mm_plugin.wire.http2.events import ConnectionClosed, Event, RoomChanged, StreamReset
from mm_plugin.wire.http2.frames import (
    ACK,
    CONTINUATION,
    DATA,
    DEFAULT_FRAME_OCTETS,
    DEFAULT_WINDOW_OCTETS,
    ENABLE_PUSH,
    FRAME_HEAD,
    FRAME_HEAD_OCTETS,
    GOAWAY,
    GOAWAY_HEAD,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    LARGEST_INT31,
    MAX_CONCURRENT_STREAMS,
    MAX_FRAME_SIZE,
    MAX_HEADER_LIST_SIZE,
    PING,
    PREFACE,
    SETTING,
    SETTINGS,
    UINT32,
    WINDOW_UPDATE,
)
from mm_plugin.wire.http2.message_frames import MessageFrames

__all__ = ("Connection",)

_GOAWAY_TEXT_OCTETS = 256


class Connection(MessageFrames):
    """One HTTP/2 connection, as server or client.

    Feed it with ``receive``, write what ``take`` gives. It never raises for what the peer sends.
    Sending on a stream that was reset (that may happen at any time) or after ``terminated`` does nothing; sending
    after our own end, or data before a head, is a LocalProtocolError and changes nothing.

    Attributes:
        role: Which end we are.
        config: The bounds.
        streams: The open streams by number. After ``ConnectionClosed`` it still lists those that were open.
        output_octets: Octets that wait for ``take``; while it is 0 nothing waits, but data that lacks credit.
        terminated: The connection is over: write what ``take`` gives, then close.
        draining: A GOAWAY was sent or received, or a client has used its last stream number. A client opens no more
            streams; a server takes those that cross ``announce_shutdown`` and refuses those after ``goaway``.
    """

    __slots__ = ("_awaited_preface", "_frame_octets", "_tail")

    def __init__(self, role: Role, *, config: Config | None = None) -> None:
        super().__init__(role, config)
        config = self.config
        self._awaited_preface = PREFACE if self._is_server else b""
        self._tail = bytearray()  # the beginning of a frame
        self._frame_octets = config.frame_octets
        settings = {
            INITIAL_WINDOW_SIZE: config.stream_window_octets,
            # A list that obeys this fits the bound of a block, too: every field counts 32 octets more than it takes.
            MAX_HEADER_LIST_SIZE: min(config.header_list_octets, config.header_block_octets),
        }
        if self._is_server:
            settings[MAX_CONCURRENT_STREAMS] = config.concurrent_streams
        else:
            settings[ENABLE_PUSH] = 0
            self._out.append(PREFACE)
            self.output_octets += len(PREFACE)
        if config.frame_octets != DEFAULT_FRAME_OCTETS:
            settings[MAX_FRAME_SIZE] = config.frame_octets
        self._write(SETTINGS, 0, 0, b"".join(SETTING.pack(*setting) for setting in settings.items()))
        if self._recv_window > DEFAULT_WINDOW_OCTETS:
            self._write(WINDOW_UPDATE, 0, 0, UINT32.pack(self._recv_window - DEFAULT_WINDOW_OCTETS))

    # -- octets in --

    def receive(self, data: bytes) -> list[Event]:
        """Take octets from the peer and return what they mean, in order; b"" means nothing."""
        if self.terminated:
            return []
        events = self._events  # with what ``take`` has brought about, where nobody has asked for it
        room = 0 if self._is_server else self.room
        try:
            self._parse(data)
        except ConnectionFault as fault:
            self._send_goaway(0 if not self._is_server else self._last_id, fault.code, fault.text)
            self._terminate(fault.code, fault.text, by_peer=False)
        else:
            if not self._is_server and self.room != room:
                events.append(RoomChanged())
        self._events = []
        return events

    @property
    def greeted(self) -> bool:
        """Whether the peer's first SETTINGS have come, which say how many streams a client may open."""
        return not self._out_of_order or self._open_block is not None

    @property
    def unfinished(self) -> bool:
        """Whether the peer has begun something and not ended it: its greeting, a frame, a header block.

        For the engine's clock: nothing of this may take long.
        """
        return self._out_of_order or bool(self._tail)

    def receive_eof(self) -> list[Event]:
        """The input ended: terminate, and return one ``ConnectionClosed`` (nothing if terminated before)."""
        if self.terminated:
            return []
        self._terminate(ErrorCode.NO_ERROR, "the peer closed the connection", by_peer=True)
        return self.take_events()

    def _terminate(self, code: ErrorCode, text: str, *, by_peer: bool) -> None:
        self.terminated = True
        self._tail.clear()
        self._turn = None
        self._events.append(ConnectionClosed(code, text, by_peer))

    def _parse(self, data: bytes) -> None:
        """Cut octets into frames; what is left of the last one waits in the tail."""
        at = 0
        if self._awaited_preface:
            at = min(len(data), len(self._awaited_preface))
            if data[:at] != self._awaited_preface[:at]:
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "no HTTP/2 preface")
            self._awaited_preface = self._awaited_preface[at:]
        if self._tail:
            at = self._complete_tail(data)
            if self._tail:
                return
        size, longest, unpack = len(data), self._frame_octets, FRAME_HEAD.unpack_from
        while size - at >= FRAME_HEAD_OCTETS:
            high, low, kind, flags, stream_id = unpack(data, at)
            length = high << 8 | low
            if length > longest:
                raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, f"frame of {length} octets")
            start = at + FRAME_HEAD_OCTETS
            end = start + length
            if end > size:
                break
            self._take_frame(kind, flags, stream_id & LARGEST_INT31, data, start, end)
            at = end
        if at < size:
            self._tail += memoryview(data)[at:]

    def _complete_tail(self, data: bytes) -> int:
        """Complete the frame whose beginning waits, take it, and return how much of ``data`` that used."""
        tail = self._tail
        at = max(0, FRAME_HEAD_OCTETS - len(tail))
        tail += data[:at]
        if len(tail) < FRAME_HEAD_OCTETS:
            return at
        high, low, kind, flags, stream_id = FRAME_HEAD.unpack_from(tail)
        length: int = high << 8 | low
        if length > self._frame_octets:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, f"frame of {length} octets")
        end = at + FRAME_HEAD_OCTETS + length - len(tail)
        tail += memoryview(data)[at:end]
        if len(tail) == FRAME_HEAD_OCTETS + length:
            self._tail = bytearray()  # the old one is the frame's own from now on
            self._take_frame(kind, flags, stream_id & LARGEST_INT31, tail, FRAME_HEAD_OCTETS, len(tail))
        return end

    def _take_frame(
        self, kind: int, flags: int, stream_id: int, octets: bytes | bytearray, start: int, end: int
    ) -> None:
        """Act on the frame whose payload is ``octets[start:end]``."""
        if self._out_of_order:
            self._check_order(kind, flags, stream_id)
        try:
            if kind == DATA:
                self._on_data(flags, stream_id, octets, start, end)
                return
            payload = octets[start:end]
            if not isinstance(payload, bytes):
                payload = bytes(payload)
            if kind == HEADERS:
                self._on_headers(flags, stream_id, payload)
            elif kind == CONTINUATION:
                self._on_continuation(flags, stream_id, payload)
            elif kind < CONTINUATION:
                self._CONTROL_FRAMES[kind](self, flags, stream_id, payload)
            else:
                self._waste()  # an extension: ignored (RFC 9113, section 5.5)
        except StreamFault as fault:
            self._reset_faulty(fault)

    def _check_order(self, kind: int, flags: int, stream_id: int) -> None:
        block = self._open_block
        if block is not None:
            if kind != CONTINUATION or stream_id != block.stream_id:
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a header block is interrupted")
        elif kind != SETTINGS or flags & ACK:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "the first frame is not SETTINGS")
        else:
            self._out_of_order = False
            if not self._is_server:
                self._max_streams = self.config.concurrent_streams  # unless these SETTINGS say less

    def _reset_faulty(self, fault: StreamFault) -> None:
        """Reset a stream on which the peer broke a rule."""
        stream = self.streams.get(fault.stream_id)
        if stream is None:
            self._closed.remember(fault.stream_id, Ending.RESET_HERE)
        else:
            self._close(stream, Ending.RESET_HERE)
            self._events.append(StreamReset(stream, fault.code, by_peer=False))
        self._write_reset(fault.stream_id, fault.code)
        self._waste()

    # -- octets out --

    def take(self, most_octets: int | None = None) -> bytes:
        """Return and forget the octets to write now; b"" if there are none. This is where bodies are copied, once.

        Data that waits in its streams fills up what is taken and the output after it; ``take_events`` says what that
        brings about.

        Args:
            most_octets: Take no more than is needed to reach these; None means all that the windows allow.
        """
        if self._turn:
            self._pump(sys.maxsize if most_octets is None else most_octets)
        out = self._out
        if not out:
            return b""
        if most_octets is None or self.output_octets <= most_octets:
            self._out = []
            self.output_octets = 0
            if self._turn:
                self._pump(self._ready_octets)
            return b"".join(out)
        octets = count = 0
        while octets < most_octets:
            octets += len(out[count])
            count += 1
        taken = b"".join(out[:count])
        del out[:count]
        self.output_octets -= octets
        if self._turn:
            self._pump(self._ready_octets)
        return taken

    def drop_output(self) -> None:
        """Forget all that waits to be sent, since nobody will take it any more."""
        self._out = []
        self.output_octets = 0
        self._turn = None
        for stream in self.streams.values():
            stream.queue = stream.trailers = None
            stream.queued_octets = 0

    def take_events(self) -> list[Event]:
        """Return what ``take`` has brought about since the last event: ``StreamWritable``; else ``receive`` does."""
        events, self._events = self._events, []
        return events

    # -- the connection itself --

    def ping(self, payload: bytes) -> None:
        """Send a PING of 8 octets; ``PingAcknowledged`` answers.

        Raises:
            LocalProtocolError: The payload is not 8 octets.
        """
        if len(payload) != 8:
            raise LocalProtocolError(f"a PING carries 8 octets, not {len(payload)}")
        if not self.terminated:
            self._pings += 1
            self._write(PING, 0, 0, payload)

    def announce_shutdown(self) -> None:
        """Server: say that a shutdown comes (GOAWAY with 2**31 - 1); streams are taken until ``goaway``."""
        if not (self.terminated or self._final_goaway):
            self._send_goaway(LARGEST_INT31, ErrorCode.NO_ERROR, "")

    def goaway(self, code: ErrorCode = ErrorCode.NO_ERROR, text: str = "") -> None:
        """Send the final GOAWAY with the last stream taken; open streams go on, later ones are refused."""
        if not (self.terminated or self._final_goaway):
            self._final_goaway = True
            self._send_goaway(0 if not self._is_server else self._last_id, code, text)

    def _send_goaway(self, last: int, code: ErrorCode, text: str) -> None:
        self.draining = True
        debug = text.encode("utf-8", "replace")[:_GOAWAY_TEXT_OCTETS]
        self._write(GOAWAY, 0, 0, GOAWAY_HEAD.pack(last, code) + debug)
