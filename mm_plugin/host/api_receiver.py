"""Answer API calls with the methods of one handler object.

Job:    turn a request message into a call of the handler's snake_case method, and its result into the response.
Layer:  host, above transport/link (this is an APIReceiver) and ``api/table.py``, whose rows say what is what.
Errors: a PluginAPIError of the handler reaches the plugin the way the Go host sends it; a method the handler does not
        have is UNIMPLEMENTED; anything else a handler raises is logged once and reaches the plugin as INTERNAL without
        its text.
"""

from __future__ import annotations

import inspect
import logging
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping
from enum import Enum, unique
from typing import TYPE_CHECKING, Protocol, cast

import anyio

from mm_plugin._proto.services import api_methods
from mm_plugin.api.table import APIMethod, Kind, Parameter, Result, api_table
from mm_plugin.exceptions import PluginAPIError, StatusCode
from mm_plugin.messages.errors import app_error_of, failure_of_error
from mm_plugin.messages.structs import dict_of_pairs, dict_of_struct, fill_pairs, fill_struct, json_octets
from mm_plugin.transport.link import CallFailure, FailureKind

if TYPE_CHECKING:
    from google.protobuf.message import Message
    from google.protobuf.struct_pb2 import Struct

    from mm_plugin._proto.common_pb2 import AppError
    from mm_plugin.types import JSONObject

__all__ = ("ErrorStyle", "HandlerAPI")

logger = logging.getLogger("mm_plugin.host")


@unique
class ErrorStyle(Enum):
    """How a PluginAPIError reaches the plugin."""

    AS_GO_HOST = "posts, files and the key-value store inside the response, all others as a status"
    EMBEDDED = "inside the response, with all its fields"
    STATUS = "as a status: code, id and text only"


class HandlerAPI:
    """Serve the API with a handler object.

    The handler has methods named and with parameters named as on PluginAPIClient, as many of the 236 as it likes; each
    is called with all its parameters by keyword. Messages arrive as messages, or None where unset; a Struct and
    key-value pairs as a dict, JSON as octets, lists and maps as list and dict. It returns what the client's method
    returns, None for nothing; a mapping may stand for JSON. Methods may be ``async def`` or ``def``; the latter must
    not block.

    Args:
        handler: The object whose methods answer.
        error_style: How its PluginAPIErrors are sent.
        absent: Ends the sentence about a method that the handler does not have: by whom it is not implemented, and what
            to do; the handler's class where "".
    """

    def __init__(self, handler: object, *, error_style: ErrorStyle = ErrorStyle.AS_GO_HOST, absent: str = "") -> None:
        self._handler = handler
        self._error_style = error_style
        self._absent = absent or type(handler).__name__

    async def handle_api(self, method: str, request: Message, *, deadline: float | None) -> Message:
        """Answer one API call.

        The handler is cancelled at the deadline.

        Raises:
            CallFailure: The handler does not have the method, raised an error that is sent as a status, crashed, or
                was not done at the deadline.
        """
        row = api_table().get(method)
        answer = None if row is None else getattr(self._handler, row.name, None)
        if row is None or answer is None:
            raise CallFailure(f"{method} is not implemented by {self._absent}", code=StatusCode.UNIMPLEMENTED)
        with anyio.CancelScope(deadline=math.inf if deadline is None else deadline):
            return await self._answer(row, cast("Callable[..., object]", answer), request)
        raise CallFailure(
            f"{method} was not done in time", kind=FailureKind.DEADLINE, code=StatusCode.DEADLINE_EXCEEDED
        )

    async def _answer(self, row: APIMethod, answer: Callable[..., object], request: Message) -> Message:
        response = api_methods()[row.rpc].response()
        try:
            arguments = {parameter.name: _unpacked(request, parameter) for parameter in row.parameters}
            try:
                result = answer(**arguments)
                if inspect.isawaitable(result):
                    result = await cast("Awaitable[object]", result)
            except PluginAPIError as error:
                if not self._embeds(row):
                    raise failure_of_error(error) from error
                cast("_Response", response).error.CopyFrom(app_error_of(error))
            else:
                _pack(response, row, result)
        except CallFailure:
            raise
        except Exception as error:
            logger.exception("the handler of API method %s failed", row.rpc)
            raise CallFailure(f"internal error: {row.rpc} failed", code=StatusCode.INTERNAL) from error
        return response

    def _embeds(self, row: APIMethod) -> bool:
        if self._error_style is ErrorStyle.AS_GO_HOST:
            return row.embeds_errors
        return self._error_style is ErrorStyle.EMBEDDED


class _Response(Protocol):
    @property
    def error(self) -> AppError: ...


def _unpacked(request: Message, parameter: Parameter) -> object:
    """Return one field of a request as the handler sees it."""
    value = getattr(request, parameter.name)
    match parameter.kind:
        case Kind.MESSAGE:
            return value if request.HasField(parameter.name) else None
        case Kind.STRUCT:
            return dict_of_struct(value) if request.HasField(parameter.name) else None
        case Kind.PAIRS:
            return dict_of_pairs(value)
        case Kind.LIST:
            return list(value)
        case Kind.MAP:
            return dict(value)
        case Kind.SCALAR | Kind.JSON:
            return cast("object", value)


def _pack(response: Message, row: APIMethod, result: object) -> None:
    """Write what a handler returned into the response; None leaves it unset.

    Raises:
        TypeError: It is not what the method returns.
        ValueError: It cannot be encoded.
    """
    if result is None:
        return
    if not row.results:
        raise TypeError(f"{row.name} returns None, not {type(result).__name__}")
    if len(row.results) == 1:
        _pack_field(response, row.results[0], result)
        return
    values = tuple(_list(result, row.name))
    for field, value in zip(row.results, values, strict=True):
        _pack_field(response, field, value)


def _pack_field(response: Message, field: Result, value: object) -> None:
    current = getattr(response, field.name)
    match field.kind:
        case Kind.MESSAGE:
            current.CopyFrom(value)
            current.SetInParent()  # an empty message is still one
        case Kind.STRUCT:
            fill_struct(cast("Struct", current), cast("JSONObject", value), field.name)
        case Kind.LIST:
            current.extend(_list(value, field.name))
        case Kind.PAIRS:
            fill_pairs(current, cast("JSONObject", value), field.name)
        case Kind.MAP:
            current.update(cast("Mapping[str, str]", value))
        case Kind.JSON:
            setattr(response, field.name, json_octets(cast("JSONObject | bytes", value), field.name))
        case Kind.SCALAR:
            setattr(response, field.name, value)


def _list(value: object, where: str) -> Iterable[object]:
    """Return what may fill a list; a str or a mapping, which can be iterated over too, is a mistake."""
    kind = type(value).__name__
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise TypeError(f"{where} must be a list or a tuple, not {kind}")
    return cast("Iterable[object]", value)
