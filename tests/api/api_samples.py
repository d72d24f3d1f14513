"""What stands at the other end of a client under test: a handler that keeps what it is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mm_plugin.api.table import APIMethod
from mm_plugin.testing.parity_samples import JSON_SAMPLE, arguments_of, result_of, sample_request, sample_response
from mm_plugin.transport.link import APIReceiver

if TYPE_CHECKING:
    from google.protobuf.message import Message

__all__ = ("JSON_SAMPLE", "DirectCaller", "Recorder", "sample_arguments", "sample_result")


def sample_arguments(row: APIMethod) -> dict[str, Any]:
    """Every parameter of a method, as a caller gives it."""
    return arguments_of(row, sample_request(row))


def sample_result(row: APIMethod) -> Any:
    """The result of a method, as it returns it."""
    return result_of(row, sample_response(row))


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
