"""The JSON documents that travel as octets inside a few messages, decoded: mappings with names for what is known.

Job:    decode a configuration, an e-mail notification, a SAML assertion or a sync message; keep every key, their order,
        and the octets as received.
Layer:  messages.
Errors: ValueError where the octets are no JSON object.

Like messages, these are the handler's own: changing one and returning it is a change, changing it alone is not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast, overload

from mm_plugin.types import JSONValue

if TYPE_CHECKING:
    from typing import Self

    from mm_plugin.messages.notifications import EmailNotificationContent

__all__ = (
    "JSON_DOCUMENTS",
    "Configuration",
    "EmailNotification",
    "JSONDocument",
    "SAMLAssertion",
    "SyncMessage",
    "same_json",
)

_T = TypeVar("_T")


class JSONDocument(dict[str, JSONValue]):
    """A JSON object with the octets it was decoded from.

    Attributes:
        raw: The octets as received; they stay as they are when the mapping is changed.

    Args:
        raw: JSON in UTF-8. Empty and ``null``, which is how Go writes "nothing", give an empty document.

    Raises:
        ValueError: It is no JSON, or JSON but no object.
    """

    __slots__ = ("raw",)

    def __init__(self, raw: bytes = b"") -> None:
        super().__init__(_decoded(raw))
        self.raw = raw

    def __repr__(self) -> str:
        """Return what it is and how much; what it says may be secret, and a repr ends up in logs."""
        return f"<{type(self).__name__} of {len(self)} keys>"


class _Known(Generic[_T]):
    """A key with a type; reads as that type's empty value where the document has no such key, or another type there."""

    __slots__ = ("_key", "_kind")

    def __init__(self, kind: type[_T], key: str = "") -> None:
        self._kind = kind
        self._key = key

    def __set_name__(self, owner: type, name: str) -> None:
        self._key = self._key or name

    @overload
    def __get__(self, document: None, owner: type, /) -> Self: ...
    @overload
    def __get__(self, document: JSONDocument, owner: type, /) -> _T: ...
    def __get__(self, document: JSONDocument | None, owner: type, /) -> _T | Self:
        if document is None:
            return self
        value: object = document.get(self._key)
        return value if isinstance(value, self._kind) else self._kind()


_Object = cast("type[dict[str, JSONValue]]", dict)
_Array = cast("type[list[JSONValue]]", list)


class Configuration(JSONDocument):
    """The server's whole configuration as in config.json: sections of settings, all in PascalCase, secrets included."""

    __slots__ = ()

    def section(self, name: str) -> dict[str, JSONValue]:
        """Return one section, such as ``ServiceSettings``, to read or to change; an empty one is put in where missing.

        Raises:
            TypeError: What stands under this name is no section.
        """
        value: Any = self.setdefault(name, {})
        if not isinstance(value, dict):
            raise TypeError(f"{name} is no section of the configuration but {type(value).__name__}")
        return cast("dict[str, JSONValue]", value)


class EmailNotification(JSONDocument):
    """A mail that is about to be sent: what it is about, and its content."""

    __slots__ = ()

    post_id = _Known(str)
    channel_id = _Known(str)
    team_id = _Known(str)
    sender_id = _Known(str)
    sender_display_name = _Known(str)
    sender_username = _Known(str)
    recipient_id = _Known(str)
    root_id = _Known(str)
    channel_type = _Known(str)
    channel_name = _Known(str)
    team_name = _Known(str)
    is_direct_message = _Known(bool)
    is_group_message = _Known(bool)
    is_thread_reply = _Known(bool)
    is_crt_enabled = _Known(bool)
    use_military_time = _Known(bool)
    subject = _Known(str)
    title = _Known(str)
    subtitle = _Known(str)
    message_html = _Known(str)
    message_text = _Known(str)
    button_text = _Known(str)
    button_url = _Known(str)
    footer_text = _Known(str)

    def content(self) -> EmailNotificationContent:
        """Return the content as a message of its own: change what you like and return it from the hook.

        What a handler returns replaces all of the content, so an ``EmailNotificationContent`` made from nothing blanks
        whatever it leaves out.
        """
        from mm_plugin.messages.notifications import EmailNotificationContent

        return EmailNotificationContent(
            subject=self.subject,
            title=self.title,
            sub_title=self.subtitle,
            message_html=self.message_html,
            message_text=self.message_text,
            button_text=self.button_text,
            button_url=self.button_url,
            footer_text=self.footer_text,
        )


class SAMLAssertion(JSONDocument):
    """What an identity provider said about a user: Go's ``saml2.AssertionInfo``; empty where the server had none."""

    __slots__ = ()

    name_id = _Known(str, "NameID")
    values_by_name = _Known(_Object, "Values")
    session_index = _Known(str, "SessionIndex")
    assertions = _Known(_Array, "Assertions")
    warning_info = _Known(_Object, "WarningInfo")
    response_signature_validated = _Known(bool, "ResponseSignatureValidated")

    def attribute(self, name: str) -> list[str]:
        """Return the values of one attribute of the user, [] where the provider gave none."""
        items = _member(self.values_by_name.get(name), "Values")
        values = [_member(item, "Value") for item in items] if isinstance(items, Sequence) else []
        return [value for value in values if isinstance(value, str)]


class SyncMessage(JSONDocument):
    """What changed in a shared channel: objects as the server's REST API writes them, in snake_case."""

    __slots__ = ()

    id = _Known(str)
    channel_id = _Known(str)
    users = _Known(_Object)
    posts = _Known(_Array)
    reactions = _Known(_Array)
    statuses = _Known(_Array)


#: The class that decodes each message of the contract which is nothing but JSON in octets, by the message's name.
JSON_DOCUMENTS: Mapping[str, type[JSONDocument]] = {
    "ConfigJson": Configuration,
    "EmailNotificationJson": EmailNotification,
    "SamlAssertionInfoJson": SAMLAssertion,
    "SyncMsgJson": SyncMessage,
}


def _member(value: JSONValue, key: str) -> JSONValue:
    return value.get(key) if isinstance(value, Mapping) else None


def same_json(one: Mapping[str, JSONValue], other: Mapping[str, JSONValue]) -> bool:
    """Whether two objects are the same JSON: the order of keys does not count, while true and 1 differ."""
    return one == other and json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _decoded(raw: bytes) -> dict[str, JSONValue]:
    if not raw:
        return {}
    try:
        value: object = json.loads(raw)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError(f"the JSON must be an object, not {type(value).__name__}")  # noqa: TRY004 - wrong data, not a wrong type
    return cast("dict[str, JSONValue]", value)
