"""Header fields: one validated head of a request, a response or trailers (RFC 9113, sections 8.2 and 8.3).

A head knows what is wrong with it (``fault``) instead of raising, because a bad head ends only its stream and its
header block must be decoded all the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeAlias

__all__ = ("EMPTY_HEAD", "Fields", "Head", "field_fault")

Fields: TypeAlias = Sequence[tuple[bytes, bytes]]

_is_name = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+").fullmatch
_has_bad_octet = re.compile(rb"[\x00\r\n]|\A[ \t]|[ \t]\Z").search
_CONNECTION_FIELDS = frozenset((b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade"))
_REQUEST_PSEUDO = frozenset((b":method", b":scheme", b":path", b":authority"))
_SWITCHING_PROTOCOLS = b"101"

# Verdicts on fields that come again and again. Shared by all connections; cleared when full, so nobody can spoil it.
_REMEMBERED_FIELDS = 512
_REMEMBERED_OCTETS = 256
_PSEUDO = "a pseudo-header field"
_NEW = "not seen yet"
_verdicts: dict[tuple[bytes, bytes], str | None] = {}


def field_fault(field: tuple[bytes, bytes]) -> str | None:
    """Say what RFC 9113, section 8.2, has against one regular field; None if nothing."""
    verdict = _verdict(field)
    return f"field name {field[0][:64]!r} is no lower-case token" if verdict is _PSEUDO else verdict


def _verdict(field: tuple[bytes, bytes]) -> str | None:
    """Judge one field: what is wrong with it, that it is a right pseudo-header field (``_PSEUDO``), or None."""
    verdict = _verdicts.get(field, _NEW)
    if verdict is not _NEW:
        return verdict
    name, value = field
    verdict = _examine(name, value)
    if name != b"grpc-timeout" and len(name) + len(value) <= _REMEMBERED_OCTETS:
        if len(_verdicts) >= _REMEMBERED_FIELDS:
            _verdicts.clear()
        _verdicts[field] = verdict
    return verdict


def _examine(name: bytes, value: bytes) -> str | None:
    if name[:1] == b":":
        return (
            f"value of {name[:64]!r} holds NUL, CR or LF, or has blanks at an end" if _has_bad_octet(value) else _PSEUDO
        )
    if not _is_name(name):
        return f"field name {name[:64]!r} is no lower-case token"
    if name in _CONNECTION_FIELDS or (name == b"te" and value != b"trailers"):
        return f"connection-specific field {name.decode()}"
    if name == b"content-length" and not (value.isdigit() and len(value) < 20):
        return "content-length is no number"
    if _has_bad_octet(value):
        return f"value of {name.decode()[:64]} holds NUL, CR or LF, or has blanks at an end"
    return None


_FIELD_OCTETS = 128  # a tuple and two strings, somewhat less where they are shared


class Head:
    """The fields of one header block, validated; immutable, so equal blocks of one connection may share it.

    Attributes:
        fields: All fields in order, pseudo-header fields included.
        method: Request: ``:method``; b"" otherwise.
        path: Request: ``:path``; b"" for CONNECT and where there is none.
        authority: Request: ``:authority``, or ``host`` in its place.
        scheme: Request: ``:scheme``.
        status: Response: 100 to 999; None on a request or trailers.
        content_type: The content-type; b"" where there is none.
        content_length: What the content-length announces, in octets; None where there is none.
        is_trailers: There is no pseudo-header field.
        fault: What makes it malformed; None in everything that an event carries.
        user: The application's own object: what it made of this head, for the next stream that has the same.
    """

    __slots__ = (
        "_regular",
        "authority",
        "content_length",
        "content_type",
        "fault",
        "fields",
        "is_trailers",
        "method",
        "path",
        "scheme",
        "status",
        "user",
    )

    def __init__(self, fields: Fields) -> None:
        self.fields: tuple[tuple[bytes, bytes], ...] = tuple(fields)
        self.user: object = None
        pseudo: dict[bytes, bytes] = {}
        regular: dict[bytes, bytes] = {}
        fault: str | None = None
        for field in self.fields:
            name, value = field
            verdict = _verdicts.get(field, _NEW)
            if verdict is _NEW:
                verdict = _verdict(field)
            if verdict is None:
                if regular.setdefault(name, value) != value and name == b"content-length":
                    fault = "two content-lengths that differ"
            elif verdict is not _PSEUDO:
                fault = verdict
            elif regular or name in pseudo:
                fault = f"pseudo-header field {name[:64]!r} is repeated or follows a regular one"
            else:
                pseudo[name] = value
        get = pseudo.get
        self._regular = regular
        self.method: bytes = get(b":method", b"")
        self.path: bytes = get(b":path", b"")
        self.scheme: bytes = get(b":scheme", b"")
        self.authority: bytes = get(b":authority") or regular.get(b"host", b"")
        self.status: int | None = None
        self.is_trailers: bool = not pseudo
        self.content_type: bytes = regular.get(b"content-type", b"")
        if fault is None and pseudo:
            fault = self._response_fault(pseudo) if b":status" in pseudo else self._request_fault(pseudo)
        self.fault: str | None = fault
        length = regular.get(b"content-length") if fault is None else None
        self.content_length: int | None = None if length is None else int(length)

    def get(self, name: bytes) -> bytes | None:
        """Return the first value of a regular field, or None; ``name`` in lower case."""
        return self._regular.get(name)

    @property
    def kept_octets(self) -> int:
        """About what keeping it costs: fields are some objects each, however short they are."""
        return _FIELD_OCTETS * len(self.fields) + sum(map(len, self._regular.values()))

    def _response_fault(self, pseudo: dict[bytes, bytes]) -> str | None:
        """RFC 9113, section 8.3.2; 101 has no place in HTTP/2 (section 8.6)."""
        status = pseudo[b":status"]
        if len(pseudo) > 1:
            return "a response has no pseudo-header field but :status"
        if len(status) != 3 or not status.isdigit() or status < b"100" or status == _SWITCHING_PROTOCOLS:
            return f":status is {status[:16]!r}"
        self.status = int(status)
        return None

    def _request_fault(self, pseudo: dict[bytes, bytes]) -> str | None:
        """RFC 9113, sections 8.3.1 and 8.5."""
        if not _REQUEST_PSEUDO.issuperset(pseudo):
            return "unknown pseudo-header field"
        if self.method == b"CONNECT":
            if b":scheme" in pseudo or b":path" in pseudo or b":authority" not in pseudo:
                return "CONNECT takes :authority and neither :scheme nor :path"
        elif not (self.method and self.scheme and self.path):
            return "a request needs :method, :scheme and :path"
        host = self._regular.get(b"host")
        if host is not None and host.lower() != self.authority.lower():
            return "host and :authority differ"
        if b"@" in self.authority:
            return ":authority holds user information"
        return None

    def __repr__(self) -> str:
        return f"Head({list(self.fields)!r})"


#: What a client's stream has before the response: no field at all.
EMPTY_HEAD = Head(())
