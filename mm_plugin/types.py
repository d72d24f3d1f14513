"""Type aliases that several rooms share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

__all__ = ("Backend", "EventLoop", "HeaderFields", "JSONInput", "JSONObject", "JSONValue")

#: The event loops the runtime runs on.
Backend: TypeAlias = Literal["asyncio", "trio"]
#: Event loops of a plugin's process: a backend, or uvloop in asyncio's place.
EventLoop: TypeAlias = Literal["asyncio", "trio", "uvloop"]

#: What JSON can say; mappings and sequences are read-only so that typed dicts and tuples fit.
JSONValue: TypeAlias = "str | int | float | bool | Mapping[str, JSONValue] | Sequence[JSONValue] | None"
JSONObject: TypeAlias = "Mapping[str, JSONValue]"
#: What may be given for JSON: typed dicts too, which are no ``Mapping[str, JSONValue]`` to type checkers.
JSONInput: TypeAlias = "JSONValue | Mapping[str, object] | Sequence[Mapping[str, object]]"

#: HTTP fields in order; a name may stand more than once.
HeaderFields: TypeAlias = "tuple[tuple[str, str], ...]"
