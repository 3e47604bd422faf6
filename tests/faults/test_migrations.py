"""K15: killed at each statement of an upgrade, the database is at the old revision or the new one, never between."""

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

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


@pytest.mark.slow
def test_killed_at_each_statement_an_upgrade_is_whole_or_not_there(tmp_path: Path) -> None:
    """Bites: leave BEGIN IMMEDIATE out of migration_engine, and tables of half an upgrade are left."""
    database = tmp_path / "store.db"
    with upgrader(database, "0001") as process:
        assert upgrade(process, 0) == 0
    before = dump(database)
    with upgrader(database, HEAD) as process:
        for fatal in range(1, 500):
            status = upgrade(process, fatal)
            if status == 0:
                break
            assert status == -signal.SIGKILL
            assert dump(database) == before, fatal
    assert fatal > 5
    with closing(sqlite3.connect(database)) as raw:
        assert raw.execute("SELECT version_num FROM alembic_version").fetchall() == [(HEAD,)]
