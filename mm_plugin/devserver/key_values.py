"""The plugins' key-value store: values that expire, and compare-and-set.

Job:    Mattermost's rules: an empty value is no value, an old value of nothing means "must not exist".
Layer:  devserver, over ``database``. Whether a key is well-formed is asked before (``api_kv``).
See:    reference of the Go host, section 7.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from mm_plugin.devserver.database import MOST_INTEGER, Database
from mm_plugin.messages.helpers import now_ms

__all__ = ("KeyValues",)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS key_values (
    plugin_id TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, expire_at INTEGER NOT NULL,
    PRIMARY KEY (plugin_id, key)
)
"""
_FRESH = "plugin_id = ? AND (expire_at = 0 OR expire_at > ?)"


class KeyValues:
    """The values of all plugins.

    Args:
        database: Where they are kept.
        clock: The time in milliseconds since 1970.
    """

    def __init__(self, database: Database, clock: Callable[[], int] = now_ms) -> None:
        self._database = database
        self._clock = clock

    def create(self, connection: sqlite3.Connection) -> None:
        """Make the table where it does not exist."""
        connection.execute(_SCHEMA)

    async def get(self, plugin_id: str, key: str) -> bytes:
        """Return a value; empty where there is none."""
        return await self._database.run(lambda db: self._current(db, plugin_id, key))

    async def set(self, plugin_id: str, key: str, value: bytes, *, expire_in_s: int = 0) -> None:
        """Keep a value; an empty one deletes the key.

        Args:
            plugin_id: Whose.
            key: Its key.
            value: The value.
            expire_in_s: Seconds until it is gone; 0 or less for never.
        """
        await self._database.run(lambda db: self._write(db, plugin_id, key, value, expire_in_s))

    async def compare_and_set(
        self, plugin_id: str, key: str, old_value: bytes, new_value: bytes, *, expire_in_s: int = 0
    ) -> bool:
        """Keep a value if the key still holds the old one (empty: if there is none); return whether it did.

        An empty new value deletes the key; a key that does not exist cannot be deleted in this way.
        """

        def transact(db: sqlite3.Connection) -> bool:
            if self._current(db, plugin_id, key) != old_value or not (old_value or new_value):
                return False
            self._write(db, plugin_id, key, new_value, expire_in_s)
            return True

        return await self._database.run(transact)

    async def delete_all(self, plugin_id: str) -> None:
        """Delete every key of a plugin."""
        await self._database.run(lambda db: db.execute("DELETE FROM key_values WHERE plugin_id = ?", (plugin_id,)))

    async def keys(self, plugin_id: str, *, limit: int = -1, offset: int = 0) -> list[str]:
        """Return a plugin's keys in alphabetical order."""
        query = f"SELECT key FROM key_values WHERE {_FRESH} ORDER BY key LIMIT ? OFFSET ?"  # noqa: S608 - constants
        values = (plugin_id, self._clock(), limit, offset)
        rows = await self._database.run(lambda db: db.execute(query, values).fetchall())
        return [key for (key,) in rows]

    def _current(self, db: sqlite3.Connection, plugin_id: str, key: str) -> bytes:
        query = f"SELECT value FROM key_values WHERE {_FRESH} AND key = ?"  # noqa: S608 - constants
        row = db.execute(query, (plugin_id, self._clock(), key)).fetchone()
        return b"" if row is None else row[0]

    def _write(self, db: sqlite3.Connection, plugin_id: str, key: str, value: bytes, expire_in_s: int) -> None:
        if not value:
            db.execute("DELETE FROM key_values WHERE plugin_id = ? AND key = ?", (plugin_id, key))
            return
        expire_at = min(self._clock() + expire_in_s * 1000, MOST_INTEGER) if expire_in_s > 0 else 0
        db.execute("INSERT OR REPLACE INTO key_values VALUES (?, ?, ?, ?)", (plugin_id, key, value, expire_at))
