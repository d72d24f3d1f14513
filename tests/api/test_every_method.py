"""All 236 methods of the API, each called for real through the serving side."""

from __future__ import annotations

import inspect
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from anyio import to_thread

from mm_plugin.api.client import PluginAPIClient
from mm_plugin.api.table import REQUIRED, APIMethod, Kind, api_table
from mm_plugin.exceptions import NotFoundError, PermissionDeniedError, PluginAPIError, StatusCode
from mm_plugin.host.api_receiver import ErrorStyle, HandlerAPI
from mm_plugin.testing.parity_defaults import DEFAULTS
from mm_plugin.transport.grpc.api_end import open_api_server
from mm_plugin.transport.memory import memory_link
from tests.api.api_samples import JSON_SAMPLE, DirectCaller, Recorder, sample_arguments, sample_result

ROWS = list(api_table().values())
NAMES = Path(__file__).with_name("api_names.tsv")
SHARED_NAMES = Path(__file__).resolve().parents[3] / "shared" / "wire" / "api-names.tsv"


async def call(api: PluginAPIClient, row: APIMethod, arguments: dict[str, Any]) -> Any:
    """Call a method as its signature wants it: by position where that is allowed."""
    given = [arguments[p.name] for p in row.parameters if p.name in arguments and not p.keyword_only]
    keywords = {p.name: arguments[p.name] for p in row.parameters if p.name in arguments and p.keyword_only}
    return await getattr(api, row.name)(*given, **keywords)


def direct(style: ErrorStyle = ErrorStyle.AS_GO_HOST) -> tuple[PluginAPIClient, Recorder]:
    recorder = Recorder()
    return PluginAPIClient.on_link(DirectCaller(HandlerAPI(recorder, error_style=style))), recorder


async def check_round_trip(api: PluginAPIClient, recorder: Recorder, row: APIMethod) -> None:
    arguments = sample_arguments(row)
    recorder.outcome = sample_result(row)
    result = await call(api, row, arguments)
    assert recorder.calls.pop() == (row.name, arguments), row.rpc
    assert result == recorder.outcome, row.rpc
    assert type(result) is type(recorder.outcome) or isinstance(result, tuple), row.rpc


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.rpc)
async def test_arguments_and_result_arrive_as_given(row: APIMethod) -> None:
    """The handler sees exactly the arguments of the caller, and the caller exactly the handler's result.

    The same over memory and a real connection, by await and blocking. The parity tool counts these tests, by their ids.
    """
    recorder = Recorder()
    receiver = HandlerAPI(recorder)
    async with open_api_server(receiver) as target, PluginAPIClient(target) as over_tcp:
        for api in (PluginAPIClient.on_link(memory_link(receiver)[0]), over_tcp):
            await check_round_trip(api, recorder, row)
            arguments = sample_arguments(row)
            result = await to_thread.run_sync(partial(getattr(api.sync, row.name), **arguments))
            assert (recorder.calls.pop(), result) == ((row.name, arguments), recorder.outcome)


async def test_defaults_are_those_agreed_on() -> None:
    """A call with the required arguments alone hands the handler the agreed defaults for the others."""
    api, recorder = direct()
    for row in ROWS:
        arguments = sample_arguments(row)
        defaults = DEFAULTS.get(row.name, {})
        assert {p.name for p in row.parameters if p.default is not REQUIRED} == defaults.keys(), row.rpc
        await call(api, row, {name: value for name, value in arguments.items() if name not in defaults})
        assert recorder.calls.pop() == (row.name, {**arguments, **defaults}), row.rpc
    assert DEFAULTS.keys() <= {row.name for row in ROWS}


async def test_no_result_is_none_for_messages_and_empty_for_others() -> None:
    """A handler that returns None leaves the response unset: None for a message, the empty value for anything else."""
    api, recorder = direct()
    for row in ROWS:
        result = await call(api, row, sample_arguments(row))
        if not row.results:
            assert result is None, row.rpc
        elif len(row.results) > 1:
            assert not any(result), row.rpc
        elif row.results[0].kind in {Kind.MESSAGE, Kind.STRUCT}:
            assert result is None, row.rpc
        else:
            assert not result, row.rpc
            assert result is not None, row.rpc
        recorder.calls.clear()


