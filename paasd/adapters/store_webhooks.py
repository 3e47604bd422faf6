"""The part of the store that keeps webhooks and what is to be told. Triggers fill the outbox; this empties it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, exists, func, insert, select, update

from paasd.adapters.database import Database
from paasd.adapters.rows import AnyRow, Values, belonging
from paasd.adapters.secrets import ConfigSeal
from paasd.adapters.store_apps import require_app
from paasd.adapters.tables import webhook_deliveries, webhook_events, webhook_outbox, webhooks
from paasd.domain.errors import NotFound
from paasd.domain.webhook import Delivery, DeliveryStatus, Event, Happening, Level, Webhook

UNFINISHED = (DeliveryStatus.PENDING, DeliveryStatus.RETRYING)
AT_ONCE = 1000


class WebhookTables:
    """Port Store: webhooks, events and deliveries."""

    _database: Database
    _seal: ConfigSeal

    async def put_webhook(self, webhook: Webhook) -> None:
        """A new one, or in the place of the one with its id. NotFound without the app."""
        values = self._webhook_values(webhook)
        async with self._database.write() as connection:
            await require_app(connection, webhook.app_id)
            changed = update(webhooks).where(webhooks.c.id == webhook.id).values(**values)
            if not (await connection.execute(changed)).rowcount:
                await connection.execute(insert(webhooks).values(**values))

    async def webhooks(self, app_id: str | None = None) -> Sequence[Webhook]:
        """Of an app, or all; oldest first."""
        async with self._database.read() as connection:
            return [self._to_webhook(row) for row in await connection.execute(belonging(webhooks, app_id))]

    async def delete_webhook(self, webhook_id: str) -> None:
        """With its deliveries. Absent: fine."""
        async with self._database.write() as connection:
            await connection.execute(delete(webhook_deliveries).where(webhook_deliveries.c.webhook_id == webhook_id))
            await connection.execute(delete(webhooks).where(webhooks.c.id == webhook_id))

    async def happenings(self, limit: int = 100) -> Sequence[Happening]:
        """What the outbox holds, oldest first."""
        query = select(webhook_outbox).order_by(webhook_outbox.c.number).limit(limit)
        async with self._database.read() as connection:
            rows = await connection.execute(query)
            return [
                Happening(row.number, row.app_id, row.entity, row.entity_id, row.action, row.detail, row.at)
                for row in rows
            ]

    async def settle_happening(self, number: int, event: Event | None, deliveries: Sequence[Delivery]) -> None:
        """Take it out of the outbox, and put what becomes of it in, in one transaction. May be repeated."""
        async with self._database.write() as connection:
            gone = await connection.execute(delete(webhook_outbox).where(webhook_outbox.c.number == number))
            if not gone.rowcount or event is None:
                return
            await connection.execute(
                insert(webhook_events).values(
                    id=event.id,
                    app_id=event.app_id,
                    include=event.include,
                    payload=dict(event.payload),
                    created_at=event.created_at,
                )
            )
            for delivery in deliveries:
                still = exists().where(webhooks.c.id == delivery.webhook_id)
                if await connection.scalar(select(still)):
                    await connection.execute(insert(webhook_deliveries).values(**_delivery_values(delivery)))

    async def events(self, app_id: str) -> Sequence[Event]:
        """The newest, oldest first."""
        query = select(webhook_events).where(webhook_events.c.app_id == app_id)
        query = query.order_by(webhook_events.c.created_at.desc()).limit(AT_ONCE)
        async with self._database.read() as connection:
            return [_to_event(row) for row in reversed((await connection.execute(query)).all())]

    async def event(self, app_id: str, event_id: str) -> Event:
        """NotFound when there is none."""
        query = select(webhook_events).where(webhook_events.c.app_id == app_id, webhook_events.c.id == event_id)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
        if row is None:
            raise NotFound("Couldn't find that event; they are kept for some days.", resource="webhook_event")
        return _to_event(row)

    async def deliveries(self, app_id: str) -> Sequence[Delivery]:
        """The newest, by number."""
        query = select(webhook_deliveries).where(webhook_deliveries.c.app_id == app_id)
        query = query.order_by(webhook_deliveries.c.seq.desc()).limit(AT_ONCE)
        async with self._database.read() as connection:
            return [_to_delivery(row) for row in reversed((await connection.execute(query)).all())]

    async def unfinished_deliveries(self) -> Sequence[Delivery]:
        """Of all apps, by number."""
        query = select(webhook_deliveries).where(webhook_deliveries.c.status.in_(UNFINISHED))
        async with self._database.read() as connection:
            rows = await connection.execute(query.order_by(webhook_deliveries.c.seq).limit(AT_ONCE))
            return [_to_delivery(row) for row in rows]

    async def update_delivery(self, delivery: Delivery) -> None:
        """How far it got. Absent: nothing happens."""
        values = _delivery_values(delivery)
        async with self._database.write() as connection:
            changed = update(webhook_deliveries).where(webhook_deliveries.c.id == delivery.id)
            await connection.execute(changed.values(**values))

    async def forget_deliveries(self, before: datetime) -> None:
        """Those that ended before then, and events that nobody is to be told of any more."""
        ended = webhook_deliveries.c.status.not_in(UNFINISHED)
        wanted = exists().where(webhook_deliveries.c.event_id == webhook_events.c.id)
        async with self._database.write() as connection:
            old = delete(webhook_deliveries).where(ended, webhook_deliveries.c.updated_at < before)
            await connection.execute(old)
            await connection.execute(delete(webhook_events).where(webhook_events.c.created_at < before, ~wanted))

    async def has_webhooks(self) -> bool:
        """Whether anybody wants to be told of anything."""
        async with self._database.read() as connection:
            return bool(await connection.scalar(select(func.count()).select_from(webhooks)))

    def _webhook_values(self, webhook: Webhook) -> Values:
        secrets = {"secret": webhook.secret}
        secrets |= {"authorization": webhook.authorization} if webhook.authorization is not None else {}
        return {
            "id": webhook.id,
            "app_id": webhook.app_id,
            "url": webhook.url,
            "include": list(webhook.include),
            "level": webhook.level.value,
            "sealed": self._seal.seal(secrets, webhook.app_id),
            "created_at": webhook.created_at,
            "updated_at": webhook.updated_at,
        }

    def _to_webhook(self, row: AnyRow) -> Webhook:
        secrets = self._seal.open(row.sealed, row.app_id)
        return Webhook(
            id=row.id,
            app_id=row.app_id,
            url=row.url,
            include=tuple(row.include),
            level=Level(row.level),
            created_at=row.created_at,
            updated_at=row.updated_at,
            secret=secrets["secret"],
            authorization=secrets.get("authorization"),
        )


COLUMNS = (
    *("id", "app_id", "webhook_id", "event_id", "include", "level", "status", "attempts", "next_at"),
    *("attempt_id", "attempt_code", "attempt_error", "attempted_at", "created_at", "updated_at"),
)


def _delivery_values(delivery: Delivery) -> Values:
    return {name: getattr(delivery, name) for name in COLUMNS}


def _to_delivery(row: AnyRow) -> Delivery:
    values: dict[str, Any] = {name: getattr(row, name) for name in (*COLUMNS, "seq")}
    return Delivery(**{**values, "level": Level(row.level), "status": DeliveryStatus(row.status)})


def _to_event(row: AnyRow) -> Event:
    return Event(row.id, row.app_id, row.include, row.payload, row.created_at)
