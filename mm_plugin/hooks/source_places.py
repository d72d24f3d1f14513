"""Where code comes from: this package, a library, or else an author.

Layer:  hooks. Prefixes of file names, for those who say which line of an author's an error or a delay comes from.
"""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Coroutine, Iterable, Sequence
from pathlib import Path
from traceback import FrameSummary, extract_tb, walk_tb
from types import CodeType, CoroutineType, TracebackType

from mm_plugin.exceptions import HandlerError

__all__ = ("LIBRARIES", "OWN", "authors_frame", "describe", "from_author_on", "innermost_place", "waiting_place")

#: Of this package's files.
OWN = f"{Path(__file__).parents[1]}{os.sep}"
#: Of the standard library's files, of installed packages, and of what has no file.
LIBRARIES = ("<", *(sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")))


def authors_frame(stack: Sequence[FrameSummary]) -> FrameSummary:
    """Return the innermost frame of an author's own code, the outermost frame first; else the best there is."""
    authors = [frame for frame in stack if not frame.filename.startswith(OWN)] or stack
    return next((frame for frame in reversed(authors) if not frame.filename.startswith(LIBRARIES)), authors[0])


def describe(error: BaseException) -> str:
    """Return an error's type and the author's line that it came from, ``KeyError at guard.py:12 in screen``.

    Its text is left out: nobody can tell what secrets an author's error quotes. The traceback has it.
    """
    seen: BaseException | None = error
    while seen is not None:
        authors = [one for one in extract_tb(seen.__traceback__) if not one.filename.startswith((OWN, *LIBRARIES))]
        if authors:
            at = authors[-1]
            return f"{type(error).__name__} at {at.filename}:{at.lineno} in {at.name}"
        seen = seen.__cause__
    place = error.place if isinstance(error, HandlerError) else ""
    return f"{type(error).__name__} at {place}" if place else type(error).__name__


def innermost_place(error: BaseException) -> str:
    """Return the innermost line of an author's that an error has passed, ``guard.py:12 in Guard.at``; "" if none."""
    return _last_authors((frame.f_code, line) for frame, line in walk_tb(error.__traceback__))


def waiting_place(coroutine: Coroutine[object, object, object]) -> str:
    """Return the innermost line of an author's at which a suspended coroutine waits; "" if none."""
    waiting: list[tuple[CodeType, int]] = []
    at: object = coroutine
    while isinstance(at, CoroutineType):
        if at.cr_frame is not None:  # pyright: ignore[reportUnnecessaryComparison] - None of one that has ended
            waiting.append((at.cr_code, at.cr_frame.f_lineno))
        at = at.cr_await
    return _last_authors(waiting)


def _last_authors(lines: Iterable[tuple[CodeType, int]]) -> str:
    place = ""
    for code, line in lines:
        if not code.co_filename.startswith((OWN, *LIBRARIES)):
            place = f"{code.co_filename}:{line} in {code.co_qualname}"
    return place


def from_author_on(error: BaseException) -> TracebackType | None:
    """Return an error's traceback without the frames of this package that led to the author's code.

    None for an error that names its place and has passed no line of the author's: our frames say nothing more.
    """
    rest = error.__traceback__
    while rest is not None and rest.tb_frame.f_code.co_filename.startswith(OWN):
        rest = rest.tb_next
    if rest is None and not (isinstance(error, HandlerError) and error.place):
        return error.__traceback__
    return rest
