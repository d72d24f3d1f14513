"""Call every API method by both doors, over every link, and compare both ends with the contract's descriptors.

Layer:  testing. The caller is PluginAPIClient, the server HandlerAPI; the messages in between are looked at too.
Output: one Proof for each method, way of calling it and thing proved, with what was wrong.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol, cast

from anyio import to_thread

from mm_plugin._proto.services import api_methods
from mm_plugin.api.client import PluginAPIClient
from mm_plugin.api.table import APIMethod, api_table
from mm_plugin.exceptions import NotFoundError, PluginAPIError
from mm_plugin.host.api_receiver import ErrorStyle, HandlerAPI
from mm_plugin.testing.parity_defaults import DEFAULTS
from mm_plugin.testing.parity_samples import JSON_SAMPLE, arguments_of, result_of, sample_request, sample_response
from mm_plugin.transport.grpc.api_end import open_api_server
from mm_plugin.transport.memory import memory_link

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from mm_plugin._proto.common_pb2 import AppError

__all__ = ("CALLED", "DEFAULT", "EMBEDDED", "REQUEST", "RESULT", "STATUS", "WITHOUT_ID", "Proof", "call_everything")

REQUEST = "client method takes and server handler sees every field of the request"
DEFAULT = "called with the required arguments alone, the server sees the agreed defaults; without one, nothing"
RESULT = "result comes back whole"
EMBEDDED = "error inside the response is raised with every field"
WITHOUT_ID = "error inside the response without an id, and one without anything, is raised all the same"
STATUS = "error sent as a status is raised with id, text and HTTP status"
#: All that calling proves.
CALLED = (REQUEST, DEFAULT, RESULT, EMBEDDED, WITHOUT_ID, STATUS)

_ERROR = NotFoundError(
    "no such thing",
    id="app.thing.missing",
    detailed_error="id=7",
    where="GetThing",
    request_id="r1",
    status_code=404,
    params=JSON_SAMPLE,
)
_WITHOUT_ID = PluginAPIError("it does not work")
_BARE = PluginAPIError()


@dataclass(frozen=True)
class Proof:
    """What was found out about one rpc.

    Attributes:
        rpc: Its name.
        what: What was to be proved.
        problem: Why it is not so; "" where it is.
        way: How it was called; "" where calling is not what proves it.
    """

    rpc: str
    what: str
    problem: str = ""
    way: str = ""


class _Nothing(Exception):  # noqa: N818 - it is never raised
    """Stands for an error of which the server says no more than that it is there."""


class _Server:
    """Answers any method with what it is told, and keeps what handler and wire saw."""

    def __init__(self) -> None:
        self.tell(None, ErrorStyle.STATUS)

    def tell(self, outcome: object, style: ErrorStyle) -> None:
        """Answer so from now on; what was seen before is forgotten."""
        self.outcome = outcome
        self.style = style
        self.handled: tuple[str, dict[str, object]] | None = None
        self.request: Message | None = None
        self.response: Message | None = None

    async def handle_api(self, method: str, request: Message, *, deadline: float | None) -> Message:
        self.request = request
        if isinstance(self.outcome, _Nothing):
            self.response = api_methods()[method].response()
            cast("_Response", self.response).error.SetInParent()
        else:
            receiver = HandlerAPI(_Handler(self), error_style=self.style)
            self.response = await receiver.handle_api(method, request, deadline=deadline)
        return self.response


class _Response(Protocol):
    @property
    def error(self) -> AppError: ...


class _Handler:
    def __init__(self, server: _Server) -> None:
        self._server = server

    def __getattr__(self, name: str) -> Callable[..., object]:
        def answer(**arguments: object) -> object:
            self._server.handled = (name, arguments)
            if isinstance(self._server.outcome, Exception):
                raise self._server.outcome
            return self._server.outcome

        return answer


_Call = Callable[[str, list[object], dict[str, object]], Awaitable[object]]


async def call_everything() -> list[Proof]:
    """Call each method over the memory link and over TCP, awaited and blocking, with every kind of outcome.

    Returns:
        For each rpc and way of calling it one proof of each of ``CALLED``.
    """
    proofs: list[Proof] = []
    server = _Server()
    for link in (_memory, _tcp):
        async with link(server) as api:
            for door in (_awaited, _blocking):
                way = f"over {link.__name__.strip('_')}, {door.__name__.strip('_')}"
                for row in api_table().values():
                    proofs += await _Method(row, partial(door, api), server, way).prove()
    return proofs


class _Method:
    """One method on one way to the server."""

    def __init__(self, row: APIMethod, call: _Call, server: _Server, way: str) -> None:
        self._row = row
        self._call = call
        self._server = server
        self._way = way
        self._request, self._response = sample_request(row), sample_response(row)
        self._arguments, self._result = arguments_of(row, self._request), result_of(row, self._response)
        self._defaults = DEFAULTS.get(row.name, {})

    async def prove(self) -> list[Proof]:
        """Call the method in every manner."""
        return [*await self._whole_call(), await self._default_call(), *await self._errors()]

    async def _whole_call(self) -> list[Proof]:
        server, row = self._server, self._row
        keywords = {name: self._arguments[name] for name in self._defaults}
        got = await self._outcome(self._required(), keywords, self._result)
        raised = {f"the call raised {got!r}": isinstance(got, Exception)}
        return [
            self._proof(
                REQUEST,
                raised
                | {
                    "the server was not called": server.request is None,
                    "the request is not what was given": server.request not in (None, self._request),
                    "the handler saw other arguments": server.handled != (row.name, self._arguments),
                },
            ),
            self._proof(
                RESULT,
                raised
                | {
                    "the response lacks what the handler returned": server.response != self._response,
                    "the client returned something else": got != self._result,
                },
            ),
        ]

    async def _default_call(self) -> Proof:
        """Leave out what may be left out; then one more, which may not."""
        server, required = self._server, self._required()
        got = await self._outcome(required, {}, self._result)
        expected = (self._row.name, {**self._arguments, **self._defaults})
        wrong = {
            f"the call raised {got!r}": isinstance(got, Exception),
            f"the server saw {_difference(server.handled, expected)}": server.handled != expected,
            "the request has other fields": server.request != self._request_by_default(),
        }
        if required:
            got = await self._outcome(required[:-1], {}, self._result)
            refused = isinstance(got, TypeError) and server.request is None
            wrong["a required argument may be left out"] = not refused
        return self._proof(DEFAULT, wrong)

    async def _errors(self) -> list[Proof]:
        async def error(outcome: Exception, style: ErrorStyle = ErrorStyle.EMBEDDED) -> object:
            keywords = {name: self._arguments[name] for name in self._defaults}
            return await self._outcome(self._required(), keywords, outcome, style)

        embedded, status = await error(_ERROR), await error(_ERROR, ErrorStyle.STATUS)
        without_id, bare = await error(_WITHOUT_ID), await error(_Nothing())
        return [
            self._proof(
                EMBEDDED, {f"got {embedded!r}": not _is_error(embedded, _ERROR, *vars(_ERROR).keys() - {"code"})}
            ),
            self._proof(
                WITHOUT_ID,
                {
                    f"of one with a text, got {without_id!r}": not _is_error(without_id, _WITHOUT_ID, "message", "id"),
                    f"of one without anything, got {bare!r}": not _is_error(
                        bare, _BARE, "message", "id", "status_code"
                    ),
                },
            ),
            self._proof(STATUS, {f"got {status!r}": not _is_error(status, _ERROR, "message", "id", "status_code")}),
        ]

    async def _outcome(
        self, given: list[object], keywords: dict[str, object], told: object, style: ErrorStyle = ErrorStyle.STATUS
    ) -> object:
        self._server.tell(told, style)
        try:
            return await self._call(self._row.name, given, keywords)
        except Exception as error:  # noqa: BLE001 - whatever a broken method raises is what is to be reported
            return error

    def _required(self) -> list[object]:
        return [value for name, value in self._arguments.items() if name not in self._defaults]

    def _request_by_default(self) -> Message:
        request = type(self._request)()
        request.CopyFrom(self._request)
        for name, value in self._defaults.items():
            request.ClearField(name)
            if value and not isinstance(value, list | dict):
                setattr(request, name, value)
        return request

    def _proof(self, what: str, wrong: dict[str, bool]) -> Proof:
        return Proof(self._row.rpc, what, "; ".join(text for text, is_wrong in wrong.items() if is_wrong), self._way)


def _difference(handled: tuple[str, dict[str, object]] | None, expected: tuple[str, dict[str, object]]) -> str:
    if handled is None or handled[0] != expected[0]:
        return "another call" if handled else "no call"
    return ", ".join(
        f"{name}={handled[1].get(name)!r} instead of {value!r}"
        for name, value in expected[1].items()
        if handled[1].get(name) != value
    )


def _is_error(got: object, expected: PluginAPIError, *fields: str) -> bool:
    return type(got) is type(expected) and all(getattr(got, name) == getattr(expected, name) for name in fields)


# -- links and doors ------------------------------------------------------------------------------------------


@asynccontextmanager
async def _memory(server: _Server) -> AsyncGenerator[PluginAPIClient]:
    link, _ = memory_link(server)
    yield PluginAPIClient.on_link(link)


@asynccontextmanager
async def _tcp(server: _Server) -> AsyncGenerator[PluginAPIClient]:
    async with open_api_server(server) as target, PluginAPIClient(target) as api:
        yield api


async def _awaited(api: PluginAPIClient, name: str, given: list[object], keywords: dict[str, object]) -> object:
    return await cast("Callable[..., Awaitable[object]]", getattr(api, name))(*given, **keywords)


async def _blocking(api: PluginAPIClient, name: str, given: list[object], keywords: dict[str, object]) -> object:
    method = cast("Callable[..., object]", getattr(api.sync, name))
    return await to_thread.run_sync(partial(method, *given, **keywords))
