"""Custom metadata of gRPC calls: header fields to names and values, and back. Internal.

Layer:  wire (sans-IO).
Input:  pairs of a lower-case name and a value: text, or octets where the name ends in ``-bin``.
Errors: LocalProtocolError for our own, RemoteProtocolError for the peer's; INTERNAL is the status that fits.
See:    grpc/grpc: doc/PROTOCOL-HTTP2.md, "Custom-Metadata" and "Binary-Header".
"""

from __future__ import annotations

import re
from binascii import Error as Base64Error, a2b_base64, b2a_base64
from collections.abc import Iterable
from typing import TypeAlias

from mm_plugin import limits
from mm_plugin.exceptions import LocalProtocolError, RemoteProtocolError

__all__ = ("Fields", "Metadata", "decode_metadata", "encode_metadata", "is_reserved")

#: Header fields as HTTP/2 carries them.
Fields: TypeAlias = "list[tuple[bytes, bytes]]"
#: Metadata in order; a name may stand more than once. Values of names in ``-bin`` are octets, all others text.
Metadata: TypeAlias = "tuple[tuple[str, str | bytes], ...]"

_NAME = re.compile(r"[0-9a-z_.\-]+")
_TEXT = re.compile(r"[\x20-\x7e]*")
_BASE64 = re.compile(rb"[0-9A-Za-z+/]*={0,2}")
#: Names that belong to the call or the connection and are never custom metadata (besides ``grpc-*`` and ``:*``).
_RESERVED = frozenset(
    {b"connection", b"content-length", b"content-type", b"host", b"keep-alive", b"te", b"transfer-encoding"}
    | {b"trailer", b"upgrade", b"user-agent", b"proxy-connection"}
)


def is_reserved(name: bytes) -> bool:
    """Return whether a field's name belongs to gRPC or HTTP itself."""
    return name in _RESERVED or name.startswith((b"grpc-", b":"))


def encode_metadata(metadata: Iterable[tuple[str, str | bytes]]) -> Fields:
    """Return the header fields that carry ``metadata``; octets go as base64 without padding.

    Raises:
        LocalProtocolError: A name is reserved or holds wrong characters, a value does not fit its name, or all
            together are over ``limits.grpc_metadata_octets``.
    """
    fields: Fields = []
    octets = 0
    for name, value in metadata:
        key = name.encode("ascii", "replace")
        if _NAME.fullmatch(name) is None or is_reserved(key):
            raise LocalProtocolError(f"metadata name {name!r} is reserved or not made of 0-9 a-z _ - .")
        if name.endswith("-bin"):
            if not isinstance(value, bytes):
                raise LocalProtocolError(f"metadata {name!r} ends in -bin, so its value must be bytes")
            data = b2a_base64(value, newline=False).rstrip(b"=")
        else:
            if not isinstance(value, str) or _TEXT.fullmatch(value) is None or value != value.strip():
                raise LocalProtocolError(
                    f"metadata {name!r} takes printable ASCII text without blanks at its ends; "
                    "end the name in -bin for other values"
                )
            data = value.encode("ascii")
        octets += len(key) + len(data)
        if octets > limits.grpc_metadata_octets:
            raise LocalProtocolError(f"the metadata of one call is over {limits.grpc_metadata_octets} octets")
        fields.append((key, data))
    return fields


def decode_metadata(fields: Iterable[tuple[bytes, bytes]]) -> Metadata:
    """Return the custom metadata among header fields; reserved names are left out.

    Base64 is taken with and without padding, and several values joined by commas become several pairs. Text outside
    ASCII, which the specification forbids, is kept octet by octet (Latin-1).

    Raises:
        RemoteProtocolError: A ``-bin`` value is no base64, or all together are over ``limits.grpc_metadata_octets``.
    """
    found: list[tuple[str, str | bytes]] = []
    octets = 0
    for key, data in fields:
        if is_reserved(key):
            continue
        octets += len(key) + len(data)
        if octets > limits.grpc_metadata_octets:
            raise RemoteProtocolError(f"the metadata of one call is over {limits.grpc_metadata_octets} octets")
        name = key.decode("latin-1")
        if key.endswith(b"-bin"):
            found.extend((name, _octets(name, part.strip(b" \t"))) for part in data.split(b","))
        else:
            found.append((name, data.decode("latin-1")))
    return tuple(found)


def _octets(name: str, text: bytes) -> bytes:
    bare = text.rstrip(b"=")
    if _BASE64.fullmatch(text) is not None:
        try:
            return a2b_base64(bare + b"=" * (-len(bare) % 4), strict_mode=True) if bare else b""
        except Base64Error:
            pass  # a length that no octets have
    raise RemoteProtocolError(f"metadata {name!r} holds no base64")
