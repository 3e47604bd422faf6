"""Webhooks: what happened to an app, told to whoever asked, signed. At least once: what a killed daemon had not noted
as arrived is sent again under the same delivery id."""

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import structlog

from paasd.domain.access import Actor
from paasd.domain.app import App
from paasd.domain.errors import InvalidParams, NotFound, PaasError
from paasd.domain.webhook import (
    URL_CHARACTERS,
    Delivery,
    DeliveryStatus,
    Event,
    Happening,
    Webhook,
    check_include,
    check_level,
    check_text,
    due,
)
from paasd.ports import Store, Web
from paasd.services.background import Background, attempt, stirred
from paasd.services.logs import AppLogs

log = structlog.get_logger(__name__)

WEBHOOKS_OF_APP = 100
LOOK_SECONDS = 1.0
ANSWER_SECONDS = 10.0
ANSWER_BYTES = 64 * 1024
AT_ONCE = 8  # of one app's
KEPT = timedelta(days=7)
FORGET_SECONDS = 3600.0

Render = Callable[[Happening], Awaitable[Mapping[str, Any] | None]]


@dataclass(slots=True)
class Webhooks:
    """Use cases on webhooks. `render` gives a happening's payload, as Heroku shapes it; None when it is gone."""

    store: Store
    web: Web
    logs: AppLogs
    background: Background
    render: Render | None = None
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    sending: dict[str, asyncio.Task[None]] = field(default_factory=dict)  # by app

    async def of(self, app: App) -> Sequence[Webhook]:
        """Oldest first."""
        return await self.store.webhooks(app.id)

    async def find(self, app: App, webhook_id: str) -> Webhook:
        """Raises NotFound."""
        for webhook in await self.store.webhooks(app.id):
            if webhook.id == webhook_id:
                return webhook
        raise NotFound("Couldn't find that webhook; see `heroku webhooks`.", resource="webhook")

    async def add(self, actor: Actor, app: App, wish: Mapping[str, Any]) -> Webhook:
        """Raises InvalidParams, also for a URL that may not be asked. A secret is made up if none is given."""
        if len(await self.of(app)) >= WEBHOOKS_OF_APP:
            raise InvalidParams(f"An app may have {WEBHOOKS_OF_APP} webhooks; remove one first.", resource="webhook")
        now = datetime.now(UTC)
        blank = Webhook(
            str(uuid.uuid4()), app.id, "", (), check_level(wish.get("level")), now, now, secrets.token_hex(32)
        )
        needed = {"url": wish.get("url"), "include": wish.get("include")}
        webhook = await self._wished(blank, {**wish, **needed})
        await self.store.put_webhook(webhook)
        self.logs.note(app.id, "api", f"Add webhook to {_host(webhook)} by user {actor.shown}", source="app")
        self.woken.set()
        return webhook

    async def change(self, webhook: Webhook, wish: Mapping[str, Any]) -> Webhook:
        """What is left out stays. Raises InvalidParams."""
        given = {name: value for name, value in wish.items() if value is not None}
        changed = replace(await self._wished(webhook, given), updated_at=datetime.now(UTC))
        await self.store.put_webhook(changed)
        return changed

    async def remove(self, actor: Actor, app: App, webhook: Webhook) -> None:
        """What was not delivered yet is not."""
        await self.store.delete_webhook(webhook.id)
        self.logs.note(app.id, "api", f"Remove webhook to {_host(webhook)} by user {actor.shown}", source="app")

    async def deliveries(self, app: App) -> Sequence[Delivery]:
        """The newest 1,000, by number."""
        return await self.store.deliveries(app.id)

    async def delivery(self, app: App, delivery_id: str) -> Delivery:
        """Raises NotFound."""
        for delivery in await self.store.deliveries(app.id):
            if delivery.id == delivery_id:
                return delivery
        raise NotFound("Couldn't find that delivery; see `heroku webhooks:deliveries`.", resource="webhook_delivery")

    async def retry(self, delivery: Delivery) -> Delivery:
        """Send it again at once, however it ended, from its first attempt on."""
        again = replace(delivery, status=DeliveryStatus.PENDING, next_at=None, attempts=0, updated_at=datetime.now(UTC))
        await self.store.update_delivery(again)
        self.woken.set()
        return again

    async def keep(self) -> None:
        """For ever: tell what happened. Looks at the store only while there are webhooks."""
        forgot = 0.0
        while True:
            self.woken.clear()
            await attempt("webhooks", self._begin_round())
            now = asyncio.get_running_loop().time()
            if now - forgot > FORGET_SECONDS:
                forgot = now
                await attempt("old deliveries", self.store.forget_deliveries(datetime.now(UTC) - KEPT))
            waiting = True
            try:
                waiting = await self.store.has_webhooks()
            except PaasError as error:
                log.warning("left to the next round", part="webhooks", reason=error.message)
            await stirred(self.woken, LOOK_SECONDS if waiting else None)

    async def round(self) -> None:
        """All that happened becomes deliveries, and each that is due is tried once."""
        await self._begin_round()
        await asyncio.gather(*self.sending.values())

    async def _begin_round(self) -> None:
        """An app of whose deliveries some are under way (a receiver does not answer) waits for the next."""
        for happening in await self.store.happenings():
            await self._note(happening)
        busy = set(self.sending)  # before the look at what is unfinished: theirs may end after it
        chosen = due(await self.store.unfinished_deliveries(), datetime.now(UTC))
        if not chosen:
            return
        known = {webhook.id: webhook for webhook in await self.store.webhooks()}
        of_app: dict[str, list[tuple[Webhook, Delivery]]] = {}
        for one in chosen:
            if one.webhook_id in known and one.app_id not in busy:
                of_app.setdefault(one.app_id, []).append((known[one.webhook_id], one))
        for app_id, deliveries in of_app.items():
            work = attempt("webhooks", self._send_all(app_id, deliveries))
            self.sending[app_id] = self.background.spawn(f"webhooks of {app_id}", work)

    async def _send_all(self, app_id: str, deliveries: Sequence[tuple[Webhook, Delivery]]) -> None:
        gate = asyncio.Semaphore(AT_ONCE)
        try:
            await asyncio.gather(*(self._send(webhook, one, gate) for webhook, one in deliveries))
        finally:
            del self.sending[app_id]

    async def _note(self, happening: Happening) -> None:
        wanting = [one for one in await self.store.webhooks(happening.app_id) if happening.include in one.include]
        payload = await self.render(happening) if wanting and self.render is not None else None
        if payload is None:
            await self.store.settle_happening(happening.number, None, [])
            return
        now = datetime.now(UTC)
        event = Event(str(uuid.uuid4()), happening.app_id, happening.include, payload, now)
        deliveries = [
            Delivery(
                str(uuid.uuid4()),
                happening.app_id,
                webhook.id,
                event.id,
                event.include,
                webhook.level,
                DeliveryStatus.PENDING,
                now,
                now,
            )
            for webhook in wanting
        ]
        await self.store.settle_happening(happening.number, event, deliveries)

    async def _send(self, webhook: Webhook, delivery: Delivery, gate: asyncio.Semaphore) -> None:
        async with gate:
            attempt_id, code, error = str(uuid.uuid4()), None, None
            event = await self.store.event(delivery.app_id, delivery.event_id)
            body = body_of(event, webhook, delivery, attempt_id)
            headers = {
                "Content-Type": "application/json",
                "User-Agent": "paasd-webhooks",
                "Heroku-Webhook-Hmac-SHA256": sign(webhook.secret, body),
            }
            if webhook.authorization is not None:
                headers["Authorization"] = webhook.authorization
            try:
                reply = await self.web.fetch(
                    webhook.url,
                    method="POST",
                    headers=headers,
                    body=body,
                    max_bytes=ANSWER_BYTES,
                    seconds=ANSWER_SECONDS,
                )
                code = reply.status
            except PaasError as failure:
                error = type(failure).__name__
            after = delivery.attempted(attempt_id, code, error, datetime.now(UTC))
            await self.store.update_delivery(after)
            log.info(
                "webhook", delivery=delivery.id, host=_host(webhook), status=after.status.value, code=code, error=error
            )

    async def _wished(self, webhook: Webhook, wish: Mapping[str, Any]) -> Webhook:
        if "url" in wish:
            url = wish["url"]
            if not isinstance(url, str) or not 0 < len(url) <= URL_CHARACTERS:
                raise InvalidParams("url is missing; send the URL to call, such as https://example.org/hook.")
            await self.web.check(url)
            webhook = replace(webhook, url=url)
        if "include" in wish:
            webhook = replace(webhook, include=check_include(wish["include"]))
        if "level" in wish:
            webhook = replace(webhook, level=check_level(wish["level"]))
        if wish.get("secret") is not None:
            webhook = replace(webhook, secret=check_text("secret", wish["secret"]))
        if wish.get("authorization") is not None:
            webhook = replace(webhook, authorization=check_text("authorization", wish["authorization"]))
        return webhook


def sign(secret: str, body: bytes) -> str:
    """What `Heroku-Webhook-Hmac-SHA256` carries."""
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def body_of(event: Event, webhook: Webhook, delivery: Delivery, attempt_id: str) -> bytes:
    """The payload with who gets it, as it is signed and sent."""
    whom = {
        "attempt": {"id": attempt_id},
        "delivery": {"id": delivery.id},
        "event": {"id": event.id, "include": event.include},
        "webhook": {"id": webhook.id},
    }
    return json.dumps({**event.payload, "webhook_metadata": whom}, separators=(",", ":")).encode()


def _host(webhook: Webhook) -> str:
    """All of a URL that may be logged: its path and query may be secrets."""
    return urlsplit(webhook.url).hostname or ""
