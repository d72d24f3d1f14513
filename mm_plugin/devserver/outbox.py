"""What the server would send into the world: mails, pushes, events, dialogs, audit records. Kept to be looked at.

Job:    be the place where a developer sees what left the server, the newest of each kind, a bounded number.
Layer:  devserver, over ``database``; ``rest_outbox`` shows it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum, unique
from typing import cast

from mm_plugin import limits
from mm_plugin.devserver.database import Database
from mm_plugin.messages.helpers import now_ms
from mm_plugin.types import JSONValue

__all__ = ("Outbox", "OutboxKind", "Sent")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, plugin_id TEXT NOT NULL, create_at INTEGER NOT NULL,
    json TEXT NOT NULL
)
"""
_INDEX = "CREATE INDEX IF NOT EXISTS outbox_kind ON outbox (kind, id)"
_FORGET = (
    "DELETE FROM outbox WHERE kind = ? AND id NOT IN (SELECT id FROM outbox WHERE kind = ? ORDER BY id DESC LIMIT ?)"
)


@unique
class OutboxKind(StrEnum):
    """What is sent."""

    MAIL = "mail"
    PUSH = "push"
    WEBSOCKET = "websocket"
    CLUSTER = "cluster"
    DIALOG = "dialog"
    AUDIT = "audit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One thing that was sent.

    Attributes:
        id: Rising numbers, across all kinds.
        kind: What it is.
        plugin_id: Who sent it; "" for the server itself.
        create_at: When, in milliseconds since 1970.
        content: What it says.
    """

    id: int
    kind: OutboxKind
    plugin_id: str
    create_at: int
    content: dict[str, JSONValue]


class Outbox:
    """The newest ``limits.devserver_outbox_entries`` of each kind.

    Args:
        database: Where they are kept.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, connection: sqlite3.Connection) -> None:
        """Make the table where it does not exist."""
        connection.execute(_SCHEMA)
        connection.execute(_INDEX)

    async def put(self, kind: OutboxKind, content: Mapping[str, JSONValue], *, plugin_id: str = "") -> None:
        """Keep what was sent; the oldest of its kind goes where there are too many."""
        values = (str(kind), plugin_id, now_ms(), json.dumps(dict(content)))

        def transact(db: sqlite3.Connection) -> None:
            db.execute("INSERT INTO outbox (kind, plugin_id, create_at, json) VALUES (?, ?, ?, ?)", values)
            db.execute(_FORGET, (str(kind), str(kind), limits.devserver_outbox_entries))

        await self._database.run(transact)

    async def newest(self, kind: OutboxKind | None = None, *, after: int = 0) -> list[Sent]:
        """Return what was sent, the oldest first.

        Args:
            kind: Of one kind; of all where None.
            after: Only what has a greater id.
        """
        query = "SELECT id, kind, plugin_id, create_at, json FROM outbox WHERE ? IN ('', kind) AND id > ? ORDER BY id"
        rows = await self._database.run(lambda db: db.execute(query, (str(kind or ""), after)).fetchall())
        return [
            Sent(
                id=number,
                kind=OutboxKind(name),
                plugin_id=plugin_id,
                create_at=create_at,
                content=cast("dict[str, JSONValue]", json.loads(text)),
            )
            for number, name, plugin_id, create_at, text in rows
        ]
