"""JSON values in messages: Struct, Value, pairs of key and value, and JSON in bytes, to and from plain Python.

Job:    let authors write and read plain dicts where the contract says Struct, KeyValuePair or JSON in bytes.
Layer:  messages. Works on the messages of any descriptor pool.
Errors: TypeError and ValueError that name the place inside the value and how to mend it; see ``fill_struct`` for what
        is left behind.

A number of ``google.protobuf.Value`` is a double on the wire. Whole numbers come back as int as long as a double tells
them apart (up to 2**53), so that a dict of ints returns as it was sent; 2.0 comes back as 2, which is equal to it.
Ints beyond are refused.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TypeGuard, cast

from mm_plugin import limits
from mm_plugin.types import JSONValue

if TYPE_CHECKING:
    from google.protobuf.struct_pb2 import Struct, Value

__all__ = (
    "dict_of_pairs",
    "dict_of_struct",
    "fill_pairs",
    "fill_struct",
    "fill_value",
    "json_object",
    "json_octets",
    "plain_json",
    "python_of_value",
)

_EXACT = 2**53


class _Pair(Protocol):
    """What a KeyValuePair message looks like."""

    key: str

    @property
    def value(self) -> Value: ...


class _Pairs(Protocol):
    """A repeated field of KeyValuePair messages."""

    def add(self, *, key: str = ...) -> _Pair: ...


# -- out of messages ------------------------------------------------------------------------------------------


def dict_of_struct(struct: Struct) -> dict[str, JSONValue]:
    """Return a Struct as a plain dict of its own; nested Structs and lists become dicts and lists."""
    return {key: python_of_value(value) for key, value in struct.fields.items()}


def dict_of_pairs(pairs: Iterable[_Pair]) -> dict[str, JSONValue]:
    """Return pairs as a dict; of pairs with one key the last wins."""
    return {pair.key: python_of_value(pair.value) for pair in pairs}


def python_of_value(value: Value) -> JSONValue:
    """Return a Value as plain Python; None for null and for a Value that says nothing."""
    match value.WhichOneof("kind"):
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() and -_EXACT <= number <= _EXACT else number
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "struct_value":
            return dict_of_struct(value.struct_value)
        case "list_value":
            return [python_of_value(item) for item in value.list_value.values]
        case _:
            return None


def json_object(octets: bytes) -> dict[str, JSONValue]:
    """Return JSON that a method gave as bytes, as ``get_config`` and ``get_license`` do; {} for no bytes and for null.

    The methods give bytes as they came, since a configuration of a megabyte need not be taken apart to be passed on.

    Raises:
        ValueError: It is no JSON object.
    """
    try:
        value: object = json.loads(octets) if octets else {}
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
    if value is None:  # how Go writes that there is nothing
        return {}
    if not isinstance(value, dict):
        raise ValueError(  # noqa: TRY004 - of its content
            f"expected a JSON object, found {type(value).__name__}"
        )
    return cast("dict[str, JSONValue]", value)


# -- into messages --------------------------------------------------------------------------------------------


def fill_struct(struct: Struct, values: Mapping[str, object], where: str) -> None:
    """Write a mapping into a Struct, which counts as set afterwards even where the mapping is empty.

    Args:
        struct: Takes the entries; entries it has already stay.
        values: Plain Python: str, bool, int, float, None, and mappings and sequences of them. Typed as object, since
            a TypedDict is no ``Mapping[str, JSONValue]`` to type checkers.
        where: What the caller calls the value, for error messages.

    Raises:
        TypeError: A key is no str, or a value is nothing JSON can say.
        ValueError: A number is not finite or no double can hold it exactly, a str cannot be encoded, or the nesting is
            deeper than ``limits.struct_depth``. The Struct then holds a part of the mapping and must be thrown away.
    """
    _fill_struct(struct, values, where, 1)


def fill_value(message: Value, value: JSONValue, where: str) -> None:
    """Write plain Python into a Value; arguments and errors as for ``fill_struct``."""
    _fill_value(message, value, where, 1)


def fill_pairs(pairs: _Pairs, values: Mapping[str, object], where: str) -> None:
    """Append a mapping to a repeated field of KeyValuePair; arguments and errors as for ``fill_struct``."""
    for key, value in _items(values, where):
        _fill_value(pairs.add(key=key).value, value, f"{where}[{key!r}]", 1)


def json_octets(value: Mapping[str, object] | bytes, where: str) -> bytes:
    """Return JSON in UTF-8: bytes as they are, unchecked, and a mapping encoded.

    Args:
        value: A JSON object as a mapping, or its octets.
        where: What the caller calls the value, for error messages.

    Raises:
        TypeError: It is neither, or the mapping holds something JSON cannot say.
        ValueError: A number is not finite, a str cannot be encoded, or the mapping contains itself or is nested too
            deeply.
    """
    if isinstance(value, bytes):
        return value
    if not _is_mapping(value):
        raise TypeError(f"{where} must be a mapping or bytes, not {type(value).__name__}")
    try:
        text = json.dumps(dict(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=plain_json)
        return text.encode()
    except (TypeError, ValueError) as error:
        error_type = TypeError if isinstance(error, TypeError) else ValueError
        raise error_type(f"{where} cannot be written as JSON: {error}") from error
    except RecursionError:
        raise ValueError(f"{where} cannot be written as JSON: it contains itself or is nested too deeply") from None


def _fill_struct(struct: Struct, values: object, where: str, depth: int) -> None:
    struct.SetInParent()
    fields = struct.fields
    for key, value in _items(values, where):
        _fill_value(fields[key], value, f"{where}[{key!r}]", depth)


def _fill_value(message: Value, value: object, where: str, depth: int) -> None:
    if value is None:
        message.null_value = 0  # type: ignore[assignment]  # NULL_VALUE, without loading the module that names it
    elif isinstance(value, bool):
        message.bool_value = value
    elif isinstance(value, str):
        message.string_value = _text(value, where)
    elif isinstance(value, int | float):
        message.number_value = _number(value, where)
    elif _is_mapping(value):
        _fill_struct(message.struct_value, value, where, _deeper(depth, where))
    elif _is_sequence(value):
        depth = _deeper(depth, where)
        message.list_value.SetInParent()
        values = message.list_value.values
        for index, item in enumerate(value):
            _fill_value(values.add(), item, f"{where}[{index}]", depth)
    else:
        raise TypeError(
            f"{where} is {type(value).__name__}; use str, bool, int, float, None, or mappings and sequences of them"
        )


def _deeper(depth: int, where: str) -> int:
    if depth >= limits.struct_depth:
        raise ValueError(
            f"{where[:200]} is nested deeper than {limits.struct_depth} levels; flatten it, or send JSON text"
        )
    return depth + 1


def _items(values: object, where: str) -> Iterable[tuple[str, object]]:
    if not _is_mapping(values):
        raise TypeError(f"{where} must be a mapping, not {type(values).__name__}")
    for key, value in values.items():
        if not isinstance(key, str):
            raise TypeError(f"{where} has the key {key!r}; keys must be str, not {type(key).__name__}")
        yield _text(key, where), value


def _text(text: str, where: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{where} holds a lone surrogate, which UTF-8 cannot encode: {error}") from error
    return text


def _number(number: float, where: str) -> float:
    if isinstance(number, int):
        if not -_EXACT <= number <= _EXACT:
            raise ValueError(f"{where} is an int beyond 2**53; send it as a str")
        return float(number)
    if not math.isfinite(number):
        raise ValueError(f"{where} is not finite; send it as a str")
    return number


def plain_json(value: object) -> object:
    """Let json encode mappings and sequences that are no dict and no list; for its parameter ``default``.

    Raises:
        TypeError: It is neither.
    """
    if _is_mapping(value):
        return dict(value)
    if _is_sequence(value):
        return list(value)
    raise TypeError(f"{type(value).__name__} is not a JSON value")


def _is_mapping(value: object) -> TypeGuard[Mapping[object, object]]:
    return isinstance(value, Mapping)


def _is_sequence(value: object) -> TypeGuard[Sequence[object]]:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray | memoryview)
