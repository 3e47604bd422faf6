"""The part of the store that knows add-ons and their attachments. Passwords and URLs are there only under seal."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, exists, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from paasd.adapters.database import Database
from paasd.adapters.rows import AnyRow
from paasd.adapters.secrets import ConfigSeal
from paasd.adapters.store_apps import UUID_CHARACTERS, now, require_app
from paasd.adapters.tables import addon_attachments, addons
from paasd.domain.addon import LIVING, Addon, AddonState, AttachedNow, AttachedThen, Attachment
from paasd.domain.errors import InvalidParams, NotFound

SECRET, NEXT, VALUE = "secret", "next", "value:"  # names under the seal
RESOURCE, OPTION, MESSAGE = "resource", "option:", "message"


class AddonTables:
    """Port Store: add-ons."""

    _database: Database
    _seal: ConfigSeal

    async def insert_addon(self, addon: Addon, attachment: Attachment) -> Addon:
        """Both in one transaction; as it was recorded, with a host name that nobody has. NotFound without the app;
        InvalidParams when a name is taken."""
        async with self._database.write() as connection:
            await require_app(connection, addon.app_id)
            await _require_name(connection, addon)
            await _require_attachment_name(connection, attachment)
            taken = await connection.scalar(select(exists().where(addons.c.host == addon.host)))
            host = f"{addon.host[:50].rstrip('-')}-{addon.id[:8]}" if taken else addon.host
            await connection.execute(insert(addons).values(**self._addon_values(addon), id=addon.id, host=host))
            await connection.execute(insert(addon_attachments).values(**self._attachment_values(attachment)))
            row = (await connection.execute(select(addons).where(addons.c.id == addon.id))).one()
        return self._to_addon(row)

    async def addon(self, name_or_id: str) -> Addon:
        """A living one by its name, any by its id. NotFound."""
        by_id = addons.c.id == name_or_id
        named = and_(addons.c.name == name_or_id, _in(LIVING))
        found = await self._addons(by_id if len(name_or_id) == UUID_CHARACTERS else named)
        if not found:
            raise no_addon()
        return found[0]

    async def addons(self, app_id: str | None = None) -> Sequence[Addon]:
        """Those that an app owns, or all; ended ones too, oldest first."""
        return await self._addons(addons.c.app_id == app_id if app_id is not None else None)

    async def _addons(self, which: ColumnElement[bool] | None) -> Sequence[Addon]:
        query = select(addons).order_by(addons.c.created_at, addons.c.id)
        async with self._database.read() as connection:
            rows = await connection.execute(query if which is None else query.where(which))
            return [self._to_addon(row) for row in rows]

    async def save_addon(self, addon: Addon) -> None:
        """Its name, app, plan, secrets, values and `attached_as`; its state moves by `move_addon`. Absent: fine.
        InvalidParams when the name is taken."""
        values = self._addon_values(addon)
        for fixed in ("state", "created_at", "ended_at", "failure"):
            values.pop(fixed)
        async with self._database.write() as connection:
            if addon.alive:
                await _require_name(connection, addon)
            values["updated_at"] = now()
            await connection.execute(update(addons).where(addons.c.id == addon.id).values(**values))

    async def move_addon(self, addon_id: str, old: AddonState, new: AddonState, failure: str | None = None) -> bool:
        """Compare-and-set; False when it was not `old`. In the same transaction its attachments go when it failed,
        and end when it ends. InvalidParams when it comes back and its name is taken."""
        ended = new in (AddonState.FAILED, AddonState.DEPROVISIONED)
        at = now()
        values = {"state": new.value, "failure": failure, "updated_at": at, "ended_at": at if ended else None}
        own = addon_attachments.c.addon_id == addon_id
        async with self._database.write() as connection:
            row = (await connection.execute(select(addons).where(addons.c.id == addon_id))).first()
            if row is None or row.state != old.value:
                return False
            if new in LIVING and old not in LIVING:
                await _require_name(connection, self._to_addon(row))
            await connection.execute(update(addons).where(addons.c.id == addon_id).values(**values))
            if new in (AddonState.FAILED, AddonState.DEPROVISIONED):
                await connection.execute(delete(addon_attachments).where(own))
            elif new is AddonState.DEPROVISIONING:
                held = and_(own, addon_attachments.c.ended_at.is_(None))
                await connection.execute(update(addon_attachments).where(held).values(ended_at=at, updated_at=at))
        return True

    async def forget_addon(self, addon_id: str) -> None:
        """One that has ended, for good. Absent, or alive: nothing happens."""
        async with self._database.write() as connection:
            gone = and_(addons.c.id == addon_id, ~_in(LIVING))
            if await connection.scalar(select(exists().where(gone))):
                await connection.execute(delete(addon_attachments).where(addon_attachments.c.addon_id == addon_id))
                await connection.execute(delete(addons).where(gone))

    async def insert_attachment(self, attachment: Attachment, *, replacing: str | None = None) -> None:
        """In one transaction with the end of the one that it replaces. NotFound without the app; InvalidParams when the
        app has one of that name."""
        async with self._database.write() as connection:
            await require_app(connection, attachment.app_id)
            if replacing is not None:
                await _end_attachment(connection, replacing)
            await _require_attachment_name(connection, attachment)
            await connection.execute(insert(addon_attachments).values(**self._attachment_values(attachment)))

    async def attachments(self, *, app_id: str | None = None, addon_id: str | None = None) -> Sequence[Attachment]:
        """To an app, of an add-on, or all; ended ones too, oldest first."""
        query = select(addon_attachments).order_by(addon_attachments.c.created_at, addon_attachments.c.id)
        if app_id is not None:
            query = query.where(addon_attachments.c.app_id == app_id)
        if addon_id is not None:
            query = query.where(addon_attachments.c.addon_id == addon_id)
        async with self._database.read() as connection:
            return [self._to_attachment(row) for row in await connection.execute(query)]

    async def set_attachment_values(self, values: Mapping[str, Mapping[str, str]]) -> None:
        """The config vars of each, by its id, in one transaction. Absent: nothing happens."""
        async with self._database.write() as connection:
            for attachment_id, own in values.items():
                changed = update(addon_attachments).where(addon_attachments.c.id == attachment_id)
                await connection.execute(changed.values(sealed=self._seal.seal(own, attachment_id), updated_at=now()))

    async def end_attachment(self, attachment_id: str) -> None:
        """Ended or absent: fine."""
        async with self._database.write() as connection:
            await _end_attachment(connection, attachment_id)

    async def delete_attachment(self, attachment_id: str) -> None:
        """Absent: fine."""
        async with self._database.write() as connection:
            await connection.execute(delete(addon_attachments).where(addon_attachments.c.id == attachment_id))

    async def attached_now(self, app_id: str) -> AttachedNow:
        """What a release of the app gets that is recorded now, by the attachments' names."""
        query = (
            select(addon_attachments, addons.c.name.label("addon"), addons.c.plan)
            .join(addons, addons.c.id == addon_attachments.c.addon_id)
            .where(addon_attachments.c.app_id == app_id, addon_attachments.c.ended_at.is_(None))
            .where(addons.c.state == AddonState.PROVISIONED.value)
            .order_by(addon_attachments.c.name)
        )
        then, config = [], {}
        async with self._database.read() as connection:
            for row in await connection.execute(query):
                values = self._seal.open(row.sealed, row.id)
                if values:
                    then.append(AttachedThen(row.name, row.addon_id, row.addon, row.plan, tuple(sorted(values))))
                    config.update(values)
        return AttachedNow(tuple(then), config)

    def _addon_values(self, addon: Addon) -> dict[str, Any]:
        sealed = {SECRET: addon.secret, **{f"{VALUE}{name}": value for name, value in addon.values.items()}}
        sealed |= {f"{OPTION}{name}": value for name, value in addon.options.items()}
        optional = {NEXT: addon.next_secret, RESOURCE: addon.resource, MESSAGE: addon.message or None}
        sealed |= {name: value for name, value in optional.items() if value is not None}
        return {
            "name": addon.name,
            "app_id": addon.app_id,
            "service": addon.service,
            "plan": addon.plan,
            "provider": addon.provider,
            "state": addon.state.value,
            "sealed": self._seal.seal(sealed, addon.id),
            "attached_as": addon.attached_as,
            "failure": addon.failure,
            "created_at": addon.created_at,
            "updated_at": addon.updated_at,
            "ended_at": addon.ended_at,
        }

    def _to_addon(self, row: AnyRow) -> Addon:
        sealed = self._seal.open(row.sealed, row.id)
        return Addon(
            id=row.id,
            name=row.name,
            app_id=row.app_id,
            service=row.service,
            plan=row.plan,
            provider=row.provider,
            host=row.host,
            state=AddonState(row.state),
            created_at=row.created_at,
            updated_at=row.updated_at,
            secret=sealed[SECRET],
            values=_after(VALUE, sealed),
            next_secret=sealed.get(NEXT),
            attached_as=row.attached_as,
            failure=row.failure,
            ended_at=row.ended_at,
            resource=sealed.get(RESOURCE),
            options=_after(OPTION, sealed),
            message=sealed.get(MESSAGE, ""),
        )

    def _attachment_values(self, attachment: Attachment) -> dict[str, Any]:
        return {
            "id": attachment.id,
            "addon_id": attachment.addon_id,
            "app_id": attachment.app_id,
            "name": attachment.name,
            "sealed": self._seal.seal(attachment.values, attachment.id),
            "created_at": attachment.created_at,
            "updated_at": attachment.updated_at,
            "ended_at": attachment.ended_at,
        }

    def _to_attachment(self, row: AnyRow) -> Attachment:
        return Attachment(
            id=row.id,
            addon_id=row.addon_id,
            app_id=row.app_id,
            name=row.name,
            created_at=row.created_at,
            updated_at=row.updated_at,
            values=self._seal.open(row.sealed, row.id),
            ended_at=row.ended_at,
        )


