"""K15: killed at each statement of an upgrade, the database is at the old revision or the new one, never between.

From each former schema, with rows that were there since the first.
"""

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from paasd.migrations import HEAD

UPGRADE = """
import os, signal, sys
from pathlib import Path
from alembic import command
from sqlalchemy import event
from paasd.migrations.__main__ import migration_config, migration_engine

database, revision = Path(sys.argv[1]), sys.argv[2]
for line in sys.stdin:
    fatal = int(line)
    child = os.fork()
    if child == 0:
        engine, seen = migration_engine(database), []

        @event.listens_for(engine, "before_cursor_execute")
        def _count(*_):
            seen.append(1)
            if len(seen) == fatal:
                os.kill(os.getpid(), signal.SIGKILL)

        with engine.connect() as connection:
            command.upgrade(migration_config(connection), revision)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def upgrader(database: Path, revision: str) -> "subprocess.Popen[str]":
    """For each number on its stdin, one upgrade that is killed before that statement; prints the exit status."""
    command = [sys.executable, "-c", UPGRADE, str(database), revision]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def upgrade(process: "subprocess.Popen[str]", fatal: int) -> int:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(f"{fatal}\n")
    process.stdin.flush()
    return int(process.stdout.readline())


def dump(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return list(raw.iterdump())


UPGRADES = "killed at each statement of an upgrade from each former schema; an older daemon on a newer one"
FORMER = [f"{number:04d}" for number in range(1, int(HEAD))]
ROWS = """
INSERT INTO accounts (id, email, created_at) VALUES ('a', 'ann@example.org', 1);
INSERT INTO tokens (id, account_id, name, sha256, created_at) VALUES ('t', 'a', 'owner', 'digest', 1);
INSERT INTO apps (id, name, owner_id, maintenance, release_timeout, created_at, updated_at)
    VALUES ('p', 'shop', 'a', 0, 60.0, 1, 1);
INSERT INTO formations (app_id, type, quantity, size) VALUES ('p', 'web', 2, 'Standard-1X');
INSERT INTO builds (id, app_id, status, actor_account_id, actor_email, actor_token, actor_address, processes,
    created_at, updated_at) VALUES ('b', 'p', 'succeeded', 'a', 'ann@example.org', 'owner', '::1', '{}', 1, 1);
"""
RELEASE = """
INSERT INTO releases (id, app_id, version, status, description, actor_account_id, actor_email, actor_token,
    actor_address, config, formation, processes, has_output, created_at, updated_at)
    VALUES (?, 'p', ?, ?, 'Deploy', 'a', 'ann@example.org', 'owner', '::1', x'0102', '{}', '{}', 0, 1, 1)
"""


def fill(database: Path) -> None:
    """An app with three releases, the newest of them under way, in the first schema."""
    with closing(sqlite3.connect(database)) as raw, raw:
        raw.executescript(ROWS)
        for version, status in ((1, "succeeded"), (2, "failed"), (3, "pending")):
            raw.execute(RELEASE, (f"r{version}", version, status))


def contents(database: Path, columns: Mapping[str, Sequence[str]]) -> dict[str, list[Any]]:
    """The rows of these tables, in these columns."""
    with closing(sqlite3.connect(database)) as raw:
        return {
            table: raw.execute(f"SELECT {', '.join(names)} FROM {table} ORDER BY 1").fetchall()
            for table, names in columns.items()
        }


def columns_of(database: Path) -> dict[str, list[str]]:
    """Each table's columns, but of what only says the schema's version."""
    with closing(sqlite3.connect(database)) as raw:
        tables = [name for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            table: [f'"{name}"' for _, name, *_ in raw.execute(f"PRAGMA table_info({table})")]
            for table in tables
            if table not in ("alembic_version", "sqlite_sequence")
        }


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.row(
    "K15", "killed at each statement of an upgrade from each former schema; an older daemon on a newer one"
)
@pytest.mark.parametrize("former", FORMER)
def test_killed_at_each_statement_an_upgrade_is_whole_or_not_there(
    tmp_path: Path, former: str, record_property: Callable[[str, object], None]
) -> None:
    """Bites: leave BEGIN IMMEDIATE out of migration_engine, and tables of half an upgrade are left."""
    database = tmp_path / "store.db"
    with upgrader(database, "0001") as process:
        assert upgrade(process, 0) == 0
    fill(database)
    with upgrader(database, former) as process:
        assert upgrade(process, 0) == 0
    before, columns = dump(database), columns_of(database)
    rows = contents(database, columns)
    assert len(rows["releases"]) == 3 and rows["formations"]
    with upgrader(database, HEAD) as process:
        for fatal in range(1, 500):
            status = upgrade(process, fatal)
            if status == 0:
                break
            assert status == -signal.SIGKILL
            assert dump(database) == before, fatal
    assert fatal > 5
    record_property("kills", fatal - 1)
    with closing(sqlite3.connect(database)) as raw:
        assert raw.execute("SELECT version_num FROM alembic_version").fetchall() == [(HEAD,)]
        assert raw.execute("PRAGMA foreign_key_check").fetchall() == []
    assert contents(database, columns) == rows
