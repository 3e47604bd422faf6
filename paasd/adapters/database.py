"""One SQLite file behind SQLAlchemy: a writer that holds the lock from BEGIN on, and readers that can't write.

Vendor errors become the project's here and nowhere else; a caller cancelled at any point leaves no open transaction.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import URL, Connection, Engine, Executable, Row, Select, create_engine, event, exc
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry

from paasd.adapters.driver import Connections
from paasd.domain.errors import Conflict, NotFound, StoreUnavailable

READERS = 3
MODE = {"mode": "rw"}  # a missing file is an error, never an empty database
BUSY_SECONDS = 4.0  # a write that another process keeps from being done is refused within 5, whatever else is to do
PATIENCE = "patience"  # a connection's busy timeout, where it is not as it was opened
PRAGMAS = ["journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "cache_size = -1024"]
QUERIES_ONLY = "query_only = ON"
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

    def __init__(self, path: Path, *, busy_timeout: float = BUSY_SECONDS) -> None:
        """`busy_timeout`: seconds that a write waits for another process's, its wait for our own writes that do so
        counted."""
        self.path = path
        self._busy_timeout = busy_timeout
        self._held_since: float | None = None  # by another process; None: not as far as we know
        self._connections = Connections(f"{path.absolute().as_uri()}?{urlencode(MODE)}", busy_timeout)
        self._writer = _engine(self._connections, writes=True)
        self._reader = _engine(self._connections, writes=False)
        self._looker = _looker(path)
        # Turns are taken here, never in the pools: waiting here is safe to cancel and takes no connection along.
        self._one_writer = asyncio.Lock()
        self._few_readers = asyncio.Semaphore(READERS)

    async def close(self) -> None:
        """Writes under way are finished first."""
        async with self._one_writer:
            await self._writer.dispose()
        await self._reader.dispose()
        await self._connections.end()
        self._looker.dispose()

    @asynccontextmanager
    async def write(self, *, afterthought: bool = False) -> AsyncIterator[AsyncConnection]:
        """A transaction, begun IMMEDIATE: what it reads stays true until it commits. On the disk when this is left.

        Raises StoreUnavailable; NotFound or Conflict for a broken constraint. Any error rolls back. An `afterthought`
        to a write that another process has just kept from being done does not wait for that process again.
        """
        asked = time.monotonic()
        with _vendor_errors(self.path):
            async with self._one_writer, self._writer.connect() as connection:
                along = ALONG.get()
                hurried = afterthought and self._held_since is not None
                await self._wait_at_most(connection, 0.0 if hurried else self._left(asked))
                async with self._begun(connection):
                    yield connection
                    if along is not None and along.due:
                        await connection.execute(along.statement)
                if along is not None:
                    along.due = False

    def _left(self, asked: float) -> float:
        """Seconds that a write asked for then may still wait for another process."""
        if self._held_since is None:
            return self._busy_timeout
        return max(0.0, self._busy_timeout - (time.monotonic() - max(asked, self._held_since)))

    async def _wait_at_most(self, connection: AsyncConnection, seconds: float) -> None:
        if connection.info.get(PATIENCE, self._busy_timeout) != seconds:
            connection.info[PATIENCE] = None  # of which nothing is known while it is set
            driver: Any = (await connection.get_raw_connection()).driver_connection
            await driver.execute_fetchall(f"PRAGMA busy_timeout = {seconds * 1000:.0f}")
            connection.info[PATIENCE] = seconds

    @asynccontextmanager
    async def _begun(self, connection: AsyncConnection) -> AsyncIterator[None]:
        began = time.monotonic()
        try:
            async with connection.begin():
                self._held_since = None
                yield
        except exc.OperationalError as error:
            if _is_busy(error):
                self._held_since = self._held_since or began
            raise

    async def first(self, query: Select[Any], **values: object) -> Row[Any] | None:
        """The first row of what an index finds at once, None when there is none. Raises StoreUnavailable.

        Read on the caller's thread: handing it to another and back costs ten times what it takes. Nobody's write is
        waited for here; where one must be (while a log is recovered), `read` does it.
        """
        with _vendor_errors(self.path):
            try:
                with self._looker.connect() as looking:
                    return looking.execute(query, values).first()
            except exc.OperationalError as error:
                if not _is_busy(error):
                    raise
        async with self.read() as connection:
            row: Row[Any] | None = (await connection.execute(query, values)).first()
            return row

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection whose every statement sees one state of the database. Raises StoreUnavailable."""
        with _vendor_errors(self.path):
            async with self._few_readers, self._reader.connect() as connection:
                yield connection


def _is_busy(error: exc.OperationalError) -> bool:
    return str(getattr(error.orig, "sqlite_errorname", "")).startswith("SQLITE_BUSY")


def _looker(path: Path) -> Engine:
    engine = create_engine(
        URL.create("sqlite+pysqlite", database=path.absolute().as_uri(), query={**MODE, "uri": "true"}),
        isolation_level="AUTOCOMMIT",
        hide_parameters=True,
        connect_args={"timeout": 0},
        skip_autocommit_rollback=True,
    )

    @event.listens_for(engine, "connect")
    def _connect(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        _set(connection, [*PRAGMAS, QUERIES_ONLY])

    return engine


def _set(connection: DBAPIConnection, pragmas: Sequence[str]) -> None:
    cursor = connection.cursor()
    for pragma in pragmas:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _engine(connections: Connections, *, writes: bool) -> AsyncEngine:
    number = 1 if writes else READERS
    engine = create_async_engine(
        "sqlite+aiosqlite://",
        async_creator=connections.connect,
        poolclass=AsyncAdaptedQueuePool,
        pool_size=number,
        max_overflow=number,
        hide_parameters=True,
        skip_autocommit_rollback=not writes,  # a reader has nothing to roll back
    )

    @event.listens_for(engine.sync_engine, "connect")
    def _connect(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # the driver begins nothing by itself
        _set(connection, PRAGMAS if writes else [*PRAGMAS, QUERIES_ONLY])

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
