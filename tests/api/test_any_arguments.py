"""Any method with any arguments its descriptors allow: Hypothesis looks for a value that gets lost or changed."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings, strategies as st

from mm_plugin._proto.services import api_methods
from mm_plugin.api.client import PluginAPIClient
from mm_plugin.api.table import APIMethod, Kind, api_table
from mm_plugin.host.api_receiver import HandlerAPI
from tests.api.api_samples import DirectCaller, Recorder


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


@st.composite
def calls(draw: st.DrawFn) -> tuple[APIMethod, dict[str, Any], Any]:
    """Draw a method, all its arguments and its result."""
    row = draw(st.sampled_from(list(api_table().values())))
    method = api_methods()[row.rpc]
    request, response = method.request.DESCRIPTOR.fields_by_name, method.response.DESCRIPTOR.fields_by_name
    arguments = {p.name: draw(_value(request[p.name], p.kind)) for p in row.parameters}
    results = tuple(draw(_value(response[r.name], r.kind)) for r in row.results)
    return row, arguments, None if not results else results[0] if len(results) == 1 else results


@settings(max_examples=150)
@given(call=calls())
async def test_nothing_is_lost_or_changed(call: tuple[APIMethod, dict[str, Any], Any]) -> None:
    """The handler sees the very arguments, and the caller the very result."""
    row, arguments, result = call
    recorder = Recorder()
    recorder.outcome = result
    api = PluginAPIClient.on_link(DirectCaller(HandlerAPI(recorder)))
    assert await getattr(api, row.name)(**arguments) == result
    assert recorder.calls == [(row.name, arguments)]
