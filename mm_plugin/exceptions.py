"""Every error of the package: one root, two axes (whose fault it was, and what ended).

Each class carries a ``docs_code``, stable across releases, under which docs/reference/errors.md explains
cause and cure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from functools import partial
from typing import TYPE_CHECKING, ClassVar, cast

if TYPE_CHECKING:
    from types import CodeType

__all__ = (
    "AlreadyExistsError",
    "ConfigurationError",
    "ConnectionLostError",
    "DeadlineError",
    "DeclarationError",
    "HandlerError",
    "HandshakeError",
    "HookRegistrationError",
    "HookResultError",
    "HookTimeoutError",
    "KVConflictError",
    "KVValueError",
    "LocalProtocolError",
    "LockLostError",
    "MMPluginError",
    "ManifestError",
    "NotFoundError",
    "NotMagicCookieError",
    "PermissionDeniedError",
    "PluginAPIError",
    "PluginStartError",
    "ProtocolError",
    "RateLimitedError",
    "RemoteProtocolError",
    "RequestBodyAbortedError",
    "RequestFormatError",
    "RequestTooLargeError",
    "ResponseStateError",
    "SettingsError",
    "StatusCode",
    "TooLargeError",
    "UnauthenticatedError",
    "UnavailableError",
    "ValidationError",
)


class StatusCode(IntEnum):
    """The status codes of gRPC (grpc/grpc: doc/statuscodes.md); neutral here, every link maps its own onto them."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class MMPluginError(Exception):
    """The root of every error this package raises on purpose."""

    docs_code: ClassVar[str] = "MMP000"


# -- what an author or operator wrote -------------------------------------------------------------------------


class DeclarationError(MMPluginError):
    """A plugin class declares something that cannot work; raised when the class is created, so nothing has started."""

    docs_code = "MMP100"

    def __str__(self) -> str:
        return f"{super().__str__()} [{self.docs_code}]"


class HookRegistrationError(DeclarationError):
    """A plugin class binds its hooks wrongly; raised when the class is created, so nothing has started."""

    docs_code = "MMP101"


class HandlerError(MMPluginError):
    """A handler did what its hook cannot use: what it returned, or how long it took.

    Attributes:
        place: File, line and function of the author's that this is about; "" where unknown. Part of the text.
    """

    docs_code = "MMP104"

    place: str = ""

    def blame(self, handler: Callable[..., object]) -> None:
        """Say whose fault it is, by the line at which the function begins; what is known already stays."""
        import inspect

        while isinstance(handler, partial):
            handler = cast("partial[object]", handler).func
        code: CodeType | None = getattr(inspect.unwrap(handler), "__code__", None)  # a bound method has its function's
        if code is not None and not self.place:
            self.place = f"{code.co_filename}:{code.co_firstlineno} in {code.co_qualname}"

    def __str__(self) -> str:
        return f"{super().__str__()} (at {self.place})" if self.place else super().__str__()


class HookResultError(HandlerError):
    """A handler returned something its hook cannot express; the hook's failure policy answers instead."""

    docs_code = "MMP102"


class HookTimeoutError(HandlerError):
    """A handler did not finish in time; it was cancelled and the hook's failure policy answered."""

    docs_code = "MMP103"


class ConfigurationError(MMPluginError):
    """A setting, variable or file holds what it must not; the text names it and what was expected."""

    docs_code = "MMP110"


