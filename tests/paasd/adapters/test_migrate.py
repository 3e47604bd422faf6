"""Upgrading the database in a child process: quick when done before, whole or not at all, and clear when refused."""

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from paasd.adapters.migrate import migrate, schema_version
from paasd.domain.errors import StoreUnavailable
from paasd.migrations import HEAD


def test_a_new_database_is_made_and_then_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a name with % ? # and spaces.db"
    assert schema_version(path) is None
    migrate(path)
    assert schema_version(path) == HEAD
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.stat().st_mtime_ns
    migrate(path)
    assert path.stat().st_mtime_ns == before


def test_two_at_once_make_one_database(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(migrate, [path] * 2)) == [None, None]
    assert schema_version(path) == HEAD


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    migrate(path)
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreUnavailable, match=r"newer paasd \(schema 9999"):
        migrate(path)


def test_a_failed_upgrade_says_why_and_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("CREATE TABLE releases (mine TEXT)")
    with pytest.raises(StoreUnavailable, match="table releases already exists"):
        migrate(path)
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("SELECT name FROM sqlite_master").fetchall() == [("releases",)]


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(b"this is not a database" * 100)
    with pytest.raises(StoreUnavailable, match="backup"):
        migrate(path)
    with pytest.raises(StoreUnavailable, match="could not be upgraded"):
        migrate(tmp_path / "absent" / "store.db")


def test_the_daemon_never_loads_alembic() -> None:
    check = "import sys, paasd.adapters.store, paasd.adapters.migrate; sys.exit('alembic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check]).returncode == 0
