"""Every hook in every outcome, over every link: a real plugin behind the link, the answer read as the Go host reads it.

The cases come from the hook table, so no row can be forgotten.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from google.protobuf.message import Message

from mm_plugin.exceptions import StatusCode
from mm_plugin.hooks.codec import codec_of
from mm_plugin.hooks.files import FileContent
from mm_plugin.hooks.names import HookName
from mm_plugin.hooks.results import Reject
from mm_plugin.hooks.table import HOOK_TABLE, HookRow, OutputKind, Refusal
from mm_plugin.messages.json_fields import EmailNotification
from mm_plugin.plugin.plugin import Plugin
from mm_plugin.plugin.runtime import PluginRuntime
from mm_plugin.serve_http.request import Request
from mm_plugin.serve_http.response import Response
from mm_plugin.settings import RuntimeConfig
from mm_plugin.transport.link import CallFailure, HostLink, HTTPExchange, RequestHead, ResponseHead
from tests.contract.links import LINKS, MESSAGE_LIMIT_OCTETS, open_pair
from tests.hooks.rows import READS, UNARY_ROWS, host_reads, request_of
from tests.plugin.running import EmptyAPI

OUTCOMES = ("absent", "unchanged", "changed", "rejected", "crashed", "timed out", "wrong type", "too large")
FAILURES = ("crashed", "timed out", "wrong type", "too large")
SECRET = "s3cret in the exception"


@dataclass(frozen=True)
class Case:
    """One hook in one outcome; ``output`` counts what a handler may return."""

    row: HookRow
    outcome: str
    output: int = 0

    def __str__(self) -> str:
        return f"{self.row.name}-{self.outcome}{self.output or ''}".replace(" ", "-")


def cases() -> list[Case]:
    """Return what each row can do."""
    found: list[Case] = []
    for row in UNARY_ROWS:
        for outcome in OUTCOMES:
            if outcome == "changed":
                found += [Case(row, outcome, output) for output in range(len(row.outputs))]
            elif outcome != "rejected" or row.refusal is not Refusal.NONE:
                found.append(Case(row, outcome))
    return found


def changed(row: HookRow, output: int) -> Any:
    """Return a valid result for one output that differs from the filled request."""
    kind = row.outputs[output].kind
    if kind in {OutputKind.MESSAGE, OutputKind.MESSAGES}:
        message: Any = codec_of(row.name)._classes[row.outputs[output].field]()
        if row.name is HookName.EmailNotificationWillBeSent:
            message.subject = "another"
        return [message, message] if kind is OutputKind.MESSAGES else message
    results: dict[OutputKind, Any] = {
        OutputKind.INT: 12,
        OutputKind.BOOL: True,
        OutputKind.JSON: {"known": 2},
        OutputKind.CONTENT: b"other",
    }
    return results[kind]


def unchanged(row: HookRow, arguments: tuple[object, ...]) -> object:
    """Return what a handler got where it may give that back; None elsewhere."""
    given = dict(zip(row.fields, arguments, strict=True))
    for output in row.outputs:
        if output.replaces:
            value = given[output.replaces]
            return value.content() if isinstance(value, EmailNotification) else value
    return None


def handler_of(case: Case) -> Callable[..., object]:
    """Return the method that brings the outcome about."""

    async def method(self: Plugin, *arguments: object) -> object:
        match case.outcome:
            case "unchanged":
                return unchanged(case.row, arguments)
            case "changed":
                return changed(case.row, case.output)
            case "rejected":
                return False if case.row.refusal is Refusal.UNHEALTHY else Reject("not this one")
            case "crashed":
                raise LookupError(SECRET)
            case "timed out":
                await anyio.sleep_forever()
        return object()

    return method


@asynccontextmanager
async def behind(
    link: str, plugin: Plugin, hook_timeout_s: float = 30, http_s: float | None = None
) -> AsyncGenerator[HostLink]:
    """Run a plugin behind a link and give the host's end; HTTP requests come with a deadline where one is given."""
    config = RuntimeConfig(hook_timeout_s=hook_timeout_s, message_limit_octets=MESSAGE_LIMIT_OCTETS)
    api = EmptyAPI()
    runtime = PluginRuntime(plugin, api, config)
    async with anyio.create_task_group() as tasks:
        await tasks.start(runtime.run)
        receiver = runtime.receiver if http_s is None else WithDeadline(runtime, http_s)
        async with open_pair(link, receiver, api) as (_, host):
            yield host
        tasks.cancel_scope.cancel()


