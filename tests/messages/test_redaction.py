"""Messages in logs: no password, MFA secret or token of any message of the contract stands in a line."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct

from mm_plugin._proto.services import api_methods, hook_methods
from mm_plugin.messages.common import PluginContext
from mm_plugin.messages.posts import Post, PostList
from mm_plugin.messages.redaction import REDACTED, is_secret, redacted, scrubbed, shown
from mm_plugin.messages.users import Session, User
from mm_plugin.supervisor.logs import HCLogFormatter

MARK = "xyzzy"
#: Every text field of the contract that holds what opens a door; written down here, not worked out.
SENSITIVE = {
    ("User", "password"),
    ("User", "mfa_secret"),
    ("User", "auth_data"),
    ("UserAuth", "auth_data"),
    ("Session", "token"),
    ("Session", "device_id"),
    ("UserAccessToken", "token"),
    ("Command", "token"),
    ("RemoteCluster", "token"),
    ("RemoteCluster", "remote_token"),
    ("OAuthApp", "client_secret"),
    ("PushNotification", "device_id"),
    ("CommandArgs", "trigger_id"),
    ("CommandResponse", "trigger_id"),
    ("OpenDialogRequest", "trigger_id"),
    ("Team", "invite_id"),
    ("GetFileLinkResponse", "link"),
    ("Dialog", "state"),
    ("HTTPHeader", "values"),
}


def all_messages() -> list[Any]:
    """Return the class of every request and response of the contract."""
    methods = [*api_methods().values(), *hook_methods().values()]
    return [kind for method in methods for kind in (method.request, method.response)]


def fill(message: Message, found: set[tuple[str, str]], depth: int = 5) -> None:
    """Set every field, those that are sensitive and all octets to the mark."""
    for field in message.DESCRIPTOR.fields:
        where = (message.DESCRIPTOR.name, field.name)
        if field.message_type is not None:
            fill_part(message, field, found, depth)
            continue
        value: Any = 7
        if field.type == field.TYPE_BYTES:
            value = MARK.encode()
        elif field.type == field.TYPE_STRING:
            value = MARK if where in SENSITIVE else f"/{field.name}"
            found.add(where)
        elif field.type == field.TYPE_BOOL:
            value = True
        if field.is_repeated:
            getattr(message, field.name).append(value)
        else:
            setattr(message, field.name, value)


def fill_part(message: Message, field: Any, found: set[tuple[str, str]], depth: int) -> None:
    kind, part = field.message_type, getattr(message, field.name)
    if kind.GetOptions().map_entry:
        if kind.fields_by_name["value"].message_type is None:
            for key in ("Authorization", "Cookie", "X-Api-Key", "api_key", "Password", "AtRestEncryptKeyToken"):
                part[key] = MARK
            part["harmless"] = "seen"
        elif depth:
            fill(part["key"], found, depth - 1)
    elif kind.full_name == "google.protobuf.Struct":
        struct: Struct = part.add() if field.is_repeated else part
        struct.update({"seen": "seen", "inner": {"Password": MARK, "list": [{"token": MARK}]}})
    elif kind.full_name == "google.protobuf.Value":
        (part.add() if field.is_repeated else part).string_value = MARK
    elif depth:
        fill(part.add() if field.is_repeated else part, found, depth - 1)


@pytest.mark.parametrize("kind", all_messages(), ids=lambda kind: kind.DESCRIPTOR.name)
def test_no_secret_of_any_message_is_shown(kind: type[Message]) -> None:
    """Neither the redacted text nor a log line made from the message by any way of logging holds the mark."""
    message = kind()
    fill(message, set())
    assert MARK in str(message) or not _can_hold_the_mark(message)
    texts = [redacted(message), *lines(message)]
    for text in texts:
        assert MARK not in text
        assert kind.DESCRIPTOR.name in text


def _can_hold_the_mark(message: Message) -> bool:
    return MARK.encode() in message.SerializeToString()


def lines(message: object) -> list[str]:
    """Return what our formatter makes of a message, logged in every way that leaves it a message."""
    formatter = HCLogFormatter()

    def line(msg: object, args: Any = (), **extra: object) -> str:
        record = logging.LogRecord("x", logging.INFO, "x.py", 1, msg, args, None)
        vars(record).update(extra)
        text = formatter.format(record)
        json.loads(text)
        return text

    return [
        line("%s", (message,)),
        line("%r", (message,)),
        line("%(m)s", ({"m": message},)),
        line(message),
        line("%s", ([message, 1],)),
        line("%s", ({"a": (message,)},)),
        line("x", got=message),
        line("x", got=[{"m": message}]),
    ]


def test_the_list_of_sensitive_fields_is_that_of_the_contract() -> None:
    """Each sensitive field exists, and a text field that sounds like a secret is in the list."""
    found: set[tuple[str, str]] = set()
    for kind in all_messages():
        fill(kind(), found)
    assert found >= SENSITIVE
    sounding = {where for where in found if is_secret(where[1])}
    assert {where for where in sounding - SENSITIVE if where[1] != "session_id"} == set()


def test_a_message_still_says_what_it_is() -> None:
    """Ids, texts and numbers are readable; files, settings and queries are not; long texts and lists are cut."""
    post = Post(id="p", message="m" * 1_000, file_ids=["f"])
    post.props.update({"from": "bot", "token": MARK})
    text = redacted(post)
    assert text.startswith("Post(id='p', ")
    assert "file_ids=['f']" in text
    assert f"'token': {REDACTED}" in text
    assert "'from': 'bot'" in text
    assert len(text) < 400
    listed = PostList(order=[str(number) for number in range(100)])
    assert "'19', ...]" in redacted(listed)
    assert redacted(User(id="u", password=MARK)) == f"User(id='u', password={REDACTED})"
    assert redacted(PluginContext()) == "PluginContext()"


def test_addresses_lose_their_query() -> None:
    """What stands behind the question mark may be a token."""
    (method,) = (method for method in api_methods().values() if method.name == "PluginHTTP")
    request: Any = method.request(url=f"/x/y?t={MARK}")
    assert redacted(request) == "PluginHTTPRequest(url='/x/y?...')"


@pytest.mark.parametrize("value", ["text", 7, None, b"octets", [1, 2], {"a": 1}, object()])
def test_what_holds_no_message_stays_as_it_is(value: object) -> None:
    """Only messages, and what contains them, are turned into text."""
    assert shown(value) is value


def test_repeated_fields_and_maps_of_messages_are_shown_redacted() -> None:
    """The containers of protobuf are looked into."""
    posts = PostList()
    posts.posts["a"].message = "hello"
    session = Session(token=MARK)
    assert "hello" in str(shown(posts.posts))
    assert MARK not in str(shown({"s": [session]}))


@dataclass
class Event:
    """An author's own class around a message."""

    user: object


