"""Whether a dataclass's fields come back from JSON as what they are annotated as. Internal.

Layer:  api, below ``kv_codecs``.
Output: hints that can be judged are judged; what cannot, such as a type that is not found at run time, is let pass.
"""

from __future__ import annotations

import types
from collections.abc import Collection, Iterable, Mapping, MutableMapping, MutableSequence, Sequence
from typing import (
    Annotated,
    Any,
    Literal,
    NewType,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from mm_plugin.types import JSONObject, JSONValue

__all__ = ("fits", "hints_of", "refuse_hint")

_PLAIN: tuple[object, ...] = (str, int, float, bool, types.NoneType, object)
_LISTS: tuple[object, ...] = (list, Sequence, MutableSequence, Collection, Iterable)
_DICTS: tuple[object, ...] = (dict, Mapping, MutableMapping)
#: What our own aliases refer to by name; the module of a dataclass need not import it.
_NAMES = {"JSONObject": JSONObject, "JSONValue": JSONValue, "Mapping": Mapping, "Sequence": Sequence}


def hints_of(dataclass: type) -> dict[str, Any]:
    """Return the annotations of a dataclass's fields, as far as they can be resolved."""
    try:
        return get_type_hints(dataclass, localns=_NAMES)
    except Exception:  # noqa: BLE001 - an annotation is any expression; names may exist for type checkers alone
        fields: Mapping[str, Any] = dataclass.__dict__["__dataclass_fields__"]
        return {name: hint for name, field in fields.items() for hint in _resolved(dataclass, field.type)}


def _resolved(dataclass: type, annotation: object) -> list[Any]:
    alone = type("_Alone", (), {"__annotations__": {"it": annotation}, "__module__": dataclass.__module__})
    try:
        return [get_type_hints(alone, localns=_NAMES)["it"]]
    except Exception:  # noqa: BLE001 - as above
        return []


def refuse_hint(where: str, hint: Any) -> None:
    """Refuse what is annotated as something that JSON does not give back.

    Raises:
        TypeError: It is; the text names the field and the type.
    """
    hint = _bare(hint)
    origin, arguments = get_origin(hint), get_args(hint)
    kind = origin or hint
    if origin in {Union, types.UnionType} or kind in _LISTS:
        for inside in arguments:
            refuse_hint(where, inside)
    elif kind in _DICTS:
        if arguments and _bare(arguments[0]) in {int, float, bool}:
            raise TypeError(f"{where} has keys that are no str, and would come back as str")
        for inside in arguments[1:]:
            refuse_hint(where, inside)
    elif isinstance(kind, type) and kind not in _PLAIN and not is_typeddict(kind):
        is_dataclass = hasattr(kind, "__dataclass_fields__")
        what = "a dataclass" if is_dataclass else kind.__name__
        raise TypeError(
            f"{where} holds {what}, which would not come back from JSON as it was; "
            f"write a codec with encode and decode of its own"
        )


def fits(value: object, hint: Any) -> bool:
    """Whether a value is what a hint says, as far as the hint can be judged."""
    hint = _bare(hint)
    origin, arguments = get_origin(hint), get_args(hint)
    kind = origin or hint
    if origin in {Union, types.UnionType}:
        return any(fits(value, inside) for inside in arguments)
    if origin is Literal:
        return any(value == each and type(value) is type(each) for each in arguments)
    if kind in _LISTS:
        return isinstance(value, list | tuple) and all(
            fits(inside, arguments[0]) for inside in cast("Sequence[object]", value) if arguments
        )
    if kind in _DICTS or (isinstance(kind, type) and is_typeddict(kind)):
        return isinstance(value, Mapping) and all(
            fits(inside, arguments[1]) for inside in cast("Mapping[object, object]", value).values() if arguments
        )
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind is None or kind is types.NoneType:
        return value is None
    return not isinstance(kind, type) or kind is object or isinstance(value, kind)


def _bare(hint: Any) -> Any:
    """Return what stands behind Annotated, NewType and a bound type variable."""
    while True:
        if get_origin(hint) is Annotated:
            hint = get_args(hint)[0]
        elif isinstance(hint, NewType):
            hint = hint.__supertype__
        elif isinstance(hint, TypeVar):
            hint = hint.__bound__ or object
        else:
            return object if hint is Any else hint  # Any is a class, too
