"""What every generated API method runs through: build the request, call, raise the error, unwrap the result. Internal.

Layer:  api, above transport/link.
Output: the response, or one exception of the PluginAPIError family.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar, cast

import anyio
import anyio.lowlevel

from mm_plugin import limits
from mm_plugin.api.options import timeout_of
from mm_plugin.exceptions import StatusCode
from mm_plugin.transport.link import APICaller, CallFailure, FailureKind

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from mm_plugin._proto.common_pb2 import AppError

__all__ = ("OPTIONS_FIELDS", "APICore", "build", "texts", "unwrap")

#: Fields that a caller may leave out although they are messages; all others must be given, or the Go host may crash.
OPTIONS_FIELDS = frozenset({"options", "opts", "view_restrictions"})


class APIResponse(Protocol):
    """What all responses of the API have in common."""

    @property
    def error(self) -> AppError:
        """Why there is no result; counts only where it is present."""
        ...

    def HasField(self, field_name: Literal["error"]) -> bool:  # noqa: N802 - protobuf's name
        """Whether a field is present."""
        ...


_Request = TypeVar("_Request", bound="Message")
_Response = TypeVar("_Response", bound=APIResponse)
_Result = TypeVar("_Result")


class APICore:
    """The way out to the server, shared by all topics of the client."""

    def __init__(self, caller: APICaller, *, api_timeout_s: float = limits.api_timeout_s) -> None:
        self._caller = caller
        self._api_timeout_s = api_timeout_s

    async def _call(self, method: str, request: Message, response_type: type[_Response]) -> _Response:
        """Call one method.

        The call may take ``api_timeout_s``, or what ``options`` says instead, or what is left of the enclosing cancel
        scopes where that is less; then the scope's own cancellation ends it, not an error of ours. A server that says
        earlier that its time is over is heard at once.

        Raises:
            PluginAPIError: The server answered with an error, or there was no answer.
        """
        timeout_s = timeout_of(self)
        own_deadline = anyio.current_time() + (self._api_timeout_s if timeout_s is None else timeout_s)
        scope_deadline = anyio.current_effective_deadline()
        deadline = min(own_deadline, scope_deadline)
        try:
            response: object = await self._caller.call_api(
                method, request, deadline=None if math.isinf(deadline) and deadline > 0 else deadline
            )
        except CallFailure as failure:
            late = failure.kind is FailureKind.DEADLINE or failure.code is StatusCode.DEADLINE_EXCEEDED
            rest_s = scope_deadline - anyio.current_time()
            if late and scope_deadline <= own_deadline and rest_s <= limits.api_scope_end_s:
                # Our clock may be a little behind whoever noticed first: let the scope's cancellation arrive.
                await anyio.sleep_until(scope_deadline)
                await anyio.lowlevel.checkpoint()
            from mm_plugin.messages.errors import error_of_failure

            raise error_of_failure(failure) from failure
        if not isinstance(response, response_type):
            raise TypeError(f"{method} was answered with {type(response).__name__}, not {response_type.__name__}")
        if response.HasField("error"):
            from mm_plugin.messages.errors import error_of_app_error

            raise error_of_app_error(response.error)
        return response


def build(request_type: type[_Request], **fields: object) -> _Request:
    """Return a request with the given fields.

    Raises:
        TypeError: A field is of the wrong type, or None where the server needs a value (protobuf would leave it unset).
        ValueError: A number is out of range, or a text cannot be encoded.
    """
    for name, value in fields.items():
        if value is None and name not in OPTIONS_FIELDS:
            raise TypeError(f"{request_type.__name__}: {name} must not be None")
    try:
        return request_type(**fields)
    except (TypeError, ValueError) as error:
        raise _explained(request_type, fields, error) from error


def _explained(request_type: type[Message], fields: dict[str, object], error: Exception) -> TypeError | ValueError:
    """Find the field that protobuf refused; the value itself stays out of the text, since it may be a secret."""
    error_type = TypeError if isinstance(error, TypeError) else ValueError
    for name, value in fields.items():
        try:
            request_type(**{name: value})
        except (TypeError, ValueError):
            reason = "" if isinstance(error, UnicodeError) else f" ({error})"
            return error_type(f"{request_type.__name__}: {name} cannot take this {type(value).__name__}{reason}")
    return error_type(f"{request_type.__name__}: {error}")


def texts(values: Iterable[str], name: str) -> list[str]:
    """Return strings as a list; a lone str, which is an iterable of its letters, is a mistake.

    Raises:
        TypeError: It is one str, or no iterable.
    """
    if isinstance(values, str):
        raise TypeError(f"{name} must be a list of str, not one str; write [{name}]")
    return list(values)


def unwrap(value: _Result, is_set: bool) -> _Result:
    """Return the one result of a response.

    A message that the server left out is None at run time. The type does not say so, since the Go server answers these
    methods with the message or with an error, never with neither.
    """
    return value if is_set else cast("_Result", None)