def _raised(error: Exception, note: str = "") -> Exception:
    if note:
        error.add_note(note)
    try:
        raise error
    except Exception as raised:  # noqa: BLE001 - it now has a traceback
        return raised


QUOTED = User(username="seen", password='a"b\\' + MARK, mfa_secret=f"{MARK}'s", auth_data=MARK)


@pytest.mark.parametrize(
    "value",
    [
        Event(QUOTED),
        SimpleNamespace(user=QUOTED),
        partial(print, QUOTED),
        {"user": QUOTED}.values(),
        ValueError(QUOTED),
        [[[[[[[[QUOTED]]]]]]]],
        f"bad {QUOTED}",
        repr(str(QUOTED)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_a_message_is_wrapped_in_does_not_show_it(value: object) -> None:
    """No way around the message, or to its text, shows a secret in a log line."""
    for text in lines(value):
        assert MARK not in text


@pytest.mark.parametrize(
    "error",
    [
        _raised(ValueError(QUOTED)),
        _raised(ValueError("bad user", QUOTED)),
        _raised(ValueError(f"bad {QUOTED}")),
        _raised(ValueError("x"), note=str(QUOTED)),
    ],
)
def test_tracebacks_show_no_secret(error: Exception) -> None:
    """An exception that holds a message, its text or a note with it is logged without the secrets."""
    record = logging.LogRecord("test", logging.ERROR, "", 0, "failed", None, (type(error), error, error.__traceback__))
    line = HCLogFormatter().format(record)
    assert MARK not in line
    assert "ValueError" in line


@pytest.mark.parametrize("kind", all_messages(), ids=lambda kind: kind.DESCRIPTOR.name)
def test_the_text_of_any_message_is_scrubbed(kind: type[Message]) -> None:
    """The text format of every message of the contract loses its secrets, also inside quotes."""
    message = kind()
    fill(message, set())
    assert MARK not in scrubbed(str(message))
    assert MARK not in scrubbed(repr(str(message)))


def test_ordinary_text_is_not_scrubbed() -> None:
    """What holds no secret field stays as it is."""
    text = 'user "anna" said: "hello"\nname: "x" token_id: "t1" count: 3'
    assert scrubbed(text) == text