async def test_an_embedded_error_keeps_every_field() -> None:
    """An error inside the response reaches the caller of any method with all it was raised with."""
    api, recorder = direct(ErrorStyle.EMBEDDED)
    recorder.outcome = NotFoundError(
        "no such thing",
        id="app.thing.missing",
        detailed_error="id=7",
        where="GetThing",
        request_id="r1",
        status_code=404,
        params=JSON_SAMPLE,
    )
    for row in ROWS:
        with pytest.raises(NotFoundError) as caught:
            await call(api, row, sample_arguments(row))
        expected = {**vars(recorder.outcome), "code": StatusCode.NOT_FOUND}
        assert vars(caught.value) == expected, row.rpc


async def test_a_status_error_keeps_id_text_and_status() -> None:
    """An error sent as a status reaches the caller of any method with its id and text, and its HTTP status inferred."""
    api, recorder = direct(ErrorStyle.STATUS)
    recorder.outcome = PermissionDeniedError("not you", id="app.thing.denied", where="lost on the way")
    for row in ROWS:
        with pytest.raises(PermissionDeniedError) as caught:
            await call(api, row, sample_arguments(row))
        error = caught.value
        assert (error.id, error.message, error.status_code) == ("app.thing.denied", "not you", 403), row.rpc
        assert (error.code, error.where) == (StatusCode.PERMISSION_DENIED, ""), row.rpc


async def test_errors_travel_as_the_go_host_sends_them() -> None:
    """By default posts, files and the key-value store answer errors inside the response, 34 methods in all."""
    api, recorder = direct()
    recorder.outcome = PluginAPIError("no", status_code=500, where="only inside a response")
    embedding = 0
    for row in ROWS:
        with pytest.raises(PluginAPIError) as caught:
            await call(api, row, sample_arguments(row))
        assert bool(caught.value.where) is row.embeds_errors, row.rpc
        embedding += row.embeds_errors
    assert embedding == 34


def test_signatures_are_those_of_the_table() -> None:
    """The generated methods have the table's names, order, defaults and keyword-only parameters, and a docstring."""
    for row in ROWS:
        method = getattr(PluginAPIClient, row.name)
        parameters = list(inspect.signature(method).parameters.values())[1:]
        expected = [
            (p.name, inspect.Parameter.empty if p.default is REQUIRED else p.default, p.keyword_only)
            for p in sorted(row.parameters, key=lambda p: p.keyword_only)
        ]
        found = [(p.name, p.default, p.kind is inspect.Parameter.KEYWORD_ONLY) for p in parameters]
        assert found == expected, row.rpc
        assert inspect.iscoroutinefunction(method), row.rpc
        text = inspect.getdoc(method) or ""
        assert text, row.rpc
        assert all(f"{p.name}: " in text for p in row.parameters), row.rpc


def names_in(path: Path, separator: str) -> list[tuple[str, ...]]:
    lines = path.read_text("utf-8").splitlines()
    return [tuple(part.strip() for part in line.split(separator)) for line in lines if not line.startswith("#")]


def rows_as_names() -> list[tuple[str, ...]]:
    return [
        (row.rpc, row.name, " ".join(p.name for p in row.parameters), " ".join(r.name for r in row.results))
        for row in ROWS
    ]


def test_names_are_those_agreed_on() -> None:
    """Python names, parameters in order and results of all 236 rpcs are the ones plugins rely on."""
    assert len(ROWS) == 236
    assert names_in(NAMES, "\t") == rows_as_names()


@pytest.mark.skipif(not SHARED_NAMES.exists(), reason="the folder with the wire tables is not here")
def test_names_are_those_of_the_wire_tables() -> None:
    """Our own list of names agrees with the tables the contract was taken from."""
    assert names_in(SHARED_NAMES, " | ") == rows_as_names()
