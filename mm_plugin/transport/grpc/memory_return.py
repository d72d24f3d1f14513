"""Memory back to the system once connections that needed much have ended. Internal.

Job:    have the C library return what is free; glibc keeps up to 64 MB, and pieces of any size between what is in use.
Layer:  transport/grpc, for server.py.
Errors: none; where the system is no Linux or the library no glibc, nothing happens.
See:    malloc_trim(3), mallopt(3) on M_TRIM_THRESHOLD.
"""

from __future__ import annotations

import os
from pathlib import Path

from mm_plugin import limits

__all__ = ("MemoryReturn",)

_STATM = Path("/proc/self/statm")


class MemoryReturn:
    """Looks whether the process has grown since this was made, and returns what it can, which costs milliseconds."""

    def __init__(self) -> None:
        self._begun_octets = _resident_octets()

    def look(self) -> None:
        """Return memory, if the process has grown by ``limits.memory_return_octets``."""
        if _resident_octets() - self._begun_octets >= limits.memory_return_octets:
            _trim()


def _resident_octets() -> int:
    """Return what the process holds; 0 where that cannot be told."""
    try:
        return int(_STATM.read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _trim() -> None:
    import ctypes  # most processes never need it

    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
