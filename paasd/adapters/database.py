"""One SQLite file behind SQLAlchemy: a writer that holds the lock from BEGIN on, and a few readers that can't write.

Vendor errors become the project's here and nowhere else; a caller cancelled at any point leaves no open transaction.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, Connection, Executable, event, exc
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from paasd.domain.errors import Conflict, NotFound, StoreUnavailable

READERS = 3
REMEDIES = {
    "SQLITE_FULL": "free some disk space (`paas disk` shows who uses it) and try again",
    "SQLITE_BUSY": "another process holds it; try again, or find it with `fuser`",
    "SQLITE_READONLY": "mend the owner and mode of the file and its directory, or the disk if it is read-only",
    "SQLITE_CANTOPEN": "mend the owner and mode of the file and its directory, or the disk if it is read-only",
    "SQLITE_IOERR": "see the kernel's log for what is wrong with the disk, and free some space if it is full",
    "SQLITE_CORRUPT": "stop paasd and restore the file from a backup",
    "SQLITE_NOTADB": "stop paasd and restore the file from a backup",
}


@dataclass(slots=True)
class Along:
    """What the next transaction of a context writes besides; one that rolls back leaves it to the one after."""

    statement: Executable
    due: bool = True


ALONG: ContextVar[Along | None] = ContextVar("ALONG", default=None)


class Database:
    """Transactions on one file. The file must exist: making and upgrading it is the migrations' work."""

    def __init__(self, path: Path, *, busy_timeout: float = 5.0) -> None:
        """`busy_timeout`: seconds to wait for another process's write."""
        self.path = path
        self._writer = _engine(path, busy_timeout, writes=True)
        self._reader = _engine(path, busy_timeout, writes=False)
        # Turns are taken here, never in the pools: waiting here is safe to cancel and takes no connection along.
        self._one_writer = asyncio.Lock()
        self._few_readers = asyncio.Semaphore(READERS)

    async def close(self) -> None:
        """Writes under way are finished first."""
        async with self._one_writer:
            await self._writer.dispose()
        await self._reader.dispose()

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction, begun IMMEDIATE: what it reads stays true until it commits. On the disk when this is left.

        Raises StoreUnavailable; NotFound or Conflict for a broken constraint. Any error rolls back.
        """
        with _vendor_errors(self.path):
            async with self._one_writer:
                along = ALONG.get()
                async with self._writer.begin() as connection:
                    yield connection
                    if along is not None and along.due:
                        await connection.execute(along.statement)
                if along is not None:
                    along.due = False

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection whose every statement sees one state of the database. Raises StoreUnavailable."""
        with _vendor_errors(self.path):
            async with self._few_readers, self._reader.connect() as connection:
                yield connection


def _engine(path: Path, busy_timeout: float, *, writes: bool) -> AsyncEngine:
    # mode=rw: a missing file is an error, never an empty database.
    url = URL.create("sqlite+aiosqlite", database=path.absolute().as_uri(), query={"mode": "rw", "uri": "true"})
    connections = 1 if writes else READERS
    engine = create_async_engine(
        url,
        pool_size=connections,
        max_overflow=connections,
        hide_parameters=True,
        connect_args={"timeout": busy_timeout},
        skip_autocommit_rollback=not writes,  # a reader has nothing to roll back
    )
    pragmas = ["journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "cache_size = -1024"]
    if not writes:
        pragmas.append("query_only = ON")

    @event.listens_for(engine.sync_engine, "connect")
    def _connect(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # the driver begins nothing by itself
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    if writes:

        @event.listens_for(engine.sync_engine, "begin")
        def _begin(connection: Connection) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

        @event.listens_for(engine.sync_engine, "invalidate")
        def _invalidate(connection: DBAPIConnection, _: ConnectionPoolEntry, __: BaseException | None) -> None:
            # A cancelled caller's connection is about to be closed. SQLite would keep its transaction, and the lock,
            # for as long as a cursor of it lives on in some traceback. Queued is enough: a second cancel may come.
            with suppress(asyncio.CancelledError, Exception):
                connection.rollback()

    return engine


@contextmanager
def _vendor_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except exc.IntegrityError as error:
        if getattr(error.orig, "sqlite_errorname", "") == "SQLITE_CONSTRAINT_FOREIGNKEY":
            raise NotFound("What this belongs to is not in the store; look up its app and build again.") from error
        raise Conflict(f"The store's rules forbid this ({error.orig}); read the state again and retry.") from error
    except exc.DBAPIError as error:
        code = str(getattr(error.orig, "sqlite_errorname", ""))
        remedy = next(
            (words for name, words in REMEDIES.items() if code.startswith(name)), "try again, or restart paasd"
        )
        raise StoreUnavailable(f"The store {path} does not work ({error.orig}): {remedy}.") from error
    except (exc.TimeoutError, OSError) as error:
        raise StoreUnavailable(f"The store {path} does not answer ({error}); try again.") from error
