"""What decorators say about an author's methods, and how such methods are called.

Job:    leave a mark on a function, find the marked methods of a class, run an async or a blocking method.
Layer:  plugin; shared by background work, settings and commands.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar, cast

if TYPE_CHECKING:
    from mm_plugin.hooks.threads import HookThreads

__all__ = ("call", "marked", "marks_of_class")

_Mark = TypeVar("_Mark")
_F = TypeVar("_F", bound=Callable[..., object])


def marked(function: _F, attribute: str, mark: object) -> _F:
    """Return a function with a mark on it."""
    setattr(_beneath(function), attribute, mark)
    return function


def marks_of_class(cls: type, attribute: str, kind: type[_Mark]) -> dict[str, _Mark]:
    """Return the marks of one kind on the methods of a class and its parents, by the methods' names.

    An override keeps its parent's mark, with or without the decorator; one that is None gives it up.
    """
    found: dict[str, _Mark] = {}
    for owner in reversed(cls.__mro__):
        for name, value in vars(owner).items():
            mark = getattr(_beneath(value), attribute, None)
            if isinstance(mark, kind):
                found[name] = mark
            elif value is None:
                found.pop(name, None)
    return found


def _beneath(function: object) -> object:
    """Return the function inside a staticmethod or classmethod, so that decorators may stand in either order."""
    return getattr(function, "__func__", function)


async def call(function: Callable[[], object], threads: HookThreads) -> object:
    """Call an author's function, an async one in this task, a blocking one in a worker thread; return its result.

    Cancellation cancels an async function. A thread runs on unobserved and keeps its slot until it ends.
    """
    result = await cast("Awaitable[object]", function()) if _is_async(function) else await threads.run(function)
    return await result if inspect.isawaitable(result) else result


def _is_async(function: Callable[..., object]) -> bool:
    while isinstance(function, partial):
        function = function.func
    function = inspect.unwrap(function)
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)