async def ask(host: HostLink, row: HookRow, request: Message) -> Message | CallFailure:
    """Call a hook and return its answer, or the failure in its place."""
    try:
        return await host.call_hook(row.name, request, deadline=anyio.current_time() + 30)
    except CallFailure as failure:
        return failure


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("case", cases(), ids=str)
async def test_every_hook_in_every_outcome(case: Case, link: str, caplog: pytest.LogCaptureFixture) -> None:
    """The host reads each outcome as the table says, and each failure leaves one complete ERROR record."""
    row = case.row
    members: dict[str, object] = {} if case.outcome == "absent" else {row.method: handler_of(case)}
    plugin = type("Case", (Plugin,), members)()
    request: Any = request_of(row.name)
    if case.outcome == "too large":
        request.context.request_id = "x" * (MESSAGE_LIMIT_OCTETS + 1)
    timeout_s = 30.0
    if case.outcome == "timed out":
        timeout_s = 0.5 if row.name is HookName.OnDeactivate else 0.02  # OnActivate, before it, must not time out
    async with behind(link, plugin, timeout_s) as host:
        if row.name is HookName.OnDeactivate:
            await ask(host, HOOK_TABLE[HookName.OnActivate], request_of(HookName.OnActivate))
        answer = await ask(host, row, request)
    reading = host_reads(row, answer)
    records = [record for record in caplog.records if record.levelno >= logging.ERROR]
    if case.outcome in FAILURES:
        assert reading == READS[row.default_policy]
        (record,) = records
        assert record.__dict__["hook"] == row.name
        known = "request_id" if case.outcome != "too large" else None
        assert record.__dict__.get("request_id") == known
        assert (record.exc_info is not None) == (case.outcome != "too large")  # that never reached a handler
        if isinstance(answer, CallFailure):
            assert case.outcome == "too large"  # whatever a handler does, the status is OK
            assert answer.code is StatusCode.RESOURCE_EXHAUSTED
        elif not row.tells_cause:
            assert SECRET not in str(answer)
        return
    assert not records
    assert not isinstance(answer, CallFailure)
    match case.outcome:
        case "absent":
            assert answer == codec_of(row.name).absent()
        case "unchanged":
            assert reading == "let pass"
        case "changed":
            output, wanted = row.outputs[case.output], changed(row, case.output)
            value: Any = getattr(answer, output.field)
            value = json.loads(value.config_json) if output.kind is OutputKind.JSON else value
            assert (list(value) if isinstance(wanted, list) else value) == wanted
        case _:
            assert reading == "refused"
            if row.refusal is not Refusal.UNHEALTHY:
                assert "not this one" in str(answer)


def test_every_row_has_every_outcome_it_can_have() -> None:
    """No row and no outcome of it is missing from the cases."""
    found = {(case.row.name, case.outcome) for case in cases()}
    assert len(UNARY_ROWS) == 40
    for row in UNARY_ROWS:
        impossible = {"changed"} if not row.outputs else set[str]()
        impossible |= {"rejected"} if row.refusal is Refusal.NONE else set()
        assert {outcome for name, outcome in found if name is row.name} == set(OUTCOMES) - impossible


# -- ServeHTTP ------------------------------------------------------------------------------------------------

#: The status that the client sees, and whether the response breaks off after that.
HTTP_OUTCOMES: dict[str, tuple[int, bool]] = {
    "absent": (404, False),
    "unchanged": (200, False),
    "changed": (201, False),
    "rejected": (403, False),
    "crashed": (500, False),
    "crashed after the head": (200, True),
    "timed out": (504, False),
    "timed out after the head": (200, True),
    "wrong type": (500, False),
    "wrong type after the head": (200, True),
    "too large": (413, False),
}


class WithDeadline:
    """A runtime whose HTTP requests come with a deadline, as a host may send one; our own does not."""

    def __init__(self, runtime: PluginRuntime, seconds: float) -> None:
        self.runtime = runtime
        self.seconds = seconds
        self.handle_hook = runtime.handle_hook

    async def handle_http(self, exchange: HTTPExchange) -> None:
        await self.runtime.handle_http(Passing(exchange, anyio.current_time() + self.seconds))


