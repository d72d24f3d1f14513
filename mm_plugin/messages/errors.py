"""AppError messages, failed calls and the PluginAPIError family: one turned into the other, both ways.

Job:    know the server's two error conventions, so that authors see one family of exceptions.
Layer:  messages.
Input:  an AppError inside a response (presence alone means failure), or the CallFailure of a call without a response.
Output: the exception with every field the server sent; for the serving side, AppError or CallFailure from an exception.

The Go host keeps only id, text and code of an error that it answers as a status; its HTTP status is inferred from the
code (``wire/error_text.py`` has the table). Inside a response it sends all fields but ``params``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

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
from mm_plugin.messages.structs import dict_of_struct, fill_struct
from mm_plugin.transport.link import CallFailure, FailureKind
from mm_plugin.types import JSONObject
from mm_plugin.wire.error_text import code_of_http_status, http_status_of_code, split_error_text

if TYPE_CHECKING:
    from mm_plugin._proto.common_pb2 import AppError

__all__ = ("app_error_of", "error_of_app_error", "error_of_failure", "failure_of_error")

_CLASS_OF_HTTP_STATUS: dict[int, type[PluginAPIError]] = {
    400: ValidationError,
    401: UnauthenticatedError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: AlreadyExistsError,
    413: TooLargeError,
    429: RateLimitedError,
    503: UnavailableError,
    504: DeadlineError,
}
_HTTP_STATUS_OF_CLASS = {error_class: status for status, error_class in _CLASS_OF_HTTP_STATUS.items()}

#: By code, not by the HTTP status inferred from it: ABORTED, for example, is no AlreadyExistsError.
_CLASS_OF_CODE: dict[StatusCode, type[PluginAPIError]] = {
    StatusCode.INVALID_ARGUMENT: ValidationError,
    StatusCode.FAILED_PRECONDITION: ValidationError,
    StatusCode.OUT_OF_RANGE: ValidationError,
    StatusCode.UNAUTHENTICATED: UnauthenticatedError,
    StatusCode.PERMISSION_DENIED: PermissionDeniedError,
    StatusCode.NOT_FOUND: NotFoundError,
    StatusCode.ALREADY_EXISTS: AlreadyExistsError,
    StatusCode.RESOURCE_EXHAUSTED: TooLargeError,
    StatusCode.DEADLINE_EXCEEDED: DeadlineError,
    StatusCode.UNAVAILABLE: UnavailableError,
}

_RATE_LIMIT = re.compile(r"rate[ ._-]?limit|too[ ._-]many[ ._-](?:requests|calls)", re.IGNORECASE)
_SIZE = re.compile(r"too[ ._-]?(?:large|big|long)|exceed|(?:size|length)[ ._-]?limit", re.IGNORECASE)


# -- the calling side -----------------------------------------------------------------------------------------


def error_of_app_error(message: AppError) -> PluginAPIError:
    """Return the exception for an error inside a response, its class chosen by HTTP status.

    ``code`` is what the Go host would have sent for that status; INTERNAL for one that it has no row for.
    """
    error_class = _CLASS_OF_HTTP_STATUS.get(message.status_code, PluginAPIError)
    return error_class(
        message.message,
        id=message.id,
        detailed_error=message.detailed_error,
        where=message.where,
        request_id=message.request_id,
        status_code=message.status_code,
        params=dict_of_struct(message.params) if message.HasField("params") else None,
        code=code_of_http_status(message.status_code),
    )


def error_of_failure(failure: CallFailure) -> PluginAPIError:
    """Return the exception for a call that brought no response, its class chosen by status code.

    ``id`` is split off a text of the form ``id: text``. ``status_code`` is inferred where the server answered with a
    status, and stays 0 where the call did not reach it or its answer did not reach us. DEADLINE_EXCEEDED is said by
    links too, so only with an id is it the server's own answer. RESOURCE_EXHAUSTED stands for 413 and 429 alike: a
    server's id that speaks of a rate limit, or of a size, says which; otherwise ``status_code`` stays 0, and the class
    is RateLimitedError only where the text speaks of a rate limit.
    """
    text = failure.text
    error_id = failure.id
    if not error_id:
        error_id, text = split_error_text(text)
    error_class = _CLASS_OF_CODE.get(failure.code, PluginAPIError)
    answered = failure.kind is FailureKind.STATUS
    http_status = http_status_of_code(failure.code)
    if failure.code is StatusCode.DEADLINE_EXCEEDED:
        answered = bool(error_id)
    elif failure.code is StatusCode.RESOURCE_EXHAUSTED:
        if _RATE_LIMIT.search(error_id) or _RATE_LIMIT.search(text):
            error_class = RateLimitedError
        if _RATE_LIMIT.search(error_id):
            http_status = 429
        elif not _SIZE.search(error_id):
            answered = False
    if failure.kind is FailureKind.DEADLINE:
        error_class = DeadlineError
    elif failure.kind is FailureKind.LOST:
        error_class = ConnectionLostError
    elif failure.kind in {FailureKind.UNREACHABLE, FailureKind.REFUSED}:
        error_class = UnavailableError
    return error_class(
        text,
        id=error_id,
        status_code=http_status if answered else 0,
        code=failure.code,
    )


# -- the serving side -----------------------------------------------------------------------------------------


def app_error_of(error: PluginAPIError) -> AppError:
    """Return an exception as the AppError of a response, with every field.

    An exception without an HTTP status gets the one of its class, or else of its code.

    Raises:
        TypeError: ``params`` holds something that a Struct cannot say.
        ValueError: Likewise.
    """
    from mm_plugin._proto.common_pb2 import AppError

    message = AppError(
        id=error.id,
        message=error.message,
        detailed_error=error.detailed_error,
        request_id=error.request_id,
        status_code=_http_status_of_error(error),
        where=error.where,
    )
    if error.params:
        fill_struct(message.params, cast("JSONObject", error.params), "params")
    return message


def failure_of_error(error: PluginAPIError) -> CallFailure:
    """Return an exception as the status a Go host would send: code, id and text; nothing else survives that way."""
    code = error.code
    if error.status_code or code is StatusCode.UNKNOWN:
        code = code_of_http_status(_http_status_of_error(error))
    return CallFailure(error.message, code=code, id=error.id)


def _http_status_of_error(error: PluginAPIError) -> int:
    of_class = (_HTTP_STATUS_OF_CLASS[base] for base in type(error).__mro__ if base in _HTTP_STATUS_OF_CLASS)
    return error.status_code or next(of_class, 0) or http_status_of_code(error.code)
