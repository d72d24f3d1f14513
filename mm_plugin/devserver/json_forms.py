"""Messages as the JSON of Mattermost's REST interface, and back.

Job:    the same field names and spellings as the server: types of teams and channels as letters, times as numbers,
        Structs as plain objects.
Layer:  devserver. Pure functions.
Errors: ValidationError for JSON that does not fit a message; it names the field. ValueError for text that is no object.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar, cast

from google.protobuf.descriptor import FieldDescriptor

from mm_plugin.devserver.errors import invalid
from mm_plugin.messages.structs import dict_of_struct, fill_struct
from mm_plugin.types import JSONObject, JSONValue

if TYPE_CHECKING:
    from google.protobuf.message import Message

__all__ = ("fill_message", "json_of", "parse_object", "parse_strings")

_Message = TypeVar("_Message", bound="Message")

_LETTERS = {
    "CHANNEL_TYPE_OPEN": "O", "CHANNEL_TYPE_PRIVATE": "P", "CHANNEL_TYPE_DIRECT": "D", "CHANNEL_TYPE_GROUP": "G",
    "TEAM_TYPE_OPEN": "O", "TEAM_TYPE_INVITE": "I",
}  # fmt: skip
_PYTHON_TYPES: dict[int, type] = {
    FieldDescriptor.CPPTYPE_STRING: str,
    FieldDescriptor.CPPTYPE_BOOL: bool,
    FieldDescriptor.CPPTYPE_INT32: int,
    FieldDescriptor.CPPTYPE_INT64: int,
}


def parse_object(octets: bytes) -> JSONObject:
    """Return a JSON object, of which everything can be kept and sent again.

    Raises:
        ValueError: It is no JSON, no object, nested too deeply, or holds a number that is not finite or half of a
            character.
    """
    value = _parse(octets)
    if not isinstance(value, dict):
        raise ValueError(f"expected an object, found {type(value).__name__}")  # noqa: TRY004 - of its content
    return cast("JSONObject", value)


def parse_strings(octets: bytes) -> list[str]:
    """Return a JSON array of strings.

    Raises:
        ValueError: It is no JSON, or something else.
    """
    value = _parse(octets)
    if not isinstance(value, list) or not all(isinstance(each, str) for each in cast("list[object]", value)):
        raise ValueError("expected an array of strings")
    return cast("list[str]", value)


def _parse(octets: bytes) -> object:
    try:
        value: object = json.loads(octets)
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()  # refuses what is not finite, and surrogates
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return value


def json_of(message: Message) -> dict[str, JSONValue]:
    """Return a message as JSON: the fields that are present or have no presence, and Structs always."""
    return {
        field.name: _json_of_field(field, getattr(message, field.name))
        for field in _fields_of(message).values()
        if not field.has_presence or message.HasField(field.name) or _is_struct(field)
    }


def _fields_of(message: Message) -> Mapping[str, FieldDescriptor]:
    # The stubs also allow for the C implementation's own class, which is a FieldDescriptor in all but name.
    return cast("Mapping[str, FieldDescriptor]", {field.name: field for field in message.DESCRIPTOR.fields})


def _is_struct(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.full_name == "google.protobuf.Struct"


def _json_of_field(field: FieldDescriptor, value: object) -> JSONValue:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        item = field.message_type.fields_by_name["value"]
        entries = cast("Mapping[str, object]", value)
        return {key: _json_of_value(item, entries[key]) for key in entries}
    if field.is_repeated:
        return [_json_of_value(field, item) for item in cast("list[object]", value)]
    return _json_of_value(field, value)


def _json_of_value(field: FieldDescriptor, value: object) -> JSONValue:
    if field.message_type is not None:
        if _is_struct(field):
            return dict_of_struct(value)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - as its type says
        return json_of(cast("Message", value))
    if field.enum_type is not None:
        return _LETTERS.get(field.enum_type.values_by_number[cast("int", value)].name, "")
    return cast("JSONValue", value)


def fill_message(message: _Message, values: JSONObject) -> _Message:
    """Write JSON into a message and return it; keys it has no field for are ignored, as the server ignores them.

    Only what people send is understood: text, numbers, booleans, lists of text, and objects for Structs.

    Raises:
        ValidationError: A value does not fit its field; the message is then filled in part.
    """
    fields = _fields_of(message)
    for name, value in values.items():
        field = fields.get(name)
        if field is None or value is None:
            continue
        if _is_struct(field) and isinstance(value, Mapping):
            try:
                fill_struct(getattr(message, name), value, name)
            except (TypeError, ValueError) as error:
                raise _unfit(name, str(error)) from None
        elif field.message_type is None and field.enum_type is None:
            _fill_plain(message, field, value)
    return message


def _fill_plain(message: Message, field: FieldDescriptor, value: JSONValue) -> None:
    wanted = _PYTHON_TYPES.get(field.cpp_type, str)
    values = value if field.is_repeated and isinstance(value, list) else [value]
    if any(type(item) is not wanted for item in values) or (field.is_repeated and not isinstance(value, list)):
        kind = {str: "text", bool: "a boolean", int: "a whole number"}[wanted]
        raise _unfit(field.name, f"expected {'a list of ' if field.is_repeated else ''}{kind}")
    try:
        if field.is_repeated:
            getattr(message, field.name)[:] = values
        else:
            setattr(message, field.name, value)
    except (TypeError, ValueError) as error:
        raise _unfit(field.name, str(error)) from None


def _unfit(name: str, text: str) -> Exception:
    return invalid("api.context.invalid_body_param.app_error", f"Invalid or missing {name} in request body: {text}.")
