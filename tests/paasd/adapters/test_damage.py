"""A damaged database is told, never replaced by an empty one, and mended from backup and what is readable."""

import asyncio
import shutil
import sqlite3
import uuid
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from paasd.adapters.backup import DailyBackups
from paasd.adapters.damage import builds_unknown_to_ledger, check_store, find_damage, repair_store
from paasd.adapters.store import SqlStore
from paasd.domain.access import Account, Actor, Token
from paasd.domain.app import App
from paasd.domain.errors import StoreUnavailable
from paasd.domain.release import NewRelease, Status

NOW = datetime.now(UTC)
OWNER = Account(str(uuid.uuid4()), "owner@localhost", None, NOW)
ACTOR = Actor(OWNER.id, OWNER.email, "owner", "127.0.0.1")
SHOP = App(str(uuid.uuid4()), "shop", OWNER.id, OWNER.email, False, NOW, NOW)


async def release(home: Path, *, first: bool = False, **config: str) -> None:
    async with SqlStore(home / "store.db", home / "key") as store:
        new = NewRelease(SHOP.id, "Set", ACTOR, config, {}, status=Status.SUCCEEDED)
        if first:
            await store.insert_account(OWNER, Token(str(uuid.uuid4()), OWNER.id, "owner", "0" * 64, NOW))
            await store.insert_app(SHOP, new)
        else:
            await store.record_release(new)


async def configs(home: Path) -> list[str]:
    async with SqlStore(home / "store.db", home / "key") as store:
        return [found.config.get("MARK", "") for found in await store.releases(SHOP.id)]


@pytest.fixture
def home(migrated: Path, tmp_path: Path) -> Path:
    """v1 is in the backup, v2 came after it."""
    home = tmp_path / "home"
    (home / "apps" / SHOP.id).mkdir(parents=True)
    (home / "tmp").mkdir()
    shutil.copy(migrated, home / "store.db")

    async def fill() -> None:
        await release(home, first=True, MARK="one")
        await DailyBackups(home, 3).take_if_due()
        await release(home, MARK="two")

    asyncio.run(fill())
    return home


def ruin(home: Path, how: str) -> None:
    store = home / "store.db"
    if how == "missing":
        store.unlink()
    elif how == "zero bytes":
        store.write_bytes(b"")
    elif how == "no header":
        store.write_bytes(b"x" + store.read_bytes()[1:])
    elif how == "no tables":
        store.unlink()
        with closing(sqlite3.connect(store)) as raw:
            raw.execute("PRAGMA user_version = 1")
    elif how == "cut":
        store.write_bytes(store.read_bytes()[: 4096 * 3 + 100])
    else:
        body = bytearray(store.read_bytes())
        for page in range(1, len(body) // 4096):
            body[page * 4096] ^= 0xFF
        store.write_bytes(body)


RUINS = ["missing", "zero bytes", "no header", "no tables", "cut", "flipped"]


@pytest.mark.parametrize("how", RUINS)
def test_a_ruin_is_told_and_left_as_it_is(home: Path, how: str) -> None:
    """Bites: have find_damage answer None, and migrate makes an empty ledger of the missing one."""
    assert find_damage(home) is None
    ruin(home, how)
    before = (home / "store.db").read_bytes() if (home / "store.db").exists() else None
    with pytest.raises(StoreUnavailable, match=r"newest backup is .+/paasd-.+tar.+doctor --repair --home"):
        check_store(home)
    assert ((home / "store.db").read_bytes() if (home / "store.db").exists() else None) == before


@pytest.mark.parametrize("how", RUINS)
async def test_repair_takes_the_backup_and_keeps_the_ruin(home: Path, how: str) -> None:
    ruin(home, how)
    said = "\n".join(repair_store(home))
    assert "Took the ledger from" in said and "The damaged files are kept in" in said
    check_store(home)
    assert (await configs(home))[0] == "one"
    assert len(list(home.glob("damaged-*"))) == 1  # noqa: ASYNC240
    assert not list((home / "tmp").iterdir())
    assert repair_store(home) == [f"The database {home / 'store.db'} is whole: nothing was done."]


async def test_newer_rows_that_can_be_read_are_taken_over(home: Path) -> None:
    """Bites: leave out _salvage, and v2 is lost."""
    with closing(sqlite3.connect(home / "store.db")) as raw:
        page = raw.execute("SELECT rootpage FROM sqlite_master WHERE name = 'ix_builds_pending'").fetchone()[0]
        assert raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    with (home / "store.db").open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)
    assert "damaged" in str(find_damage(home))
    assert any(sentence.startswith("Took over") for sentence in repair_store(home))
    assert await configs(home) == ["one", "two"]


def test_without_a_backup_nothing_is_changed(home: Path) -> None:
    for backup in (home / "backups").iterdir():
        backup.write_bytes(b"no tar")
    ruin(home, "no header")
    before = (home / "store.db").read_bytes()
    with pytest.raises(StoreUnavailable, match="no whole backup"):
        repair_store(home)
    assert (home / "store.db").read_bytes() == before


def test_a_new_home_is_not_damaged(tmp_path: Path) -> None:
    (tmp_path / "apps").mkdir()
    check_store(tmp_path)
    (tmp_path / "store.db").touch()  # killed before its first migration
    check_store(tmp_path)


def test_a_ledger_older_than_git_is_noticed(home: Path) -> None:
    assert builds_unknown_to_ledger(home) == {}
    repository = home / "apps" / SHOP.id / "repo.git"
    (repository / "refs" / "builds").mkdir(parents=True)
    (repository / "refs" / "builds" / str(uuid.uuid4())).write_text("0" * 40)
    (repository / "packed-refs").write_text(f"# pack-refs\n{'0' * 40} refs/builds/{uuid.uuid4()}\n")
    assert builds_unknown_to_ledger(home) == {SHOP.id: 2}
