"""Errors of the server: ids are found where there are some, and only there."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from mm_plugin.exceptions import StatusCode
from mm_plugin.wire.error_text import code_of_http_status, http_status_of_code, join_error_text, split_error_text

ids = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,9}(\.[A-Za-z0-9][A-Za-z0-9_]{0,9}){2,4}", fullmatch=True) | st.from_regex(
    r"[a-z]{1,9}_{1,3}[a-z]{1,9}\.[a-z]{1,9}", fullmatch=True
)


@given(ids, st.text())
def test_id_and_text_come_back(error_id: str, text: str) -> None:
    """What is joined is split again."""
    assert split_error_text(join_error_text(error_id, text)) == (error_id, text)


@given(st.text())
def test_any_text_splits_without_losing_anything(text: str) -> None:
    """Whatever the server writes, its words are still there."""
    found, rest = split_error_text(text)
    assert join_error_text(found, rest) in {text, text + " ", text.removeprefix(": ")}


@pytest.mark.parametrize(
    "text",
    [
        "internal error: boom",
        "Unavailable: try later",
        "no colon",
        "a.b :x",
        "a.b:c",
        "",
        "10.0.0.1: connection refused",
        "end-of-file: bad",
        "rpc-error: x",
        "well-known: value",
        "db.local: timeout",
        "42.5: too small",
    ],
)
def test_prose_has_no_id(text: str) -> None:
    """A colon alone makes no id."""
    assert split_error_text(text) == ("", text)
    assert join_error_text("", text) == text


@pytest.mark.parametrize(
    "error_id",
    [
        "app.user.missing.error",
        "api.user.foo__bar.app_error",
        "app_error.x",
        "api.foo_.bar",
        "plugin.com_example.x-y.z",
    ],
)
def test_ids_of_the_server(error_id: str) -> None:
    """An id begins with a letter and has two dots, or one dot and an underscore."""
    assert split_error_text(f"{error_id}: a: b") == (error_id, "a: b")


def test_an_empty_id_leaves_no_colon() -> None:
    """The Go host writes ``: text`` for an error without an id."""
    assert split_error_text(": boom") == ("", "boom")


def test_an_id_without_text() -> None:
    """HTTP drops a blank at the end, the id is still found."""
    assert split_error_text("app.user.missing.error:") == ("app.user.missing.error", "")


def test_statuses_of_the_go_host() -> None:
    """HTTP statuses map as the Go host maps them, everything else is INTERNAL, and both tables agree."""
    assert code_of_http_status(404) is StatusCode.NOT_FOUND
    assert code_of_http_status(422) is StatusCode.INTERNAL
    for status in (400, 401, 403, 404, 409, 413, 501, 503, 504):
        assert http_status_of_code(code_of_http_status(status)) == status
    assert http_status_of_code(StatusCode.DATA_LOSS) == 500
