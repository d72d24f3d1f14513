"""The state of one connection, and the few changes that every other part needs.

``Connection`` is written as a chain of chapters: State < Sending < ControlFrames < MessageFrames < Connection.
"""

from __future__ import annotations

from collections import deque

from mm_plugin.wire.http2.closed_streams import ClosedStreams, Ending
from mm_plugin.wire.http2.config import Config, Role
from mm_plugin.wire.http2.errors import ConnectionFault, ErrorCode
from mm_plugin.wire.http2.events import Event
from mm_plugin.wire.http2.frames import (
    DEFAULT_FRAME_OCTETS,
    DEFAULT_WINDOW_OCTETS,
    FRAME_HEAD,
    FRAME_HEAD_OCTETS,
    RST_STREAM,
    UINT32,
)
from mm_plugin.wire.http2.stream import Stream

__all__ = ("State",)

_STREAMS_BEFORE_SETTINGS = 100  # what RFC 9113, section 6.5.2, tells every peer to allow at least
_REDEEMED_BY_WORK = 4  # a message of ours may bring two WINDOW_UPDATEs, a PING and a late RST_STREAM


class State:
    """What a connection knows. Names with an underscore belong to the chapters."""

    __slots__ = (
        "_closed",
        "_events",
        "_final_goaway",
        "_is_server",
        "_last_id",
        "_max_streams",
        "_out",
        "_peer_frame_octets",
        "_peer_stream_window",
        "_ready_octets",
        "_recv_window",
        "_send_window",
        "_stream_window",
        "_turn",
        "_uncredited",
        "_wasted",
        "config",
        "draining",
        "output_octets",
        "role",
        "streams",
        "terminated",
    )

    def __init__(self, role: Role, config: Config | None) -> None:
        self.role = role
        self.config = config = config or Config()
        self.streams: dict[int, Stream] = {}
        self.output_octets: int = 0
        self.terminated = False
        self.draining = False
        self._is_server = role is Role.SERVER
        self._final_goaway = False
        self._events: list[Event] = []
        self._out: list[bytes | memoryview] = []
        self._last_id = 0 if self._is_server else -1  # the newest stream; a client's first is 1
        self._closed = ClosedStreams(config.remembered_streams)
        self._wasted = 0
        self._ready_octets: int = config.ready_octets
        # Until the peer has acknowledged our SETTINGS it may use the protocol's window where ours is smaller.
        self._stream_window: int = max(config.stream_window_octets, DEFAULT_WINDOW_OCTETS)
        self._recv_window = max(config.connection_window_octets, DEFAULT_WINDOW_OCTETS)
        self._uncredited = 0
        self._send_window: int = DEFAULT_WINDOW_OCTETS
        self._peer_stream_window: int = DEFAULT_WINDOW_OCTETS
        self._peer_frame_octets: int = DEFAULT_FRAME_OCTETS
        limit = config.concurrent_streams
        self._max_streams = limit if self._is_server else min(limit, _STREAMS_BEFORE_SETTINGS)
        # Streams that only the connection's window or the output holds back; made when first needed, for it is a third
        # of an idle connection's state.
        self._turn: deque[Stream] | None = None

    def _write(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        size = len(payload)
        self._out.append(FRAME_HEAD.pack(size >> 8, size & 0xFF, kind, flags, stream_id) + payload)
        self.output_octets += FRAME_HEAD_OCTETS + size

    def _close(self, stream: Stream, ending: Ending) -> None:
        """Forget an open stream, with all it has queued."""
        stream.local_open = stream.remote_open = stream.over_mark = False
        stream.queue = stream.trailers = None
        stream.queued_octets = 0
        if stream.waiting and self._turn is not None:
            stream.waiting = False
            self._turn.remove(stream)
        del self.streams[stream.id]
        self._closed.remember(stream.id, ending)

    def _write_reset(self, stream_id: int, code: ErrorCode) -> None:
        self._write(RST_STREAM, 0, stream_id, UINT32.pack(code))

    def _ending(self, stream_id: int) -> Ending:
        """Say how a stream ended that is not open; a frame on an idle stream or on number 0 is a fault."""
        if stream_id > self._last_id or not stream_id & 1:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"frame on stream {stream_id}, which was never opened")
        return self._closed.ending(stream_id)

    # One budget for everything that costs us work and brings nothing, whoever caused it.

    def _waste(self, cost: int = 1) -> None:
        self._wasted += cost
        if self._wasted > self.config.idle_frames:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "too many frames that bring nothing")

    def _redeem(self, octets: int = 0) -> None:
        """Our application did something: the peer may spend as much as an honest one does for that."""
        if self._wasted:
            self._wasted = max(0, self._wasted - _REDEEMED_BY_WORK - (octets >> 10))

    def renew_budget(self) -> None:
        """Forget the work that brought nothing so far; for the engine's clock, say every ten seconds.

        Without it a peer that only sends keepalive PINGs would use up the budget in hours.
        """
        self._wasted = 0
