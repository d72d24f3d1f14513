"""How typed values become the bytes of the key-value store: JSON, text, dataclasses.

Layer:  api, beside the client.
Errors: TypeError and ValueError; ``KVStore`` turns those of reading into KVValueError with the key.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any, ClassVar, Generic, Protocol, TypeVar, get_args, get_type_hints

from mm_plugin.types import JSONValue

__all__ = ("JSON", "TEXT", "Codec", "DataclassCodec")


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
    """Any JSON value."""

    def encode(self, value: JSONValue, /) -> bytes:
        """Return JSON in UTF-8, keys sorted, so that equal values are equal bytes."""
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True).encode()

    def decode(self, octets: bytes, /) -> JSONValue:
        """Return what the JSON says."""
        value: JSONValue = json.loads(octets)
        return value


class _TextCodec:
    """Text in UTF-8; not the empty one, which the server takes for a deletion."""

    def encode(self, value: str, /) -> bytes:
        """Return the text in UTF-8."""
        return value.encode()

    def decode(self, octets: bytes, /) -> str:
        """Return the text."""
        return octets.decode()


JSON: Codec[JSONValue] = _JSONCodec()
TEXT: Codec[str] = _TextCodec()


class DataclassCodec(Generic[_Dataclass]):
    """Instances of a dataclass as JSON objects: one member for each field.

    A stored object that lacks a field takes the field's default; one with a member that is no field is refused, since
    storing it again would lose the member.

    Args:
        dataclass: Its fields hold JSON values, no other dataclasses.

    Raises:
        TypeError: It is no dataclass, or a field is one itself.
    """

    def __init__(self, dataclass: type[_Dataclass]) -> None:
        if not dataclasses.is_dataclass(dataclass):
            raise TypeError(f"{dataclass!r} is no dataclass")
        hints: dict[str, object] = get_type_hints(dataclass)
        for field in dataclasses.fields(dataclass):
            inside = (hints[field.name], *get_args(hints[field.name]))
            if any(isinstance(each, type) and dataclasses.is_dataclass(each) for each in inside):
                raise TypeError(
                    f"{dataclass.__name__}.{field.name} holds a dataclass, which would come back as a dict; "
                    f"write a codec with encode and decode of its own"
                )
        self._dataclass = dataclass

    def encode(self, value: _Dataclass, /) -> bytes:
        """Return the fields as a JSON object."""
        return JSON.encode({field.name: getattr(value, field.name) for field in dataclasses.fields(value)})

    def decode(self, octets: bytes, /) -> _Dataclass:
        """Return an instance with the members as fields."""
        members = JSON.decode(octets)
        if not isinstance(members, dict):
            raise TypeError(f"expected a JSON object, found {type(members).__name__}")
        return self._dataclass(**members)
