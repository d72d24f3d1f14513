"""One SQLite connection that the event loop never waits for: every transaction runs in a worker thread.

Job:    open the file (or memory), run functions inside transactions, one after the other.
Layer:  devserver. The standard library's sqlite3; no queries stand here.
Errors: ConfigurationError for a file that cannot be used; what a function raises rolls its transaction back.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import anyio
from anyio import to_thread

from mm_plugin.exceptions import ConfigurationError

__all__ = ("MOST_INTEGER", "Database", "open_database")

#: The greatest number that SQLite keeps.
MOST_INTEGER = 2**63 - 1

_T = TypeVar("_T")


class Database:
    """A connection and the one thread at a time that may use it; made by ``open_database``."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._limiter = anyio.CapacityLimiter(1)

    async def run(self, function: Callable[[sqlite3.Connection], _T]) -> _T:
        """Run a function in a transaction of its own, and commit; an exception rolls back.

        Cancellation while waiting for the turn changes nothing; once begun, the transaction is carried through.
        """
        return await to_thread.run_sync(partial(self._transact, function), limiter=self._limiter)

    def _transact(self, function: Callable[[sqlite3.Connection], _T]) -> _T:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            result = function(self._connection)
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")
        return result

    async def aclose(self) -> None:
        """Close the connection after what runs; shielded, for SQLite must fold its log into the file."""
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(self._connection.close, limiter=self._limiter)


@asynccontextmanager
async def open_database(path: Path | None = None) -> AsyncGenerator[Database]:
    """Open a database.

    Args:
        path: The file, made where it does not exist; None keeps everything in memory.

    Raises:
        ConfigurationError: The file cannot be opened, or is no SQLite database.
    """
    try:
        connection = await to_thread.run_sync(_connect, path)
    except (sqlite3.Error, OSError) as error:
        raise ConfigurationError(f"{path}: cannot be used as the state's SQLite file: {error}") from None
    database = Database(connection)
    try:
        yield database
    finally:
        await database.aclose()


def _connect(path: Path | None) -> sqlite3.Connection:
    # Transactions are ours (isolation_level=None); the limiter keeps threads apart.
    connection = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
    except BaseException:
        connection.close()
        raise
    return connection
