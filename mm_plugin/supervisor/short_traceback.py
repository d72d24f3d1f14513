"""Show an error of a plugin class without the frames of this package, where nobody catches it.

Job:    let the traceback of a DeclarationError end with the author's line, whose mistake the error tells.
Layer:  supervisor (process layer). Loaded when the package is imported, so it imports next to nothing itself.
Output: what ``sys.excepthook`` would write, of all other errors unchanged; at log level DEBUG of these, too.
"""

from __future__ import annotations

import sys
from types import TracebackType

__all__ = ("shorten_tracebacks",)


def shorten_tracebacks() -> None:
    """Put a hook before ``sys.excepthook``, which goes on to write; what somebody catches is left as it is."""
    write = sys.excepthook

    def write_short(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        from mm_plugin.exceptions import DeclarationError

        if isinstance(error, DeclarationError) and not _is_debugged():
            traceback = _shorten(error)
        write(kind, error, traceback)

    sys.excepthook = write_short


def _is_debugged() -> bool:
    import os

    from mm_plugin.settings import LOG_LEVEL, SERVER_LOG_LEVEL

    level = os.environ.get(LOG_LEVEL) or os.environ.get(SERVER_LOG_LEVEL) or ""
    return level.strip().upper() in {"DEBUG", "TRACE"}


def _shorten(error: BaseException) -> TracebackType | None:
    """Leave an error, and what it was raised from, with the author's frames alone; return its traceback.

    What came from no author's line is no longer told as a cause: the error's own text says it.
    """
    from mm_plugin.hooks.source_places import LIBRARIES, OWN

    frames: list[TracebackType] = []
    at = error.__traceback__
    while at is not None:
        if not at.tb_frame.f_code.co_filename.startswith((OWN, *LIBRARIES)):
            frames.append(at)
        at = at.tb_next
    short: TracebackType | None = None
    for one in reversed(frames):
        short = TracebackType(short, one.tb_frame, one.tb_lasti, one.tb_lineno)
    before = error.__cause__ or error.__context__
    if before is not None and _shorten(before) is None:
        error.__cause__ = error.__context__ = None
    error.__traceback__ = short
    return short
