"""The server's errors, by the ids that Mattermost gives them.

Layer:  devserver. REST writes them as JSON, the API end as AppError; both keep id and HTTP status.
"""

from __future__ import annotations

from mm_plugin.exceptions import (
    NotFoundError,
    PermissionDeniedError,
    PluginAPIError,
    RateLimitedError,
    StatusCode,
    TooLargeError,
    UnauthenticatedError,
    ValidationError,
)

__all__ = ("denied", "failed", "invalid", "missing", "too_large", "too_many", "unauthenticated", "unavailable")


def missing(error_id: str, what: str, where: str = "") -> NotFoundError:
    """Return HTTP 404: there is no such thing."""
    return NotFoundError(f"{what} was not found.", id=error_id, where=where, status_code=404, code=StatusCode.NOT_FOUND)


def invalid(error_id: str, text: str, where: str = "") -> ValidationError:
    """Return HTTP 400: a value is wrong, or taken already."""
    return ValidationError(text, id=error_id, where=where, status_code=400, code=StatusCode.INVALID_ARGUMENT)


def unauthenticated(error_id: str, text: str) -> UnauthenticatedError:
    """Return HTTP 401: nobody is known to ask."""
    return UnauthenticatedError(text, id=error_id, status_code=401, code=StatusCode.UNAUTHENTICATED)


def denied(text: str) -> PermissionDeniedError:
    """Return HTTP 403: the user may not."""
    return PermissionDeniedError(
        text, id="api.context.permissions.app_error", status_code=403, code=StatusCode.PERMISSION_DENIED
    )


def too_large(text: str) -> TooLargeError:
    """Return HTTP 413: more than is taken."""
    return TooLargeError(
        text, id="api.context.request_body_too_large.app_error", status_code=413, code=StatusCode.RESOURCE_EXHAUSTED
    )


def too_many(text: str) -> RateLimitedError:
    """Return HTTP 429: later, please."""
    return RateLimitedError(
        text, id="app.devserver.too_many_requests.app_error", status_code=429, code=StatusCode.RESOURCE_EXHAUSTED
    )


def failed(error_id: str, text: str, where: str = "") -> PluginAPIError:
    """Return HTTP 500: the server, or a plugin it depends on, could not."""
    return PluginAPIError(text, id=error_id, where=where, status_code=500, code=StatusCode.INTERNAL)


def unavailable(error_id: str, text: str, where: str = "") -> PluginAPIError:
    """Return HTTP 501: this server does not have it, or has it switched off."""
    return PluginAPIError(text, id=error_id, where=where, status_code=501, code=StatusCode.UNIMPLEMENTED)
