"""aiosqlite's connections, but for their end: as shipped (0.22.1), `close` waits for ever where `stop` came before it.

SQLAlchemy calls both when whoever uses a connection is cancelled, and again while the first is heard. The thread of the
connection is gone with the first `stop`: nobody answers to the second one, and a daemon that ends waits for that.
"""

import asyncio
import sqlite3
from contextlib import suppress
from weakref import WeakSet

import aiosqlite

_ROWS_AT_ONCE = 64


class _Connection(aiosqlite.Connection):
    """Stops once; all who stop it wait for the same."""

    _stopping: "asyncio.Future[None] | None" = None
    _stopped = False

    def stop(self) -> "asyncio.Future[None] | None":
        if not self._stopped:
            self._stopped, self._stopping = True, super().stop()
        # Each its own: who is cancelled while it waits does not cancel the others' waiting.
        return None if self._stopping is None else asyncio.shield(self._stopping)


class Connections:
    """All connections to one SQLite file: `uri` as SQLite reads it, `busy_timeout` in seconds."""

    def __init__(self, uri: str, busy_timeout: float) -> None:
        self._uri = uri
        self._busy_timeout = busy_timeout
        self._made: WeakSet[_Connection] = WeakSet()

    async def connect(self) -> aiosqlite.Connection:
        """A new one. Its thread does not keep a process that ends. Raises sqlite3.Error."""
        connection = _Connection(self._open, _ROWS_AT_ONCE)
        connection._thread.daemon = True
        self._made.add(connection)
        return await connection

    async def end(self) -> None:
        """Return when none is left: a thread that is still at work would have nobody to tell of it."""
        for connection in list(self._made):
            stopped = connection.stop()
            if stopped is not None:
                with suppress(sqlite3.Error):
                    await stopped

    def _open(self) -> sqlite3.Connection:
        # SQLAlchemy's dialect makes one setting from the loop's thread.
        return sqlite3.connect(self._uri, uri=True, timeout=self._busy_timeout, check_same_thread=False)
