"""The traceback of an error in a plugin class without the frames of this package, where nobody catches it.

Job:    let the traceback of a DeclarationError end with the author's line, whose mistake the error tells.
Layer:  supervisor (process layer). The front door's ``sys.excepthook`` asks it, so what goes well never loads it.
"""

from __future__ import annotations

import os
from types import TracebackType

from mm_plugin.exceptions import DeclarationError
from mm_plugin.hooks.source_places import LIBRARIES, OWN
from mm_plugin.settings import LOG_LEVEL, SERVER_LOG_LEVEL

__all__ = ("shortened",)


def shortened(error: BaseException, traceback: TracebackType | None) -> TracebackType | None:
    """Return the traceback to show; at log level DEBUG, and of all other errors, the one that was given."""
    return _shorten(error) if isinstance(error, DeclarationError) and not _is_debugged() else traceback


def _is_debugged() -> bool:
    level = os.environ.get(LOG_LEVEL) or os.environ.get(SERVER_LOG_LEVEL) or ""
    return level.strip().upper() in {"DEBUG", "TRACE"}


def _shorten(error: BaseException) -> TracebackType | None:
    """Leave an error, and what it was raised from, with the author's frames alone; return its traceback.

    What came from no author's line is no longer told as a cause: the error's own text says it.
    """
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
