"""Errors of the server in neutral words: the ``id: text`` of a status, and HTTP statuses beside status codes. Internal.

Layer:  wire (sans-IO).
See:    the Go host answers most API errors with a status whose text is ``<AppError.Id>: <message>`` and whose code
        follows the error's HTTP status by the table below.
"""

from __future__ import annotations

import re

from mm_plugin.exceptions import StatusCode

__all__ = ("code_of_http_status", "http_status_of_code", "join_error_text", "split_error_text")

#: Ids begin with a letter and have two dots, such as ``app.user.missing``, or one and an underscore; others are prose,
#: such as addresses and file names.
_ERROR_TEXT = re.compile(
    r"((?=[^:]*\.[^:]*[._]|[^:]*_[^:]*\.)[A-Za-z][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)+):(?: (.*))?", re.DOTALL
)

_CODE_OF_HTTP_STATUS = {
    400: StatusCode.INVALID_ARGUMENT,
    401: StatusCode.UNAUTHENTICATED,
    403: StatusCode.PERMISSION_DENIED,
    404: StatusCode.NOT_FOUND,
    409: StatusCode.ALREADY_EXISTS,
    413: StatusCode.RESOURCE_EXHAUSTED,
    429: StatusCode.RESOURCE_EXHAUSTED,
    501: StatusCode.UNIMPLEMENTED,
    503: StatusCode.UNAVAILABLE,
    504: StatusCode.DEADLINE_EXCEEDED,
}
_HTTP_STATUS_OF_CODE = {
    StatusCode.OK: 200,
    StatusCode.CANCELLED: 499,
    StatusCode.INVALID_ARGUMENT: 400,
    StatusCode.FAILED_PRECONDITION: 400,
    StatusCode.OUT_OF_RANGE: 400,
    StatusCode.UNAUTHENTICATED: 401,
    StatusCode.PERMISSION_DENIED: 403,
    StatusCode.NOT_FOUND: 404,
    StatusCode.ALREADY_EXISTS: 409,
    StatusCode.ABORTED: 409,
    StatusCode.RESOURCE_EXHAUSTED: 413,
    StatusCode.UNIMPLEMENTED: 501,
    StatusCode.UNAVAILABLE: 503,
    StatusCode.DEADLINE_EXCEEDED: 504,
}


def split_error_text(text: str) -> tuple[str, str]:
    """Return the id and the text of ``id: text``; ("", text) where no id stands before it, not even an empty one."""
    if text.startswith(": "):
        return "", text[2:]
    match = _ERROR_TEXT.fullmatch(text)
    return (match[1], match[2] or "") if match is not None else ("", text)


def join_error_text(id: str, text: str) -> str:  # noqa: A002 - the wire's own name
    """Return ``id: text``, or the text alone where there is no id."""
    return f"{id}: {text}" if id else text


def code_of_http_status(status: int) -> StatusCode:
    """Return the status code for an error's HTTP status, as the Go host chooses it; INTERNAL where it has no row.

    504 is a row of our own, so that a DeadlineError stays one.
    """
    return _CODE_OF_HTTP_STATUS.get(status, StatusCode.INTERNAL)


def http_status_of_code(code: StatusCode) -> int:
    """Return the HTTP status that says the same as a status code; 500 where none does."""
    return _HTTP_STATUS_OF_CODE.get(code, 500)
