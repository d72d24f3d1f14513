"""For what the current task runs an author's code: the name of a hook, or of background work.

Layer:  hooks. Tasks and worker threads that are started there inherit it, so the watch over the event loop and the
        end of the process can say whose code it was.
"""

from __future__ import annotations

from contextvars import Context, ContextVar

__all__ = ("BACKGROUND", "set_background", "set_hook", "work_in", "work_name")

#: What descriptions of background work have before its name.
BACKGROUND = "background work "
_current: ContextVar[str] = ContextVar("mm_plugin_work", default="")

#: Say that this task handles a hook from now on; takes the hook's name.
set_hook = _current.set


def set_background(name: str) -> None:
    """Say that this task does background work from now on."""
    _current.set(f"{BACKGROUND}{name}")


def work_name() -> str:
    """Return what the current task does, as ``hook X`` or ``background work x``; "" for none of an author's code."""
    return _described(_current.get())


def work_in(context: Context) -> str:
    """Return the same of another task by its context."""
    return _described(context.get(_current, ""))


def _described(name: str) -> str:
    return name if not name or name.startswith(BACKGROUND) else f"hook {name}"
