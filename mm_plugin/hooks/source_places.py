"""Where code comes from: this package, a library, or else an author.

Layer:  hooks. Prefixes of file names, for those who say which line of an author's an error or a delay comes from.
"""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from traceback import FrameSummary

__all__ = ("LIBRARIES", "OWN", "authors_frame")

#: Of this package's files.
OWN = f"{Path(__file__).parents[1]}{os.sep}"
#: Of the standard library's files, of installed packages, and of what has no file.
LIBRARIES = ("<", *(sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")))


def authors_frame(stack: Sequence[FrameSummary]) -> FrameSummary:
    """Return the innermost frame of an author's own code, the outermost frame first; else the best there is."""
    authors = [frame for frame in stack if not frame.filename.startswith(OWN)] or stack
    return next((frame for frame in reversed(authors) if not frame.filename.startswith(LIBRARIES)), authors[0])
