"""Typed values in the key-value store, and lists page by page."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any, cast

import anyio
import pytest
from hypothesis import given, strategies as st

from mm_plugin import limits
from mm_plugin._proto.user_pb2 import User
from mm_plugin.api.client import PluginAPIClient
from mm_plugin.api.kv_codecs import INT, JSON, TEXT, Codec, DataclassCodec
from mm_plugin.api.kv_store import KVStore, check_key
from mm_plugin.api.paging import Paged
from mm_plugin.exceptions import KVConflictError, KVValueError
from mm_plugin.transport.memory import memory_link
from tests.api.kv_server import KVServer, Node


@dataclasses.dataclass
class Todo:
    text: str
    done: bool = False
    tags: list[str] = dataclasses.field(default_factory=list)


class Number:
    """A codec of a test's own."""

    def encode(self, value: int, /) -> bytes:
        return b"%d" % value

    def decode(self, octets: bytes, /) -> int:
        return int(octets)


def store_of(server: KVServer, codec: Codec[Any] = TEXT, prefix: str = "p:") -> KVStore[Any]:
    return KVStore(Node(server).api, codec, prefix=prefix)


# -- values ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("codec", "value", "octets"),
    [
        (JSON, {"b": [1, 2.5, None, True], "a": "ä"}, '{"a":"ä","b":[1,2.5,null,true]}'.encode()),
        (TEXT, "ä", "ä".encode()),
        (DataclassCodec(Todo), Todo("buy", tags=["x"]), b'{"done":false,"tags":["x"],"text":"buy"}'),
        (Number(), 7, b"7"),
        (INT, 0, b"0"),
        (INT, -(10**40), b"-1" + b"0" * 40),
    ],
)
async def test_a_value_comes_back_as_it_was(codec: Codec[Any], value: object, octets: bytes) -> None:
    """Each codec stores what it says, under the prefixed key, and reads it back; a missing key is None."""
    server = KVServer()
    store = store_of(server, codec)
    assert await store.get("k") is None
    await store.set("k", value)
    assert server.current("p:k") == octets
    assert await store.get("k") == value
    await store.delete("k")
    assert await store.get("k") is None


@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    )
)
def test_equal_json_is_equal_bytes(value: Any) -> None:
    """JSON comes back equal, and does not depend on the order in which a dict was filled."""
    assert JSON.decode(JSON.encode(value)) == value
    if isinstance(value, dict):
        assert JSON.encode(dict(reversed(list(value.items())))) == JSON.encode(value)


@pytest.mark.parametrize(
    ("codec", "octets"),
    [
        (JSON, b"{"),
        (TEXT, b"\xff"),
        (Number(), b"x"),
        (INT, b"1_0"),
        (INT, b" 1"),
        (INT, b"1" * 5000),
        (JSON, b"[" * 100_000),
        (DataclassCodec(Todo), b'{"text": 5}'),
        (DataclassCodec(Todo), b'{"text": "a", "done": 1}'),
        (DataclassCodec(Todo), b'{"text": "a", "tags": [1]}'),
        (DataclassCodec(Todo), b"[]"),
        (DataclassCodec(Todo), b"{}"),
        (DataclassCodec(Todo), b'{"text": "a", "later": 1}'),
    ],
)
async def test_a_value_that_is_something_else_is_named(codec: Codec[Any], octets: bytes) -> None:
    """What a codec cannot read, or would lose a part of, is a KVValueError with the key; nothing is changed."""
    server = KVServer()
    server.put("p:k", octets)
    store = store_of(server, codec)
    with pytest.raises(KVValueError, match="key 'p:k' holds something else"):
        await store.get("k")
    with pytest.raises(KVValueError, match="key 'p:k' holds something else"):
        await store.update("k", lambda _: pytest.fail("it was asked"))
    assert server.current("p:k") == octets


async def test_an_empty_value_would_be_a_deletion() -> None:
    """A value without bytes is refused, since the server would delete the key."""
    with pytest.raises(ValueError, match="call delete instead"):
        await store_of(KVServer()).set("k", "")


def test_a_dataclass_that_would_not_come_back_is_refused() -> None:
    """A dataclass within a dataclass, or none at all, is a TypeError when the codec is made."""

    @dataclasses.dataclass
    class Lists:
        todos: list[Todo]

    Lists.__annotations__["todos"] = list[Todo]
    with pytest.raises(TypeError, match=r"Lists\.todos holds a dataclass"):
        DataclassCodec(Lists)
    with pytest.raises(TypeError, match="is no dataclass"):
        DataclassCodec(cast("type[Todo]", int))


# -- keys -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["", "x" * 51])
async def test_a_key_that_the_server_would_refuse_never_leaves(key: str) -> None:
    """A key of no or more than 50 characters, prefix included, is a ValueError before anything is sent."""
    with pytest.raises(ValueError, match="1 to 50 characters"):
        check_key(key)
    server = KVServer()
    store = store_of(server, prefix="x")
    for call in (store.get, store.delete, partial(store.set, value="v"), partial(store.add, value="v")):
        with pytest.raises(ValueError, match="1 to 50 characters"):
            await call("k" * 50)
    with pytest.raises(ValueError, match="1 to 50 characters"):
        await store.update("k" * 50, lambda value: value)
    assert check_key("ä" * 50) == "ä" * 50
    with pytest.raises(ValueError, match="leaves no room for a key"):
        store_of(server, prefix="x" * 50)
    store_of(server, prefix="x" * 49)


