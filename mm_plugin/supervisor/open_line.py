"""Know whether what was printed last has left its line on standard error open, so that a log record begins a new one.

Job:    watch what ``sys.stdout`` and ``sys.stderr`` hand to their descriptors, which lead to the same pipe.
Layer:  supervisor (process layer).
Output: ``OpenLine.is_open``. What C code and child processes write is not seen.
See:    hashicorp/go-plugin: client.go, logStderr. It reads line by line; a record behind ``print("…", end="")`` would
        be shown as the JSON that it is, at the level of text.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, ClassVar, TextIO

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ("OpenLine", "watched")


class OpenLine(io.FileIO):
    """A descriptor that remembers, for all of them, whether the last octet written ended a line."""

    is_open: ClassVar[bool] = False

    def write(self, data: Buffer, /) -> int:
        """Write what the descriptor takes; see io.FileIO."""
        written = super().write(data)
        if written:
            OpenLine.is_open = bytes(memoryview(data).cast("B")[written - 1 : written]) != b"\n"
        return written


def watched(stream: TextIO | None, descriptor: int) -> TextIO | None:
    """Return a stream like the interpreter's own one of a descriptor, and watched; any other stream as it is."""
    if type(stream) is not io.TextIOWrapper or stream.closed or stream.fileno() != descriptor:
        return stream
    stream.flush()
    raw = OpenLine(descriptor, "wb", closefd=False)
    raw.name = stream.name
    is_unbuffered = isinstance(stream.buffer, io.RawIOBase)  # python -u
    return io.TextIOWrapper(
        raw if is_unbuffered else io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors=stream.errors,
        newline="\n",
        line_buffering=True,
        write_through=stream.write_through,
    )
