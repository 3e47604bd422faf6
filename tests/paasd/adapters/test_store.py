"""What the SQLite store promises beyond the contract: durability, secrecy, triggers that bite, and clear refusals."""

import asyncio
import os
import resource
import shutil
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import delete, select

from paasd.adapters.database import Database
from paasd.adapters.migrate import migrate
from paasd.adapters.store import SqlStore
from paasd.adapters.tables import apps
from paasd.domain.app import App
from paasd.domain.errors import StoreUnavailable
from paasd.domain.release import TRANSITIONS, Status
from tests.contracts.ledger import add_account, add_app, new_release, succeed

WRITER = """
import asyncio, sys
from pathlib import Path
from paasd.adapters.store import SqlStore
from tests.contracts.ledger import new_release, succeed

async def write(home: Path) -> None:
    async with SqlStore(home / "store.db", home / "key") as store:
        app = await store.app("shop")
        while True:
            release = await succeed(store, app)
            print(release.version, release.id, flush=True)

asyncio.run(write(Path(sys.argv[1])))
"""


@pytest.fixture
async def store(migrated: Path, tmp_path: Path) -> AsyncIterator[SqlStore]:
    shutil.copy(migrated, tmp_path / "store.db")
    async with SqlStore(tmp_path / "store.db", tmp_path / "key", busy_timeout=0.2) as opened:
        yield opened


@pytest.fixture
async def app(store: SqlStore) -> App:
    return await add_app(store, await add_account(store, "ann@example.org"), "shop")


def database(home: Path) -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect(home / "store.db", isolation_level=None))


def contents(home: Path) -> list[bytes]:
    return [path.read_bytes() for path in home.iterdir()]


async def test_settings_of_the_connections(store: SqlStore, tmp_path: Path) -> None:
    for transaction in (store._database.write, store._database.read):
        async with transaction() as connection:
            found = [
                (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar()
                for name in ("journal_mode", "synchronous", "foreign_keys")
            ]
            assert found == ["wal", 2, 1]
    async with store._database.read() as connection:
        assert (await connection.exec_driver_sql("PRAGMA query_only")).scalar() == 1
    with pytest.raises(StoreUnavailable, match="readonly"):
        await store._database.first(delete(apps).returning(apps.c.id))  # type: ignore[arg-type]
    assert (tmp_path / "store.db").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "change",
    """id app_id version description actor_account_id actor_email actor_token actor_address config formation processes
    build_id artifact commit has_output rollback_of created_at""".split(),
)
async def test_the_ledger_can_not_be_rewritten(store: SqlStore, app: App, tmp_path: Path, change: str) -> None:
    with database(tmp_path) as raw, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        raw.execute(f'UPDATE releases SET "{change}" = 7')


async def test_the_ledger_can_not_be_cut_or_skip_a_number(store: SqlStore, app: App, tmp_path: Path) -> None:
    release = await succeed(store, app)
    with database(tmp_path) as raw:
        with pytest.raises(sqlite3.IntegrityError, match="nothing is deleted"):
            raw.execute("DELETE FROM releases")
        columns = [row[1] for row in raw.execute("PRAGMA table_info(releases)")]
        for verb in ("INSERT", "INSERT OR REPLACE"):
            for version, new_id in ((2, "x"), (4, "x"), (1, release.id), (3, release.id)):
                values = [{"id": f"'{new_id}'", "version": str(version)}.get(name, f'"{name}"') for name in columns]
                with pytest.raises(sqlite3.IntegrityError, match="no gaps"):
                    raw.execute(
                        f"{verb} INTO releases SELECT {', '.join(values)} FROM releases WHERE id = ?", (release.id,)
                    )
    assert await store.release(app.id, "v2") == release


async def test_the_database_knows_transitions_too(store: SqlStore, app: App, tmp_path: Path) -> None:
    paths = {
        Status.PENDING: [],
        Status.SUCCEEDED: [Status.SUCCEEDED],
        Status.FAILED: [Status.FAILED],
        Status.EXPIRED: [Status.SUCCEEDED, Status.EXPIRED],
    }
    with database(tmp_path) as raw:
        for old, path in paths.items():
            for new in Status:
                release = await store.record_release(new_release(app))
                for step in path:
                    raw.execute("UPDATE releases SET status = ? WHERE id = ?", (step.value, release.id))
                statement = ("UPDATE releases SET status = ? WHERE id = ?", (new.value, release.id))
                if new in TRANSITIONS[old]:
                    raw.execute(*statement)
                else:
                    with pytest.raises(sqlite3.IntegrityError, match="only moves forward"):
                        raw.execute(*statement)
                for left in await store.pending_releases():
                    await store.transition(left.id, Status.PENDING, Status.FAILED)


async def test_the_database_refuses_a_second_pending_release(store: SqlStore, app: App, tmp_path: Path) -> None:
    release = await store.record_release(new_release(app))
    with database(tmp_path) as raw:
        columns = [row[1] for row in raw.execute("PRAGMA table_info(releases)")]
        values = [{"id": "'x'", "version": "3"}.get(name, f'"{name}"') for name in columns]
        with pytest.raises(sqlite3.IntegrityError, match=r"UNIQUE.*releases\.app_id"):
            raw.execute(f"INSERT INTO releases SELECT {', '.join(values)} FROM releases WHERE id = ?", (release.id,))


