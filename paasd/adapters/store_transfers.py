"""The part of the store that keeps transfers of data, their logs, and the schedules of backups."""

from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import date, datetime

from sqlalchemy import delete, func, insert, select, update

from paasd.adapters.database import Database
from paasd.adapters.rows import AnyRow
from paasd.adapters.store_apps import require_app
from paasd.adapters.tables_transfers import transfer_lines, transfer_schedules, transfers
from paasd.domain.errors import NotFound
from paasd.domain.transfer import Schedule, Transfer, TransferKind, TransferLine

CHANGES = ("started_at", "finished_at", "canceled_at", "succeeded", "source_bytes", "processed_bytes", "sha256")


class TransferTables:
    """Port Store: transfers."""

    _database: Database

    async def insert_transfer(self, transfer: Transfer, schedule_day: date | None = None) -> Transfer:
        """As it is kept: under the app's next number. NotFound without the app, or where its schedule is gone."""
        newest = select(func.max(transfers.c.number)).where(transfers.c.app_id == transfer.app_id)
        async with self._database.write() as connection:
            await require_app(connection, transfer.app_id)
            number = (await connection.scalar(newest) or 0) + 1
            kept = replace(transfer, number=number)
            await connection.execute(insert(transfers).values(**{f.name: getattr(kept, f.name) for f in fields(kept)}))
            if schedule_day is not None:
                of = update(transfer_schedules).where(transfer_schedules.c.id == transfer.schedule_id)
                if not (await connection.execute(of.values(last=schedule_day))).rowcount:
                    raise NotFound("This schedule of backups is gone.", resource="schedule")
        return kept

    async def update_transfer(self, transfer: Transfer) -> None:
        """All that changes; absent: fine."""
        values = {name: getattr(transfer, name) for name in CHANGES}
        async with self._database.write() as connection:
            await connection.execute(update(transfers).where(transfers.c.id == transfer.id).values(**values))

    async def delete_transfer(self, transfer_id: str, at: datetime) -> None:
        """It is not listed any more; its number stays taken."""
        async with self._database.write() as connection:
            await connection.execute(update(transfers).where(transfers.c.id == transfer_id).values(deleted_at=at))
            await connection.execute(delete(transfer_lines).where(transfer_lines.c.transfer_id == transfer_id))

    async def transfers(self, app_id: str | None = None) -> Sequence[Transfer]:
        """Of an app, or all; newest first."""
        query = select(transfers).where(transfers.c.deleted_at.is_(None))
        if app_id is not None:
            query = query.where(transfers.c.app_id == app_id)
        async with self._database.read() as connection:
            rows = await connection.execute(query.order_by(transfers.c.number.desc(), transfers.c.app_id))
            return [_to_transfer(row) for row in rows]

    async def add_transfer_lines(self, transfer_id: str, lines: Sequence[TransferLine]) -> None:
        """After those there are."""
        values = [{"transfer_id": transfer_id, "at": line.at, "message": line.message} for line in lines]
        if values:
            async with self._database.write() as connection:
                await connection.execute(insert(transfer_lines), values)

    async def transfer_lines(self, transfer_id: str) -> Sequence[TransferLine]:
        """Oldest first."""
        query = select(transfer_lines).where(transfer_lines.c.transfer_id == transfer_id).order_by(transfer_lines.c.id)
        async with self._database.read() as connection:
            return [TransferLine(row.at, row.message) for row in await connection.execute(query)]

    async def put_schedule(self, schedule: Schedule) -> Schedule:
        """Instead of the one that the add-on had, whose id it then keeps. NotFound without the app."""
        of_addon = transfer_schedules.c.addon_id == schedule.addon_id
        async with self._database.write() as connection:
            await require_app(connection, schedule.app_id)
            before = await connection.scalar(select(transfer_schedules.c.id).where(of_addon))
            kept = replace(schedule, id=before or schedule.id)
            await connection.execute(delete(transfer_schedules).where(of_addon))
            values = {f.name: getattr(kept, f.name) for f in fields(kept)}
            await connection.execute(insert(transfer_schedules).values(**values))
        return kept

    async def schedules(self) -> Sequence[Schedule]:
        """Oldest first."""
        query = select(transfer_schedules).order_by(transfer_schedules.c.created_at, transfer_schedules.c.id)
        async with self._database.read() as connection:
            rows = await connection.execute(query)
            return [Schedule(**{f.name: getattr(row, f.name) for f in fields(Schedule)}) for row in rows]

    async def move_schedule(self, schedule_id: str, last: date) -> None:
        """Absent: fine."""
        changed = update(transfer_schedules).where(transfer_schedules.c.id == schedule_id)
        async with self._database.write() as connection:
            await connection.execute(changed.values(last=last))

    async def delete_schedule(self, schedule_id: str) -> None:
        """Absent: fine."""
        async with self._database.write() as connection:
            await connection.execute(delete(transfer_schedules).where(transfer_schedules.c.id == schedule_id))


def _to_transfer(row: AnyRow) -> Transfer:
    values = {f.name: getattr(row, f.name) for f in fields(Transfer)}
    return Transfer(**{**values, "kind": TransferKind(row.kind)})
