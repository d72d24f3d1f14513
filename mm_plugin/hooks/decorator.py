"""The decorator that binds a method to a hook."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

from mm_plugin.hooks.names import HookName
from mm_plugin.hooks.policy import FailurePolicy

if TYPE_CHECKING:
    from mm_plugin.hooks.decorator_types import HookDecorator

__all__ = ("HookMark", "hook", "marks_of")

_F = TypeVar("_F", bound=Callable[..., Any])
_ATTRIBUTE = "__mm_plugin_hooks__"


@dataclass(frozen=True, slots=True)
class HookMark:
    """What ``@hook`` said about one function; the plugin class reads it when it is created.

    Attributes:
        name: The hook's Go name or method name; "" means that of the function.
        on_failure: The policy; None means the hook's default.
    """

    name: str
    on_failure: FailurePolicy | None


def _typed(function: Callable[..., Any]) -> HookDecorator:
    """Give ``hook`` its types, one overload for each hook; see tools/hook_types.py."""
    return cast("HookDecorator", function)


@_typed
def hook(target: _F | HookName | str = "", /, *, on_failure: FailurePolicy | None = None) -> _F | Callable[[_F], _F]:
    """Bind a method of a Plugin to a hook: ``@hook``, ``@hook(HookName.X)``, ``@hook("X", on_failure=...)``.

    The function itself is returned, only marked. Type checkers compare it with the hook that is named. Wrong names,
    parameters and policies are reported when the class is created, as HookRegistrationError. One function may be bound
    to several hooks by several decorators.

    Args:
        target: The hook's name, Go's or the method's. Without it the function's own name is taken.
        on_failure: What is answered when the handler fails; the hook's default where None.
    """
    if callable(_beneath(target)):
        return _marked(cast("_F", target), HookMark("", None))
    mark = HookMark(str(target) if isinstance(target, str) else cast("str", target), on_failure)
    return lambda function: _marked(function, mark)


def _marked(function: _F, mark: HookMark) -> _F:
    setattr(_beneath(function), _ATTRIBUTE, (*marks_of(function), mark))
    return function


def marks_of(function: object) -> tuple[HookMark, ...]:
    """Return what ``@hook`` said about a function; empty where it said nothing."""
    marks: object = getattr(_beneath(function), _ATTRIBUTE, ())
    return cast("tuple[HookMark, ...]", marks) if isinstance(marks, tuple) else ()


def _beneath(function: object) -> object:
    """Return the function inside a staticmethod or classmethod, so that decorators may stand in either order."""
    return getattr(function, "__func__", function)