async def test_config_is_nowhere_in_plain_text(store: SqlStore, app: App, tmp_path: Path) -> None:
    config = {"API_PASSWORD": "correct-horse-battery"}
    await succeed(store, app, config=config)
    assert await store.newest_config(app.id) == config
    files = contents(tmp_path)
    assert len(files) >= 3  # the database, its log and the key
    assert not any(b"correct-horse" in content or b"API_PASSWORD" in content for content in files)


async def test_what_was_acknowledged_survives_a_kill(store: SqlStore, app: App, tmp_path: Path) -> None:
    for acknowledgements in (1, 3, 8):
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", WRITER, str(tmp_path), stdout=asyncio.subprocess.PIPE
        )
        assert child.stdout is not None
        lines = [await child.stdout.readline() for _ in range(acknowledgements)]
        child.send_signal(signal.SIGKILL)
        lines += (await child.stdout.read()).splitlines()
        assert await child.wait() == -signal.SIGKILL
        for line in lines:
            version, release_id = line.decode().split()
            assert (await store.release(app.id, version)).id == release_id
        for left in await store.pending_releases():
            await store.transition(left.id, Status.PENDING, Status.FAILED)
    ledger = await store.releases(app.id)
    assert [release.version for release in ledger] == list(range(1, len(ledger) + 1))
    with database(tmp_path) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_a_store_that_another_process_holds(store: SqlStore, app: App, tmp_path: Path) -> None:
    with database(tmp_path) as raw:
        raw.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="another process holds it"):
            await store.set_maintenance(app.id, True)
        assert not (await store.app(app.id)).maintenance
        raw.execute("ROLLBACK")
    assert (await store.set_maintenance(app.id, True)).maintenance


async def test_many_writes_wait_for_another_process_no_longer_than_one_does(tmp_path: Path, migrated: Path) -> None:
    """And what is written besides does not wait again. Bites: `_left` that always gives the whole busy timeout; an
    afterthought like any write; a patience that is not put back."""
    path, patience = Path(shutil.copy(migrated, tmp_path / "store.db")), 1.0
    database = Database(path, busy_timeout=patience)
    loop = asyncio.get_running_loop()

    async def write(*, late: float = 0.0, afterthought: bool = False) -> float:
        await asyncio.sleep(late)
        began = loop.time()
        with pytest.raises(StoreUnavailable, match="another process holds it"):
            async with database.write(afterthought=afterthought):
                pass
        return loop.time() - began

    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        for _ in range(2):  # the second time, it is known before
            other.execute("BEGIN IMMEDIATE")
            took = await asyncio.gather(*(write(late=late) for late in (0, 0, 0, 0.5)))
            assert max(took) < patience * 1.5, took
            assert took[-1] > patience * 0.8, took
            assert await write(afterthought=True) < patience / 2
            other.execute("ROLLBACK")
        async with database.write():
            pass
        other.execute("BEGIN IMMEDIATE")
        release = asyncio.create_task(asyncio.sleep(patience / 2))
        release.add_done_callback(lambda _: other.execute("ROLLBACK"))
        async with database.write(afterthought=True):  # as a write: nobody knew
            pass
    await database.close()


async def test_a_file_that_is_held_for_itself_alone_is_waited_for(tmp_path: Path, migrated: Path) -> None:
    """As it is while a log is recovered. Bites: let Database.first raise what says BUSY."""
    path = Path(shutil.copy(migrated, tmp_path / "store.db"))
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("PRAGMA locking_mode = EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")
    database = Database(path, busy_timeout=20.0)
    looking = asyncio.create_task(database.first(select(apps)))
    loop, ticks = asyncio.get_running_loop(), 0
    for _ in range(5):
        began = loop.time()
        await asyncio.sleep(0.05)
        ticks += loop.time() - began < 5.0  # the thread that all of the daemon runs on is free
    assert not looking.done() and ticks == 5
    holder.close()
    assert await looking is None
    await database.close()


async def test_a_full_disk_is_said_and_got_over(store: SqlStore, app: App, tmp_path: Path) -> None:
    """A file size limit stands for the full disk: the write fails in the same place."""
    config = {f"NAME_{number}": os.urandom(500).hex() for number in range(60)}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / "store.db-wal").stat().st_size + 20_000, limits[1]))
    try:
        with pytest.raises(StoreUnavailable, match="disk"):
            await store.record_release(new_release(app, config=config))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert (await succeed(store, app, config=config)).version == 2


async def test_refusals_at_opening(tmp_path: Path) -> None:
    path, key = tmp_path / "store.db", tmp_path / "key"

    async def opening() -> None:
        async with SqlStore(path, key):
            pass

    with pytest.raises(StoreUnavailable, match="paasd serve"):
        await opening()
    assert not path.exists() and not key.exists()
    migrate(path)
    await opening()
    assert key.stat().st_mode & 0o777 == 0o600
    async with SqlStore(path, key) as store:
        await add_app(store, await add_account(store, "ann@example.org"), "shop")
    kept = key.read_bytes()
    key.unlink()
    with pytest.raises(StoreUnavailable, match="is missing"):
        await opening()
    assert not key.exists()
    key.touch(mode=0o600)
    key.write_bytes(b"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVoxMjM0NTY=\n")
    with pytest.raises(StoreUnavailable, match="belongs to this store"):
        await opening()
    key.write_bytes(kept)
    await opening()
    with database(tmp_path) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreUnavailable, match="newer paasd"):
        await opening()
    path.write_bytes(b"this is not a database" * 100)
    with pytest.raises(StoreUnavailable, match="backup"):
        await opening()
