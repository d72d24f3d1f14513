"""A hook's request and answer as JSON: protobuf's own mapping, with the contract's field names.

Job:    find a hook by any of its names, read its fields, say what is wrong where, print its answer.
Layer:  cli, over the hook table and the messages.
Errors: ValueError, one sentence with the place and what is expected there.
See:    https://protobuf.dev/programming-guides/json
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, cast

from google.protobuf.json_format import MessageToDict, ParseDict, ParseError

from mm_plugin._proto.services import hook_methods
from mm_plugin.hooks.names import HookName
from mm_plugin.hooks.table import HOOK_TABLE
from mm_plugin.messages.manifest_text import kind_of

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor
    from google.protobuf.message import Message

    from mm_plugin.types import JSONValue

__all__ = ("answer_json", "find_hook", "hook_fields")

_LIFECYCLE = {HookName.OnActivate, HookName.OnDeactivate}


def find_hook(text: str) -> HookName:
    """Return a hook by its Go name or by the name of its method.

    Raises:
        ValueError: There is none, or it cannot be called alone.
    """
    names = {str(row.name): row.name for row in HOOK_TABLE.values()}
    names |= {row.method: row.name for row in HOOK_TABLE.values()}
    if text not in names:
        spellings = {name.lower(): name for name in names}
        near = [spellings[name] for name in get_close_matches(text.lower(), spellings, n=3)]
        all_names = ", ".join(str(row.name) for row in HOOK_TABLE.values())
        listed = f"near are {', '.join(near)}" if near else f"there are {all_names}"
        raise ValueError(f"there is no hook {text!r}; {listed} (docs/reference/hooks.md)")
    name = names[text]
    if name in _LIFECYCLE:
        raise ValueError(f"{name} is called by every start and stop; try it with: mm-plugin dev PATH --once")
    if HOOK_TABLE[name].streaming:
        raise ValueError(f"{name} is HTTP; run mm-plugin dev PATH and ask with curl")
    return name


def hook_fields(name: HookName, text: str, ids: Mapping[str, str]) -> dict[str, object]:
    """Return a request's fields, as ``HookClient.call`` takes them.

    Args:
        name: The hook.
        text: A JSON object.
        ids: What empty fields of these names inside the request's messages become.

    Raises:
        ValueError: It is none, or does not fit the hook.
    """
    try:
        values: object = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"bad JSON at line {error.lineno}, column {error.colno}: {error.msg}") from None
    wanted = tuple(field for field in HOOK_TABLE[name].fields if field != "plugin_context")
    if not isinstance(values, dict):
        raise ValueError(f"expected a JSON object with the fields of {name}: {', '.join(wanted) or 'none'}")  # noqa: TRY004 - one kind of error
    fields = cast("dict[str, JSONValue]", values)
    request = hook_methods()[name].request()
    unknown = [key for key in fields if key not in wanted]
    if unknown:
        raise ValueError(f"{name} has no field {unknown[0]!r}; it has {', '.join(wanted) or 'none'}")
    _check_names(fields, cast("Descriptor", request.DESCRIPTOR), str(name))
    try:
        ParseDict(fields, request)
    except ParseError as error:
        raise ValueError(f"{name}: {' '.join(str(error).split()).rstrip('.')}") from None
    _fill_ids(request, ids)
    return {field.name: value for field, value in request.ListFields()}


def answer_json(answer: Message | None) -> dict[str, JSONValue]:
    """Return a response as JSON; what is unset is left out."""
    if answer is None:
        return {}
    return cast("dict[str, JSONValue]", MessageToDict(answer, preserving_proto_field_name=True))


def _check_names(values: Mapping[str, JSONValue], descriptor: Descriptor, where: str) -> None:
    """Make sure that every key is a field, in messages within messages too.

    Raises:
        ValueError: One is not (near names are given), or a message is no object.
    """
    for key, value in values.items():
        field = descriptor.fields_by_name.get(key)
        if field is None:
            names = list(descriptor.fields_by_name)
            near = get_close_matches(key, names, n=3) or names
            raise ValueError(f"{where}: there is no field {key!r}; near are {', '.join(near)}")
        inner = field.message_type
        if inner is None or inner.file.package == "google.protobuf" or inner.GetOptions().map_entry:
            continue
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, Mapping):
                _check_names(item, inner, f"{where}.{key}")
            elif item is not None:
                raise ValueError(f"{where}.{key}: expected an object, found {kind_of(item)}")


def _fill_ids(request: Message, ids: Mapping[str, str]) -> None:
    for _, value in request.ListFields():
        for name in getattr(value, "DESCRIPTOR", request.DESCRIPTOR).fields_by_name.keys() & ids.keys():
            if hasattr(value, name) and not getattr(value, name):
                setattr(value, name, ids[name])
