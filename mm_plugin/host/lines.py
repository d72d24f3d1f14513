"""Cut a stream of octets into lines of bounded length, and long texts of many lines in their middle.

Layer:  host, sans-IO.
Output: lines without their end; a line over the limit comes in pieces, so that nothing is lost and memory is bounded.
"""

from __future__ import annotations

__all__ = ("LineSplitter", "without_middle")

_CUT = "...[cut]..."
_LINES_CUT = "[{} lines cut]"


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


def without_middle(text: str, limit: int) -> str:
    """Return a text within ``limit`` characters, at least 60: its first line says what happened, its last ones why."""
    if len(text) <= limit:
        return text
    first, *rest = text.split("\n")
    if not rest:
        return _short_line(first, limit)
    room = limit - len(_LINES_CUT.format(len(rest))) - 2  # the note and the ends of two lines
    first = _short_line(first, room // 2)
    room -= len(first)
    kept = [_short_line(rest[-1], room)]
    room -= len(kept[0])
    for line in reversed(rest[:-1]):
        room -= len(line) + 1
        if room < 0:
            break
        kept.insert(0, line)
    cut = len(rest) - len(kept)
    return "\n".join((first, *([_LINES_CUT.format(cut)] if cut else []), *kept))


def _short_line(line: str, limit: int) -> str:
    if len(line) <= limit:
        return line
    half = (limit - len(_CUT)) // 2
    return line[: limit - len(_CUT) - half] + _CUT + line[len(line) - half :]