async def test_keys_are_listed_by_prefix() -> None:
    """All keys of the store that begin so are found, over many pages, without the store's prefix."""
    server = KVServer()
    for number in range(450):
        server.put(f"p:{number:03}", b"x")
        server.put(f"q:{number:03}", b"x")
    store = store_of(server)
    assert await store.keys() == [f"{number:03}" for number in range(450)]
    assert await store.keys("44") == [f"{number:03}" for number in range(440, 450)]
    assert await store.keys("x") == []


# -- compare and set ------------------------------------------------------------------------------------------


async def test_updates_from_many_tasks_all_count() -> None:
    """Twenty tasks on several nodes add one each; none is lost, although each reads before others have written."""
    server = KVServer()

    async def add(node: Node) -> None:
        await KVStore(node.api, Number()).update("count", lambda count: (count or 0) + 1)

    limits_before = limits.kv_update_attempts
    limits.kv_update_attempts = 100
    try:
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(add, Node(server, [(0, 0.001)] * 300))
    finally:
        limits.kv_update_attempts = limits_before
    assert server.current("count") == b"20"


@pytest.mark.parametrize("expires_in_s", [0, 5])
async def test_an_update_sets_changes_and_deletes(expires_in_s: int) -> None:
    """None in means that there is no value, None out deletes it; with or without an end."""
    server = KVServer()
    update = partial(store_of(server).update, expires_in_s=expires_in_s)
    assert await update("k", lambda value: f"{value}!") == "None!"
    assert await update("k", lambda value: f"{value}!") == "None!!"
    assert await update("k", lambda value: value) == "None!!"
    value, ends = server.values["p:k"]
    assert (value, bool(ends)) == (b"None!!", bool(expires_in_s))
    assert await update("k", lambda _: None) is None
    assert server.values == {}
    assert await update("k", lambda _: None) is None


async def test_an_update_that_never_wins_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where others are faster each time, KVConflictError comes after a bounded number of attempts."""
    monkeypatch.setattr(limits, "kv_update_backoff_s", 0)
    server = KVServer()
    server.on_get = lambda: server.put("p:k", server.current("p:k") + b"x")
    seen: list[str | None] = []

    def change(value: str | None) -> str:
        seen.append(value)
        return "mine"

    with pytest.raises(KVConflictError, match="'p:k' changed 12 times"):
        await store_of(server).update("k", change)
    assert len(seen) == limits.kv_update_attempts == 12
    assert server.current("p:k") == b"x" * 12


async def test_add_never_overwrites() -> None:
    """A value is added only where there is none; with a time to live it ends by itself."""
    now = 100.0
    server = KVServer(lambda: now)
    store = store_of(server)
    assert await store.add("k", "first", expires_in_s=10)
    assert not await store.add("k", "second")
    assert await store.get("k") == "first"
    now += 10
    assert await store.add("k", "third")
    assert await store.get("k") == "third"
    await store.set("k", "fourth", expires_in_s=1)
    now += 1
    assert await store.get("k") is None


# -- pages ----------------------------------------------------------------------------------------------------


class Users:
    """A server with some users, which counts the pages asked for."""

    def __init__(self, count: int) -> None:
        self.users = [User(id=str(number)) for number in range(count)]
        self.pages: list[int] = []

    async def handle_api(self, method: str, request: Any, *, deadline: float | None) -> Any:
        from mm_plugin._proto.api_user_pb2 import GetUsersInTeamResponse

        assert (method, request.team_id) == ("GetUsersInTeam", "t")
        self.pages.append(request.page)
        first = request.page * request.per_page
        return GetUsersInTeamResponse(users=self.users[first : first + request.per_page])


@pytest.mark.parametrize(("count", "pages"), [(0, 1), (1, 1), (9, 1), (10, 2), (11, 2), (35, 4)])
async def test_every_entry_of_every_page_comes_once(count: int, pages: int) -> None:
    """All entries come in order; the short page ends the walk, and each loop walks anew."""
    server = Users(count)
    api = PluginAPIClient.on_link(memory_link(server)[0])
    users = Paged(partial(api.get_users_in_team, "t"), per_page=10)
    for _ in range(2):
        assert [user.id async for user in users] == [str(number) for number in range(count)]
        assert server.pages == list(range(pages))
        server.pages.clear()


async def test_a_loop_that_is_left_fetches_no_more() -> None:
    """One page is held at a time."""
    server = Users(35)
    api = PluginAPIClient.on_link(memory_link(server)[0])
    async for user in Paged(partial(api.get_users_in_team, "t"), per_page=10):
        if user.id == "12":
            break
    assert server.pages == [0, 1]


async def test_a_list_without_end_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that gives the same full page for ever does not keep us for ever."""
    monkeypatch.setattr(limits, "api_pages", 3)

    async def same(*, page: int, per_page: int) -> list[int]:
        return [page] * per_page

    with pytest.raises(RuntimeError, match="no end"):
        _ = [entry async for entry in Paged(same)]
    for per_page in (0, 201):
        with pytest.raises(ValueError, match="per_page must be within 1 and 200"):
            Paged(same, per_page=per_page)
