"""All state of the development server: one table for each kind of message, and what is no message.

Job:    name the tables and what they are looked up by.
Layer:  devserver, over ``message_table``, ``key_values`` and ``database``.
Errors: ConfigurationError for a file that cannot be used.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import anyio

from mm_plugin.devserver.database import Database, open_database
from mm_plugin.devserver.key_values import KeyValues
from mm_plugin.devserver.message_table import MessageTable
from mm_plugin.devserver.outbox import Outbox
from mm_plugin.exceptions import ConfigurationError
from mm_plugin.messages.bots import Bot
from mm_plugin.messages.channels import Channel, ChannelMember, SidebarCategoryWithChannels
from mm_plugin.messages.commands import Command
from mm_plugin.messages.emoji import Emoji
from mm_plugin.messages.files import FileInfo, UploadSession
from mm_plugin.messages.groups import Group, GroupMember, GroupSyncable
from mm_plugin.messages.oauth import OAuthApp
from mm_plugin.messages.posts import Post, Reaction
from mm_plugin.messages.preferences import Preference
from mm_plugin.messages.properties import PropertyField, PropertyGroup, PropertyValue
from mm_plugin.messages.shared_channels import RemoteCluster, SharedChannel
from mm_plugin.messages.teams import Team, TeamMember
from mm_plugin.messages.users import Session, Status, User, UserAccessToken
from mm_plugin.types import JSONValue

__all__ = ("Store", "open_store")

_BLOBS = "CREATE TABLE IF NOT EXISTS blobs (name TEXT PRIMARY KEY, data BLOB NOT NULL)"
_DOCUMENTS = "CREATE TABLE IF NOT EXISTS documents (name TEXT PRIMARY KEY, json TEXT NOT NULL)"


class Store:
    """The tables; made by ``open_store``.

    ``turn`` is held by whoever looks first and then writes what follows from it, in more than one transaction; never
    while plugins are asked, who may want it themselves.
    ``documents`` below are JSON objects by name: the server's configuration and those of the plugins.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.users = MessageTable(database, "users", User, unique=(("username",), ("email",)))
        self.bots = MessageTable(database, "bots", Bot, key=("user_id",), indexed=("owner_id", "delete_at"))
        self.statuses = MessageTable(database, "statuses", Status, key=("user_id",))
        self.sessions = MessageTable(database, "sessions", Session, indexed=("user_id",), unique=(("token",),))
        self.preferences = MessageTable(database, "preferences", Preference, key=("user_id", "category", "name"))
        self.teams = MessageTable(database, "teams", Team, indexed=("delete_at",), unique=(("name",),))
        self.team_members = MessageTable(
            database, "team_members", TeamMember, key=("team_id", "user_id"), indexed=("user_id", "delete_at")
        )
        self.channels = MessageTable(
            database, "channels", Channel, indexed=("type", "delete_at"), unique=(("team_id", "name"),)
        )
        self.channel_members = MessageTable(
            database, "channel_members", ChannelMember, key=("channel_id", "user_id"), indexed=("user_id",)
        )
        self.posts = MessageTable(
            database, "posts", Post, indexed=("channel_id", "root_id", "create_at", "update_at", "delete_at")
        )
        self.reactions = MessageTable(database, "reactions", Reaction, key=("post_id", "user_id", "emoji_name"))
        self.files = MessageTable(
            database, "files", FileInfo, indexed=("creator_id", "channel_id", "create_at", "size", "delete_at")
        )
        self.commands = MessageTable(
            database, "commands", Command, indexed=("plugin_id",), unique=(("team_id", "trigger"),)
        )
        self.custom_commands = MessageTable(
            database, "custom_commands", Command, indexed=("team_id",), unique=(("team_id", "trigger"),)
        )
        self.access_tokens = MessageTable(
            database, "access_tokens", UserAccessToken, indexed=("user_id",), unique=(("token",),)
        )
        self.sidebar = MessageTable(
            database, "sidebar", SidebarCategoryWithChannels, indexed=("user_id", "team_id", "type")
        )
        self.uploads = MessageTable(database, "uploads", UploadSession, indexed=("user_id",))
        self.emoji = MessageTable(database, "emoji", Emoji, indexed=("create_at",), unique=(("name",),))
        self.oauth_apps = MessageTable(database, "oauth_apps", OAuthApp, indexed=("creator_id",))
        self.groups = MessageTable(
            database, "user_groups", Group, indexed=("name", "display_name", "source", "remote_id", "delete_at")
        )
        self.group_members = MessageTable(
            database, "group_members", GroupMember, key=("group_id", "user_id"), indexed=("user_id", "delete_at")
        )
        self.group_syncables = MessageTable(
            database,
            "group_syncables",
            GroupSyncable,
            key=("group_id", "syncable_type", "syncable_id"),
            indexed=("syncable_id", "delete_at"),
        )
        self.property_groups = MessageTable(database, "property_groups", PropertyGroup, unique=(("name",),))
        self.property_fields = MessageTable(
            database,
            "property_fields",
            PropertyField,
            indexed=("group_id", "name", "target_type", "target_id", "delete_at"),
        )
        self.property_values = MessageTable(
            database,
            "property_values",
            PropertyValue,
            indexed=("group_id", "field_id", "target_type", "target_id", "delete_at"),
        )
        self.remotes = MessageTable(
            database, "remotes", RemoteCluster, key=("remote_id",), indexed=("plugin_id", "delete_at")
        )
        self.shared_channels = MessageTable(
            database, "shared_channels", SharedChannel, key=("channel_id",), unique=(("team_id", "share_name"),)
        )
        self.turn = anyio.Lock()
        self.key_values = KeyValues(database)
        self.outbox = Outbox(database)

    async def create(self) -> None:
        """Make every table that does not exist."""
        tables = (
            self.users, self.bots, self.statuses, self.sessions, self.preferences, self.teams, self.team_members,
            self.channels, self.channel_members, self.posts, self.reactions, self.files, self.commands, self.key_values,
            self.custom_commands, self.access_tokens, self.sidebar, self.uploads, self.emoji, self.oauth_apps,
            self.groups, self.group_members, self.group_syncables, self.property_groups, self.property_fields,
            self.property_values, self.remotes, self.shared_channels, self.outbox,
        )  # fmt: skip

        def create(db: sqlite3.Connection) -> None:
            for table in tables:
                table.create(db)
            db.execute(_DOCUMENTS)
            db.execute(_BLOBS)

        await self._database.run(create)

    async def get_document(self, name: str) -> dict[str, JSONValue] | None:
        """Return a JSON object by its name, or None."""
        query = "SELECT json FROM documents WHERE name = ?"
        row = await self._database.run(lambda db: db.execute(query, (name,)).fetchone())
        return None if row is None else cast("dict[str, JSONValue]", json.loads(row[0]))

    async def put_document(self, name: str, value: Mapping[str, JSONValue]) -> None:
        """Keep a JSON object under a name."""
        text = json.dumps(value)
        statement = "INSERT OR REPLACE INTO documents VALUES (?, ?)"
        await self._database.run(lambda db: db.execute(statement, (name, text)))

    async def replace_document(self, name: str, value: Mapping[str, JSONValue]) -> None:
        """Keep a JSON object in place of the one that a name has; a name that has none keeps none."""
        text = json.dumps(value)
        statement = "UPDATE documents SET json = ? WHERE name = ?"
        await self._database.run(lambda db: db.execute(statement, (text, name)))

    async def first_document(self, name: str, value: Mapping[str, JSONValue]) -> dict[str, JSONValue]:
        """Keep a JSON object under a name that has none, and return what the name has then: of several, the first."""
        text = json.dumps(value)

        def transact(db: sqlite3.Connection) -> str:
            db.execute("INSERT OR IGNORE INTO documents VALUES (?, ?)", (name, text))
            kept: tuple[str] = db.execute("SELECT json FROM documents WHERE name = ?", (name,)).fetchone()
            return kept[0]

        return cast("dict[str, JSONValue]", json.loads(await self._database.run(transact)))

    async def change_document(self, name: str, change: Callable[[dict[str, JSONValue]], None]) -> None:
        """Change a JSON object in one transaction, an empty one where there is none; an exception undoes it."""

        def transact(db: sqlite3.Connection) -> None:
            row = db.execute("SELECT json FROM documents WHERE name = ?", (name,)).fetchone()
            value = {} if row is None else cast("dict[str, JSONValue]", json.loads(row[0]))
            change(value)
            db.execute("INSERT OR REPLACE INTO documents VALUES (?, ?)", (name, json.dumps(value)))

        await self._database.run(transact)

    async def delete_documents(self, prefix: str) -> None:
        """Forget the JSON objects whose names begin so."""
        statement = "DELETE FROM documents WHERE substr(name, 1, ?) = ?"
        await self._database.run(lambda db: db.execute(statement, (len(prefix), prefix)))

    async def get_blob(self, name: str) -> bytes | None:
        """Return octets by their name, or None."""
        query = "SELECT data FROM blobs WHERE name = ?"
        row = await self._database.run(lambda db: db.execute(query, (name,)).fetchone())
        return None if row is None else cast("bytes", row[0])

    async def put_blob(self, name: str, data: bytes) -> None:
        """Keep octets under a name."""
        statement = "INSERT OR REPLACE INTO blobs VALUES (?, ?)"
        await self._database.run(lambda db: db.execute(statement, (name, data)))

    async def delete_blob(self, name: str) -> bool:
        """Forget octets; return whether there were any."""
        statement = "DELETE FROM blobs WHERE name = ?"
        return bool(await self._database.run(lambda db: db.execute(statement, (name,)).rowcount))


@asynccontextmanager
async def open_store(path: Path | None = None) -> AsyncGenerator[Store]:
    """Open the state.

    Args:
        path: The SQLite file; None keeps everything in memory.

    Raises:
        ConfigurationError: The file cannot be used.
    """
    async with open_database(path) as database:
        store = Store(database)
        try:
            await store.create()
        except sqlite3.Error as error:
            raise ConfigurationError(f"{path}: holds something else than this server's state: {error}") from None
        yield store
