"""Errors of the server: ids are found where there are some, and only there."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from mm_plugin.exceptions import StatusCode
from mm_plugin.wire.error_text import code_of_http_status, http_status_of_code, join_error_text, split_error_text

ids = st.from_regex(r"[A-Za-z0-9]{1,9}([._-][A-Za-z0-9]{1,9}){1,4}", fullmatch=True)


@given(ids, st.text())
def test_id_and_text_come_back(error_id: str, text: str) -> None:
    """What is joined is split again."""
    assert split_error_text(join_error_text(error_id, text)) == (error_id, text)


@given(st.text())
def test_any_text_splits_without_losing_anything(text: str) -> None:
    """Whatever the server writes, its words are still there."""
    found, rest = split_error_text(text)
    assert join_error_text(found, rest) in {text, text + " "}


@pytest.mark.parametrize("text", ["internal error: boom", "Unavailable: try later", "no colon", "a.b :x", "a.b:c", ""])
def test_prose_has_no_id(text: str) -> None:
    """A colon alone makes no id."""
    assert split_error_text(text) == ("", text)
    assert join_error_text("", text) == text


def test_an_id_without_text() -> None:
    """HTTP drops a blank at the end, the id is still found."""
    assert split_error_text("app.user.missing.error:") == ("app.user.missing.error", "")


def test_statuses_of_the_go_host() -> None:
    """HTTP statuses map as the Go host maps them, everything else is INTERNAL, and both tables agree."""
    assert code_of_http_status(404) is StatusCode.NOT_FOUND
    assert code_of_http_status(422) is StatusCode.INTERNAL
    for status in (400, 401, 403, 404, 409, 413, 501, 503):
        assert http_status_of_code(code_of_http_status(status)) == status
    assert http_status_of_code(StatusCode.DATA_LOSS) == 500
