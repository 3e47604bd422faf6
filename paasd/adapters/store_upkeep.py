"""The part of the store that knows how apps are kept in maintenance, and their own pages."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from paasd.adapters.database import Database
from paasd.adapters.rows import to_app, upkeep_values
from paasd.adapters.store_apps import live_apps, now, require_app
from paasd.adapters.tables import apps, pages, upkeep
from paasd.domain.app import App
from paasd.domain.upkeep import Page, PageKind, Upkeep


class UpkeepTables:
    """Port Store: maintenance and pages."""

    _database: Database

    async def set_maintenance(self, app_id: str, maintenance: bool, kept: Upkeep | None = None) -> App:
        """With `kept` as a whole, but for its pages; None: as it is. The app as it then is. NotFound."""
        async with self._database.write() as connection:
            await require_app(connection, app_id)
            changed = update(apps).where(apps.c.id == app_id)
            await connection.execute(changed.values(maintenance=maintenance, updated_at=now()))
            if kept is not None:
                await _change(connection, app_id, upkeep_values(kept))
            return await _app(connection, app_id)

    async def end_maintenance(self, app_id: str, until: datetime) -> bool:
        """What that time ends, if it is still to be ended then; False where somebody has changed it meanwhile."""
        due = and_(upkeep.c.app_id == app_id, upkeep.c.until == until)
        async with self._database.write() as connection:
            ended = await connection.execute(
                update(upkeep).where(due).values(until=None, pause=None, allow=[], bypass=None)
            )
            if ended.rowcount:
                off = update(apps).where(apps.c.id == app_id)
                await connection.execute(off.values(maintenance=False, updated_at=now()))
            return bool(ended.rowcount)

    async def maintenance_over(self, at: datetime) -> Sequence[App]:
        """Apps whose maintenance was to end by then."""
        async with self._database.read() as connection:
            return [to_app(row) for row in await connection.execute(live_apps().where(upkeep.c.until <= at))]

    async def set_page(self, app_id: str, page: Page, body: bytes) -> App:
        """Instead of the one uploaded, or fetched, before. The app as it then is. NotFound."""
        uploaded = page.source is None
        values = {"source": page.source, "sha256": page.sha256, "body": body, "updated_at": page.updated_at}
        async with self._database.write() as connection:
            await require_app(connection, app_id)
            await connection.execute(delete(pages).where(_page(app_id, page.kind, uploaded)))
            await connection.execute(insert(pages).values(app_id=app_id, kind=page.kind, uploaded=uploaded, **values))
            await _choose_page(connection, app_id, page.kind)
            return await _app(connection, app_id)

    async def delete_page(self, app_id: str, kind: PageKind, *, uploaded: bool) -> App:
        """The app as it then is; no such page: fine. NotFound."""
        async with self._database.write() as connection:
            await require_app(connection, app_id)
            await connection.execute(delete(pages).where(_page(app_id, kind, uploaded)))
            await _choose_page(connection, app_id, kind)
            return await _app(connection, app_id)

    async def pages(self, app_id: str) -> Sequence[Page]:
        """All of an app; of each kind the one in force first."""
        size = func.length(pages.c.body).label("size")
        query = select(pages.c.kind, pages.c.sha256, size, pages.c.updated_at, pages.c.source)
        query = query.where(pages.c.app_id == app_id).order_by(pages.c.kind, pages.c.uploaded.desc())
        async with self._database.read() as connection:
            rows = await connection.execute(query)
            return [Page(PageKind(row.kind), row.sha256, row.size, row.updated_at, row.source) for row in rows]

    async def page_body(self, sha256: str) -> bytes | None:
        """Of whichever app has it; None when none has."""
        async with self._database.read() as connection:
            body = await connection.scalar(select(pages.c.body).where(pages.c.sha256 == sha256).limit(1))
        return None if body is None else bytes(body)


def _page(app_id: str, kind: PageKind, uploaded: bool) -> ColumnElement[bool]:
    return and_(pages.c.app_id == app_id, pages.c.kind == kind, pages.c.uploaded == uploaded)


async def _choose_page(connection: AsyncConnection, app_id: str, kind: PageKind) -> None:
    """What was uploaded on purpose beats what a config var points to."""
    of_kind = and_(pages.c.app_id == app_id, pages.c.kind == kind)
    chosen = await connection.scalar(select(pages.c.sha256).where(of_kind).order_by(pages.c.uploaded.desc()).limit(1))
    await _change(connection, app_id, {f"{kind.value}_page": chosen})


async def _change(connection: AsyncConnection, app_id: str, values: Mapping[str, Any]) -> None:
    changed = await connection.execute(update(upkeep).where(upkeep.c.app_id == app_id).values(**values))
    if not changed.rowcount:
        await connection.execute(insert(upkeep).values(app_id=app_id, **{"allow": [], **values}))


async def _app(connection: AsyncConnection, app_id: str) -> App:
    row = (await connection.execute(live_apps().where(apps.c.id == app_id))).one()
    return to_app(row)
