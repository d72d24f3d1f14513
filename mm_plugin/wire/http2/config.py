"""What one connection allows its peer, and which end of it we are."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from mm_plugin import limits

__all__ = ("Config", "Role")


class Role(Enum):
    """Which end of the connection is ours."""

    CLIENT = "client"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class Config:
    """Bounds of one connection; the defaults and their reasons are in ``limits``.

    Attributes:
        concurrent_streams: Streams open at once: the peer's on a server, our own on a client.
        stream_window_octets: Octets of one body that we hold unconsumed.
        connection_window_octets: Octets in flight on all streams; at least the protocol's 65,535.
        frame_octets: Longest frame payload we accept, 16,384 to 16,777,215.
        header_block_octets: One header block as sent.
        header_list_octets: One header list as decoded (RFC 9113, section 6.5.2, counts 32 more per field).
        continuation_frames: CONTINUATION frames of one header block.
        remembered_streams: Closed streams whose end is remembered exactly.
        idle_frames: The work budget: frames that bring nothing before ENHANCE_YOUR_CALM.
        ready_octets: DATA moves from its streams into the output while that is shorter; also our longest DATA frame,
            so it is at least the protocol's 16,384.
        stream_output_octets: Queued octets at which a writer should wait; ``StreamWritable`` comes at half of it.
    """

    concurrent_streams: int = limits.http2_concurrent_streams
    stream_window_octets: int = limits.http2_stream_window_octets
    connection_window_octets: int = limits.http2_connection_window_octets
    frame_octets: int = limits.http2_frame_octets
    header_block_octets: int = limits.http2_header_block_octets
    header_list_octets: int = limits.http2_header_list_octets
    continuation_frames: int = limits.http2_continuation_frames
    remembered_streams: int = limits.http2_remembered_streams
    idle_frames: int = limits.http2_idle_frames
    ready_octets: int = limits.http2_ready_octets
    stream_output_octets: int = limits.http2_stream_output_octets