class SettingsError(ConfigurationError):
    """The plugin's settings cannot be read, or do not fit its settings class; the text names each field and why.

    Attributes:
        problems: Field (dotted path, as its key is written) and reason; empty where the settings could not be read.
    """

    docs_code = "MMP112"

    def __init__(self, text: str, *, problems: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(text)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return f"{super().__str__()} [{self.docs_code}]"


class ManifestError(ConfigurationError):
    """plugin.json (or .yaml) is missing or wrong; the text names file, field and what was expected."""

    docs_code = "MMP111"


class NotMagicCookieError(MMPluginError):
    """The process was not started by a plugin host: go-plugin's magic cookie is missing or wrong."""

    docs_code = "MMP120"


class HandshakeError(MMPluginError):
    """The first line of a plugin's standard output is no go-plugin handshake, or one we cannot use."""

    docs_code = "MMP121"


class PluginStartError(MMPluginError):
    """A plugin did not start; nothing of it runs any more.

    Attributes:
        reason: At which step, and what was expected there.
        stderr: The last lines it wrote to standard error.
    """

    docs_code = "MMP122"

    def __init__(self, reason: str, *, stderr: Sequence[str] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.stderr = tuple(stderr)

    def __str__(self) -> str:
        if not self.stderr:
            return self.reason
        return "\n    ".join((f"{self.reason}\nStandard error ended with:", *self.stderr))


# -- protocols ------------------------------------------------------------------------------------------------


class ProtocolError(MMPluginError):
    """The rules of a protocol were broken."""

    docs_code = "MMP200"


class LocalProtocolError(ProtocolError):
    """Our own side asked for something the protocol forbids now; the state is unchanged."""

    docs_code = "MMP201"


class RemoteProtocolError(ProtocolError):
    """The peer broke the protocol; the call or connection it concerns is over."""

    docs_code = "MMP202"


class RequestBodyAbortedError(MMPluginError):
    """A request body ended before it was complete; what was read so far must not be taken for the whole."""

    docs_code = "MMP210"


class ResponseStateError(LocalProtocolError):
    """A response was used out of order: a second head, a write after the end, or a body where none may be."""

    docs_code = "MMP211"


class RequestTooLargeError(MMPluginError):
    """A request body is longer than its handler wants to read; answered with 413 unless the handler catches it."""

    docs_code = "MMP212"


class RequestFormatError(MMPluginError):
    """A body is not what its handler asked it to be parsed as, or a query too long; answered with 400 unless caught."""

    docs_code = "MMP213"


# -- API calls ------------------------------------------------------------------------------------------------


class PluginAPIError(MMPluginError):
    """The server answered an API call with an error, or the call did not reach it.

    Attributes:
        id: The server's translation id, such as ``app.user.missing.error``; "" where there was none.
        message: Human-readable text.
        detailed_error: Details for logs.
        where: The server's function.
        request_id: The server's request id.
        status_code: The HTTP status the server means; 0 where it gave none.
        params: Values for the translation.
        code: The status code of the call; for an error inside a response, the one its HTTP status maps to.
    """

    docs_code = "MMP300"

    def __init__(
        self,
        message: str = "",
        *,
        id: str = "",  # noqa: A002 - the wire's own name
        detailed_error: str = "",
        where: str = "",
        request_id: str = "",
        status_code: int = 0,
        params: Mapping[str, object] | None = None,
        code: StatusCode = StatusCode.UNKNOWN,
    ) -> None:
        super().__init__(message)
        self.id = id
        self.message = message
        self.detailed_error = detailed_error
        self.where = where
        self.request_id = request_id
        self.status_code = status_code
        self.params: dict[str, object] = dict(params or {})
        self.code = code

    def __str__(self) -> str:
        text = self.message or self.id or self.code.name
        if self.id and self.id != text:
            text = f"{text} [{self.id}]"
        if self.status_code:
            text = f"{text} (HTTP {self.status_code})"
        return text


class ValidationError(PluginAPIError):
    """The server refused an argument (HTTP 400; INVALID_ARGUMENT, FAILED_PRECONDITION, OUT_OF_RANGE)."""

    docs_code = "MMP301"


class UnauthenticatedError(PluginAPIError):
    """The caller is not known (HTTP 401; UNAUTHENTICATED)."""

    docs_code = "MMP302"


class PermissionDeniedError(PluginAPIError):
    """The caller may not do this (HTTP 403; PERMISSION_DENIED)."""

    docs_code = "MMP303"


class NotFoundError(PluginAPIError):
    """There is no such thing (HTTP 404; NOT_FOUND)."""

    docs_code = "MMP304"


class AlreadyExistsError(PluginAPIError):
    """It is there already (HTTP 409; ALREADY_EXISTS)."""

    docs_code = "MMP305"


class TooLargeError(PluginAPIError):
    """A message or file is over a limit (HTTP 413; RESOURCE_EXHAUSTED)."""

    docs_code = "MMP306"


class RateLimitedError(PluginAPIError):
    """Too many calls (HTTP 429)."""

    docs_code = "MMP307"


class DeadlineError(PluginAPIError):
    """The call did not finish in time; whether the server carried it out is unknown (DEADLINE_EXCEEDED)."""

    docs_code = "MMP308"


class UnavailableError(PluginAPIError):
    """The server could not be reached, or said that it is not available (HTTP 503; UNAVAILABLE)."""

    docs_code = "MMP309"


class ConnectionLostError(UnavailableError):
    """The connection to the server was lost during the call; whether the server carried it out is unknown."""

    docs_code = "MMP310"


# -- the key-value store and the cluster ----------------------------------------------------------------------


class KVConflictError(MMPluginError):
    """A key kept changing under a compare-and-set loop until its attempts were used up; nothing was stored."""

    docs_code = "MMP320"


class LockLostError(MMPluginError):
    """A cluster lock could not be renewed before it expired; the code under it was cancelled in time."""

    docs_code = "MMP321"


class KVValueError(MMPluginError):
    """A key of the key-value store holds what its codec cannot read; the value is left as it is."""

    docs_code = "MMP322"
