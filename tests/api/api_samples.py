"""Arguments and results for any API method, built from its descriptors, each value different from every default."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import TYPE_CHECKING, Any

from mm_plugin._proto.services import api_methods
from mm_plugin.api.table import APIMethod, Kind
from mm_plugin.transport.link import APIReceiver

if TYPE_CHECKING:
    from google.protobuf.message import Message

JSON_SAMPLE: Mapping[str, Any] = {"int": 3, "float": 0.5, "text": "ä", "list": [1, None, {"deep": True}], "empty": {}}
_DEPTH = 3


class DirectCaller:
    """Carries calls to a receiver in this process, as octets, so that neither side sees the other's objects."""

    def __init__(self, receiver: APIReceiver) -> None:
        self.receiver = receiver
        self.methods: list[str] = []
        self.deadline: float | None = None

    async def call_api(self, method: str, request: Message, *, deadline: float | None = None) -> Message:
        self.methods.append(method)
        self.deadline = deadline
        received = type(request).FromString(request.SerializeToString())
        response = await self.receiver.handle_api(method, received, deadline=deadline)
        return type(response).FromString(response.SerializeToString())


class Recorder:
    """A handler that has every method, keeps what it was given, and returns or raises what it was told."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.outcome: Any = None

    def __getattr__(self, name: str) -> Any:
        async def answer(**arguments: Any) -> Any:
            self.calls.append((name, arguments))
            if isinstance(self.outcome, Exception):
                raise self.outcome
            return self.outcome

        return answer


def sample_arguments(row: APIMethod) -> dict[str, Any]:
    """Every parameter of a method, as a caller gives it."""
    message = _sample_message(api_methods()[row.rpc].request)
    kinds = {parameter.name: parameter.kind for parameter in row.parameters}
    return {name: _python(message, name, kind) for name, kind in kinds.items()}


def sample_result(row: APIMethod) -> Any:
    """The result of a method, as it returns it."""
    message = _sample_message(api_methods()[row.rpc].response)
    values = [_python(message, result.name, result.kind) for result in row.results]
    return None if not values else values[0] if len(values) == 1 else tuple(values)


def _python(message: Message, name: str, kind: Kind) -> Any:
    value = getattr(message, name)
    match kind:
        case Kind.LIST:
            return list(value)
        case Kind.MAP:
            return dict(value)
        case Kind.STRUCT | Kind.PAIRS:
            return dict(JSON_SAMPLE)
        case _:
            return value


def _sample_message(message_class: type[Message]) -> Message:
    message = message_class()
    _fill(message, count(1), 0)
    return message


def _fill(message: Message, numbers: count[int], depth: int) -> None:
    fields: Any = message.DESCRIPTOR.fields
    for field in fields:
        if field.name == "error" and depth == 0:
            continue
        if field.message_type is None:
            value = _scalar(field, next(numbers))
            if field.is_repeated:
                getattr(message, field.name).extend([value, _scalar(field, next(numbers))])
            else:
                setattr(message, field.name, value)
        elif field.message_type.GetOptions().map_entry:
            _fill_map(message, field, numbers, depth)
        elif field.message_type.file.name == "google/protobuf/struct.proto":
            _fill_json(getattr(message, field.name), field.message_type.name)
        elif depth < _DEPTH:
            target = getattr(message, field.name)
            if field.is_repeated:
                _fill(target.add(), numbers, depth + 1)
                target.add()
            else:
                _fill(target, numbers, depth + 1)
                target.SetInParent()


def _fill_map(message: Message, field: Any, numbers: count[int], depth: int) -> None:
    target = getattr(message, field.name)
    if field.message_type.fields_by_name["value"].message_type is None:
        target[f"key {next(numbers)}"] = f"value {next(numbers)}"
    elif depth < _DEPTH:
        _fill(target[f"key {next(numbers)}"], numbers, depth + 1)


def _fill_json(target: Any, name: str) -> None:
    if name == "Struct":
        target.update({"sample": 0.5})
    else:
        target.string_value = "sample"


def _scalar(field: Any, number: int) -> Any:
    if field.enum_type is not None:
        return field.enum_type.values[-1].number
    match field.type:
        case field.TYPE_STRING:
            return f"{field.name} {number} ü"
        case field.TYPE_BYTES:
            return f"{field.name} {number}".encode() + b"\x00\xff"
        case field.TYPE_BOOL:
            return True
        case _:
            return number