class Passing:
    """An exchange that passes all but its deadline on."""

    def __init__(self, exchange: HTTPExchange, deadline: float) -> None:
        self.head = exchange.head
        self.deadline = deadline
        self.receive, self.respond, self.write = exchange.receive, exchange.respond, exchange.write
        self.flush, self.finish, self.abort = exchange.flush, exchange.finish, exchange.abort


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("outcome", HTTP_OUTCOMES)
async def test_serve_http_in_every_outcome(outcome: str, link: str, caplog: pytest.LogCaptureFixture) -> None:
    """The client sees a status or a response that breaks off, and each failure leaves one ERROR record."""
    ended = anyio.Event()

    async def serve_http(self: Plugin, request: Request, response: Response) -> object:
        if outcome.endswith("after the head"):
            await response.write(b"body", flush=True)
        if outcome.startswith("crashed"):
            raise LookupError(SECRET)
        if outcome in {"changed", "rejected"}:
            response.status = HTTP_OUTCOMES[outcome][0]
            await response.write(b"body")
        if outcome.startswith("timed out"):
            try:
                await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.lowlevel.checkpoint()
                    ended.set()
        return object() if outcome.startswith("wrong type") else None

    members: dict[str, object] = {} if outcome == "absent" else {"serve_http": serve_http}
    plugin = type("Case", (Plugin,), members)()
    plugin.max_body_octets = 4
    head, body, is_broken = await fetch(link, plugin, b"12345" if outcome == "too large" else b"")
    assert (head.status, is_broken) == HTTP_OUTCOMES[outcome]
    assert SECRET.encode() not in body
    assert ended.is_set() == outcome.startswith("timed out")
    records = [record for record in caplog.records if record.levelno >= logging.ERROR]
    fails = outcome.startswith(("crashed", "timed out", "wrong type"))
    assert [(record.__dict__["hook"], bool(record.exc_info)) for record in records] == [("ServeHTTP", True)] * fails


async def fetch(link: str, plugin: Plugin, upload: bytes) -> tuple[ResponseHead, bytes, bool]:
    """Send one request with a deadline; return head, body and whether that broke off."""
    body = b""
    request = RequestHead(method="POST", url="/x", content_length=len(upload))
    with anyio.fail_after(30):
        async with behind(link, plugin, http_s=0.6) as host, host.open_http(request) as call:
            await call.send(upload)
            await call.finish()
            head = await call.receive_head()
            try:
                while (part := await call.receive()) is not None:
                    body += part.data
            except CallFailure:
                return head, body, True
    return head, body, False


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("late", [False, True])
async def test_serve_http_that_is_cancelled(late: bool, link: str, caplog: pytest.LogCaptureFixture) -> None:
    """A client that leaves cancels the handler, whose ``finally`` runs; that is no failure of the plugin."""
    begun, ended = anyio.Event(), anyio.Event()

    class Waiting(Plugin):
        async def serve_http(self, request: Request, response: Response) -> None:
            if late:
                await response.write(b"body", flush=True)
            begun.set()
            try:
                await anyio.sleep_forever()
            finally:
                ended.set()

    with anyio.fail_after(30):
        async with behind(link, Waiting()) as host:
            async with host.open_http(RequestHead(method="GET", url="/x")) as call:
                await call.finish()
                if late:
                    await call.receive_head()
                    await begun.wait()
                else:
                    async with anyio.create_task_group() as tasks:
                        tasks.start_soon(call.receive_head)
                        await begun.wait()
                        tasks.cancel_scope.cancel()
            await ended.wait()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_serve_http_has_every_outcome() -> None:
    """What other hooks can meet, it can; cancellation has a test of its own."""
    assert set(OUTCOMES) <= set(HTTP_OUTCOMES)


# -- files, read and given back as streams --------------------------------------------------------------------


@pytest.mark.parametrize("link", LINKS)
async def test_a_file_goes_through_a_handler_as_a_stream(link: str) -> None:
    """An async generator as handler transforms chunk by chunk, without ever holding the file itself."""

    class Upper(Plugin):
        async def file_will_be_uploaded(self, context: Any, file_info: Any, file_content: FileContent) -> Any:
            async def upper() -> AsyncGenerator[bytes]:
                async for chunk in file_content:
                    yield chunk.upper()

            return upper()

    request: Any = request_of(HookName.FileWillBeUploaded)
    request.file_content = b"abc" * 30_000
    async with behind(link, Upper()) as host:
        answer: Any = await ask(host, HOOK_TABLE[HookName.FileWillBeUploaded], request)
    assert answer.modified_content == b"ABC" * 30_000
    assert not answer.HasField("modified_file_info")
    assert not answer.rejection_reason


@pytest.mark.parametrize("link", LINKS)
async def test_new_content_over_the_message_limit_refuses_the_file(link: str) -> None:
    """What could not be sent is a failure of the handler, so the file is refused and does not pass unscanned."""

    class Endless(Plugin):
        def file_will_be_uploaded(self, context: Any, file_info: Any, file_content: FileContent) -> Any:
            while True:
                yield b"x" * 65_536

    async with behind(link, Endless()) as host:
        row = HOOK_TABLE[HookName.FileWillBeUploaded]
        assert host_reads(row, await ask(host, row, request_of(row.name))) == "refused"
