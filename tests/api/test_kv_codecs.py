"""What the codecs of the key-value store refuse, so that what is stored comes back as it was."""

from __future__ import annotations

import dataclasses
import enum
from collections import UserList
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal, NewType, TypedDict, cast

import anyio
import pytest

import mm_plugin
from mm_plugin.api.kv_codecs import INT, JSON, TEXT, Codec, DataclassCodec
from mm_plugin.api.kv_store import KVStore
from mm_plugin.types import JSONValue
from tests.api.kv_server import KVServer, Node

if TYPE_CHECKING:
    from pathlib import Path

UserId = NewType("UserId", str)


class Colour(enum.Enum):
    RED = "red"


class Place(TypedDict):
    row: int


@dataclasses.dataclass
class Point:
    x: int = 0


@dataclasses.dataclass
class Everything:
    text: str
    user: UserId
    ratio: float
    props: JSONValue
    either: int | None = None
    kind: Annotated[Literal["a", "b"], "one of two"] = "a"
    numbers: Sequence[int] = ()
    places: Mapping[str, list[Place]] = dataclasses.field(default_factory=dict)
    anything: Any = None
    later: Path | None = None  # a name for type checkers alone: it cannot be judged


def test_a_dataclass_of_what_json_knows_comes_back() -> None:
    """Aliases, literals, typed dicts and hints that cannot be resolved are fine; values are equal afterwards."""
    codec = DataclassCodec(Everything)
    value = Everything("a", UserId("u"), 1, {"deep": [None]}, 3, "b", [1], {"x": [{"row": 1}]}, {"y": 2.5})
    assert codec.decode(codec.encode(value)) == value


@pytest.mark.parametrize(
    ("hint", "text"),
    [
        (Point, "holds a dataclass"),
        (list[dict[str, Point | None]], "holds a dataclass"),
        (tuple[int, int], "holds tuple"),
        (set[str], "holds set"),
        (bytes, "holds bytes"),
        (datetime, "holds datetime"),
        (Colour | None, "holds Colour"),
        (dict[int, str], "keys that are no str"),
    ],
)
def test_a_field_that_would_not_come_back_is_refused(hint: Any, text: str) -> None:
    """Also deep inside an annotation; the error names class and field when the codec is made."""
    made = dataclasses.make_dataclass("Made", [("it", hint)])
    with pytest.raises(TypeError, match=rf"Made\.it .*{text}|Made\.it has {text}"):
        DataclassCodec(made)


def test_a_field_that_is_no_parameter_is_refused() -> None:
    """A field(init=False) could not be given back to the class: TypeError when the codec is made."""

    @dataclasses.dataclass
    class Sum:
        parts: list[int]
        whole: int = dataclasses.field(init=False, default=0)

    with pytest.raises(TypeError, match=r"Sum\.whole is field\(init=False\)"):
        DataclassCodec(Sum)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"text": 5}, "text"),
        ({"either": True}, "either"),
        ({"kind": "c"}, "kind"),
        ({"numbers": ["x"]}, "numbers"),
        ({"numbers": "12"}, "numbers"),
        ({"places": {"x": [1]}}, "places"),
        ({"ratio": "1"}, "ratio"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_when_stored(change: dict[str, Any], field: str) -> None:
    """A value of another type than its field's is a TypeError that names the field; it is not stored."""
    value = dataclasses.replace(Everything("a", UserId("u"), 0.5, None), **change)
    with pytest.raises(TypeError, match=rf"Everything\.{field} is .* annotated as"):
        DataclassCodec(Everything).encode(value)


def test_an_instance_of_another_class_is_refused() -> None:
    """One of a subclass would come back without what that adds."""

    @dataclasses.dataclass
    class Far(Point):
        y: int = 0

    with pytest.raises(TypeError, match="expected Point, not Far"):
        DataclassCodec(Point).encode(Far())


def circle() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


def deep() -> list[Any]:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("codec", "value", "error", "text"),
    [
        (JSON, circle(), ValueError, "contains itself"),
        (JSON, deep(), ValueError, "nested too deeply"),
        (JSON, {"a": {1: 2}}, TypeError, "the key 1 is int"),
        (JSON, float("nan"), ValueError, "not JSON compliant"),
        (JSON, {"a": b""}, TypeError, "bytes is not a JSON value"),
        (INT, True, TypeError, "expected int, not bool"),
        (INT, 1.0, TypeError, "expected int, not float"),
        (TEXT, b"x", TypeError, "expected str, not bytes"),
    ],
    ids=["circle", "deep", "key", "nan", "bytes", "bool", "float", "text"],
)
async def test_a_value_that_cannot_be_stored_is_refused(
    codec: Codec[Any], value: object, error: type[Exception], text: str
) -> None:
    """It is a TypeError or ValueError that says why, and nothing is sent."""
    server = KVServer()
    with pytest.raises(error, match=text):
        await KVStore(Node(server).api, codec).set("key", value)
    assert not server.values


def test_json_takes_any_mapping() -> None:
    """What the type allows works: a read-only mapping and a tuple; they come back as dict and list."""
    assert JSON.decode(JSON.encode(MappingProxyType({"a": (1, 2)}))) == {"a": [1, 2]}


# -- how long, and how many -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("expires_in_s", "error"), [(-1, ValueError), (1.5, TypeError), (True, TypeError)])
async def test_a_time_to_live_that_is_none_is_refused(expires_in_s: Any, error: type[Exception]) -> None:
    """A negative one, and one that is no whole number, are refused before anything is sent."""
    server = KVServer()
    store = KVStore(Node(server).api, TEXT)
    with pytest.raises(error, match="expires_in_s must be"):
        await store.set("key", "value", expires_in_s=expires_in_s)
    with pytest.raises(error, match="expires_in_s must be"):
        await store.add("key", "value", expires_in_s=expires_in_s)
    with pytest.raises(error, match="expires_in_s must be"):
        await store.update("key", lambda _: "value", expires_in_s=expires_in_s)
    assert not server.values


async def test_no_increment_is_lost() -> None:
    """Tasks of several nodes add to one number at the same time: it is their sum in the end."""
    server = KVServer()
    stores = [KVStore(Node(server).api, INT, prefix="count:") for _ in range(2)]
    sums: list[int] = []

    async def add(store: KVStore[int]) -> None:
        for _ in range(5):
            number = await store.increment("posts")
            sums.append(number)

    async with anyio.create_task_group() as tasks:
        for store in stores:
            tasks.start_soon(add, store)
    assert sorted(sums) == list(range(1, 11))
    assert await stores[0].increment("posts", -10) == 0
    assert (await stores[0].get("posts"), server.current("count:posts")) == (0, b"0")


def test_codecs_are_at_the_front_door() -> None:
    """`from mm_plugin import …` has all that a store needs."""
    assert (mm_plugin.INT, mm_plugin.JSON, mm_plugin.TEXT) == (INT, JSON, TEXT)
    assert cast("object", mm_plugin.DataclassCodec) is DataclassCodec
    assert cast("object", mm_plugin.Codec) is Codec


def test_any_sequence_is_json() -> None:
    """A sequence that is no list comes back as one, and its keys are looked at like all others."""
    assert JSON.decode(JSON.encode({"a": UserList([1, MappingProxyType({"b": 2})])})) == {"a": [1, {"b": 2}]}
    with pytest.raises(TypeError, match="str"):
        JSON.encode(UserList([{1: 2}]))  # type: ignore[dict-item]
