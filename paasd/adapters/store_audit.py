"""The part of the store that keeps the audit: appended to, read, never changed (its triggers see to that)."""

from collections.abc import Sequence

from sqlalchemy import insert, select

from paasd.adapters.database import Database
from paasd.adapters.rows import actor_values, to_actor
from paasd.adapters.tables import audit
from paasd.domain.audit import Entry, NewEntry


class AuditTables:
    """Port Store, the part of the audit."""

    _database: Database

    async def add_audit(self, entry: NewEntry) -> None:
        """Append it."""
        values = {
            "at": entry.at,
            **actor_values(entry.actor),
            "method": entry.method,
            "path": entry.path,
            "status": entry.status,
            "request_id": entry.request_id,
            "app_id": entry.app_id,
            "app_name": entry.app_name,
            "detail": dict(entry.detail),
        }
        async with self._database.write(afterthought=True) as connection:
            await connection.execute(insert(audit), values)

    async def audit(self, *, app_id: str | None = None, limit: int = 100, before: int | None = None) -> Sequence[Entry]:
        """Newest first, of one app or of all; `before` leaves out that number and all newer ones."""
        query = select(audit).order_by(audit.c.id.desc()).limit(limit)
        if app_id is not None:
            query = query.where(audit.c.app_id == app_id)
        if before is not None:
            query = query.where(audit.c.id < before)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return [
            Entry(
                row.at,
                to_actor(row),
                row.method,
                row.path,
                row.status,
                row.request_id,
                row.app_id,
                row.app_name,
                row.detail,
                row.id,
            )
            for row in rows
        ]
