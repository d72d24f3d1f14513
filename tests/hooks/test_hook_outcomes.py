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
from mm_plugin.transport.link import CallFailure, HostLink, RequestHead
from tests.contract.links import LINKS, MESSAGE_LIMIT_OCTETS, open_pair
from tests.hooks.rows import READS, UNARY_ROWS, host_reads, request_of
from tests.plugin.running import EmptyAPI

OUTCOMES = ("absent", "unchanged", "changed", "rejected", "crashed", "timed out", "wrong type", "too large")
FAILURES = {
    "crashed": StatusCode.INTERNAL,
    "timed out": StatusCode.DEADLINE_EXCEEDED,
    "wrong type": StatusCode.INTERNAL,
    "too large": StatusCode.RESOURCE_EXHAUSTED,
}
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
async def behind(link: str, plugin: Plugin, hook_timeout_s: float = 30) -> AsyncGenerator[HostLink]:
    """Run a plugin behind a link and give the host's end."""
    config = RuntimeConfig(hook_timeout_s=hook_timeout_s, message_limit_octets=MESSAGE_LIMIT_OCTETS)
    api = EmptyAPI()
    runtime = PluginRuntime(plugin, api, config)
    async with anyio.create_task_group() as tasks:
        await tasks.start(runtime.run)
        async with open_pair(link, runtime.receiver, api) as (_, host):
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
        assert record.exc_info is not None
        if isinstance(answer, CallFailure):
            assert answer.code is FAILURES[case.outcome]
            assert SECRET not in answer.text
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

HTTP_OUTCOMES = {"absent": 404, "unchanged": 200, "changed": 201, "rejected": 403, "crashed": 500, "wrong type": 200}


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("outcome", HTTP_OUTCOMES)
async def test_serve_http_in_every_outcome(outcome: str, link: str, caplog: pytest.LogCaptureFixture) -> None:
    """ServeHTTP without a handler is 404, a crash is a plain 500, and what it returns does not count."""

    async def serve_http(self: Plugin, request: Request, response: Response) -> object:
        if outcome == "crashed":
            raise LookupError(SECRET)
        if outcome in {"changed", "rejected"}:
            response.status = HTTP_OUTCOMES[outcome]
            await response.write(b"body")
        return object() if outcome == "wrong type" else None

    members: dict[str, object] = {} if outcome == "absent" else {"serve_http": serve_http}
    plugin = type("Case", (Plugin,), members)()
    async with behind(link, plugin) as host, host.open_http(RequestHead(method="GET", url="/x")) as call:
        await call.finish()
        head = await call.receive_head()
        body = b""
        while (part := await call.receive()) is not None:
            body += part.data
    assert head.status == HTTP_OUTCOMES[outcome]
    assert SECRET.encode() not in body
    records = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [(record.__dict__["hook"], bool(record.exc_info)) for record in records] == (
        [("ServeHTTP", True)] if outcome == "crashed" else []
    )


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
