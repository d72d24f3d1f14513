import sqlite3
from pathlib import Path

import anyio
import pytest

from mm_plugin.devserver.database import open_database
from mm_plugin.devserver.key_values import KeyValues
from mm_plugin.devserver.store import open_store
from mm_plugin.exceptions import ConfigurationError
from mm_plugin.messages.posts import Post
from mm_plugin.messages.teams import TeamMember
from mm_plugin.messages.users import User


async def test_a_post_comes_back_whole() -> None:
    """A message is kept with every field, those without a column and its props among them."""
    async with open_store() as store:
        post = Post(id="p1", channel_id="c1", message="hej", file_ids=["f1", "f2"], pending_post_id="x", create_at=7)
        post.props.update({"deep": {"list": [1, "two", None]}})
        post.metadata.priority.priority = "urgent"
        assert await store.posts.insert(post)
        assert await store.posts.get("p1") == post
        assert await store.posts.get("p2") is None


async def test_keys_and_unique_fields_are_kept_apart() -> None:
    """Insert and put refuse what belongs to another message, and leave everything as it was."""
    async with open_store() as store:
        assert await store.users.insert(User(id="1", username="ada", email="ada@x"))
        assert not await store.users.insert(User(id="1", username="eve", email="eve@x"))
        assert not await store.users.insert(User(id="2", username="ada", email="other@x"))
        assert await store.users.insert(User(id="2", username="bob", email="bob@x"))
        assert not await store.users.put(User(id="2", username="ada", email="bob@x"))
        assert await store.users.put(User(id="2", username="rob", email="bob@x", nickname="R"))
        assert [user.username for user in await store.users.find(order="id")] == ["ada", "rob"]
        assert await store.team_members.put(TeamMember(team_id="t", user_id="1", roles="a"))
        assert await store.team_members.put(TeamMember(team_id="t", user_id="1", roles="b"))
        assert [member.roles for member in await store.team_members.find("team_id = ?", "t")] == ["b"]


async def test_changes_at_once_lose_nothing() -> None:
    """Many changes of one message at the same time all count."""
    async with open_store() as store:
        await store.posts.insert(Post(id="p"))

        def count(post: Post) -> None:
            post.reply_count += 1

        async with anyio.create_task_group() as tasks:
            for _ in range(50):
                tasks.start_soon(store.posts.change, count, "p")
        kept = await store.posts.get("p")
        assert kept is not None
        assert kept.reply_count == 50
        assert await store.posts.change(count, "missing") is None


async def test_a_change_that_raises_changes_nothing() -> None:
    """A transaction whose function raises is rolled back, and the next one works."""
    async with open_store() as store:
        await store.posts.insert(Post(id="p", message="old"))

        def fail(post: Post) -> None:
            post.message = "new"
            raise KeyError("halfway")

        with pytest.raises(KeyError, match="halfway"):
            await store.posts.change(fail, "p")
        kept = await store.posts.get("p")
        assert kept is not None
        assert kept.message == "old"


async def test_find_sorts_and_pages() -> None:
    """Order, limit and offset work together, and count and delete see the same rows."""
    async with open_store() as store:
        for number in range(10):
            await store.posts.insert(Post(id=f"p{number}", channel_id="c", create_at=100 - number))
        found = await store.posts.find("channel_id = ?", "c", order="create_at", limit=3, offset=2)
        assert [post.id for post in found] == ["p7", "p6", "p5"]
        assert await store.posts.count("create_at > ?", 95) == 5
        assert await store.posts.delete("create_at > ?", 95) == 5
        assert await store.posts.count() == 5


async def test_state_outlives_the_server(tmp_path: Path) -> None:
    """What one server kept in a file, the next one finds."""
    path = tmp_path / "state.sqlite"
    async with open_store(path) as store:
        await store.posts.insert(Post(id="p", message="kept"))
        await store.key_values.set("plugin", "key", b"value")
        await store.put_document("name", {"a": [1, {"b": None}]})
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["state.sqlite"]
    async with open_store(path) as store:
        assert [post.message for post in await store.posts.find()] == ["kept"]
        assert await store.key_values.get("plugin", "key") == b"value"
        assert await store.get_document("name") == {"a": [1, {"b": None}]}
        assert await store.get_document("other") is None


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    """The error names the file, and the file stays as it was."""
    path = tmp_path / "notes.txt"
    path.write_text("this is no database, but long enough to look like a file with a header\n" * 4)
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match=r"notes\.txt"):
        async with open_store(path):
            pass
    assert path.read_bytes() == before
    with pytest.raises(ConfigurationError, match="missing"):
        async with open_store(tmp_path / "missing" / "state.sqlite"):
            pass


async def test_another_schema_is_refused(tmp_path: Path) -> None:
    """A database of somebody else's is told apart by its tables."""
    path = tmp_path / "other.sqlite"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE posts (something)")
    other.close()
    with pytest.raises(ConfigurationError, match="something else"):
        async with open_store(path):
            pass


# -- keys and values ------------------------------------------------------------------------------------------


async def test_values_expire() -> None:
    """A value is gone at its time: for get, for keys and for compare-and-set."""
    now_ms = 1_000_000
    async with open_database() as database:
        values = KeyValues(database, lambda: now_ms)
        await database.run(values.create)
        await values.set("p", "short", b"1", expire_in_s=10)
        await values.set("p", "long", b"2")
        now_ms += 9_999
        assert await values.get("p", "short") == b"1"
        assert await values.keys("p") == ["long", "short"]
        now_ms += 1
        assert await values.get("p", "short") == b""
        assert await values.keys("p") == ["long"]
        assert not await values.compare_and_set("p", "short", b"1", b"3")
        assert await values.compare_and_set("p", "short", b"", b"3")
        now_ms += 1_000_000
        assert await values.get("p", "short") == b"3"


async def test_only_one_of_many_wins_a_compare_and_set() -> None:
    """Of many who find a key missing at the same time, one gets it."""
    wins: list[int] = []
    async with open_store() as store:

        async def try_it(number: int) -> None:
            if await store.key_values.compare_and_set("p", "lock", b"", str(number).encode()):
                wins.append(number)

        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(try_it, number)
        assert len(wins) == 1
        assert await store.key_values.get("p", "lock") == str(wins[0]).encode()
