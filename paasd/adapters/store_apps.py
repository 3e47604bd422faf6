"""The part of the store that knows apps and their formation."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, delete, exists, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from paasd.adapters.database import Database
from paasd.adapters.rows import app_values, to_app
from paasd.adapters.tables import (
    accounts,
    addon_attachments,
    addons,
    apps,
    buildpacks,
    domains,
    formations,
    log_drains,
    pages,
    upkeep,
    webhook_deliveries,
    webhook_events,
    webhook_outbox,
    webhooks,
)
from paasd.domain.app import App
from paasd.domain.dyno import Formation
from paasd.domain.errors import InvalidParams, NotFound

LEFT_BEHIND = (upkeep, pages, domains, buildpacks, log_drains)  # of a destroyed app: not kept
UUID_CHARACTERS = 36  # names have 30 at most


class AppTables:
    """Port Store, the part of apps."""

    _database: Database

    async def app(self, name_or_id: str) -> App:
        """NotFound when there is none, or it was destroyed."""
        query = APP_BY_ID if len(name_or_id) == UUID_CHARACTERS else APP_BY_NAME
        row = await self._database.first(query, called=name_or_id)
        if row is None:
            raise no_app()
        return to_app(row)

    async def apps(self) -> Sequence[App]:
        """All that are not destroyed, by name."""
        async with self._database.read() as connection:
            return [to_app(row) for row in await connection.execute(live_apps().order_by(apps.c.name))]

    async def destroyed_apps(self) -> Sequence[str]:
        """Their ids."""
        async with self._database.read() as connection:
            return list(await connection.scalars(select(apps.c.id).where(apps.c.archived_at.is_not(None))))

    async def rename_app(self, app_id: str, name: str) -> App:
        """The app as it then is. NotFound; InvalidParams when the name is taken."""
        return await self._change_app(app_id, name=name)

    async def give_app(self, app_id: str, account_id: str) -> App:
        """The app with another owner. NotFound."""
        return await self._change_app(app_id, owner_id=account_id)

    async def set_release_timeout(self, app_id: str, seconds: float) -> App:
        """The app as it then is. NotFound."""
        return await self._change_app(app_id, release_timeout=seconds)

    async def _change_app(self, app_id: str, **values: Any) -> App:
        async with self._database.write() as connection:
            live = and_(apps.c.id == app_id, apps.c.archived_at.is_(None))
            if "name" in values:
                await _require_free(connection, values["name"])
            await connection.execute(update(apps).where(live).values(updated_at=now(), **values))
            row = (await connection.execute(live_apps().where(apps.c.id == app_id))).first()
            if row is None:
                raise no_app()
        return to_app(row)

    async def archive_app(self, app_id: str) -> None:
        """Mark it destroyed and free its name; its ledger stays. Its add-ons are marked as going, its attachments and
        theirs as ended, and who takes them away comes afterwards. May be repeated."""
        live = and_(apps.c.id == app_id, apps.c.archived_at.is_(None))
        at = now()
        async with self._database.write() as connection:
            await connection.execute(update(apps).where(live).values(archived_at=at, updated_at=at))
            for table in (webhook_deliveries, webhooks, webhook_events, webhook_outbox, *LEFT_BEHIND):
                await connection.execute(delete(table).where(table.c.app_id == app_id))
            await _end_addons(connection, app_id, at)

    async def formation(self, app_id: str) -> Sequence[Formation]:
        """By process type."""
        query = select(formations).where(formations.c.app_id == app_id).order_by(formations.c.type)
        async with self._database.read() as connection:
            return [Formation(row.type, row.quantity, row.size) for row in await connection.execute(query)]

    async def set_formation(self, app_id: str, formation: Sequence[Formation]) -> None:
        """Replace it as a whole. NotFound when the app is gone."""
        rows = [
            {"app_id": app_id, "type": wanted.type, "quantity": wanted.quantity, "size": wanted.size}
            for wanted in formation
        ]
        async with self._database.write() as connection:
            await require_app(connection, app_id)
            await connection.execute(delete(formations).where(formations.c.app_id == app_id))
            if rows:
                await connection.execute(insert(formations), rows)

    async def buildpacks(self, app_id: str) -> Sequence[str]:
        """In their order."""
        query = select(buildpacks.c.name).where(buildpacks.c.app_id == app_id).order_by(buildpacks.c.ordinal)
        async with self._database.read() as connection:
            return list(await connection.scalars(query))

    async def set_buildpacks(self, app_id: str, names: Sequence[str]) -> None:
        """Replace them as a whole. NotFound when the app is gone."""
        rows = [{"app_id": app_id, "ordinal": number, "name": name} for number, name in enumerate(names)]
        async with self._database.write() as connection:
            await require_app(connection, app_id)
            await connection.execute(delete(buildpacks).where(buildpacks.c.app_id == app_id))
            if rows:
                await connection.execute(insert(buildpacks), rows)


async def _end_addons(connection: AsyncConnection, app_id: str, at: datetime) -> None:
    own = and_(addons.c.app_id == app_id, addons.c.state.in_(["provisioning", "provisioned"]))
    await connection.execute(update(addons).where(own).values(state="deprovisioning", updated_at=at))
    ids = select(addons.c.id).where(addons.c.app_id == app_id)
    theirs = or_(addon_attachments.c.app_id == app_id, addon_attachments.c.addon_id.in_(ids))
    held = and_(theirs, addon_attachments.c.ended_at.is_(None))
    await connection.execute(update(addon_attachments).where(held).values(ended_at=at, updated_at=at))


async def add_app(connection: AsyncConnection, app: App) -> None:
    """Insert it, within the caller's transaction. InvalidParams when the name is taken."""
    await _require_free(connection, app.name)
    await connection.execute(insert(apps), app_values(app))


async def _require_free(connection: AsyncConnection, name: str) -> None:
    taken: ColumnElement[bool] = and_(apps.c.name == name, apps.c.archived_at.is_(None))
    if await connection.scalar(select(exists().where(taken))):
        raise InvalidParams(f"Name {name} is already taken; choose another name.", resource="app")


async def require_app(connection: AsyncConnection, app_id: str) -> None:
    """NotFound when there is no such app, or it was destroyed."""
    live = and_(apps.c.id == app_id, apps.c.archived_at.is_(None))
    if not await connection.scalar(select(exists().where(live))):
        raise no_app()


def no_app() -> NotFound:
    """Heroku's words."""
    return NotFound("Couldn't find that app; list yours with `heroku apps`.", resource="app")


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


def live_apps() -> Select[Any]:
    """Apps that are not destroyed, each with its owner's e-mail, its upkeep, and its host names between spaces."""
    joined = apps.join(accounts, accounts.c.id == apps.c.owner_id).outerjoin(upkeep, upkeep.c.app_id == apps.c.id)
    columns = (column.label(f"upkeep_{column.name}") for column in upkeep.c)
    own = select(func.aggregate_strings(domains.c.hostname, " ")).where(domains.c.app_id == apps.c.id)
    hostnames = own.correlate(apps).scalar_subquery().label("hostnames")
    query = select(apps, accounts.c.email.label("owner_email"), hostnames, *columns).select_from(joined)
    return query.where(apps.c.archived_at.is_(None))


# Made once: making a statement takes longer than running it.
APP_BY_ID = live_apps().where(apps.c.id == bindparam("called"))
APP_BY_NAME = live_apps().where(apps.c.name == bindparam("called"))
