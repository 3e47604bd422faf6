"""Webhooks: who is to be told of what, what was to be told, and how far the telling got."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from paasd.domain.errors import InvalidParams

TOLD = ("api:addon", "api:addon-attachment", "api:app", "api:build", "api:domain", "api:release")
NEVER_HAPPENS = (*("api:collaborator", "api:dyno", "api:formation", "api:sni-endpoint", "dyno"),)
URL_CHARACTERS = 2000
SECRET_CHARACTERS = 500
WAITS = tuple(timedelta(seconds=seconds) for seconds in (15, 60, 240, 900, 3600, 14400, 43200, 86400, 86400))
SUCCESS = range(200, 300)


class Level(StrEnum):
    """`notify`: each event is sent once. `sync`: in their order, each again until it arrives, ten times at most."""

    NOTIFY = "notify"
    SYNC = "sync"


class DeliveryStatus(StrEnum):
    """Heroku's words."""

    PENDING = "pending"
    RETRYING = "retrying"
    FAILED = "failed"
    SUCCEEDED = "succeeded"

    @property
    def ended(self) -> bool:
        return self in (DeliveryStatus.FAILED, DeliveryStatus.SUCCEEDED)


@dataclass(frozen=True, slots=True)
class Webhook:
    """`secret` signs what is sent; `authorization` goes along as that header. Both stay here."""

    id: str
    app_id: str
    url: str
    include: tuple[str, ...]
    level: Level
    created_at: datetime
    updated_at: datetime
    secret: str = field(repr=False)
    authorization: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Happening:
    """One change of the ledger that somebody wants to know of, in the order they happened. `detail` is what can't be
    looked up any more: a build's, release's or add-on's state then, a domain's name, an attachment as JSON."""

    number: int
    app_id: str
    entity: str
    entity_id: str
    action: str
    detail: str
    at: datetime

    @property
    def include(self) -> str:
        return f"api:{self.entity}"


@dataclass(frozen=True, slots=True)
class Event:
    """What is told: the payload as every webhook gets it, but for who gets it."""

    id: str
    app_id: str
    include: str
    payload: Mapping[str, Any]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event on its way to one webhook. The attempt's fields are of the last one; `seq` counts up."""

    id: str
    app_id: str
    webhook_id: str
    event_id: str
    include: str
    level: Level
    status: DeliveryStatus
    created_at: datetime
    updated_at: datetime
    attempts: int = 0
    next_at: datetime | None = None
    attempt_id: str | None = None
    attempt_code: int | None = None
    attempt_error: str | None = None
    attempted_at: datetime | None = None
    seq: int = 0

    def attempted(self, attempt_id: str, code: int | None, error: str | None, at: datetime) -> "Delivery":
        """As it is after one more attempt: an answer from 200 to 299 ends it, so does the last one there is."""
        attempts = self.attempts + 1
        status, next_at = DeliveryStatus.SUCCEEDED, None
        if code not in SUCCESS:
            again = self.level is Level.SYNC and attempts <= len(WAITS)
            status = DeliveryStatus.RETRYING if again else DeliveryStatus.FAILED
            next_at = at + WAITS[attempts - 1] if again else None
        return replace(
            self, status=status, attempts=attempts, next_at=next_at, attempt_id=attempt_id, attempt_code=code,
            attempt_error=error, attempted_at=at, updated_at=at,
        )  # fmt: skip


def check_include(wanted: object) -> tuple[str, ...]:
    """What a webhook wants to hear of. Raises InvalidParams."""
    if not isinstance(wanted, list) or not wanted or not all(one in TOLD or one in NEVER_HAPPENS for one in wanted):
        raise InvalidParams(f"include must name what to tell of; choose from {', '.join(TOLD)}.", resource="webhook")
    return tuple(dict.fromkeys(str(one) for one in wanted))


def check_level(wanted: object) -> Level:
    """Raises InvalidParams."""
    if wanted not in (Level.NOTIFY, Level.SYNC):
        raise InvalidParams("level must be notify (sent once) or sync (again until it arrives).", resource="webhook")
    return Level(str(wanted))


def check_text(name: str, wanted: object) -> str:
    """A secret, or a header's value. Raises InvalidParams, without it."""
    if isinstance(wanted, str) and re.fullmatch(rf"[\x21-\x7e][\x20-\x7e]{{0,{SECRET_CHARACTERS - 1}}}", wanted):
        return wanted
    raise InvalidParams(
        f"{name} must be one line of at most {SECRET_CHARACTERS} ASCII characters; send another, or leave it out.",
        resource="webhook",
    )


def due(unfinished: Sequence[Delivery], now: datetime) -> list[Delivery]:
    """What may be sent now, of all that is unfinished by `seq`: a `sync` webhook gets one only once the one before has
    ended."""
    held: set[str] = set()
    chosen = []
    for delivery in unfinished:
        if delivery.webhook_id in held:
            continue
        if delivery.level is Level.SYNC:
            held.add(delivery.webhook_id)
        if delivery.next_at is None or delivery.next_at <= now:
            chosen.append(delivery)
    return chosen
