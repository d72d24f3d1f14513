"""Received frames that carry no message: RFC 9113, sections 6.3 to 6.9.

Each costs one unit of the work budget: honest peers send few of them beside the messages that redeem them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from mm_plugin.wire.http2.closed_streams import Ending
from mm_plugin.wire.http2.config import Config, Role
from mm_plugin.wire.http2.errors import ConnectionFault, ErrorCode, StreamFault, error_code
from mm_plugin.wire.http2.events import GoAwayReceived, PingAcknowledged, StreamReset
from mm_plugin.wire.http2.frames import (
    ACK,
    DEFAULT_FRAME_OCTETS,
    ENABLE_PUSH,
    GOAWAY,
    GOAWAY_HEAD,
    INITIAL_WINDOW_SIZE,
    LARGEST_FRAME_OCTETS,
    LARGEST_INT31,
    MAX_CONCURRENT_STREAMS,
    MAX_FRAME_SIZE,
    PING,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTING,
    SETTINGS,
    UINT32,
    WINDOW_UPDATE,
)
from mm_plugin.wire.http2.sending import Sending

__all__ = ("ControlFrames",)

_SETTINGS_PER_COST = 16  # real peers send fewer
_LATE_FRAMES_PER_COST = 16


class ControlFrames(Sending):
    """The receiving of frames that carry no message."""

    __slots__ = ("_late_frames", "_peer_last_taken", "_pings", "_settings_acknowledged")

    def __init__(self, role: Role, config: Config | None) -> None:
        super().__init__(role, config)
        self._late_frames = 0
        self._peer_last_taken = LARGEST_INT31  # by the peer's GOAWAY
        self._pings = 0
        self._settings_acknowledged = False

    def _on_priority(self, _flags: int, stream_id: int, payload: bytes) -> None:
        """Nothing is done with priorities, but a wrong one is a fault (RFC 9113, section 5.3.2)."""
        if stream_id == 0:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "PRIORITY on stream 0")
        if len(payload) != 5:
            self._priority_fault(stream_id, ErrorCode.FRAME_SIZE_ERROR, "PRIORITY is not 5 octets")
        if UINT32.unpack_from(payload)[0] & LARGEST_INT31 == stream_id:
            self._priority_fault(stream_id, ErrorCode.PROTOCOL_ERROR, "a stream depends on itself")
        self._waste()

    def _priority_fault(self, stream_id: int, code: ErrorCode, text: str) -> None:
        # An idle stream cannot be reset, so there the fault is the connection's.
        if stream_id in self.streams:
            raise StreamFault(stream_id, code, text)
        raise ConnectionFault(code, text)

    def _on_rst_stream(self, _flags: int, stream_id: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "RST_STREAM is not 4 octets")
        stream = self.streams.get(stream_id)
        if stream is None:
            if self._is_late(self._ending(stream_id)) and not self._is_server:
                self._charge_late_frame()
                return
        else:
            self._close(stream, Ending.RESET_THERE)
            self._events.append(StreamReset(stream, error_code(UINT32.unpack(payload)[0]), by_peer=True))
            if not self._is_server:
                return  # at most one for each stream that we have opened: a thousand calls may well end at once
        self._waste()

    def _is_late(self, ending: Ending) -> bool:
        """Whether a frame may have been on its way when we reset its stream.

        A client, whose calls may all be cancelled at once, takes that for granted where it does not remember.
        """
        return ending is Ending.RESET_HERE or (ending is Ending.FORGOTTEN and not self._is_server)

    def _charge_late_frame(self) -> None:
        """An honest peer may have much on the way when we reset: each frame costs little, but not nothing."""
        self._late_frames += 1
        if self._late_frames % _LATE_FRAMES_PER_COST == 0:
            self._waste()

    def _on_settings(self, flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "SETTINGS on a stream")
        if len(payload) % 6 or (flags & ACK and payload):
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS of a wrong length")
        if flags & ACK:
            self._acknowledge_settings()
            return
        self._waste(1 + len(payload) // (6 * _SETTINGS_PER_COST))
        window = self._peer_stream_window
        for key, value in SETTING.iter_unpack(payload):
            if key == ENABLE_PUSH:
                if value > 1 or (value and not self._is_server):
                    raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"ENABLE_PUSH is {value}")
            elif key == MAX_CONCURRENT_STREAMS:
                if not self._is_server:
                    self._max_streams = min(value, self.config.concurrent_streams)
            elif key == INITIAL_WINDOW_SIZE:
                if value > LARGEST_INT31:
                    raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "INITIAL_WINDOW_SIZE over 2**31 - 1")
                window = value
            elif key == MAX_FRAME_SIZE:
                if not DEFAULT_FRAME_OCTETS <= value <= LARGEST_FRAME_OCTETS:
                    raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"MAX_FRAME_SIZE is {value}")
                self._peer_frame_octets = min(value, self._ready_octets)  # control frames wait for a frame under way
        self._write(SETTINGS, ACK, 0, b"")
        if window != self._peer_stream_window:
            self._change_stream_windows(window)

    def _acknowledge_settings(self) -> None:
        """Our SETTINGS are in force: windows smaller than the protocol's shrink now (RFC 9113, section 6.9.2)."""
        if self._settings_acknowledged:
            self._waste()
            return
        self._settings_acknowledged = True
        change = self.config.stream_window_octets - self._stream_window
        if change:
            self._stream_window += change
            for stream in self.streams.values():
                stream.recv_window += change

    def _change_stream_windows(self, window: int) -> None:
        """Apply a new INITIAL_WINDOW_SIZE to all open streams; some may become negative (RFC 9113, section 6.9.2)."""
        change = window - self._peer_stream_window
        self._peer_stream_window = window
        for stream in self.streams.values():
            stream.send_window += change
            if stream.send_window > LARGEST_INT31:
                raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, f"window of stream {stream.id} over 2**31 - 1")
            self._join_turn(stream)
        self._pump(self._ready_octets)

    def _on_push_promise(self, _flags: int, _stream_id: int, _payload: bytes) -> None:
        raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "PUSH_PROMISE: clients cannot push, and we allow no server to")

    def _on_ping(self, flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "PING on a stream")
        if len(payload) != 8:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "PING is not 8 octets")
        if not flags & ACK:
            self._waste()
            self._write(PING, ACK, 0, payload)
        elif self._pings:
            self._pings -= 1
            self._events.append(PingAcknowledged(payload))
        else:
            self._waste()

    def _on_goaway(self, _flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "GOAWAY on a stream")
        if len(payload) < GOAWAY_HEAD.size:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "GOAWAY under 8 octets")
        last, code = GOAWAY_HEAD.unpack_from(payload)
        last &= LARGEST_INT31
        if last > self._peer_last_taken:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "GOAWAY raises its last stream")
        self._waste()
        self._peer_last_taken = last
        self.draining = True
        text = payload[GOAWAY_HEAD.size :].decode("utf-8", "replace")
        self._events.append(GoAwayReceived(last, error_code(code), text))
        if not self._is_server:
            for stream in [stream for stream in self.streams.values() if stream.id > last]:
                self._close(stream, Ending.RESET_HERE)  # frames that come all the same are ignored
                self._events.append(StreamReset(stream, ErrorCode.REFUSED_STREAM, by_peer=True))

    def _on_window_update(self, _flags: int, stream_id: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "WINDOW_UPDATE is not 4 octets")
        self._waste()
        step: int = UINT32.unpack(payload)[0] & LARGEST_INT31
        if stream_id == 0:
            if not step:
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE of 0")
            self._send_window += step
            if self._send_window > LARGEST_INT31:
                raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "window of the connection over 2**31 - 1")
            self._pump(self._ready_octets)
            return
        stream = self.streams.get(stream_id)
        if stream is None:
            self._ending(stream_id)
            return
        if not step:
            raise StreamFault(stream_id, ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE of 0")
        stream.send_window += step
        if stream.send_window > LARGEST_INT31:
            raise StreamFault(stream_id, ErrorCode.FLOW_CONTROL_ERROR, "window over 2**31 - 1")
        self._join_turn(stream)
        self._pump(self._ready_octets)

    _CONTROL_FRAMES: ClassVar[dict[int, Callable[[ControlFrames, int, int, bytes], None]]] = {
        PRIORITY: _on_priority,
        RST_STREAM: _on_rst_stream,
        SETTINGS: _on_settings,
        PUSH_PROMISE: _on_push_promise,
        PING: _on_ping,
        GOAWAY: _on_goaway,
        WINDOW_UPDATE: _on_window_update,
    }
