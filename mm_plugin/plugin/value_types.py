"""Types that authors annotate settings and command arguments with, and how plain values become them.

Job:    from an annotation to a ValueType, which checks and converts text and JSON values.
Layer:  plugin; shared by settings and commands.
Errors: DeclarationError for an annotation that cannot be used; Unfit for a value that does not fit. The texts say what
        was expected and what kind of value was found; they never repeat a text, which may be a secret.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Annotated, Any, Literal, TypeAlias, Union, cast, get_args, get_origin

from mm_plugin.exceptions import DeclarationError

__all__ = ("Kind", "Record", "Unfit", "ValueType", "value_type")

Kind: TypeAlias = Literal["text", "number", "boolean", "choice", "list", "mapping", "record", "any"]

#: Makes the ValueType of a dataclass; absent where none is wanted.
Record: TypeAlias = "Callable[[type, str], ValueType]"

_JSON_NAMES: Mapping[type, str] = {
    dict: "an object",
    list: "a list",
    str: "text",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    type(None): "nothing",
}
_TRUE, _FALSE = {"true", "yes", "on", "1"}, {"false", "no", "off", "0"}
_USABLE = "str, int, float, bool, Literal, an Enum, Optional, list, tuple and dict of these"


class Unfit(Exception):  # noqa: N818 - says what is wrong with a value; its callers make the errors
    """A value does not fit its type.

    Attributes:
        problems: Where inside the value ("" for the whole) and what was expected there.
    """

    def __init__(self, *problems: tuple[str, str]) -> None:
        super().__init__(*problems)
        self.problems = problems


@dataclass(frozen=True, slots=True)
class ValueType:
    """How plain values become values of one annotation.

    Attributes:
        kind: What sort of value it is.
        expected: The same for people, with its article.
        convert: From text or a JSON value; raises Unfit.
        choices: The values there are, by their texts; for ``choice`` only.
        optional: Whether None fits.
        item: Of what it is a list or mapping.
    """

    kind: Kind
    expected: str
    convert: Callable[[object], object]
    choices: Mapping[str, object] = dataclasses.field(default_factory=dict[str, object])
    optional: bool = False
    item: ValueType | None = None


def value_type(annotation: object, where: str, record: Record | None = None) -> ValueType:
    """Return the type that an annotation means.

    Args:
        annotation: As ``typing.get_type_hints`` gives it.
        where: What errors call it.
        record: For dataclasses.

    Raises:
        DeclarationError: There is no way to make such a value.
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return value_type(arguments[0], where, record)
    if origin is Union or origin is types.UnionType:
        return _optional(arguments, where, record)
    if origin is Literal:
        return _choice({str(value): value for value in arguments})
    if origin in {list, Sequence, tuple} and arguments and (origin is not tuple or arguments[1:] == (...,)):
        return _list_of(value_type(arguments[0], where, record), tuple if origin is tuple else list)
    if origin in {dict, Mapping} and arguments[:1] == (str,):
        return _mapping_of(value_type(arguments[1], where, record))
    if annotation in _PLAIN:
        return _PLAIN[cast("type", annotation)]
    if isinstance(annotation, type):
        cls: type[object] = annotation
        if issubclass(cls, Enum):
            return _choice({str(member.value): member for member in cls})
        if record is not None and dataclasses.is_dataclass(cls):
            return record(cls, where)
    usable = _USABLE if record is None else f"{_USABLE}, and dataclasses"
    raise DeclarationError(f"{where}: {annotation!r} cannot be used here; use {usable}")


def _unfit(expected: str, value: object) -> Unfit:
    found = _JSON_NAMES.get(type(value), type(value).__name__)
    return Unfit(("", f"expected {expected}, found {found}"))


# -- plain types ----------------------------------------------------------------------------------------------


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    raise _unfit("text", value)


