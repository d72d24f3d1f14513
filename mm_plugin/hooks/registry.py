"""Which methods of a plugin class handle which hooks, worked out and checked when the class is created.

Job:    read a class and its parents, bind methods to hooks by name or by ``@hook``, refuse what cannot work.
Layer:  hooks. Knows the table; knows nothing of Plugin but the base class it is given.
Errors: HookRegistrationError, which names class, method and the signature that was expected.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import FunctionType, MappingProxyType

from mm_plugin.exceptions import HookRegistrationError
from mm_plugin.hooks.decorator import HookMark, marks_of
from mm_plugin.hooks.names import HookName
from mm_plugin.hooks.policy import FailurePolicy
from mm_plugin.hooks.spelling import meant_by
from mm_plugin.hooks.table import HOOK_TABLE, HookRow

__all__ = ("Binding", "collect_bindings")

_ROWS_BY_METHOD = {row.method: row for row in HOOK_TABLE.values()}
_ROWS_BY_TEXT = {**_ROWS_BY_METHOD, **{str(name): row for name, row in HOOK_TABLE.items()}}
#: Begins the names under which decorators leave what they say of a function.
_MARK = "__mm_plugin_"
_UNSUPPORTED = {"ServeMetrics", "serve_metrics"}
_BY_PLACE = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}


@dataclass(frozen=True, slots=True)
class Binding:
    """One hook of a plugin class.

    Attributes:
        row: The hook.
        attribute: The method that handles it.
        on_failure: The failure policy.
        owner: The class that bound it.
    """

    row: HookRow
    attribute: str
    on_failure: FailurePolicy
    owner: type = object


def collect_bindings(cls: type, base: type) -> Mapping[HookName, Binding]:
    """Return the hooks that a class handles, parents included.

    A class binds a hook by defining the hook's method, or any method under ``@hook``. A subclass that overrides a
    bound method keeps its bindings, with or without the decorator; one that binds the same hook to another method
    replaces the parent's; one that sets the method to None gives the hook up.

    Args:
        cls: The class.
        base: The class below which the author's code begins; neither it nor its parents bind anything.

    Raises:
        HookRegistrationError: A hook has an unknown name, two handlers, or a handler that cannot take its arguments or
            express the policy asked for.
    """
    bound: dict[HookName, Binding] = {}
    for owner in reversed(cls.__mro__):
        if owner not in base.__mro__:
            _bind_own(owner, bound)
    for binding in bound.values():
        _check_handler(cls, binding)
    return MappingProxyType(bound)


def _bind_own(owner: type, bound: dict[HookName, Binding]) -> None:
    """Add what one class of the line says itself to what its parents have bound."""
    own: dict[HookName, Binding] = {}
    for attribute, value in vars(owner).items():
        inherited = [name for name, binding in bound.items() if binding.attribute == attribute]
        marks = marks_of(value)
        if inherited and not marks and value is not None:
            continue  # an override keeps what its parent bound
        for name in inherited:
            del bound[name]
        if not marks and value is not None and attribute in _ROWS_BY_METHOD:
            marks = (HookMark("", None),)
        elif not marks and attribute in _UNSUPPORTED and value is not None:
            marks = (HookMark("", None),)  # refused as any unknown name
        elif not marks and inspect.isfunction(value) and not _is_named_well(attribute, value):
            _check_spelling(owner, attribute)
        for mark in marks:
            _add(owner, own, attribute, mark)
    for name, binding in own.items():
        replaced = bound.get(name)
        if replaced is not None and replaced.owner not in owner.__mro__:
            raise HookRegistrationError(
                f"{owner.__qualname__}.{binding.attribute}: {name} has a handler already, "
                f"{replaced.owner.__qualname__}.{replaced.attribute}, in another parent of the class; keep one"
            )
    bound.update(own)


def _add(owner: type, own: dict[HookName, Binding], attribute: str, mark: HookMark) -> None:
    row, on_failure = _find_row(owner, attribute, mark), mark.on_failure
    where = f"{owner.__qualname__}.{attribute}"
    if row.name in own:
        raise HookRegistrationError(
            f"{where}: {row.name} has a handler already, {owner.__qualname__}.{own[row.name].attribute}; keep one"
        )
    able = ", ".join(policy.name for policy in row.policies)
    if on_failure is not None and not isinstance(on_failure, FailurePolicy):  # pyright: ignore[reportUnnecessaryIsInstance] - authors may not check types
        raise HookRegistrationError(
            f"{where}: on_failure must be a FailurePolicy, not {on_failure!r}; {row.name} can express {able}"
        )
    if on_failure is not None and on_failure not in row.policies:
        raise HookRegistrationError(
            f"{where}: {row.name} cannot express on_failure={on_failure.name}; it can express {able}"
        )
    own[row.name] = Binding(row, attribute, row.default_policy if on_failure is None else on_failure, owner)


def _is_named_well(attribute: str, function: FunctionType) -> bool:
    """Whether nobody would take a name for a hook's: it is private, or @route, @command or @every say what calls it."""
    return attribute.startswith("_") or any(name.startswith(_MARK) for name in vars(function))


