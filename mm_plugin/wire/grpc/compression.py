"""Compressed messages of gRPC: gzip, which every implementation knows, and identity, which is none. Internal.

Layer:  wire (sans-IO).
Errors: FramingError for what is no gzip, and for what grows over the limit: nothing larger is ever made.
See:    grpc/grpc: doc/compression.md.
"""

from __future__ import annotations

import zlib

from mm_plugin.wire.grpc.framing import FramingError, FramingFault

__all__ = ("ACCEPTED_ENCODINGS", "GZIP", "compress", "decompress", "takes_gzip")

GZIP = b"gzip"
#: The value of our ``grpc-accept-encoding``.
ACCEPTED_ENCODINGS = b"identity,gzip"

_GZIP_FORMAT = 16 + zlib.MAX_WBITS  # zlib's number for its format with gzip's head and checksum
_LEVEL = 1  # messages are small and the peer is near: time counts, not the last percent


def compress(message: bytes) -> bytes:
    """Return ``message`` in gzip's format."""
    return zlib.compress(message, _LEVEL, wbits=_GZIP_FORMAT)


def decompress(message: bytes, limit_octets: int) -> bytes:
    """Return what a message in gzip's format holds.

    Args:
        message: One member; more, which gzip allows, no gRPC implementation sends.
        limit_octets: Longest result; no more than one octet over it is made.

    Raises:
        FramingError: TOO_LARGE, or NOT_GZIP.
    """
    member = zlib.decompressobj(wbits=_GZIP_FORMAT)
    try:
        found = member.decompress(message, limit_octets + 1)
    except zlib.error as error:
        raise FramingError(FramingFault.NOT_GZIP, str(error)) from None
    if len(found) > limit_octets:
        raise FramingError(FramingFault.TOO_LARGE, f"decompressed, the limit is {limit_octets}")
    if not member.eof:
        raise FramingError(FramingFault.NOT_GZIP, "it ends too early")
    if member.unused_data:
        raise FramingError(FramingFault.NOT_GZIP, "something follows its end")
    return found


def takes_gzip(accept_encoding: bytes | None) -> bool:
    """Return whether a peer that says so in ``grpc-accept-encoding`` takes gzip."""
    return accept_encoding is not None and GZIP in (name.strip(b" \t") for name in accept_encoding.split(b","))
