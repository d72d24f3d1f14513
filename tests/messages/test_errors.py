"""Both error conventions of the server, turned into one family of exceptions and back."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from mm_plugin._proto.common_pb2 import AppError
from mm_plugin.exceptions import (
    AlreadyExistsError,
    ConnectionLostError,
    DeadlineError,
    NotFoundError,
    PermissionDeniedError,
    PluginAPIError,
    RateLimitedError,
    StatusCode,
    TooLargeError,
    UnauthenticatedError,
    UnavailableError,
    ValidationError,
)
from mm_plugin.messages.errors import app_error_of, error_of_app_error, error_of_failure, failure_of_error
from mm_plugin.transport.link import CallFailure, FailureKind


class NoSuchGameError(NotFoundError):
    """An author's own kind of NotFoundError."""


BY_STATUS = [
    (400, ValidationError, StatusCode.INVALID_ARGUMENT),
    (401, UnauthenticatedError, StatusCode.UNAUTHENTICATED),
    (403, PermissionDeniedError, StatusCode.PERMISSION_DENIED),
    (404, NotFoundError, StatusCode.NOT_FOUND),
    (409, AlreadyExistsError, StatusCode.ALREADY_EXISTS),
    (413, TooLargeError, StatusCode.RESOURCE_EXHAUSTED),
    (429, RateLimitedError, StatusCode.RESOURCE_EXHAUSTED),
    (501, PluginAPIError, StatusCode.UNIMPLEMENTED),
    (503, UnavailableError, StatusCode.UNAVAILABLE),
    (504, DeadlineError, StatusCode.DEADLINE_EXCEEDED),
    (500, PluginAPIError, StatusCode.INTERNAL),
    (422, PluginAPIError, StatusCode.INTERNAL),
    (0, PluginAPIError, StatusCode.INTERNAL),
]
BY_CODE = [
    (StatusCode.INVALID_ARGUMENT, ValidationError, 400),
    (StatusCode.FAILED_PRECONDITION, ValidationError, 400),
    (StatusCode.OUT_OF_RANGE, ValidationError, 400),
    (StatusCode.UNAUTHENTICATED, UnauthenticatedError, 401),
    (StatusCode.PERMISSION_DENIED, PermissionDeniedError, 403),
    (StatusCode.NOT_FOUND, NotFoundError, 404),
    (StatusCode.ALREADY_EXISTS, AlreadyExistsError, 409),
    (StatusCode.RESOURCE_EXHAUSTED, TooLargeError, 0),
    (StatusCode.UNIMPLEMENTED, PluginAPIError, 501),
    (StatusCode.UNAVAILABLE, UnavailableError, 503),
    (StatusCode.DEADLINE_EXCEEDED, DeadlineError, 504),
    (StatusCode.INTERNAL, PluginAPIError, 500),
    (StatusCode.UNKNOWN, PluginAPIError, 500),
]


@pytest.mark.parametrize(("status", "error_class", "code"), BY_STATUS)
def test_an_app_error_is_classed_by_its_http_status(
    status: int, error_class: type[PluginAPIError], code: StatusCode
) -> None:
    """The HTTP status of an error inside a response chooses the exception and the code beside it."""
    error = error_of_app_error(AppError(id="a.b", status_code=status))
    assert type(error) is error_class
    assert (error.status_code, error.code) == (status, code)


@given(
    st.builds(
        PluginAPIError,
        st.text(),
        id=st.text(),
        detailed_error=st.text(),
        where=st.text(),
        request_id=st.text(),
        status_code=st.integers(1, 999),
        params=st.dictionaries(st.text(), st.integers(-1000, 1000) | st.text() | st.none(), max_size=3),
    )
)
def test_every_field_survives_inside_a_response(error: PluginAPIError) -> None:
    """What an exception holds arrives at the other side, the code derived from the status."""
    received = error_of_app_error(AppError.FromString(app_error_of(error).SerializeToString()))
    assert {**vars(received), "code": None} == {**vars(error), "code": None}