def _check_spelling(owner: type, attribute: str) -> None:
    """Refuse a method whose name is all but a hook's: it would never be called, and nobody would notice."""
    meant = meant_by(attribute)
    if meant is None:
        return
    where, hint = f"{owner.__qualname__}.{attribute}", "begin its name with an underscore if it is a method of your own"
    if meant in _ROWS_BY_METHOD:
        raise HookRegistrationError(
            f"{where}: no hook is handled by a method of this name; did you mean {meant}? "
            f'Else put @hook("{meant}") on it, or {hint}'
        )
    raise HookRegistrationError(f"{where}: nothing calls a method of this name; did you mean {meant}? Else {hint}")


def _find_row(owner: type, attribute: str, mark: HookMark) -> HookRow:
    name = mark.name or attribute
    where = f"{owner.__qualname__}.{attribute}"
    if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance] - authors may not check types
        raise HookRegistrationError(f"{where}: @hook takes a hook's name, such as HookName.OnActivate, not {name!r}")
    row = _ROWS_BY_TEXT.get(name)
    if row is not None:
        return row
    if name in _UNSUPPORTED:
        raise HookRegistrationError(
            f"{where}: ServeMetrics cannot be handled, the protocol has no rpc for it; serve metrics by ServeHTTP"
        )
    spellings = {text.lower(): text for text in _ROWS_BY_TEXT}
    near = [spellings[text] for text in get_close_matches(name.lower(), spellings, n=3, cutoff=0.5)]
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    raise HookRegistrationError(f"{where}: there is no hook named {name!r}{hint} HookName lists them all".rstrip())


def _check_handler(cls: type, binding: Binding) -> None:
    """Refuse a handler that could not be called with the hook's arguments."""
    where = f"{cls.__qualname__}.{binding.attribute}"
    arguments = binding.row.arguments
    expected = f"def {binding.attribute}({', '.join(('self', *arguments))}), async or not"
    raw = inspect.getattr_static(cls, binding.attribute)
    handler = getattr(cls, binding.attribute)
    if not callable(handler):
        raise HookRegistrationError(
            f"{where}: the handler of {binding.row.name} must be a method, this is a {type(handler).__name__}; "
            f"expected: {expected}"
        )
    unwrapped = inspect.unwrap(handler)
    if not (binding.row.streaming or binding.row.content_field) and (
        inspect.isgeneratorfunction(unwrapped) or inspect.isasyncgenfunction(unwrapped)
    ):
        raise HookRegistrationError(
            f"{where}: the handler of {binding.row.name} must return its result, not yield; expected: {expected}"
        )
    try:
        signature = inspect.signature(handler)
    except (TypeError, ValueError):
        return  # a callable that cannot tell its parameters
    receives_self = hasattr(raw, "__get__") and not isinstance(raw, staticmethod | classmethod)
    try:
        signature.bind(*([None] * receives_self), *arguments)
    except TypeError as error:
        raise HookRegistrationError(
            f"{where}{signature} cannot take the arguments of {binding.row.name} ({error}); expected: {expected}"
        ) from None
    takes = [p.name for p in signature.parameters.values() if p.kind in _BY_PLACE][receives_self:]
    for taken, given in zip(takes, arguments, strict=False):
        if taken != given and taken in arguments:
            raise HookRegistrationError(
                f"{where}{signature}: {taken} would get {given}, arguments come by their places; expected: {expected}"
            )
