"""Frames: their layout, types, flags and settings (RFC 9113, sections 4.1, 6 and 6.5.2)."""

from __future__ import annotations

from struct import Struct
from typing import Final

__all__ = (
    "ACK",
    "CONTINUATION",
    "DATA",
    "DEFAULT_FRAME_OCTETS",
    "DEFAULT_WINDOW_OCTETS",
    "ENABLE_PUSH",
    "END_HEADERS",
    "END_STREAM",
    "FRAME_HEAD",
    "FRAME_HEAD_OCTETS",
    "GOAWAY",
    "GOAWAY_HEAD",
    "HEADERS",
    "INITIAL_WINDOW_SIZE",
    "LARGEST_FRAME_OCTETS",
    "LARGEST_INT31",
    "MAX_CONCURRENT_STREAMS",
    "MAX_FRAME_SIZE",
    "MAX_HEADER_LIST_SIZE",
    "PADDED",
    "PING",
    "PREFACE",
    "PRIORITIZED",
    "PRIORITY",
    "PUSH_PROMISE",
    "RST_STREAM",
    "SETTING",
    "SETTINGS",
    "UINT32",
    "WINDOW_UPDATE",
)

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

#: The frame head: length (24 bits as 16 and 8), type, flags, reserved bit and stream.
FRAME_HEAD: Final = Struct(">HBBBL")
FRAME_HEAD_OCTETS: Final = 9
UINT32: Final = Struct(">L")
SETTING: Final = Struct(">HL")
GOAWAY_HEAD: Final = Struct(">LL")

LARGEST_INT31: Final = 2**31 - 1
DEFAULT_WINDOW_OCTETS: Final = 65_535
DEFAULT_FRAME_OCTETS: Final = 16_384
LARGEST_FRAME_OCTETS: Final = 2**24 - 1

DATA: Final = 0x0
HEADERS: Final = 0x1
PRIORITY: Final = 0x2
RST_STREAM: Final = 0x3
SETTINGS: Final = 0x4
PUSH_PROMISE: Final = 0x5
PING: Final = 0x6
GOAWAY: Final = 0x7
WINDOW_UPDATE: Final = 0x8
CONTINUATION: Final = 0x9

ACK: Final = 0x1
END_STREAM: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
PRIORITIZED: Final = 0x20

ENABLE_PUSH: Final = 0x2
MAX_CONCURRENT_STREAMS: Final = 0x3
INITIAL_WINDOW_SIZE: Final = 0x4
MAX_FRAME_SIZE: Final = 0x5
MAX_HEADER_LIST_SIZE: Final = 0x6
