"""Backups and restores over a real server with its real pg_dump, and what a killed daemon leaves of them."""

import hashlib
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from paasd.adapters.dumps import FileDumps
from paasd.adapters.store import SqlStore
from paasd.adapters.web_fetch import WebFetch
from paasd.domain.addon import Addon, AddonState, Kind
from paasd.domain.app import App
from paasd.domain.errors import Conflict, InvalidParams, NotFound
from paasd.domain.transfer import KeepRules, Schedule, Transfer, TransferKind
from paasd.ports import AddonProvider, Order
from paasd.services.background import Background
from paasd.services.schedules import Schedules
from paasd.services.transfers import Transfers
from tests.contracts.addon_benches import AddonBench, embedded_bench
from tests.contracts.engines import eventually
from tests.contracts.ledger import add_account, add_app

pytestmark = [pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="module")]
BIG = "CREATE TABLE big AS SELECT i, md5(i::text) AS m FROM generate_series(1, 500000) i;"  # takes a second


@dataclass
class Bench:
    """Transfers over a provider and a ledger, in which there is `addon`, empty."""

    provider: AddonBench
    store: SqlStore
    app: App
    home: Path
    background: Background
    orders: dict[str, Order] = field(default_factory=dict)
    addon: Addon = field(init=False)

    def transfers(self, rules: KeepRules | None = None) -> Transfers:
        return Transfers(self.store, FileDumps(self.home), WebFetch(), self.reach, self.background, rules)

    async def reach(self, addon_id: str) -> tuple[AddonProvider, Order]:
        return self.provider.provider, self.orders[addon_id]

    async def another(self) -> Addon:
        return self.know(await self.provider.provisioned(self.app.id))

    def know(self, order: Order) -> Addon:
        """The ledger's entry of what the provider has."""
        self.orders[order.addon_id] = order
        now = datetime.now(UTC)
        return Addon(
            order.addon_id, order.name, self.app.id, "heroku-postgresql", order.plan.name, "embedded", order.name,
            AddonState.PROVISIONED, now, now, order.secret,
        )  # fmt: skip

    async def sql(self, addon: Addon, words: str) -> str:
        return await self.provider.say(self.orders[addon.id], words)

    def open_files(self) -> list[str]:
        """Of its backups, those that this process has open."""
        links = [str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
        return [name for name in links if name.startswith(str(self.home / "dumps"))]

    def files(self) -> list[Path]:
        return [path for path in (self.home / "dumps").rglob("*") if path.is_file()]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[tuple[AddonBench, Order]]:
    """One for all, whose start takes longer than most of the tests."""
    async with embedded_bench(Kind.POSTGRESQL) as provider:
        yield provider, await provider.provisioned()


@pytest_asyncio.fixture(loop_scope="module")
async def bench(server: tuple[AddonBench, Order], migrated: Path, tmp_path: Path) -> AsyncIterator[Bench]:
    shutil.copy(migrated, tmp_path / "store.db")
    provider, order = server
    async with SqlStore(tmp_path / "store.db", tmp_path / "key") as store:
        app = await add_app(store, await add_account(store, "ann@example.org"), "shop")
        bench = Bench(provider, store, app, tmp_path, Background())
        bench.addon = bench.know(order)
        try:
            await bench.transfers().reset(bench.addon)
            yield bench
        finally:
            await bench.background.close()


async def ended(transfers: Transfers, begun: Transfer) -> Transfer:
    """As it is at its end."""

    async def look() -> Transfer | None:
        now = await transfers.find(begun.app_id, begun.id)
        return now if now.finished_at is not None else None

    found = await eventually(look, deadline=90)
    assert found is not None
    return found


async def moving(transfers: Transfers, begun: Transfer) -> None:
    """Until the first bytes have passed."""

    async def look() -> int:
        return (await transfers.find(begun.app_id, begun.id)).processed_bytes

    await eventually(look, deadline=60)


async def said(transfers: Transfers, one: Transfer) -> str:
    return "\n".join(line.message for line in await transfers.lines(one))


async def test_a_backup_brings_back_what_was_destroyed(bench: Bench) -> None:
    transfers, addon = bench.transfers(), bench.addon
    await bench.sql(addon, "CREATE TABLE kept (v text); INSERT INTO kept VALUES ('öl'), ('two');")
    await bench.sql(addon, "CREATE SCHEMA more; CREATE VIEW more.seen AS SELECT count(*) FROM kept;")
    taken = await ended(transfers, await transfers.capture(addon))
    assert taken.succeeded, await said(transfers, taken)
    assert (taken.name, taken.number) == ("b001", 1)
    [file] = bench.files()
    assert file.stat().st_mode & 0o777 == 0o600
    assert hashlib.sha256(file.read_bytes()).hexdigest() == taken.sha256
    assert file.read_bytes()[:5] == b"PGDMP"
    assert taken.processed_bytes == file.stat().st_size

    await bench.sql(addon, "DROP TABLE kept CASCADE; CREATE TABLE since (n int);")
    for number in (2, 3):  # a restored database can be backed up and restored as any other
        back = await ended(transfers, await transfers.restore(addon, taken))
        assert back.succeeded, await said(transfers, back)
        assert back.name == f"r{number:03}"
        assert (await bench.sql(addon, "SELECT v FROM kept ORDER BY v;")).split() == ["two", "öl"]
        assert await bench.sql(addon, "SELECT * FROM more.seen;") == "2"
        assert await bench.sql(addon, "SELECT to_regclass('since') IS NULL;") == "t"
    order = bench.orders[addon.id]
    assert order.secret not in await said(transfers, taken) + await said(transfers, back)

    other = await bench.another()
    copied = await ended(transfers, await transfers.copy(addon, other))
    assert copied.succeeded, await said(transfers, copied)
    assert await bench.sql(other, "SELECT count(*) FROM kept;") == "2"
    with pytest.raises(InvalidParams, match="onto itself"):
        await transfers.copy(addon, addon)


async def test_what_fails_changes_nothing(bench: Bench) -> None:
    transfers, addon = bench.transfers(), bench.addon
    await bench.sql(addon, "CREATE TABLE kept (v text); INSERT INTO kept VALUES ('one');")
    taken = await ended(transfers, await transfers.capture(addon))
    [file] = bench.files()
    whole = file.read_bytes()
    await bench.sql(addon, "INSERT INTO kept VALUES ('two');")

    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    failed = await ended(transfers, await transfers.restore(addon, taken))
    assert not failed.succeeded and "SHA-256 differs" in await said(transfers, failed)
    assert await bench.sql(addon, "SELECT count(*) FROM kept;") == "2"

    cut = whole[: len(whole) // 2]  # its sum is right: what is wrong comes out half way
    file.write_bytes(cut)
    half = replace(taken, processed_bytes=len(cut), sha256=hashlib.sha256(cut).hexdigest())
    failed = await ended(transfers, await transfers.restore(addon, half))
    assert not failed.succeeded and "nothing was changed" in await said(transfers, failed)
    assert await bench.sql(addon, "SELECT count(*) FROM kept;") == "2"

    with pytest.raises(InvalidParams, match="no backup that succeeded"):
        await transfers.restore(addon, failed)
    with pytest.raises(InvalidParams, match="no extension's name"):
        await transfers.restore(addon, taken, ['x"; DROP TABLE kept; --'])
    with pytest.raises(NotFound):
        await transfers.find(bench.app.id, "77")
    await transfers.reset(addon)
    assert await bench.sql(addon, "SELECT to_regclass('kept') IS NULL;") == "t"


async def test_one_at_a_time_and_broken_off(bench: Bench) -> None:
    """Bites: `_pour` without `aclosing`: a restore that is broken off leaves its backup's file open."""
    transfers, addon = bench.transfers(), bench.addon
    await bench.sql(addon, BIG)
    begun = await transfers.capture(addon)
    with pytest.raises(Conflict, match="Another backup"):
        await transfers.capture(addon)
    with pytest.raises(Conflict, match="under way"):
        await transfers.delete(begun)
    await moving(transfers, begun)
    broken = await transfers.cancel(begun)
    assert (broken.succeeded, broken.canceled_at is None, bench.files()) == (False, False, [])
    with pytest.raises(Conflict, match="ended already"):
        await transfers.cancel(begun)

    taken = await ended(transfers, await transfers.capture(addon))
    assert taken.succeeded, await said(transfers, taken)
    restoring = await transfers.restore(addon, taken)
    await moving(transfers, restoring)
    await transfers.cancel(restoring)
    assert bench.open_files() == []
    assert await bench.sql(addon, "SELECT count(*) FROM big;") == "500000"


async def test_what_a_killed_daemon_left(bench: Bench) -> None:
    before, addon = bench.transfers(), bench.addon
    good = await ended(before, await before.capture(addon))
    now = datetime.now(UTC)
    half = Transfer("half", bench.app.id, 0, TransferKind.BACKUP, addon.id, addon.name, "BACKUP", now, started_at=now)
    half = await bench.store.insert_transfer(half)
    [kept] = bench.files()
    for name in ("_half.0badc0de", "half.dump"):
        kept.with_name(name).write_bytes(b"PGDMP half of it")
    after = bench.transfers()
    await after.settle()
    found = await after.find(bench.app.id, half.id)
    assert (found.succeeded, found.finished_at is None, found.processed_bytes) == (False, False, 0)
    assert "ended while this was under way" in await said(after, found)
    assert bench.files() == [kept]
    assert (await ended(after, await after.restore(addon, good))).succeeded


async def test_schedules_and_what_is_kept(bench: Bench) -> None:
    transfers, addon = bench.transfers(KeepRules(manual=1, days=7)), bench.addon

    async def living(addon_id: str) -> Addon:
        if addon_id != addon.id:
            raise NotFound("It is no more.")
        return addon

    schedules = Schedules(bench.store, transfers, living)
    made = await schedules.put(addon, "DATABASE_URL", "3", "Europe/Paris")
    again = await schedules.put(addon, "DATABASE_URL", 4, None)
    assert (await schedules.of(bench.app.id), again.id) == ([again], made.id)
    await schedules.run_due()
    assert list(await transfers.of(bench.app.id)) == []  # its hour is still to come
    await bench.store.move_schedule(made.id, again.last - timedelta(days=1))
    for _ in range(3):
        await schedules.run_due()
        for one in await transfers.of(bench.app.id):
            await ended(transfers, one)
    assert [one.name for one in await transfers.of(bench.app.id)] == ["a001"]

    for _ in range(2):
        await ended(transfers, await transfers.capture(addon))
    await transfers.prune([bench.app.id])
    assert [one.name for one in await transfers.of(bench.app.id)] == ["b003", "a001"]
    assert len(bench.files()) == 2
    gone = Schedule("gone", bench.app.id, "gone", "RED_URL", 3, "UTC", again.last - timedelta(days=1), again.created_at)
    await bench.store.put_schedule(gone)
    await schedules.run_due()
    assert [one.id for one in await schedules.of(bench.app.id)] == [made.id]
    await schedules.delete(addon, made.id)
    with pytest.raises(NotFound):
        await schedules.delete(addon, made.id)
    await transfers.delete(await transfers.find(bench.app.id, "3"))
    assert len(bench.files()) == 1
    assert (await transfers.capture(addon)).number == 4  # never used again
