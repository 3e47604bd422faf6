"""`python -m paasd.migrations DATABASE`: bring a SQLite file to the newest revision, in one transaction."""

import sqlite3
import sys
import time
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import URL, Connection, Engine, create_engine, event, exc
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

BUSY_SECONDS = 60
RETRY_SECONDS = 0.02


def main(arguments: list[str]) -> int:
    """Exit status: 0 when the database is at the newest revision; else 1 and one line on stderr."""
    if len(arguments) != 1:
        sys.stderr.write("Usage: python -m paasd.migrations DATABASE\n")
        return 2
    try:
        upgrade(Path(arguments[0]))
    except (exc.SQLAlchemyError, OSError) as error:
        cause = getattr(error, "orig", None) or error
        sys.stderr.write(f"{type(cause).__name__}: {cause}\n".replace("\n", " ").strip() + "\n")
        return 1
    return 0


def upgrade(database: Path) -> None:
    """Make the file (0600) if there is none, and run what is missing."""
    database.touch(mode=0o600)
    engine = migration_engine(database)
    with engine.connect() as connection:
        command.upgrade(migration_config(connection), "head")
    engine.dispose()


def migration_config(connection: Connection | None = None) -> Config:
    """Alembic's configuration, without an ini file."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def migration_engine(database: Path) -> Engine:
    """An engine whose transactions hold the write lock from their start, so that two upgrades can't interleave."""
    engine = create_engine(URL.create("sqlite", database=str(database)), poolclass=NullPool)

    @event.listens_for(engine, "connect")
    def _connect(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (f"busy_timeout = {BUSY_SECONDS * 1000}", "synchronous = FULL", "foreign_keys = OFF"):
            cursor.execute(f"PRAGMA {pragma}")
        keep_a_journal_ahead(cursor)
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def keep_a_journal_ahead(cursor: DBAPICursor) -> None:
    """WAL. SQLite changes to it at once or not at all, whatever the busy timeout: whoever else is at it is awaited."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(RETRY_SECONDS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
