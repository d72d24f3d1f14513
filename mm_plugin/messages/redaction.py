"""The text of a message for logs: what it says, without what nobody may read there.

Job:    show any message of the contract in one line; passwords, MFA secrets, tokens and the like never stand in it.
Layer:  messages.

Withheld are fields whose names say that they hold a secret, entries of maps and Structs under such keys, all octets
(files, stored values, JSON documents with whole configurations in them) and the settings of plugins. Long texts are
cut.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeGuard

if TYPE_CHECKING:
    from google.protobuf.descriptor import FieldDescriptor
    from google.protobuf.message import Message

__all__ = ("REDACTED", "is_message", "redacted", "scrubbed", "shown")

#: Stands where a secret was.
REDACTED = "[redacted]"

#: Longest text of one field, entries of one list or mapping, and depth: a log line is no dump.
_CHARACTERS, _ENTRIES, _DEPTH = 200, 20, 6

_SECRET = re.compile(
    r"passw|secret|token|credential|cookie|authorization|auth[-_]?data|data[-_]?source|^mfa|^link$"
    r"|(api|private|signing|access|encryption)[-_]?key|^(session|invite|trigger|device)[-_]?id$",
    re.IGNORECASE,
)
#: Names that match although they hold an id, or a word.
_HARMLESS = frozenset({"token_id", "data_source"})
#: Addresses, whose query may hold what a header would have held.
_ADDRESS = re.compile(r"ur[il]", re.IGNORECASE)
#: Fields that hold settings, keyed as their authors like, or what a user typed into a form.
_WITHHELD = frozenset({"config", "state", "value", "values", "old_value", "new_value"})
#: The same in the text format: what a Struct and a map hold, and fields of octets.
_TEXT_WITHHELD = frozenset(
    {
        "string_value",
        "assertion_json",
        "body",
        "body_chunk",
        "config_json",
        "data",
        "file_content",
        "file_data",
        "icon",
        "image",
        "license_json",
        "limits_json",
        "mini_preview",
        "modified_content",
        "notification_json",
        "sync_msg_json",
    }
)
#: The name of a field in the text format or in JSON; a repr puts "\\n" before it.
_TEXT_FIELD = re.compile(r"""(?:\\n|\b)(?P<name>[A-Za-z_][\w-]*)\\*["']?:\s*(?=["'\\])""")
#: What stands in quotes, or without their end all that follows; each repr puts more backslashes before an inner quote.
_QUOTED = re.compile(r"""\\*(?:"(?:[^"\\]|\\++.?)*+"?|'(?:[^'\\]|\\++.?)*+'?)""", re.DOTALL)
_STRUCTS = frozenset({"google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.ListValue"})


def redacted(message: Message) -> str:
    """Return a message in one line: its type and the fields that are set, without secrets."""
    return _message(message, 0)


def shown(value: object) -> object:
    """Return a value as it may be logged: messages redacted, also those inside lists, tuples and mappings."""
    return _text(value) if _holds_message(value, 0) else value


def scrubbed(text: str) -> str:
    """Return a finished text without what secret fields hold where messages have been formatted into it.

    Takes protobuf's text format (``password: "..."``), also inside a ``repr``, and JSON.
    """
    pieces: list[str] = []
    done = 0
    for field in _TEXT_FIELD.finditer(text):
        name = field["name"]
        if field.start() >= done and (is_secret(name) or name in _WITHHELD or name in _TEXT_WITHHELD):
            value = _QUOTED.match(text, field.end())
            if value is not None:
                pieces += text[done : field.end()], REDACTED
                done = value.end()
    return "".join(pieces) + text[done:]


def is_message(value: object) -> TypeGuard[Message]:
    """Whether a value is a protobuf message; asked without importing protobuf."""
    return hasattr(value, "DESCRIPTOR") and hasattr(value, "SerializeToString")


def _holds_message(value: object, depth: int) -> bool:
    if is_message(value):
        return True
    if isinstance(value, str | bytes):
        return False
    if depth >= _DEPTH:
        return _is_mapping(value) or _is_collection(value)  # nobody looks deeper, so it may
    if _is_mapping(value):
        return any(_holds_message(item, depth + 1) for item in value.values())
    return _is_collection(value) and any(_holds_message(item, depth + 1) for item in value)


def _is_mapping(value: object) -> TypeGuard[Mapping[object, object]]:
    return isinstance(value, Mapping)


def _is_collection(value: object) -> TypeGuard[Collection[object]]:
    """Whether a value is a list or the like, which looking at does not use up; repeated fields have their own class."""
    return isinstance(value, list | tuple | set | frozenset) or (
        type(value).__module__.startswith("google.") and isinstance(value, Collection)
    )


def _text(value: object, depth: int = 0) -> str:
    if is_message(value):
        return _message(value, depth)
    if depth > _DEPTH:
        return "..."
    if isinstance(value, bytes):
        return f"<{len(value)} octets>"
    if _is_mapping(value):
        return _mapping(value, depth)
    if _is_collection(value):
        return _joined("[", (_text(item, depth + 1) for item in value), "]")
    text = repr(value)
    return text if len(text) <= _CHARACTERS else f"{text[:_CHARACTERS]}..."


def _message(message: Message, depth: int) -> str:
    kind = message.DESCRIPTOR.name
    if depth > _DEPTH:
        return f"{kind}(...)"
    set_fields = [(field.name, _field(field, value, depth)) for field, value in message.ListFields()]
    return _joined(f"{kind}(", (f"{name}={text}" for name, text in set_fields), ")", entries=len(set_fields))


def _field(field: FieldDescriptor, value: Any, depth: int) -> str:
    if is_secret(field.name) or field.name in _WITHHELD:
        return REDACTED
    if _ADDRESS.search(field.name) and not field.is_repeated and "?" in value:
        address: str = value.partition("?")[0]
        return _text(f"{address}?...")
    kind = field.message_type
    if kind is not None and kind.full_name in _STRUCTS:
        from mm_plugin.messages.structs import dict_of_struct

        if kind.name != "Struct" or field.is_repeated:
            return REDACTED
        return _mapping(dict_of_struct(value), depth)
    return _text(value, depth + 1)


def _mapping(values: Mapping[Any, object], depth: int) -> str:
    texts = (f"{key!r}: {REDACTED if is_secret(str(key)) else _text(item, depth + 1)}" for key, item in values.items())
    return _joined("{", texts, "}")


def is_secret(name: str) -> bool:
    """Whether a field or key of this name holds what nobody may read in a log."""
    return name not in _HARMLESS and _SECRET.search(name) is not None


def _joined(begin: str, texts: Iterable[str], end: str, *, entries: int = _ENTRIES) -> str:
    iterator = iter(texts)
    shown_texts = list(islice(iterator, entries))
    if next(iterator, None) is not None:
        shown_texts.append("...")
    return begin + ", ".join(shown_texts) + end
