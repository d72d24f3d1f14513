"""Plain Python into Struct, Value, pairs and JSON octets, and back."""

from __future__ import annotations

import json
from collections import UserDict
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, strategies as st

from mm_plugin import limits
from mm_plugin._proto.api_kv_pb2 import PublishWebSocketEventRequest
from mm_plugin._proto.api_log_pb2 import LogInfoRequest
from mm_plugin.messages.structs import dict_of_pairs, dict_of_struct, fill_pairs, fill_struct, json_object, json_octets

exact_ints = st.integers(-(2**53), 2**53)
scalars = st.none() | st.booleans() | exact_ints | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=12
)
objects = st.dictionaries(st.text(), values, max_size=5)


def through_struct(value: Any) -> Any:
    """Write into a Struct, send it, read it back."""
    request = PublishWebSocketEventRequest()
    fill_struct(request.payload, value, "payload")
    return dict_of_struct(PublishWebSocketEventRequest.FromString(request.SerializeToString()).payload)


@given(objects)
def test_a_struct_returns_what_was_written(value: dict[str, Any]) -> None:
    """Whatever JSON can say survives the way through a Struct."""
    assert through_struct(value) == value


@given(objects)
def test_pairs_return_what_was_written(value: dict[str, Any]) -> None:
    """The same holds for a list of KeyValuePair."""
    request = LogInfoRequest()
    fill_pairs(request.key_value_pairs, value, "pairs")
    assert dict_of_pairs(LogInfoRequest.FromString(request.SerializeToString()).key_value_pairs) == value


@given(objects)
def test_json_octets_are_json(value: dict[str, Any]) -> None:
    """A mapping becomes UTF-8 JSON that reads back as the same."""
    assert json.loads(json_octets(value, "config")) == value


@given(st.lists(exact_ints | st.booleans(), max_size=5))
def test_ints_and_bools_keep_their_types(items: list[int]) -> None:
    """An int comes back as int and a bool as bool, though the wire knows doubles only."""
    assert list(map(type, through_struct({"items": items})["items"])) == list(map(type, items))


@pytest.mark.parametrize("number", [2.0**53 + 2, -(2.0**60), 1e300, 0.5])
def test_numbers_beyond_exact_ints_stay_floats(number: float) -> None:
    """Where doubles no longer tell whole numbers apart, no int is made up."""
    (result,) = through_struct({"n": number}).values()
    assert result == number
    assert isinstance(result, float)


def test_other_mappings_and_sequences_are_taken() -> None:
    """Read-only mappings and tuples are as good as dicts and lists, in a Struct and in JSON."""
    value: Any = MappingProxyType({"a": (1, UserDict(b="c"))})
    assert through_struct(value) == {"a": [1, {"b": "c"}]}
    assert json.loads(json_octets(value, "config")) == {"a": [1, {"b": "c"}]}


def test_an_empty_mapping_is_set() -> None:
    """Writing nothing into a Struct is not the same as leaving it out."""
    request = PublishWebSocketEventRequest()
    fill_struct(request.payload, {}, "payload")
    assert request.HasField("payload")


def test_a_value_that_says_nothing_is_none() -> None:
    """A Value without a kind, which only a foreign peer sends, reads as None."""
    request = LogInfoRequest()
    request.key_value_pairs.add(key="k")
    assert dict_of_pairs(request.key_value_pairs) == {"k": None}


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth - 1):
        value = {"d": value}
    return value


def test_nesting_ends_at_the_limit() -> None:
    """The deepest value allowed still reads back; one level more is refused before protobuf would refuse it."""
    assert through_struct(nested(limits.struct_depth)) == nested(limits.struct_depth)
    with pytest.raises(ValueError, match=f"deeper than {limits.struct_depth} levels"):
        through_struct(nested(limits.struct_depth + 1))
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(ValueError, match="nested deeper"):
        through_struct({"loop": loop})


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        ([], TypeError, "payload must be a mapping, not list"),
        ({1: 2}, TypeError, "payload has the key 1; keys must be str, not int"),
        ({"a": {"b": [0, {1}]}}, TypeError, r"payload\['a'\]\['b'\]\[1\] is set; use str, bool"),
        ({"a": b"octets"}, TypeError, r"payload\['a'\] is bytes"),
        ({"a": float("inf")}, ValueError, r"payload\['a'\] is not finite; send it as a str"),
        ({"a": 2**53 + 1}, ValueError, r"payload\['a'\] is an int beyond 2\*\*53; send it as a str"),
        ({"a": 2**53 + 2}, ValueError, r"an int beyond 2\*\*53"),
        ({"a": -(2**60)}, ValueError, r"an int beyond 2\*\*53"),
        ({"a": 10**400}, ValueError, r"an int beyond 2\*\*53"),
        ({"a": "\ud800"}, ValueError, r"payload\['a'\] holds a lone surrogate"),
        ({"\ud800": 1}, ValueError, "payload holds a lone surrogate"),
    ],
)
def test_what_a_struct_cannot_say_is_named(value: Any, error: type[Exception], text: str) -> None:
    """The error names the place inside the value, what is wrong with it, and how to mend it."""
    with pytest.raises(error, match=text):
        through_struct(value)


def test_json_octets_pass_as_they_are() -> None:
    """Bytes are taken for JSON already."""
    assert json_octets(b"{ }", "config") == b"{ }"


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        ("{}", TypeError, "config must be a mapping or bytes, not str"),
        ({"a": {1}}, TypeError, "config cannot be written as JSON: set is not a JSON value"),
        ({"a": float("nan")}, ValueError, "config cannot be written as JSON"),
        ({"a": "\ud800"}, ValueError, "config cannot be written as JSON"),
    ],
)
def test_what_json_cannot_say_is_named(value: Any, error: type[Exception], text: str) -> None:
    """The error names the argument and what is wrong with it."""
    with pytest.raises(error, match=text):
        json_octets(value, "config")


def test_json_that_contains_itself_or_is_too_deep_is_a_value_error() -> None:
    """A dict, another mapping, and octets whose nesting has no end within reason."""
    circle: dict[str, Any] = {}
    circle["self"] = circle
    mapping: UserDict[str, Any] = UserDict()
    mapping["self"] = mapping
    for value in (circle, mapping):
        with pytest.raises(ValueError, match="cannot be written as JSON"):
            json_octets(value, "config")
    with pytest.raises(ValueError, match="nested too deeply"):
        json_object(b'{"a":' * 100_000)


def test_null_is_no_json_object() -> None:
    """Go writes null where there is nothing: it reads as an empty object, as no octets do."""
    assert json_object(b"null") == json_object(b"") == {}
