"""Call every API method by both doors, over every link, and compare both ends with the contract's descriptors.

Layer:  testing. The caller is PluginAPIClient, the server HandlerAPI; the messages in between are looked at too.
Output: one Proof for each method and thing proved, with what was wrong.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast

from anyio import to_thread

from mm_plugin.api.client import PluginAPIClient
from mm_plugin.api.table import APIMethod, api_table
from mm_plugin.exceptions import NotFoundError, PluginAPIError
from mm_plugin.host.api_receiver import ErrorStyle, HandlerAPI
from mm_plugin.testing.parity_samples import JSON_SAMPLE, arguments_of, result_of, sample_request, sample_response
from mm_plugin.transport.grpc.api_end import open_api_server
from mm_plugin.transport.memory import memory_link

if TYPE_CHECKING:
    from google.protobuf.message import Message

__all__ = ("EMBEDDED", "REQUEST", "RESULT", "STATUS", "Proof", "call_everything")

REQUEST = "client method takes and server handler sees every field of the request"
RESULT = "result comes back whole"
EMBEDDED = "error inside the response is raised with every field"
STATUS = "error sent as a status is raised with id, text and HTTP status"

_ERROR = NotFoundError(
    "no such thing",
    id="app.thing.missing",
    detailed_error="id=7",
    where="GetThing",
    request_id="r1",
    status_code=404,
    params=JSON_SAMPLE,
)


@dataclass(frozen=True)
class Proof:
    """What was found out about one rpc.

    Attributes:
        rpc: Its name.
        what: What was to be proved.
        problem: Why it is not so; "" where it is.
    """

    rpc: str
    what: str
    problem: str = ""


class _Server:
    """Answers any method with what it is told, and keeps what handler and wire saw."""

    def __init__(self) -> None:
        self.style = ErrorStyle.STATUS
        self.outcome: object = None
        self.handled: tuple[str, dict[str, object]] | None = None
        self.request: Message | None = None
        self.response: Message | None = None

    async def handle_api(self, method: str, request: Message, *, deadline: float | None) -> Message:
        self.request = request
        self.response = await HandlerAPI(_Handler(self), error_style=self.style).handle_api(
            method, request, deadline=deadline
        )
        return self.response


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
    """Call each method over the memory link and over TCP, awaited and blocking, with three kinds of outcome.

    Returns:
        Four proofs for each rpc on each way.
    """
    proofs: list[Proof] = []
    server = _Server()
    for link in (_memory, _tcp):
        async with link(server) as api:
            for door in (_awaited, _blocking):
                way = f"over {link.__name__.strip('_')}, {door.__name__.strip('_')}: "
                for row in api_table().values():
                    proofs += await _prove(row, partial(door, api), server, way)
    return proofs


async def _prove(row: APIMethod, call: _Call, server: _Server, way: str) -> list[Proof]:
    request, response = sample_request(row), sample_response(row)
    arguments, result = arguments_of(row, request), result_of(row, response)
    given = [arguments[p.name] for p in row.parameters if not p.keyword_only]
    keywords = {p.name: arguments[p.name] for p in row.parameters if p.keyword_only}

    async def outcome(value: object, style: ErrorStyle) -> object:
        server.outcome, server.style = value, style
        server.handled = server.request = server.response = None
        try:
            return await call(row.name, given, keywords)
        except Exception as error:  # noqa: BLE001 - whatever a broken method raises is what is to be reported
            return error

    def proof(what: str, wrong: dict[str, bool]) -> Proof:
        problems = [text for text, is_wrong in wrong.items() if is_wrong]
        return Proof(row.rpc, what, way + "; ".join(problems) if problems else "")

    got = await outcome(result, ErrorStyle.STATUS)
    called = proof(
        REQUEST,
        {
            f"the call raised {got!r}": isinstance(got, Exception),
            "the server was not called": server.request is None,
            "the request is not what was given": server.request is not None and server.request != request,
            "the handler saw other arguments": server.handled != (row.name, arguments),
        },
    )
    returned = proof(
        RESULT,
        {
            f"the call raised {got!r}": isinstance(got, Exception),
            "the response lacks what the handler returned": server.response != response,
            "the client returned something else": got != result,
        },
    )
    embedded = await outcome(_ERROR, ErrorStyle.EMBEDDED)
    status = await outcome(_ERROR, ErrorStyle.STATUS)
    return [
        called,
        returned,
        proof(EMBEDDED, {f"got {embedded!r}": not _is_error(embedded, vars(_ERROR), ignored={"code"})}),
        proof(STATUS, {f"got {status!r}": not _is_error(status, {"id": _ERROR.id, "status_code": 404}, ignored=set())}),
    ]


def _is_error(got: object, fields: dict[str, object], *, ignored: set[str]) -> bool:
    if not isinstance(got, PluginAPIError) or type(got) is not type(_ERROR) or got.message != _ERROR.message:
        return False
    return all(getattr(got, name) == value for name, value in fields.items() if name not in ignored)


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
