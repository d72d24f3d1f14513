"""Every method with any arguments its descriptors allow, over each link and by each door.

Hypothesis builds arguments, results and errors from the descriptors and looks for a value that gets lost or changed.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from anyio import from_thread, to_thread
from hypothesis import HealthCheck, Phase, given, settings, strategies as st

from mm_plugin._proto.services import api_methods
from mm_plugin.api.client import PluginAPIClient
from mm_plugin.api.table import APIMethod, Kind, api_table
from mm_plugin.exceptions import NotFoundError
from mm_plugin.host.api_receiver import ErrorStyle, HandlerAPI
from mm_plugin.transport.grpc.api_end import open_api_server
from mm_plugin.transport.memory import memory_link
from tests.api.api_samples import Recorder

ROWS = list(api_table().values())
#: Methods in one test, and examples of each.
TOGETHER = 6
EXAMPLES = 4
GROUPS = [ROWS[first : first + TOGETHER] for first in range(0, len(ROWS), TOGETHER)]


def _dicts(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.dictionaries(st.text(max_size=8), inner, max_size=3)


_numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
_leaves = st.none() | st.booleans() | _numbers | st.text(max_size=8)
_json = st.recursive(_leaves, lambda inner: st.lists(inner, max_size=3) | _dicts(inner), max_leaves=6)


def _one(field: Any, depth: int) -> st.SearchStrategy[Any]:
    """Draw one value of a field."""
    if field.message_type is not None:
        return _messages(field.message_type, depth + 1)
    if field.enum_type is not None:
        return st.sampled_from([value.number for value in field.enum_type.values])
    match field.type:
        case field.TYPE_STRING:
            return st.text(max_size=8)
        case field.TYPE_BYTES:
            return st.binary(max_size=8)
        case field.TYPE_BOOL:
            return st.booleans()
        case field.TYPE_INT32:
            return st.integers(-(2**31), 2**31 - 1)
        case _:
            return st.integers(-(2**63), 2**63 - 1)


def _messages(descriptor: Any, depth: int) -> st.SearchStrategy[Any]:
    """Draw a message: any of its scalar fields, and messages inside it to a small depth."""
    fields = {
        field.name: st.lists(_one(field, depth), max_size=2) if field.is_repeated else _one(field, depth)
        for field in descriptor.fields
        if field.message_type is None
        or (depth < 2 and field.message_type.file.package != "google.protobuf" and not _is_map(field))
    }
    return st.fixed_dictionaries({}, optional=fields).map(lambda given: descriptor._concrete_class(**given))


def _is_map(field: Any) -> bool:
    return bool(field.message_type.GetOptions().map_entry)


def _value(field: Any, kind: Kind) -> st.SearchStrategy[Any]:
    """Draw what Python gives or gets for a field."""
    match kind:
        case Kind.STRUCT | Kind.PAIRS:
            return _dicts(_json)
        case Kind.MAP:
            return _dicts(st.text(max_size=8))
        case Kind.LIST:
            return st.lists(_one(field, 0), max_size=3)
        case _:
            return _one(field, 0)


def calls_of(row: APIMethod) -> st.SearchStrategy[Any]:
    """Draw all arguments of a method, and its result."""
    method = api_methods()[row.rpc]
    request, response = method.request.DESCRIPTOR.fields_by_name, method.response.DESCRIPTOR.fields_by_name
    arguments = st.fixed_dictionaries({p.name: _value(request[p.name], p.kind) for p in row.parameters})
    results = st.tuples(*(_value(response[r.name], r.kind) for r in row.results))
    one = len(row.results) == 1
    return st.tuples(st.just(row), arguments, results.map(lambda r: r[0] if one else r or None))


_errors = st.builds(
    NotFoundError,
    st.text(max_size=8),
    id=st.text(max_size=8),
    detailed_error=st.text(max_size=8),
    where=st.text(max_size=8),
    request_id=st.text(max_size=8),
    status_code=st.just(404),
    params=_dicts(_json),
)
#: What a status can carry: an id has two dots, no colon and no blank, or it is part of the text.
_status_errors = st.builds(
    NotFoundError,
    st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=8).filter(
        lambda text: ":" not in text
    ),
    id=st.from_regex(r"[a-z]{2,5}(\.[a-z]{1,5}(_[a-z]{1,3})?){2}", fullmatch=True),
)


class Ways:
    """A recorder behind a memory link and a TCP connection; called in a worker thread, by await and blocking."""

    def __init__(self, apis: list[PluginAPIClient], recorder: Recorder) -> None:
        self.apis = apis
        self.recorder = recorder

    def call(self, row: APIMethod, arguments: dict[str, Any], outcome: Any) -> list[Any]:
        """Call one method in all four ways; return results or errors."""
        self.recorder.outcome = outcome
        self.recorder.calls.clear()
        outcomes: list[Any] = []
        for api in self.apis:
            awaited, blocking = getattr(api, row.name), getattr(api.sync, row.name)
            for call in (partial(from_thread.run, partial(awaited, **arguments)), partial(blocking, **arguments)):
                try:
                    outcomes.append(call())
                except NotFoundError as error:
                    outcomes.append(error)
        assert self.recorder.calls == [(row.name, arguments)] * 4
        return outcomes


@pytest.mark.parametrize("rows", GROUPS, ids=lambda rows: rows[0].rpc)
async def test_nothing_is_lost_or_changed(rows: list[APIMethod]) -> None:
    """The handler sees the very arguments; the caller the very result, or every field of the error."""
    recorder = Recorder()
    embedded, status = (HandlerAPI(recorder, error_style=style) for style in (ErrorStyle.EMBEDDED, ErrorStyle.STATUS))
    async with (
        open_api_server(embedded) as target,
        open_api_server(status) as status_target,
        PluginAPIClient(target) as tcp,
        PluginAPIClient(status_target) as status_tcp,
    ):
        memory, status_memory = (PluginAPIClient.on_link(memory_link(each)[0]) for each in (embedded, status))
        ways, status_ways = Ways([memory, tcp], recorder), Ways([status_memory, status_tcp], recorder)

        # Not shrunk: that would take longer than the test may.
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        )
        @given(calls=st.tuples(*map(calls_of, rows)), error=_errors, status_error=_status_errors)
        def check(calls: tuple[Any, ...], error: NotFoundError, status_error: NotFoundError) -> None:
            for row, arguments, result in calls:
                assert ways.call(row, arguments, result) == [result] * 4
                for caught in ways.call(row, arguments, error):
                    assert {**vars(caught), "code": error.code} == vars(error)
                for caught in status_ways.call(row, arguments, status_error):
                    assert (caught.id, caught.message) == (status_error.id, status_error.message)
                    assert caught.status_code == 404

        await to_thread.run_sync(check)
