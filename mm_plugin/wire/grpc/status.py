"""How a gRPC call ends: status, its text, and what stands for it in HTTP/2. Internal.

Job:    build and read the fields that end a call, and map what HTTP and HTTP/2 say onto status codes.
Layer:  wire (sans-IO).
Errors: none; whatever a peer sends becomes some status.
See:    grpc/grpc: doc/PROTOCOL-HTTP2.md ("Responses", "Errors"), doc/http-grpc-status-mapping.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from mm_plugin import limits
from mm_plugin.exceptions import StatusCode
from mm_plugin.wire.grpc.metadata import Fields, encode_metadata

__all__ = (
    "CONTENT_TYPE",
    "OK_TRAILERS",
    "RESPONSE_HEAD",
    "Status",
    "decode_text",
    "encode_text",
    "is_grpc_content_type",
    "parse_status",
    "read_status",
    "status_of_http",
    "status_of_reset",
    "trailers",
    "trailers_only",
)

CONTENT_TYPE = b"application/grpc"

#: The head of every response that is not trailers-only and carries no metadata.
RESPONSE_HEAD: tuple[tuple[bytes, bytes], ...] = ((b":status", b"200"), (b"content-type", CONTENT_TYPE))
#: What ends a call that went well.
OK_TRAILERS: tuple[tuple[bytes, bytes], ...] = ((b"grpc-status", b"0"),)

_CUT_MARK = b"..."
_UNSAFE = re.compile(rb"[^\x20-\x24\x26-\x7e]")  # all but printable ASCII without "%"
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_CODES = {b"%d" % code: code for code in StatusCode}

#: HTTP/2 error codes of RST_STREAM (RFC 9113, section 7) and the status each stands for; others are UNKNOWN.
_OF_RESET = {
    0x0: StatusCode.INTERNAL,  # NO_ERROR: the stream ended without a status
    0x1: StatusCode.INTERNAL,  # PROTOCOL_ERROR
    0x2: StatusCode.INTERNAL,  # INTERNAL_ERROR
    0x3: StatusCode.INTERNAL,  # FLOW_CONTROL_ERROR
    0x4: StatusCode.INTERNAL,  # SETTINGS_TIMEOUT
    0x6: StatusCode.INTERNAL,  # FRAME_SIZE_ERROR
    0x7: StatusCode.UNAVAILABLE,  # REFUSED_STREAM: certainly not carried out
    0x8: StatusCode.CANCELLED,  # CANCEL
    0x9: StatusCode.INTERNAL,  # COMPRESSION_ERROR
    0xA: StatusCode.INTERNAL,  # CONNECT_ERROR
    0xB: StatusCode.RESOURCE_EXHAUSTED,  # ENHANCE_YOUR_CALM
    0xC: StatusCode.PERMISSION_DENIED,  # INADEQUATE_SECURITY
}
#: HTTP statuses of a response that is not gRPC (doc/http-grpc-status-mapping.md); others are UNKNOWN.
_OF_HTTP = {
    400: StatusCode.INTERNAL,
    401: StatusCode.UNAUTHENTICATED,
    403: StatusCode.PERMISSION_DENIED,
    404: StatusCode.UNIMPLEMENTED,
    429: StatusCode.UNAVAILABLE,
    502: StatusCode.UNAVAILABLE,
    503: StatusCode.UNAVAILABLE,
    504: StatusCode.UNAVAILABLE,
}


class Status(NamedTuple):
    """How a call ended."""

    code: StatusCode
    text: str = ""


def encode_text(text: str) -> bytes:
    """Return a ``grpc-message``: UTF-8, percent-encoded; cut with a mark at ``limits.grpc_status_text_octets``."""
    data = text.encode("utf-8", "replace")
    limit = limits.grpc_status_text_octets
    if len(data) > limit:
        # Decoding and encoding again drops the half character that the cut may have left.
        data = data[: limit - len(_CUT_MARK)].decode("utf-8", "ignore").encode("utf-8") + _CUT_MARK
    return _UNSAFE.sub(lambda match: b"%%%02X" % match[0][0], data)


def decode_text(value: bytes) -> str:
    """Return the text of a ``grpc-message``; wrong escapes stay as they are, wrong UTF-8 becomes U+FFFD."""
    return _ESCAPE.sub(lambda match: bytes((int(match[1], 16),)), value).decode("utf-8", "replace")


def parse_status(value: bytes) -> StatusCode:
    """Return the code of a ``grpc-status``; UNKNOWN for whatever is no known code."""
    return _CODES.get(value, StatusCode.UNKNOWN)


def read_status(fields: Iterable[tuple[bytes, bytes]]) -> Status | None:
    """Return the status among trailers; None where there is none (the caller then decides by HTTP)."""
    code: StatusCode | None = None
    text = ""
    for name, value in fields:
        if name == b"grpc-status":
            code = parse_status(value)
        elif name == b"grpc-message":
            text = decode_text(value)
    return None if code is None else Status(code, text)


def trailers(code: StatusCode, text: str = "", metadata: Iterable[tuple[str, str | bytes]] = ()) -> Fields:
    """Return the fields that end a response whose head has been sent.

    Raises:
        LocalProtocolError: ``metadata`` cannot be sent.
    """
    fields: Fields = [(b"grpc-status", b"%d" % code)]
    if text:
        fields.append((b"grpc-message", encode_text(text)))
    fields.extend(encode_metadata(metadata))
    return fields


def trailers_only(code: StatusCode, text: str = "", metadata: Iterable[tuple[str, str | bytes]] = ()) -> Fields:
    """Return the one header block of a response without messages.

    Raises:
        LocalProtocolError: ``metadata`` cannot be sent.
    """
    return [*RESPONSE_HEAD, *trailers(code, text, metadata)]


def is_grpc_content_type(value: bytes | None) -> bool:
    """Return whether a content type is ours: ``application/grpc`` or ``application/grpc+proto``, with parameters."""
    if value == CONTENT_TYPE:  # nearly always
        return True
    if value is None:
        return False
    essence = value.partition(b";")[0].strip(b" \t").lower()
    return essence in {CONTENT_TYPE, b"application/grpc+proto"}


def status_of_reset(error_code: int) -> StatusCode:
    """Return the status that an RST_STREAM without trailers stands for."""
    return _OF_RESET.get(error_code, StatusCode.UNKNOWN)


def status_of_http(status: int) -> StatusCode:
    """Return the status that a response without ``grpc-status`` stands for, from its HTTP status."""
    return _OF_HTTP.get(status, StatusCode.UNKNOWN)