def _after(prefix: str, sealed: Mapping[str, str]) -> dict[str, str]:
    return {name.removeprefix(prefix): text for name, text in sealed.items() if name.startswith(prefix)}


def _in(states: frozenset[AddonState]) -> ColumnElement[bool]:
    return or_(*(addons.c.state == state.value for state in sorted(states)))


async def _require_name(connection: AsyncConnection, addon: Addon) -> None:
    taken = and_(addons.c.name == addon.name, addons.c.id != addon.id, _in(LIVING))
    if await connection.scalar(select(exists().where(taken))):
        raise InvalidParams(f"Name {addon.name} is already taken by another add-on; choose another.", resource="add_on")


async def _end_attachment(connection: AsyncConnection, attachment_id: str) -> None:
    held = and_(addon_attachments.c.id == attachment_id, addon_attachments.c.ended_at.is_(None))
    await connection.execute(update(addon_attachments).where(held).values(ended_at=now(), updated_at=now()))


async def _require_attachment_name(connection: AsyncConnection, attachment: Attachment) -> None:
    taken = and_(
        addon_attachments.c.app_id == attachment.app_id,
        addon_attachments.c.name == attachment.name,
        addon_attachments.c.ended_at.is_(None),
    )
    if await connection.scalar(select(exists().where(taken))):
        raise InvalidParams(
            f"The app has an add-on attached as {attachment.name} already; choose another name with --as.",
            resource="add_on attachment",
        )


def no_addon() -> NotFound:
    """Heroku's words."""
    return NotFound("Couldn't find that add-on; list yours with `heroku addons --all`.", resource="add_on")
