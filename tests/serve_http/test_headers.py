"""Fields of requests and responses."""

import pytest
from hypothesis import given, strategies as st

from mm_plugin.exceptions import ResponseStateError
from mm_plugin.serve_http import Headers, ResponseHeaders


def test_fields_are_found_whatever_their_case() -> None:
    """Names are case-insensitive; the first value answers."""
    headers = Headers((("X-One", "1"), ("Accept", "a"), ("x-one", "2")))
    assert headers["x-ONE"] == "1"
    assert headers.get("accept") == "a"
    assert headers.get("missing") is None
    assert headers.get("missing", "so") == "so"
    assert "ACCEPT" in headers
    assert "missing" not in headers
    assert 7 not in headers  # type: ignore[comparison-overlap]  # any object may be asked for
    with pytest.raises(KeyError, match="missing"):
        headers["missing"]


def test_every_value_is_kept_in_order() -> None:
    """A field with more than one value loses none."""
    headers = Headers((("A", "1"), ("B", "2"), ("a", "3")))
    assert headers.get_all("A") == ["1", "3"]
    assert headers.get_all("c") == []
    assert headers.fields == (("A", "1"), ("B", "2"), ("a", "3"))
    assert list(headers) == ["A", "B"]
    assert len(headers) == 2


def test_values_do_not_show_in_logs() -> None:
    """A repr names fields only: values may be secrets."""
    assert repr(Headers((("Cookie", "secret"),))) == "<Headers Cookie>"


def test_setting_replaces_and_adding_keeps() -> None:
    """Set-Cookie may stand more than once; a set field stands once."""
    headers = ResponseHeaders()
    headers["set-cookie"] = "a"
    headers.add("Set-Cookie", "b")
    assert headers.get_all("set-cookie") == ["a", "b"]
    headers["SET-COOKIE"] = "c"
    assert headers.fields == (("SET-COOKIE", "c"),)
    del headers["set-cookie"]
    assert not headers
    with pytest.raises(KeyError):
        del headers["set-cookie"]


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\nb", "ä", "a\n", "(x)"])
def test_a_name_that_is_no_token_is_refused(name: str) -> None:
    """A wrong name never reaches the wire."""
    with pytest.raises(ValueError, match="header name"):
        ResponseHeaders()[name] = "x"


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: x", "a\nb", "\x00", "\x7f", "a\x1b[0m", "\ud800"])
def test_a_value_with_a_control_character_is_refused(value: str) -> None:
    """Nobody splits a response by a header's value."""
    headers = ResponseHeaders()
    with pytest.raises(ValueError, match="header x-note"):
        headers.add("x-note", value)
    assert headers.fields == ()


@given(st.text())
def test_a_value_is_kept_as_it_is_or_refused(value: str) -> None:
    """No value is changed on the way, and none can break a line."""
    headers = ResponseHeaders()
    try:
        headers["x"] = value
    except ValueError:
        assert not value.isprintable()
    else:
        assert headers["x"] == value
        assert not set(value) & {"\r", "\n", "\x00"}


def test_nothing_changes_after_the_head_was_sent() -> None:
    """A late header would be lost silently; it is refused instead."""
    headers = ResponseHeaders()
    headers["a"] = "1"
    assert headers.close() == (("a", "1"),)
    for change in (lambda: headers.add("b", "2"), lambda: headers.pop("a"), lambda: headers.update(a="2")):
        with pytest.raises(ResponseStateError, match="before writing"):
            change()
    assert headers.fields == (("a", "1"),)
