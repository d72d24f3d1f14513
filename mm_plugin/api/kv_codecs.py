"""How typed values become the bytes of the key-value store: JSON, text, whole numbers, dataclasses.

Layer:  api, beside the client.
Errors: TypeError and ValueError; ``KVStore`` turns those of reading into KVValueError with the key.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, Protocol, TypeVar, cast

from mm_plugin.api.kv_fields import fits, hints_of, refuse_hint
from mm_plugin.messages.structs import plain_json
from mm_plugin.types import JSONValue

__all__ = ("INT", "JSON", "TEXT", "Codec", "DataclassCodec")


class _IsDataclass(Protocol):
    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]


_Value = TypeVar("_Value")
_Dataclass = TypeVar("_Dataclass", bound=_IsDataclass)


class Codec(Protocol[_Value]):
    """Turns values of one type into bytes and back; the same value must give the same bytes."""

    def encode(self, value: _Value, /) -> bytes:
        """Return the value as bytes, never none: the server takes an empty value for a deletion.

        Raises:
            TypeError: The value cannot be said this way.
            ValueError: Likewise.
        """
        ...

    def decode(self, octets: bytes, /) -> _Value:
        """Return the value of bytes that are not empty.

        Raises:
            TypeError: They are no such value.
            ValueError: Likewise.
        """
        ...


class _JSONCodec:
    """Any JSON value; a tuple comes back as a list."""

    def encode(self, value: JSONValue, /) -> bytes:
        """Return JSON in UTF-8, keys sorted, so that equal values are equal bytes."""
        try:
            _refuse_keys(value)
            return json.dumps(
                value,
                ensure_ascii=False,
                allow_nan=False,
                separators=(",", ":"),
                sort_keys=True,
                default=plain_json,
            ).encode()
        except RecursionError:
            raise ValueError("the value contains itself, or is nested too deeply for JSON") from None

    def decode(self, octets: bytes, /) -> JSONValue:
        """Return what the JSON says."""
        try:
            value: JSONValue = json.loads(octets)
        except RecursionError:
            raise ValueError("the JSON is nested too deeply") from None
        return value


class _TextCodec:
    """Text in UTF-8; not the empty one, which the server takes for a deletion."""

    def encode(self, value: str, /) -> bytes:
        """Return the text in UTF-8."""
        if not isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"expected str, not {type(value).__name__}")
        return value.encode()

    def decode(self, octets: bytes, /) -> str:
        """Return the text."""
        return octets.decode()


class _IntCodec:
    """Whole numbers in decimal digits; 0 is one of them, and no deletion."""

    def encode(self, value: int, /) -> bytes:
        """Return the digits."""
        if isinstance(value, bool) or not isinstance(value, int):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"expected int, not {type(value).__name__}")
        return b"%d" % value

    def decode(self, octets: bytes, /) -> int:
        """Return the number."""
        if _DIGITS.fullmatch(octets) is None:
            raise ValueError("it is no whole number in decimal digits")
        return int(octets)


_DIGITS = re.compile(rb"-?[0-9]{1,1000}")

JSON: Codec[JSONValue] = _JSONCodec()
TEXT: Codec[str] = _TextCodec()
INT: Codec[int] = _IntCodec()


class DataclassCodec(Generic[_Dataclass]):
    """Instances of a dataclass as JSON objects: one member for each field.

    A stored object that lacks a field takes the field's default; one with a member that is no field is refused, since
    storing it again would lose the member, and so is one with a value that does not fit its field's annotation.

    Args:
        dataclass: Its fields hold what JSON gives back: str, int, float, bool, None, lists, and dicts with str keys.
            Other dataclasses, tuples, sets and enums would come back as something else.

    Raises:
        TypeError: It is no dataclass, or a field is annotated as something that would not come back, or is no
            parameter of ``__init__``.
    """

    def __init__(self, dataclass: type[_Dataclass]) -> None:
        if not dataclasses.is_dataclass(dataclass):
            raise TypeError(f"{dataclass!r} is no dataclass")
        self._hints = hints_of(dataclass)
        self._fields = dataclasses.fields(dataclass)
        name = dataclass.__name__
        for field in self._fields:
            if not field.init:
                raise TypeError(
                    f"{name}.{field.name} is field(init=False), which could not be given back to {name}(); make it a "
                    f"property, or write a codec with encode and decode of its own"
                )
            refuse_hint(f"{name}.{field.name}", self._hints.get(field.name, Any))
        self._dataclass = dataclass

    def encode(self, value: _Dataclass, /) -> bytes:
        """Return the fields as a JSON object."""
        if type(value) is not self._dataclass:
            raise TypeError(f"expected {self._dataclass.__name__}, not {type(value).__name__}")
        members = {field.name: getattr(value, field.name) for field in self._fields}
        self._check(members)
        return JSON.encode(members)

    def decode(self, octets: bytes, /) -> _Dataclass:
        """Return an instance with the members as fields."""
        members = JSON.decode(octets)
        if not isinstance(members, dict):
            raise TypeError(f"expected a JSON object, found {type(members).__name__}")
        if unknown := members.keys() - {field.name for field in self._fields}:
            raise ValueError(f"{self._dataclass.__name__} has no field {', '.join(sorted(unknown))}")
        self._check(members)
        return self._dataclass(**members)

    def _check(self, members: Mapping[str, object]) -> None:
        for name, value in members.items():
            hint = self._hints.get(name, Any)
            if not fits(value, hint):
                expected = hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")
                raise TypeError(
                    f"{self._dataclass.__name__}.{name} is {type(value).__name__} or holds what it should not; "
                    f"it is annotated as {expected}"
                )


def _refuse_keys(value: object) -> None:
    """Refuse keys that JSON would turn into text."""
    if isinstance(value, Mapping):
        for key, inside in cast("Mapping[object, object]", value).items():
            if not isinstance(key, str):
                raise TypeError(f"the key {key!r} is {type(key).__name__} and would come back as text; use str")
            _refuse_keys(inside)
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        for inside in cast("Sequence[object]", value):
            _refuse_keys(inside)
