"""Error codes of HTTP/2, and the two faults that end a stream or a connection.

Layer: the floor of wire/http2. The faults are internal: ``Connection.receive`` turns them into frames and
events and raises none of them.
"""

from __future__ import annotations

from enum import IntEnum

__all__ = ("ConnectionFault", "ErrorCode", "StreamFault", "error_code")


class ErrorCode(IntEnum):
    """The codes of RST_STREAM and GOAWAY (RFC 9113, section 7)."""

    NO_ERROR = 0x0
    PROTOCOL_ERROR = 0x1
    INTERNAL_ERROR = 0x2
    FLOW_CONTROL_ERROR = 0x3
    SETTINGS_TIMEOUT = 0x4
    STREAM_CLOSED = 0x5
    FRAME_SIZE_ERROR = 0x6
    REFUSED_STREAM = 0x7
    CANCEL = 0x8
    COMPRESSION_ERROR = 0x9
    CONNECT_ERROR = 0xA
    ENHANCE_YOUR_CALM = 0xB
    INADEQUATE_SECURITY = 0xC
    HTTP_1_1_REQUIRED = 0xD


def error_code(value: int) -> ErrorCode:
    """Name a received code; an unknown one counts as INTERNAL_ERROR (RFC 9113, section 7)."""
    return ErrorCode(value) if value <= ErrorCode.HTTP_1_1_REQUIRED else ErrorCode.INTERNAL_ERROR


class ConnectionFault(Exception):  # noqa: N818 - never leaves this room
    """The peer did what ends the whole connection (RFC 9113, section 5.4.1)."""

    def __init__(self, code: ErrorCode, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class StreamFault(Exception):  # noqa: N818 - never leaves this room
    """The peer did what ends one stream (RFC 9113, section 5.4.2)."""

    def __init__(self, stream_id: int, code: ErrorCode, text: str) -> None:
        super().__init__(text)
        self.stream_id = stream_id
        self.code = code
        self.text = text