def _whole_number(value: object) -> int:
    number = _read(int, value)
    if isinstance(number, float) and number.is_integer():
        return int(number)
    if isinstance(number, int) and not isinstance(number, bool):
        return number
    raise _unfit("a whole number", value)


def _number(value: object) -> float:
    number = _read(float, value)
    if isinstance(number, int | float) and not isinstance(number, bool):
        try:
            number = float(number)
        except OverflowError:
            number = math.inf
        if math.isfinite(number):
            return number
    raise _unfit("a number", value)


def _read(kind: type[int | float], value: object) -> object:
    """Return what a text says; the server's console and environment variables give numbers as text."""
    if isinstance(value, str):
        try:
            return kind(value)
        except ValueError:
            return None
    return value


def _boolean(value: object) -> bool:
    text = value.lower() if isinstance(value, str) else value
    if isinstance(text, bool):
        return text
    if isinstance(text, str) and text in _TRUE | _FALSE:
        return text in _TRUE
    raise _unfit("true or false", value)


_PLAIN: Mapping[object, ValueType] = {
    str: ValueType("text", "text", _text),
    int: ValueType("number", "a whole number", _whole_number),
    float: ValueType("number", "a number", _number),
    bool: ValueType("boolean", "true or false", _boolean),
    object: ValueType("any", "anything", lambda value: value),
    Any: ValueType("any", "anything", lambda value: value),
}


# -- composed types -------------------------------------------------------------------------------------------


def _optional(arguments: tuple[object, ...], where: str, record: Record | None) -> ValueType:
    members = [argument for argument in arguments if argument is not types.NoneType]
    if len(members) != 1 or len(members) == len(arguments):
        raise DeclarationError(f"{where}: of unions only `X | None` can be used; make it one type")
    inner = value_type(members[0], where, record)

    def convert(value: object) -> object:
        absent = value is None or (value == "" and inner.kind != "text")  # a field of the console left empty
        return None if absent else inner.convert(value)

    return replace(inner, convert=convert, optional=True)


def _choice(choices: Mapping[str, object]) -> ValueType:
    expected = f"one of {', '.join(choices)}"

    def convert(value: object) -> object:
        for text, choice in choices.items():
            if value in {choice, text} if isinstance(value, str) else str(value) == text:
                return choice
        raise _unfit(expected, value)

    return ValueType("choice", expected, convert, choices)


def _list_of(item: ValueType, container: type[list[object] | tuple[object, ...]]) -> ValueType:
    def convert(value: object) -> object:
        if isinstance(value, str):
            text = value.strip()
            parts: object = [part.strip() for part in text.replace("\n", ",").split(",") if part.strip()]
            value = _json(text, "a list") if text.startswith("[") else parts
        if not isinstance(value, list | tuple):
            raise _unfit("a list", value)
        items = cast("Sequence[object]", value)
        return container(_each({f"[{index}]": part for index, part in enumerate(items)}, item).values())

    return ValueType("list", f"a list of {item.expected}", convert, item=item)


def _mapping_of(item: ValueType) -> ValueType:
    def convert(value: object) -> object:
        if isinstance(value, str):
            value = _json(value, "an object") if value.strip() else {}
        if not isinstance(value, Mapping):
            raise _unfit("an object", value)
        return _each({str(key): part for key, part in cast("Mapping[object, object]", value).items()}, item)

    return ValueType("mapping", f"an object with {item.expected} for each key", convert, item=item)


def _each(parts: Mapping[str, object], item: ValueType) -> dict[str, object]:
    converted: dict[str, object] = {}
    problems: list[tuple[str, str]] = []
    for name, part in parts.items():
        try:
            converted[name] = item.convert(part)
        except Unfit as error:
            step = name if name.startswith("[") else f".{name}"
            problems += ((f"{step}{path}", reason) for path, reason in error.problems)
    if problems:
        raise Unfit(*problems)
    return converted


def _json(text: str, expected: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Unfit(("", f"expected {expected}, found text that is no JSON")) from None
