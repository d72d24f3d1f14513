"""HTTP fields as an author meets them: case-insensitive, with more than one value, in order, validated.

Layer:  serve_http.
Errors: ValueError names the field and what is wrong with it; ResponseStateError once the head has been sent.
See:    RFC 9110, sections 5.1 (names), 5.5 (values) and 5.6.2 (tokens)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, MutableMapping

from mm_plugin.exceptions import ResponseStateError
from mm_plugin.types import HeaderFields

__all__ = ("Headers", "ResponseHeaders", "fault_of_field", "parse_cookies", "text_of")

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
# Controls but for the tab, and surrogates, which no encoding can carry.
_BAD_IN_VALUE = re.compile("[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")


class Headers(Mapping[str, str]):
    """The fields of a request, read-only.

    As a mapping it has each name once, in the spelling received, with its first value; ``get_all`` gives every value
    and ``fields`` everything.
    """

    def __init__(self, fields: HeaderFields = ()) -> None:
        self._fields = list(fields)

    @property
    def fields(self) -> HeaderFields:
        """Every field, in order."""
        return tuple(self._fields)

    def get_all(self, name: str) -> list[str]:
        """Return every value of a field, in order; empty where there is none."""
        wanted = name.lower()
        return [value for field, value in self._fields if field.lower() == wanted]

    def __getitem__(self, name: str) -> str:
        wanted = name.lower()
        for field, value in self._fields:
            if field.lower() == wanted:
                return value
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and any(field.lower() == name.lower() for field, _ in self._fields)

    def __iter__(self) -> Iterator[str]:
        seen: set[str] = set()
        for field, _ in self._fields:
            if field.lower() not in seen:
                seen.add(field.lower())
                yield field

    def __len__(self) -> int:
        return len({field.lower() for field, _ in self._fields})

    def __repr__(self) -> str:
        # Values may be secrets (Authorization, Cookie).
        return f"<{type(self).__name__} {', '.join(self)}>"


class ResponseHeaders(Headers, MutableMapping[str, str]):
    """The fields of a response: settable until the head has been sent."""

    def __init__(self) -> None:
        super().__init__()
        self._sent = False

    def __setitem__(self, name: str, value: str) -> None:
        """Set a field to one value, in place of all it had.

        Raises:
            ValueError: The name is no token, or the value holds a line break or another control character.
            ResponseStateError: The head has been sent.
        """
        self._check(name, value)
        self._fields = [(field, old) for field, old in self._fields if field.lower() != name.lower()]
        self._fields.append((name, value))

    def __delitem__(self, name: str) -> None:
        """Remove every value of a field.

        Raises:
            KeyError: There is none.
            ResponseStateError: The head has been sent.
        """
        self._check_open()
        if name not in self:
            raise KeyError(name)
        self._fields = [(field, old) for field, old in self._fields if field.lower() != name.lower()]

    def add(self, name: str, value: str) -> None:
        """Add one more value to a field, such as a second ``Set-Cookie``; raises like setting."""
        self._check(name, value)
        self._fields.append((name, value))

    def close(self) -> HeaderFields:
        """Return the fields for sending; from here on they cannot be changed."""
        self._sent = True
        return self.fields

    def _check(self, name: str, value: str) -> None:
        self._check_open()
        if fault := fault_of_field(name, value):
            raise ValueError(fault)

    def _check_open(self) -> None:
        if self._sent:
            raise ResponseStateError("headers cannot be changed after the head has been sent; set them before writing")


def fault_of_field(name: str, value: str) -> str:
    """Tell why a field must not be sent; "" where it may."""
    if not _TOKEN.fullmatch(name):
        return f"header name {name!r}: use letters, digits and - only (RFC 9110, section 5.6.2)"
    if bad := _BAD_IN_VALUE.search(value):
        return (
            f"header {name}: its value has {bad.group()!r} at {bad.start()}; line breaks and control characters "
            "are not allowed, encode them"
        )
    return ""


def text_of(value: bytes) -> str:
    """Decode a field's value: UTF-8 as Go takes it; what is not UTF-8 would not fit into a message."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def parse_cookies(fields: Iterable[str]) -> dict[str, str]:
    """Return the cookies of ``Cookie`` fields by name; of equal names the first counts (RFC 6265, section 5.4).

    What has no ``=`` or no name is left out, as servers do; quotes around a value are removed.
    """
    cookies: dict[str, str] = {}
    for pair in (pair for field in fields for pair in field.split(";")):
        name, equals, value = pair.strip().partition("=")
        value = value.strip()
        if len(value) >= 2 and value[0] == value[-1] == '"':
            value = value[1:-1]
        if equals and name.strip():
            cookies.setdefault(name.strip(), value)
    return cookies
