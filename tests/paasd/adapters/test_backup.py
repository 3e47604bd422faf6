"""Backups: whole or not there, consistent while written to, and nothing in one leads out of the home."""

import io
import os
import shutil
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

import pytest

from paasd.adapters.backup import DailyBackups, newest_backup, restore_backup, write_backup
from paasd.adapters.secrets import create_key
from paasd.domain.errors import StoreUnavailable


@pytest.fixture
def home(migrated: Path, tmp_path: Path) -> Path:
    home = tmp_path / "home"
    refs = home / "apps" / "a1" / "repo.git" / "refs" / "heads"
    refs.mkdir(parents=True)
    (home / "apps" / "a1" / "repo.git" / "objects" / "pack").mkdir(parents=True)
    (refs / "main").write_text("0" * 40)
    (refs / "main.lock").write_text("half")
    (home / "lock").write_text("1\n")
    create_key(home / "key")
    shutil.copy(migrated, home / "store.db")
    return home


def contents(home: Path) -> dict[str, bytes]:
    return {p.relative_to(home).as_posix(): p.read_bytes() for p in home.rglob("*") if p.is_file()}


def test_what_is_restored_is_what_was_there(home: Path, tmp_path: Path) -> None:
    write_backup(home, tmp_path / "b.tar")
    assert (tmp_path / "b.tar").stat().st_mode & 0o777 == 0o600
    restore_backup(tmp_path / "b.tar", tmp_path / "new")
    found = contents(tmp_path / "new")
    assert set(found) == {"store.db", "key", "apps/a1/repo.git/refs/heads/main"}
    assert found["key"] == (home / "key").read_bytes()
    assert (tmp_path / "new" / "key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "new" / "apps/a1/repo.git/objects/pack").is_dir()  # without it, git knows no repository
    with closing(sqlite3.connect(home / "store.db")) as old, closing(sqlite3.connect(tmp_path / "new/store.db")) as new:
        assert list(old.iterdump()) == list(new.iterdump())
    assert {path.name for path in tmp_path.iterdir()} == {"home", "new", "b.tar"}


def test_what_is_committed_but_still_in_the_wal_is_in_it(home: Path, tmp_path: Path) -> None:
    """Bites: copy store.db as a file instead of by SQLite's backup, and the account is missing."""
    with closing(sqlite3.connect(home / "store.db")) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("CREATE TABLE marks (at INTEGER)")
        writer.execute("INSERT INTO marks VALUES (7)")
        writer.commit()
        writer.execute("INSERT INTO marks VALUES (8)")  # not committed
        write_backup(home, tmp_path / "b.tar")
    restore_backup(tmp_path / "b.tar", tmp_path / "new")
    with closing(sqlite3.connect(tmp_path / "new" / "store.db")) as raw:
        assert raw.execute("SELECT at FROM marks").fetchall() == [(7,)]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_backup_cut_short_is_refused_and_leaves_nothing(home: Path, tmp_path: Path, share: float) -> None:
    """Bites: leave out the comparison with the manifest."""
    file = tmp_path / "b.tar"
    write_backup(home, file)
    body = file.read_bytes().rstrip(b"\0")
    file.write_bytes(body[: int(len(body) * share)])
    with pytest.raises(StoreUnavailable, match="is no whole backup"):
        restore_backup(file, tmp_path / "new")
    assert {path.name for path in tmp_path.iterdir()} == {"home", "b.tar"}


def test_a_changed_byte_is_noticed(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "b.tar"
    write_backup(home, file)
    body = bytearray(file.read_bytes())
    body[600] ^= 1
    file.write_bytes(body)
    with pytest.raises(StoreUnavailable, match="not those of its manifest"):
        restore_backup(file, tmp_path / "new")


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil"])
def test_nothing_leads_out_of_the_home(tmp_path: Path, name: str) -> None:
    with tarfile.open(tmp_path / "b.tar", "w") as tar:
        info = tarfile.TarInfo(name)
        info.size = 1
        tar.addfile(info, io.BytesIO(b"x"))
    with pytest.raises(StoreUnavailable, match="lead out of the home"):
        restore_backup(tmp_path / "b.tar", tmp_path / "deep" / "new")
    assert not list(tmp_path.rglob("evil"))


def test_a_damaged_database_is_not_backed_up_over_a_good_backup(home: Path, tmp_path: Path) -> None:
    write_backup(home, tmp_path / "b.tar")
    before = (tmp_path / "b.tar").read_bytes()
    with (home / "store.db").open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 8192)
    with pytest.raises(StoreUnavailable, match="could not be written"):
        write_backup(home, tmp_path / "b.tar")
    assert (tmp_path / "b.tar").read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"home", "b.tar"}


def test_a_newer_schema_is_refused(home: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(home / "store.db")) as raw, raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    write_backup(home, tmp_path / "b.tar")
    with pytest.raises(StoreUnavailable, match="newer paasd"):
        restore_backup(tmp_path / "b.tar", tmp_path / "new")
    assert not (tmp_path / "new").exists()


async def test_one_a_day_and_only_the_newest_are_kept(home: Path) -> None:
    backups = DailyBackups(home, 2)
    for day in (5, 4, 3):
        old = home / "backups" / f"paasd-2000010{6 - day}T000000Z.tar"
        old.parent.mkdir(exist_ok=True)
        old.write_bytes(b"")
        os.utime(old, (day, day))
    await backups.take_if_due()
    newest = newest_backup(home)
    assert newest is not None and newest.stat().st_size > 0
    await backups.take_if_due()
    assert sorted((home / "backups").iterdir()) == [home / "backups" / "paasd-20000103T000000Z.tar", newest]
    await DailyBackups(home.parent / "none", 0).take_if_due()
