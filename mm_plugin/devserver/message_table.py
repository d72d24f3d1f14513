"""A table of messages: each row holds one message whole, and the fields it is looked up by as columns.

Job:    keep every field of a message without a schema for each; find, insert, replace, change and delete.
Layer:  devserver, over ``database``.
Errors: none of its own; a row that is there already is told by the result.

Table and column names come from ``store.py`` alone, conditions from this package; only values come from outside, and
those are always bound.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from mm_plugin.devserver.database import Database

if TYPE_CHECKING:
    from google.protobuf.message import Message

__all__ = ("MessageTable", "SQLValue")

SQLValue: TypeAlias = "str | int | bytes"

_Message = TypeVar("_Message", bound="Message")


class MessageTable(Generic[_Message]):
    """All messages of one type.

    Args:
        database: Where they are kept.
        name: The table's name.
        message_type: Their class.
        key: The fields that tell them apart.
        indexed: Further fields that they are found by.
        unique: Sets of fields that no two may have in common.
    """

    def __init__(
        self,
        database: Database,
        name: str,
        message_type: type[_Message],
        *,
        key: tuple[str, ...] = ("id",),
        indexed: tuple[str, ...] = (),
        unique: tuple[tuple[str, ...], ...] = (),
    ) -> None:
        self._database = database
        self._name = name
        self._type = message_type
        self._key = key
        self._columns = tuple(dict.fromkeys((*key, *indexed, *(field for fields in unique for field in fields))))
        self._indexes = tuple((field,) for field in indexed)
        self._unique = unique

    def create(self, connection: sqlite3.Connection) -> None:
        """Make the table and its indexes where they do not exist."""
        columns = ", ".join(self._columns)
        connection.execute(
            f"CREATE TABLE IF NOT EXISTS {self._name} ({columns}, message BLOB NOT NULL,"
            f" PRIMARY KEY ({', '.join(self._key)}))"
        )
        for kind, groups in (("", self._indexes), ("UNIQUE", self._unique)):
            for fields in groups:
                name = "_".join((self._name, *fields))
                connection.execute(f"CREATE {kind} INDEX IF NOT EXISTS {name} ON {self._name} ({', '.join(fields)})")

    async def get(self, *key: SQLValue) -> _Message | None:
        """Return the message of a key, or None."""
        found = await self.find(self._where_key(), *key)
        return found[0] if found else None

    async def find(
        self, where: str = "TRUE", *values: SQLValue, order: str = "rowid", limit: int = -1, offset: int = 0
    ) -> list[_Message]:
        """Return the messages that a condition holds for.

        Args:
            where: SQL over the columns, with ``?`` for each value.
            values: What the question marks stand for.
            order: SQL to sort by; insertion order where not given.
            limit: The most to return; -1 for all.
            offset: How many to skip.
        """
        query = f"SELECT message FROM {self._name} WHERE {where} ORDER BY {order} LIMIT ? OFFSET ?"  # noqa: S608
        rows = await self._database.run(lambda db: db.execute(query, (*values, limit, offset)).fetchall())
        return [self._type.FromString(octets) for (octets,) in rows]

    async def count(self, where: str = "TRUE", *values: SQLValue) -> int:
        """Return for how many messages a condition holds."""
        query = f"SELECT count(*) FROM {self._name} WHERE {where}"  # noqa: S608
        rows: list[tuple[int]] = await self._database.run(lambda db: db.execute(query, values).fetchall())
        return rows[0][0]

    async def insert(self, message: _Message) -> bool:
        """Add a message; False where its key or a unique field is taken already, and nothing changed."""
        return await self._write(self._insert(), message)

    async def put(self, message: _Message) -> bool:
        """Add or replace a message; False where a unique field belongs to another one, and nothing changed."""
        return await self._write(self._insert() + self._replace(), message)

    async def change(self, change: Callable[[_Message], None], *key: SQLValue) -> _Message | None:
        """Change the message of a key in one transaction; return it as it is now, or None where there is none."""

        def transact(db: sqlite3.Connection) -> _Message | None:
            query = f"SELECT message FROM {self._name} WHERE {self._where_key()}"  # noqa: S608
            row = db.execute(query, key).fetchone()
            if row is None:
                return None
            message = self._type.FromString(row[0])
            change(message)
            db.execute(self._insert() + self._replace(), self._row(message))
            return message

        return await self._database.run(transact)

    async def delete(self, where: str, *values: SQLValue) -> int:
        """Delete the messages that a condition holds for; return how many there were."""
        query = f"DELETE FROM {self._name} WHERE {where}"  # noqa: S608
        return await self._database.run(lambda db: db.execute(query, values).rowcount)

    # -- SQL --------------------------------------------------------------------------------------------------

    async def _write(self, statement: str, message: _Message) -> bool:
        row = self._row(message)
        try:
            await self._database.run(lambda db: db.execute(statement, row))
        except sqlite3.IntegrityError:
            return False
        return True

    def _row(self, message: _Message) -> tuple[SQLValue, ...]:
        return (*(getattr(message, column) for column in self._columns), message.SerializeToString())

    def _where_key(self) -> str:
        return " AND ".join(f"{field} = ?" for field in self._key)

    def _insert(self) -> str:
        marks = ", ".join("?" * (len(self._columns) + 1))
        return f"INSERT INTO {self._name} ({', '.join(self._columns)}, message) VALUES ({marks})"  # noqa: S608

    def _replace(self) -> str:
        columns = (*self._columns, "message")
        changes = ", ".join(f"{column} = excluded.{column}" for column in columns)
        return f" ON CONFLICT ({', '.join(self._key)}) DO UPDATE SET {changes}"
