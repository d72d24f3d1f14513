"""Pictures of users, teams and emoji: told apart by their first octets, drawn where nobody has set one.

Job:    know an image from what is none, and make the picture of a user who has none.
Layer:  devserver. Pure functions; nothing decodes an image here.
Errors: ValidationError and TooLargeError for what the server would not take either.
See:    PNG, Third Edition, sections 5 and 11.
"""

from __future__ import annotations

import hashlib
import struct
import zlib

from mm_plugin import limits
from mm_plugin.devserver.errors import invalid, too_large

__all__ = ("check_picture", "drawn_picture", "format_of")

_SIGNATURES = ((b"\x89PNG\r\n\x1a\n", "png"), (b"\xff\xd8\xff", "jpeg"), (b"GIF87a", "gif"), (b"GIF89a", "gif"))
_SIDE = 128


def format_of(data: bytes) -> str:
    """Return the short name of an image's format: png, jpeg, gif, webp or bmp; "" for what is none of these."""
    for signature, name in _SIGNATURES:
        if data.startswith(signature):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    return "bmp" if data.startswith(b"BM") and len(data) > 26 else ""


def check_picture(data: bytes, where: str) -> str:
    """Return the format of an image that somebody wants to set.

    Raises:
        TooLargeError: It is longer than ``limits.devserver_picture_octets``.
        ValidationError: It is no image.
    """
    if len(data) > limits.devserver_picture_octets:
        raise too_large(f"A picture has at most {limits.devserver_picture_octets} octets, this one has {len(data)}.")
    name = format_of(data)
    if not name:
        raise invalid(
            "api.user.upload_profile_user.decode.app_error", "The data is no PNG, JPEG, GIF, WebP or BMP image.", where
        )
    return name


def drawn_picture(seed: str) -> bytes:
    """Return a PNG of one colour, always the same for a seed."""
    red, green, blue = hashlib.sha256(seed.encode()).digest()[:3]
    row = b"\x00" + bytes((red, green, blue)) * _SIDE
    header = struct.pack(">IIBBBBB", _SIDE, _SIDE, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(row * _SIDE)), (b"IEND", b""))
    return _SIGNATURES[0][0] + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
