"""Cut a stream of octets into lines of bounded length.

Layer:  host, sans-IO.
Output: lines without their end; a line over the limit comes in pieces, so that nothing is lost and memory is bounded.
"""

from __future__ import annotations

__all__ = ("LineSplitter",)


class LineSplitter:
    """Collects octets and gives lines.

    Args:
        limit_octets: Longest line given; longer ones are split.
    """

    def __init__(self, limit_octets: int) -> None:
        self._limit = limit_octets
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Take octets and return the lines they complete."""
        *whole, rest = (bytes(self._rest) + data).split(b"\n")
        lines = [piece for line in whole for piece in self._pieces(line)]
        # A full piece goes at once: an endless line must not be held. The last octet stays, for it may be a CR.
        while len(rest) > self._limit:
            lines.append(rest[: self._limit])
            rest = rest[self._limit :]
        self._rest = bytearray(rest)
        return lines

    def end(self) -> list[bytes]:
        """Return what is left after the last line's end, at most one line."""
        rest = bytes(self._rest)
        self._rest.clear()
        return [rest.removesuffix(b"\r")] if rest else []

    def _pieces(self, line: bytes) -> list[bytes]:
        pieces: list[bytes] = []
        while len(line) > self._limit:
            pieces.append(line[: self._limit])
            line = line[self._limit :]
        return [*pieces, line.removesuffix(b"\r")]
