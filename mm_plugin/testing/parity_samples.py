"""Requests and responses for any API method, built from its descriptors, every field set and unlike its default.

Layer:  testing. ``parity`` and the tests of the API call every method with these.
Output: messages, and the same as Python's side of the client sees them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any, cast

from mm_plugin._proto.services import api_methods
from mm_plugin.api.table import APIMethod, Kind
from mm_plugin.messages.structs import dict_of_pairs, dict_of_struct, fill_pairs, fill_struct, fill_value

if TYPE_CHECKING:
    from google.protobuf.descriptor import FieldDescriptor
    from google.protobuf.message import Message

    from mm_plugin.types import JSONValue

__all__ = (
    "JSON_SAMPLE",
    "arguments_of",
    "result_of",
    "sample_request",
    "sample_response",
)

JSON_SAMPLE: Mapping[str, JSONValue] = {
    "int": 3,
    "float": 0.5,
    "text": "ä",
    "list": [1, None, {"deep": True}],
    "empty": {},
}
#: Messages inside messages, to this depth.
_DEPTH = 3


def sample_request(row: APIMethod) -> Message:
    """Return the request of a method with every field set."""
    return _sample(api_methods()[row.rpc].request)


def sample_response(row: APIMethod) -> Message:
    """Return the response of a method with every field set but ``error``."""
    return _sample(api_methods()[row.rpc].response)


def arguments_of(row: APIMethod, request: Message) -> dict[str, object]:
    """Return a request's fields as the client's method takes them."""
    return {parameter.name: _python(request, parameter.name, parameter.kind) for parameter in row.parameters}


def result_of(row: APIMethod, response: Message) -> object:
    """Return what the client's method makes of a response without error; of several fields a tuple."""
    values = tuple(_python(response, result.name, result.kind) for result in row.results)
    return None if not values else values[0] if len(values) == 1 else values


def _python(message: Message, name: str, kind: Kind) -> object:
    value = getattr(message, name)
    match kind:
        case Kind.LIST:
            return list(value)
        case Kind.MAP:
            return dict(value)
        case Kind.STRUCT:
            return dict_of_struct(value)
        case Kind.PAIRS:
            return dict_of_pairs(value)
        case _:
            return cast("object", value)


def _sample(message_class: type[Message]) -> Message:
    message = message_class()
    _fill(message, count(1), 0)
    return message


def _fill(message: Message, numbers: count[int], depth: int) -> None:
    for field in cast("Iterable[FieldDescriptor]", message.DESCRIPTOR.fields):
        if field.name == "error" and depth == 0:
            continue
        if field.message_type is None:
            _fill_plain(message, field, numbers)
        elif field.message_type.GetOptions().map_entry:
            _fill_map(message, field, numbers, depth)
        elif field.message_type.file.name == "google/protobuf/struct.proto":
            _fill_json(getattr(message, field.name), field.message_type.name)
        elif field.message_type.name == "KeyValuePair":
            fill_pairs(getattr(message, field.name), JSON_SAMPLE, field.name)
        elif depth < _DEPTH:
            target = getattr(message, field.name)
            if field.is_repeated:
                _fill(target.add(), numbers, depth + 1)
                target.add()
            else:
                _fill(target, numbers, depth + 1)
                target.SetInParent()


def _fill_plain(message: Message, field: FieldDescriptor, numbers: count[int]) -> None:
    if field.is_repeated:
        getattr(message, field.name).extend([_scalar(field, next(numbers)), _scalar(field, next(numbers))])
    else:
        setattr(message, field.name, _scalar(field, next(numbers)))


def _fill_map(message: Message, field: FieldDescriptor, numbers: count[int], depth: int) -> None:
    target = getattr(message, field.name)
    entry = field.message_type
    assert entry is not None
    if entry.fields_by_name["value"].message_type is None:
        target[f"key {next(numbers)}"] = f"value {next(numbers)}"
    elif depth < _DEPTH:
        _fill(target[f"key {next(numbers)}"], numbers, depth + 1)


def _fill_json(target: Any, name: str) -> None:
    if name == "Struct":
        fill_struct(target, JSON_SAMPLE, name)
    else:
        fill_value(target, dict(JSON_SAMPLE), name)


def _scalar(field: FieldDescriptor, number: int) -> str | bytes | bool | int:
    if field.enum_type is not None:
        return field.enum_type.values[-1].number
    match field.type:
        case field.TYPE_STRING:
            return f"{field.name} {number} ü"
        case field.TYPE_BYTES:
            return f"{field.name} {number}".encode() + b"\x00\xff"
        case field.TYPE_BOOL:
            return True
        case _:
            return number
