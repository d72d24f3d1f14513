"""JSON documents inside messages: decoded, typed, complete, and equal only where they say the same."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, strategies as st

from mm_plugin.messages.json_fields import (
    JSON_DOCUMENTS,
    Configuration,
    EmailNotification,
    JSONDocument,
    SAMLAssertion,
    SyncMessage,
    same_json,
)

_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
_objects = st.dictionaries(st.text(), _values, max_size=5)


@given(_objects)
def test_everything_is_kept_in_order(values: dict[str, object]) -> None:
    """Keys nobody knows, their order and the octets stay as they came."""
    raw = json.dumps(values).encode()
    document = JSONDocument(raw)
    assert list(document.items()) == list(values.items())
    assert document.raw == raw


@given(st.binary(max_size=30), st.sampled_from(list(JSON_DOCUMENTS.values())))
def test_any_octets_give_a_document_or_a_value_error(raw: bytes, kind: type[JSONDocument]) -> None:
    """Nothing but ValueError comes out of octets that are no JSON object."""
    try:
        document = kind(raw)
    except ValueError:
        return
    assert document.raw == raw


@pytest.mark.parametrize("raw", [b"[1]", b"7", b"{", b"\xff", b'"x"', b"[" * 100_000, b"1" * 5_000])
def test_what_is_no_object_is_refused(raw: bytes) -> None:
    """Arrays, numbers, broken and bottomless JSON are refused."""
    with pytest.raises(ValueError, match=r"."):
        JSONDocument(raw)


@pytest.mark.parametrize("raw", [b"", b"null", b"{}"])
def test_nothing_is_an_empty_document(raw: bytes) -> None:
    """Go's nil arrives as no octets or as null; the typed names read as empty then."""
    assert JSONDocument(raw) == {}
    mail = EmailNotification(raw)
    assert (mail.subject, mail.is_direct_message) == ("", False)
    assert SAMLAssertion(raw).attribute("mail") == []
    assert SyncMessage(raw).posts == []


def test_known_names_read_their_keys() -> None:
    """Typed names read the document, changes included; a value of another type reads as empty."""
    mail = EmailNotification(b'{"subject": "s", "subtitle": "t", "is_thread_reply": true, "post_id": 7, "new": [1]}')
    assert (mail.subject, mail.is_thread_reply, mail.post_id, mail["new"]) == ("s", True, "", [1])
    content = mail.content()
    assert (content.subject, content.sub_title, content.title) == ("s", "t", "")
    mail["subject"] = "changed"
    assert mail.subject == "changed"
    assertion = SAMLAssertion(
        b'{"NameID": "n", "Values": {"mail": {"Values": [{"Value": "a@b"}, {"Type": "x"}]}, "odd": 3}}'
    )
    assert (assertion.name_id, assertion.attribute("mail"), assertion.attribute("odd")) == ("n", ["a@b"], [])
    sync = SyncMessage(b'{"channel_id": "c", "posts": [{"id": "p"}], "users": {"u": {}}}')
    assert (sync.channel_id, sync.posts, sync.users) == ("c", [{"id": "p"}], {"u": {}})


def test_sections_of_a_configuration_can_be_changed() -> None:
    """A section is the mapping itself; a missing one is put in, and what is no section is refused."""
    config = Configuration(b'{"ServiceSettings": {"SiteURL": "a"}, "Odd": 1}')
    config.section("ServiceSettings")["SiteURL"] = "b"
    config.section("PluginSettings")["Enable"] = True
    assert config == {"ServiceSettings": {"SiteURL": "b"}, "Odd": 1, "PluginSettings": {"Enable": True}}
    with pytest.raises(TypeError, match="Odd"):
        config.section("Odd")


@given(_objects, _objects)
def test_sameness_is_that_of_json(one: dict[str, object], other: dict[str, object]) -> None:
    """Two objects are the same exactly where their canonical JSON is."""
    a, b = JSONDocument(json.dumps(one).encode()), JSONDocument(json.dumps(other).encode())
    assert same_json(a, JSONDocument(json.dumps(dict(reversed(one.items()))).encode()))
    assert same_json(a, b) is (json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True))


def test_a_document_does_not_show_what_it_says() -> None:
    """A configuration holds passwords, and what is logged is a repr."""
    assert str(Configuration(b'{"EmailSettings": {"SMTPPassword": "x"}}')) == "<Configuration of 1 keys>"


def test_true_is_not_one() -> None:
    """Python holds them for equal, JSON and Go do not."""
    assert not same_json({"a": [True]}, {"a": [1]})
