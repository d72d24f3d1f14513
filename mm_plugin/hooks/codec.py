"""From request message to handler arguments, and from handler result to response message, by the hook table.

Job:    unpack and pack the messages of one hook; decide what is unchanged.
Layer:  hooks; loads the generated messages when the first codec is made, not on import.
Errors: HookResultError for a result that the hook's response cannot express; RemoteProtocolError for JSON that is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeGuard, cast

from google.protobuf.message import DecodeError, EncodeError, Message

from mm_plugin import limits
from mm_plugin._proto.services import hook_methods
from mm_plugin.exceptions import HookResultError, PluginAPIError, RemoteProtocolError
from mm_plugin.hooks.files import FileContent
from mm_plugin.hooks.results import DISMISS_REASON, Dismiss, Reject, ReplaceFile
from mm_plugin.hooks.table import HOOK_TABLE, HookRow, Output, OutputKind, Refusal
from mm_plugin.messages.errors import app_error_of
from mm_plugin.messages.json_fields import JSON_DOCUMENTS, EmailNotification, JSONDocument, same_json
from mm_plugin.messages.structs import json_octets

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor

    from mm_plugin._proto.common_pb2 import AppError, PluginContext
    from mm_plugin.hooks.names import HookName

__all__ = ("HookCodec", "codec_of")

#: The originals of hooks whose result replaces nothing.
_NONE: Mapping[str, Any] = {}


@cache
def codec_of(name: HookName) -> HookCodec:
    """Return the codec of a hook, made once."""
    return HookCodec(HOOK_TABLE[name])


class HookCodec:
    """Unpacks the requests and packs the responses of one hook.

    Attributes:
        row: The hook.
        request_class: Its request message.
        response_class: Its response message.
        content_field: As the row's, which finds it out each time.
    """

    def __init__(self, row: HookRow) -> None:
        from google.protobuf.message_factory import GetMessageClass

        method = hook_methods()[row.name]
        self.row = row
        self.request_class = method.request
        self.response_class = method.response
        fields = method.request.DESCRIPTOR.fields_by_name
        results = method.response.DESCRIPTOR.fields_by_name
        self._lists = frozenset(name for name in row.fields if fields[name].is_repeated)
        # ``optional`` on a message field: None where unset. Elsewhere an unset message reads as an empty one.
        self._optional = frozenset(
            name for name in row.fields if fields[name].message_type and fields[name].containing_oneof
        )
        # Messages that are nothing but JSON in octets: the class that decodes them, and the field of the octets.
        self._documents: Mapping[str, tuple[type[JSONDocument], str]] = {
            name: (JSON_DOCUMENTS[part.name], part.fields[0].name)
            for name in row.fields
            if (part := fields[name].message_type) is not None and part.name in JSON_DOCUMENTS
        }
        # Most hooks: every argument is the field as it stands. One ``attrgetter`` reads two or more of them at once.
        is_plain = not (self._lists or self._optional or self._documents or row.content_field)
        self._read_all = attrgetter(*row.fields) if is_plain and len(row.fields) > 1 else None
        self.content_field = row.content_field
        self._replaces = tuple(output.replaces for output in row.outputs if output.replaces)
        self._has_context = "plugin_context" in row.fields
        self._classes: Mapping[str, type[Message]] = {
            output.field: GetMessageClass(cast("Descriptor", results[output.field].message_type))
            for output in row.outputs
            if output.kind in {OutputKind.MESSAGE, OutputKind.MESSAGES, OutputKind.JSON}
        }

    # -- in ---------------------------------------------------------------------------------------------------

    def arguments(self, request: Message) -> tuple[object, ...]:
        """Return the handler's arguments.

        Raises:
            RemoteProtocolError: What should be JSON is not.
        """
        if self._read_all is not None:
            found: tuple[object, ...] = self._read_all(request)
            return found
        return tuple(self._argument(field, self._value(request, field)) for field in self.row.fields)

    def _argument(self, field: str, value: Any) -> object:
        if field in self._documents:
            return self._document(field, value)
        return FileContent(value) if field == self.content_field else value

    def _value(self, request: Message, field: str) -> Any:
        """Return a field's value; the octets of a JSON document."""
        if field in self._optional and not request.HasField(field):
            return None
        value = getattr(request, field)
        if field in self._documents:
            return getattr(value, self._documents[field][1])
        return list(value) if field in self._lists else value

    def _document(self, field: str, raw: bytes) -> JSONDocument:
        try:
            return self._documents[field][0](raw)
        except ValueError as error:
            raise RemoteProtocolError(f"{self.row.name}: the server's {field} cannot be read: {error}") from None

    def request_id(self, request: Message) -> str:
        """Return the server's id of the HTTP request behind the call, "" where there is none."""
        if not self._has_context:
            return ""
        context: PluginContext = getattr(request, "plugin_context")  # noqa: B009 - not every request has one
        return context.request_id

    def originals(self, request: Message) -> Mapping[str, Any]:
        """Return copies of the fields whose new values a handler may return; the handler may change what it got."""
        if not self._replaces:
            return _NONE
        return {field: deepcopy(self._value(request, field)) for field in self._replaces}

    def is_mutated(self, arguments: Sequence[object], originals: Mapping[str, Any]) -> bool:
        """Whether the handler changed an argument in place."""
        given = dict(zip(self.row.fields, arguments, strict=True))
        return any(
            given[field] != (self._document(field, original) if field in self._documents else original)
            for field, original in originals.items()
            if field != self.content_field
        )

    # -- out --------------------------------------------------------------------------------------------------

    def absent(self) -> Message:
        """Return the response of a hook that nobody handles."""
        return self.response_class(**self.row.absent)

    def pack(self, result: object, originals: Mapping[str, Any]) -> Message:
        """Return the response that carries a handler's result.

        Args:
            result: What the handler returned.
            originals: What ``originals`` gave before the handler ran.

        Raises:
            HookResultError: The response cannot express it.
        """
        response = self.absent()
        match result:
            case None:
                pass
            case Reject() if self.row.refusal in {Refusal.REASON, Refusal.ERROR}:
                return self.refuse(result.reason, kind="rejected", status_code=400)
            case Dismiss() if self.row.dismissable:
                return self.refuse(DISMISS_REASON)
            case ReplaceFile() if len(self.row.outputs) > 1:
                for output, value in zip(self.row.outputs, (result.info, result.content), strict=True):
                    if value is not None:
                        self._set(response, output, value, originals)
            case _:
                for output in self.row.outputs:
                    if self._accepts(output, result):
                        self._set(response, output, result, originals)
                        break
                else:
                    raise self._wrong(result)
        for output in self.row.outputs:
            if output.always and not response.HasField(output.field):
                getattr(response, output.field).SetInParent()
        return response

    def refuse(self, text: str, *, kind: str = "error", status_code: int = 500) -> Message:
        """Return the response that says no.

        Args:
            text: The reason; stands in both texts of an error, because the Go host drops ``message``.
            kind: The last part of an error's id.
            status_code: The HTTP status of an error.
        """
        response = self.response_class()
        text = text[: limits.hook_reason_characters]
        text = text.encode(errors="replace").decode()  # a lone surrogate would make it unsendable
        if self.row.refusal is Refusal.REASON:
            setattr(response, self.row.refusal.value, text)
        elif self.row.refusal is Refusal.ERROR:
            error = _error_of(response)
            error.id = f"plugin.{self.row.method}.{kind}"
            error.where = self.row.name
            error.status_code = status_code
            error.message = error.detailed_error = text
        return response

    def refuse_by(self, cause: PluginAPIError) -> Message:
        """Return the response whose error says what an exception says; only for hooks with an error.

        Raises:
            TypeError: The exception holds what an AppError cannot say.
            ValueError: Likewise, or more of it than anybody reads.
        """
        response = self.refuse(cause.message or str(cause))
        error = _error_of(response)
        given = app_error_of(cause)
        given.detailed_error = given.detailed_error or error.detailed_error
        error.MergeFrom(given)
        if response.ByteSize() > limits.hook_error_octets:
            raise ValueError("the error is too long")
        return response

    def check_sendable(self, response: Message, limit_octets: int) -> None:
        """Refuse a response that would not reach the server: the call would fail, whatever the policy.

        Raises:
            HookResultError: It is too long, or nested deeper than protobuf reads.
        """
        if not self.row.outputs:
            return
        try:
            octets = response.SerializeToString()
            self.response_class.FromString(octets)
        except (EncodeError, DecodeError) as error:
            raise HookResultError(f"{self.row.name}: the answer is nested too deeply") from error
        if len(octets) > limit_octets:
            raise HookResultError(f"{self.row.name}: the answer is longer than a message may be, {limit_octets} octets")

    def _accepts(self, output: Output, value: object) -> bool:
        match output.kind:
            case OutputKind.MESSAGE:
                return isinstance(value, self._classes[output.field])
            case OutputKind.MESSAGES:
                wanted = self._classes[output.field]
                return _is_list(value) and all(isinstance(item, wanted) for item in value)
            case OutputKind.INT:
                return isinstance(value, int) and not isinstance(value, bool)
            case OutputKind.BOOL:
                return isinstance(value, bool)
            case OutputKind.JSON:
                return isinstance(value, Mapping | bytes)
            case OutputKind.CONTENT:
                return isinstance(value, bytes | bytearray | memoryview)

    def _set(self, response: Message, output: Output, value: Any, originals: Mapping[str, Any]) -> None:
        if not self._accepts(output, value):
            raise self._wrong(value)
        original: Any = originals.get(output.replaces)
        match output.kind:
            case OutputKind.JSON:
                self._set_json(response, output, value, original)
            case OutputKind.MESSAGE:
                if output.replaces in self._documents:
                    original = cast("EmailNotification", self._document(output.replaces, original)).content()
                if value != original:
                    part: Message = getattr(response, output.field)
                    part.SetInParent()
                    part.CopyFrom(value)
            case OutputKind.MESSAGES:
                if list(value) != original:
                    getattr(response, output.field).extend(value)
                    self._must_say_something(output, response)
            case OutputKind.CONTENT:
                if value != original:
                    setattr(response, output.field, bytes(value))
                    self._must_say_something(output, response)
            case OutputKind.INT | OutputKind.BOOL:
                try:
                    setattr(response, output.field, value)
                except ValueError as error:  # an int beyond 64 bits
                    raise HookResultError(
                        f"{self.row.name}: {output.field} cannot hold what the handler returned"
                    ) from error

    def _set_json(self, response: Message, output: Output, value: Mapping[str, Any] | bytes, original: bytes) -> None:
        """Put a JSON object into the message that carries it, unless it says what the original says."""
        kind, octets_field = self._documents[output.replaces]
        try:
            octets = json_octets(value, output.field)
            octets.decode()  # the server reads no other encoding
            if octets.lstrip()[:1] != b"{":
                raise ValueError(f"{output.field} must be a JSON object in UTF-8")
            document = kind(octets)
        except (TypeError, ValueError, RecursionError) as error:
            raise HookResultError(f"{self.row.name}: its handler returned what is no JSON object: {error}") from None
        if not same_json(document, self._document(output.replaces, original)):
            setattr(getattr(response, output.field), octets_field, octets)

    def _must_say_something(self, output: Output, response: Message) -> None:
        if output.replaces and not getattr(response, output.field):
            raise HookResultError(
                f"{self.row.name}: nothing can be put in place of {output.replaces}: the server reads an empty "
                f"{output.field} as unchanged"
            )

    def _wrong(self, value: object) -> HookResultError:
        got = type(value).__name__
        if _is_list(value):
            items = {type(item).__name__ for item in value}
            got = f"{got} of {', '.join(sorted(items)) or 'nothing'}"
        return HookResultError(
            f"{self.row.name}: its handler returned {got}; it may return {', '.join(self.row.results)}"
        )


def _is_list(value: object) -> TypeGuard[Sequence[object]]:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray | memoryview)


def _error_of(response: Message) -> AppError:
    return cast("AppError", getattr(response, Refusal.ERROR.value))