@pytest.mark.parametrize(("code", "error_class", "status"), BY_CODE)
def test_a_status_is_classed_by_its_code(code: StatusCode, error_class: type[PluginAPIError], status: int) -> None:
    """A status of the server becomes the exception of its code; ``id: text`` is split and the HTTP status inferred."""
    error = error_of_failure(CallFailure("app.user.missing: no such user", code=code))
    assert type(error) is error_class
    assert (error.id, error.message, error.status_code, error.code) == (
        "app.user.missing",
        "no such user",
        status,
        code,
    )


def test_an_id_already_split_is_kept() -> None:
    """A link that split the text itself is not second-guessed."""
    error = error_of_failure(CallFailure("a.b: c", id="x.y", code=StatusCode.NOT_FOUND))
    assert (error.id, error.message) == ("x.y", "a.b: c")


def test_prose_has_no_id() -> None:
    """Text that only looks a little like an id before a colon stays whole."""
    error = error_of_failure(CallFailure("internal error: it broke", code=StatusCode.INTERNAL))
    assert (error.id, error.message) == ("", "internal error: it broke")


@pytest.mark.parametrize(
    ("kind", "error_class"),
    [
        (FailureKind.UNREACHABLE, UnavailableError),
        (FailureKind.LOST, ConnectionLostError),
        (FailureKind.REFUSED, UnavailableError),
        (FailureKind.DEADLINE, DeadlineError),
    ],
)
def test_no_http_status_where_the_server_did_not_answer(kind: FailureKind, error_class: type[PluginAPIError]) -> None:
    """Failures on the way are told apart by class and carry no HTTP status, whatever code the link gave them."""
    error = error_of_failure(CallFailure("gone", kind=kind))
    assert type(error) is error_class
    assert error.status_code == 0


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PluginAPIError("x", status_code=404), StatusCode.NOT_FOUND),
        (PluginAPIError("x", status_code=404, code=StatusCode.ABORTED), StatusCode.NOT_FOUND),
        (PluginAPIError("x", code=StatusCode.ABORTED), StatusCode.ABORTED),
        (RateLimitedError("x"), StatusCode.RESOURCE_EXHAUSTED),
        (NotFoundError("x"), StatusCode.NOT_FOUND),
        (NoSuchGameError("x"), StatusCode.NOT_FOUND),
        (DeadlineError("x"), StatusCode.DEADLINE_EXCEEDED),
        (DeadlineError("x", status_code=504), StatusCode.DEADLINE_EXCEEDED),
        (ConnectionLostError("x"), StatusCode.UNAVAILABLE),
        (PluginAPIError("x"), StatusCode.INTERNAL),
    ],
)
def test_the_status_sent_follows_http_status_then_code_then_class(error: PluginAPIError, code: StatusCode) -> None:
    """An exception is sent with the code of its HTTP status, or its own code, or the one of its class."""
    assert failure_of_error(error).code is code


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotFoundError("x"), 404),
        (NotFoundError("x", status_code=410), 410),
        (NoSuchGameError("x"), 404),
        (DeadlineError("x"), 504),
        (DeadlineError("x", code=StatusCode.DEADLINE_EXCEEDED), 504),
        (ConnectionLostError("x"), 503),
        (PluginAPIError("x", code=StatusCode.UNAVAILABLE), 503),
        (PluginAPIError("x"), 500),
    ],
)
def test_an_error_inside_a_response_always_has_a_status(error: PluginAPIError, status: int) -> None:
    """The HTTP status comes from the exception, its class or its code, since the other side relies on it."""
    assert app_error_of(error).status_code == status


def test_a_status_keeps_id_and_text() -> None:
    """What the Go host keeps of an error sent as a status is what we keep."""
    failure = failure_of_error(ValidationError("bad name", id="app.name", where="lost"))
    assert (failure.id, failure.text, failure.kind) == ("app.name", "bad name", FailureKind.STATUS)
