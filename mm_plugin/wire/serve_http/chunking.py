"""Cut a body into chunks that fit one message of a ServeHTTP call. Internal.

Layer:  wire (sans-IO).
Input:  octets of any length.
Output: chunks of 1 to ``http_chunk_octets`` octets whose concatenation is the input.
"""

from __future__ import annotations

from collections.abc import Iterator

from mm_plugin import limits

__all__ = ("cut",)


def cut(data: bytes | bytearray | memoryview, limit_octets: int = limits.http_chunk_octets) -> Iterator[bytes]:
    """Cut ``data`` into chunks of at most ``limit_octets``; nothing for empty data.

    Each octet is copied at most once, one chunk at a time, and not at all where ``data`` is ``bytes`` that fit.
    """
    if isinstance(data, bytes) and len(data) <= limit_octets:
        if data:
            yield data
        return
    view = memoryview(data).cast("B")
    for start in range(0, len(view), limit_octets):
        yield bytes(view[start : start + limit_octets])
