"""Backups of databases, their restores, and copies from one to another: recorded first, then carried out."""

import asyncio
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, date, datetime
from urllib.parse import urlsplit

import structlog

from paasd.domain.addon import Addon
from paasd.domain.errors import Conflict, InvalidParams, NotFound, PaasError
from paasd.domain.transfer import KeepRules, Schedule, Transfer, TransferKind, TransferLine, due, superfluous
from paasd.ports import AddonProvider, Dump, Dumps, Order, Web
from paasd.ports.store_transfers import TransferStore
from paasd.services.background import Background, attempt
from paasd.services.dump_tools import DumpTools, create

log = structlog.get_logger(__name__)

Reach = Callable[[str], Awaitable[tuple[AddonProvider, Order]]]
"""By an add-on's id. NotFound, Conflict while it is not provisioned."""
Work = Callable[["Running"], Awaitable[Dump | None]]
LINES_MAX = 500
FETCH_SECONDS = 6 * 3600.0
TRANSFERS_KEPT = 200  # of an app's restores, copies and failed backups


class Running:
    """A transfer under way: how far it is, and what it says."""

    def __init__(self, transfer: Transfer) -> None:
        self.transfer = transfer
        self.bytes = 0
        self.lines: list[TransferLine] = []
        self.task: asyncio.Task[None] | None = None

    def note(self, message: str) -> None:
        """A line of its log."""
        if len(self.lines) < LINES_MAX:
            self.lines.append(TransferLine(datetime.now(UTC), message))

    async def counted(self, chunks: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
        """The chunks, counted as they pass."""
        async with aclosing(chunks):
            async for chunk in chunks:
                self.bytes += len(chunk)
                yield chunk

    @property
    def now(self) -> Transfer:
        """The transfer as far as it is."""
        return replace(self.transfer, processed_bytes=self.bytes)


class Transfers:
    """Use cases on transfers. One at a time reads or writes a database."""

    def __init__(
        self,
        store: TransferStore,
        dumps: Dumps,
        web: Web,
        reach: Reach,
        background: Background,
        rules: KeepRules | None = None,
    ) -> None:
        self._store = store
        self._dumps = dumps
        self._web = web
        self._reach = reach
        self._background = background
        self._tools = DumpTools(background)
        self._rules = rules or KeepRules()
        self._running: dict[str, Running] = {}
        self._busy: set[str] = set()

    async def capture(self, addon: Addon, schedule: Schedule | None = None) -> Transfer:
        """Begin a backup. Conflict while another transfer is at the database, or it is not there yet."""
        provider, order = await self._reach(addon.id)
        begun = _begun(addon, TransferKind.BACKUP, addon.name, "BACKUP", schedule_id=schedule.id if schedule else None)
        day = due(schedule, datetime.now(UTC)).last if schedule else None

        async def work(running: Running) -> Dump:
            used = (await provider.condition(order)).used
            running.transfer = replace(running.transfer, source_bytes=used or 0)
            chunks = running.counted(self._tools.dump(provider, order, running.note))
            return await self._dumps.put(addon.app_id, begun.id, chunks)

        return await self._begin(begun, {addon.id}, work, day)

    async def restore(self, addon: Addon, backup: Transfer, extensions: Sequence[str] = ()) -> Transfer:
        """Begin to put a backup's data in the place of the database's. InvalidParams, Conflict."""
        create(extensions)
        if not backup.succeeded or backup.kind is not TransferKind.BACKUP:
            raise InvalidParams(f"{backup.name} is no backup that succeeded; `heroku pg:backups` shows those that did.")
        provider, order = await self._reach(addon.id)
        begun = _begun(addon, TransferKind.RESTORE, backup.name, addon.name, source=backup.id)
        wanted = Dump(backup.processed_bytes, backup.sha256 or "")

        async def work(running: Running) -> None:
            await self._dumps.check(backup.app_id, backup.id, wanted)
            running.note("The backup's SHA-256 is as it was written.")
            dump = running.counted(self._dumps.read(backup.app_id, backup.id))
            sql = self._tools.extract(provider, order, dump, running.note)
            await self._tools.replace(provider, order, sql, running.note, extensions)

        return await self._begin(begun, {addon.id}, work)

    async def restore_from(self, addon: Addon, url: str, extensions: Sequence[str] = ()) -> Transfer:
        """As `restore`, of a dump at a URL. InvalidParams where that is not to be asked."""
        create(extensions)
        await self._web.check(url)
        name = urlsplit(url).path.rpartition("/")[2][:64] or "a dump"
        provider, order = await self._reach(addon.id)

        async def work(running: Running) -> None:
            dump = self._web.chunks(url, seconds=FETCH_SECONDS)
            sql = self._tools.extract(provider, order, running.counted(dump), running.note)
            await self._tools.replace(provider, order, sql, running.note, extensions)

        return await self._begin(_begun(addon, TransferKind.RESTORE, name, addon.name), {addon.id}, work)

    async def copy(self, source: Addon, target: Addon) -> Transfer:
        """Begin to put one database's data in the place of another's. InvalidParams, Conflict."""
        if source.id == target.id:
            raise InvalidParams("A database can't be copied onto itself; name another as the target.")
        from_provider, from_order = await self._reach(source.id)
        provider, order = await self._reach(target.id)
        begun = _begun(target, TransferKind.COPY, source.name, target.name, source=source.id)

        async def work(running: Running) -> None:
            sql = running.counted(self._tools.script(from_provider, from_order, running.note))
            await self._tools.replace(provider, order, sql, running.note)

        return await self._begin(begun, {source.id, target.id}, work)

    async def reset(self, addon: Addon, extensions: Sequence[str] = ()) -> None:
        """Empty the database. InvalidParams, Conflict while a transfer is at it."""
        sql = create(extensions)
        provider, order = await self._reach(addon.id)
        self._occupy({addon.id})
        try:
            await provider.reset(order)
            if sql:
                await self._tools.run(provider, order, sql, lambda line: log.info("reset", addon=addon.name, said=line))
        finally:
            self._busy.discard(addon.id)

    async def of(self, app_id: str) -> Sequence[Transfer]:
        """An app's, newest first, those under way as far as they are."""
        return [self._as_is(one) for one in await self._store.transfers(app_id)]

    async def find(self, app_id: str, number_or_id: str) -> Transfer:
        """By its number or id. NotFound."""
        for one in await self.of(app_id):
            if number_or_id in (str(one.number), one.id):
                return one
        raise NotFound("Couldn't find that backup; `heroku pg:backups` lists them.", resource="backup")

    async def backup(self, transfer_id: str) -> Transfer:
        """By its id, of whichever app. NotFound."""
        for one in await self._store.transfers():
            if one.id == transfer_id and one.kind is TransferKind.BACKUP and one.succeeded:
                return one
        raise NotFound("Couldn't find that backup; `heroku pg:backups` lists them.", resource="backup")

    def content(self, backup: Transfer) -> AsyncGenerator[bytes]:
        """The dump itself. NotFound."""
        return self._dumps.read(backup.app_id, backup.id)

    async def lines(self, transfer: Transfer) -> Sequence[TransferLine]:
        """Its log, oldest first."""
        running = self._running.get(transfer.id)
        return list(running.lines) if running else await self._store.transfer_lines(transfer.id)

    async def cancel(self, transfer: Transfer) -> Transfer:
        """Break it off; what it was to write is as it was. Conflict when it has ended."""
        running = self._running.get(transfer.id)
        if running is None or running.task is None:
            raise Conflict(f"{transfer.name} has ended already; `heroku pg:backups` shows how.", resource="backup")
        running.transfer = replace(running.transfer, canceled_at=datetime.now(UTC))
        running.task.cancel()
        await asyncio.wait({running.task})
        return await self.find(transfer.app_id, transfer.id)

    async def delete(self, transfer: Transfer) -> None:
        """A backup's file goes too. Conflict while it is under way."""
        if transfer.id in self._running:
            raise Conflict(f"{transfer.name} is under way; cancel it first: `heroku pg:backups:cancel`.")
        await self._store.delete_transfer(transfer.id, datetime.now(UTC))
        await self._dumps.delete(transfer.app_id, transfer.id)

    async def settle(self) -> None:
        """At boot: what a daemon that is no more was at has failed, and leaves no half file."""
        listed = await self._store.transfers()
        for one in listed:
            if one.finished_at is None:
                now = datetime.now(UTC)
                line = TransferLine(now, "paasd ended while this was under way; nothing of it was kept.")
                await self._store.add_transfer_lines(one.id, [line])
                await self._store.update_transfer(replace(one, finished_at=now, succeeded=False, processed_bytes=0))
        kept = [(one.app_id, one.id) for one in listed if one.kind is TransferKind.BACKUP and one.succeeded]
        await self._dumps.sweep(kept)

    async def prune(self, living_apps: Collection[str]) -> None:
        """Take away what need not be kept any more, and what apps left that are gone for as long as add-ons' data."""
        listed, now = await self._store.transfers(), datetime.now(UTC)
        done = [one for one in listed if one.id not in self._running]
        of_addon: dict[str, list[Transfer]] = {}
        for one in done:
            if one.kind is TransferKind.BACKUP:
                of_addon.setdefault(one.addon_id, []).append(one)
        gone = [one for backups in of_addon.values() for one in superfluous(backups, self._rules, now)]
        old = [one for one in done if one.app_id not in living_apps]
        gone += [one for one in old if (now - one.created_at).days >= self._rules.days]
        others: dict[str, int] = {}
        for one in done:
            if one.kind is not TransferKind.BACKUP or not one.succeeded:
                others[one.app_id] = others.get(one.app_id, 0) + 1
                gone += [one] if others[one.app_id] > TRANSFERS_KEPT else []
        for one in {each.id: each for each in gone}.values():
            await attempt(f"remove {one.name}", self.delete(one))

    def _occupy(self, addons: set[str]) -> None:
        if self._busy & addons:
            raise Conflict(
                "Another backup, restore or copy is at this database; wait for it, or cancel it with "
                "`heroku pg:backups:cancel`.",
                resource="backup",
            )
        self._busy |= addons

    async def _begin(self, begun: Transfer, addons: set[str], work: Work, day: date | None = None) -> Transfer:
        self._occupy(addons)
        try:
            kept = await self._store.insert_transfer(begun, day)
            running = self._running[kept.id] = Running(kept)
            running.task = self._background.spawn(f"transfer {kept.id}", self._carry_out(running, addons, work))
        except BaseException:
            self._busy -= addons
            raise
        return kept

    async def _carry_out(self, running: Running, addons: set[str], work: Work) -> None:
        """To its end, however that is: recorded, and its lines with it."""
        name, kind = running.transfer.name, running.transfer.kind.value
        running.note(f"Starting the {kind} {name}: {running.transfer.from_name} to {running.transfer.to_name}")
        succeeded, dump = False, None
        try:
            dump = await work(running)
            succeeded = True
            running.note(f"The {kind} is done: {running.bytes} bytes.")
        except asyncio.CancelledError:
            running.note("Canceled." if running.transfer.canceled_at else "paasd was told to stop; run it again.")
            raise
        except PaasError as error:
            running.note(f"The {kind} failed: {error.message}")
        except Exception:
            running.note(f"The {kind} failed by a fault of paasd's own: see the daemon's log.")
            log.exception("transfer failed", transfer=name, app=running.transfer.app_id)
        finally:
            await self._background.finish(f"end {name}", self._end(running, addons, succeeded, dump))

    async def _end(self, running: Running, addons: set[str], succeeded: bool, dump: Dump | None) -> None:
        ended = replace(running.now, finished_at=datetime.now(UTC), succeeded=succeeded)
        if dump is not None:
            ended = replace(ended, processed_bytes=dump.size, sha256=dump.sha256)
        try:
            await attempt("a transfer's log", self._store.add_transfer_lines(ended.id, running.lines))
            await attempt("a transfer's end", self._store.update_transfer(ended))
        finally:
            self._running.pop(ended.id, None)
            self._busy -= addons
        log.info("transfer ended", transfer=ended.name, app=ended.app_id, succeeded=succeeded, bytes=running.bytes)

    def _as_is(self, transfer: Transfer) -> Transfer:
        running = self._running.get(transfer.id)
        return running.now if running else transfer


def _begun(
    addon: Addon,
    kind: TransferKind,
    from_name: str,
    to_name: str,
    *,
    source: str | None = None,
    schedule_id: str | None = None,
) -> Transfer:
    now = datetime.now(UTC)
    return Transfer(
        str(uuid.uuid4()), addon.app_id, 0, kind, addon.id, from_name, to_name, now, source, schedule_id, started_at=now
    )
