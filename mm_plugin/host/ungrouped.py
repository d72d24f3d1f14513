"""Let what is raised in the body of a context that owns a task group come out as it is, not in a group of one.

Layer:  host, for its own contexts and those of the rooms above.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

__all__ = ("ungrouped",)


@contextmanager
def ungrouped() -> Generator[None]:
    """Raise the one exception of a group in its stead; several stay together.

    For task groups whose own tasks raise nothing, or one thing in the body's place.
    """
    try:
        yield
    except BaseExceptionGroup as group:
        if len(group.exceptions) == 1:
            raise group.exceptions[0] from group.exceptions[0].__cause__
        raise
