"""A state file of an earlier version is opened as it is, and gains what it does not have."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from mm_plugin.devserver.outbox import OutboxKind
from mm_plugin.messages.groups import Group
from mm_plugin.messages.posts import Post
from tests.devserver.worlds import open_world

#: All tables of the first version.
FIRST = {
    "users", "bots", "statuses", "sessions", "preferences", "teams", "team_members", "channels", "channel_members",
    "posts", "reactions", "files", "commands", "key_values", "documents", "blobs",
}  # fmt: skip


def tables_of(state: Path) -> set[str]:
    connection = sqlite3.connect(state)
    try:
        rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        return {name for (name,) in rows}
    finally:
        connection.close()


async def test_a_state_of_the_first_version_is_readable(tmp_path: Path) -> None:
    """People, posts and keys are where they were; groups, the outbox and the like work from then on."""
    state = tmp_path / "state.sqlite"
    async with open_world(state) as world, world.client() as api:
        ada, channel = world.seed.users["ada"].id, world.seed.channel.id
        post = await api.create_post(Post(user_id=ada, channel_id=channel, message="from before"))
        await api.kv_set("key", b"value")
    connection = sqlite3.connect(state)
    for table in tables_of(state) - FIRST:
        connection.execute(f"DROP TABLE {table}")
    connection.commit()
    connection.close()
    assert tables_of(state) == FIRST
    async with open_world(state) as world, world.client() as api:
        assert world.seed.users["ada"].id == ada
        assert (await api.get_post(post.id)).message == "from before"
        assert await api.kv_get("key") == b"value"
        group = await api.create_group(Group(display_name="New", source="custom"))
        assert [found.id for found in await api.get_groups()] == [group.id]
        await api.send_mail("ada@example.com", "s", "b")
        assert len(await world.app.store.outbox.newest(OutboxKind.MAIL)) == 1
