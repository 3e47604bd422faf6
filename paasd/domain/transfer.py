"""Transfers of a database's data: a backup is a dump that is kept, a restore brings one back, a copy needs none.

And the daily schedule of backups, which holds for a clock that jumps.
"""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from paasd.domain.errors import InvalidParams

DAY = timedelta(days=1)


class TransferKind(StrEnum):
    """What is moved where. `letter` begins a transfer's name, by Heroku's words: b001, a002 (scheduled), r003, c004."""

    BACKUP = "backup"
    RESTORE = "restore"
    COPY = "copy"


@dataclass(frozen=True, slots=True)
class Transfer:
    """One transfer. `number` counts within the app that owns the add-on, and is never used again.

    `addon_id` is the database that it reads (a backup) or writes (a restore, a copy); `source` the id of the backup
    that is restored, or of the add-on that is copied from. Sizes are in bytes; `sha256` is the dump's.
    """

    id: str
    app_id: str
    number: int
    kind: TransferKind
    addon_id: str
    from_name: str
    to_name: str
    created_at: datetime
    source: str | None = None
    schedule_id: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    canceled_at: datetime | None = None
    succeeded: bool | None = None
    source_bytes: int = 0
    processed_bytes: int = 0
    sha256: str | None = None

    @property
    def name(self) -> str:
        """As people call it: b001."""
        letters = {TransferKind.RESTORE: "r", TransferKind.COPY: "c", TransferKind.BACKUP: "b"}
        letter = "a" if self.schedule_id and self.kind is TransferKind.BACKUP else letters[self.kind]
        return f"{letter}{self.number:03}"


@dataclass(frozen=True, slots=True)
class TransferLine:
    """Of a transfer's log."""

    at: datetime
    message: str


@dataclass(frozen=True, slots=True)
class Schedule:
    """A backup every day at `hour`, in the zone `timezone`. `name` is the config var it was asked for by.

    `last` is the day (there) whose hour is dealt with: the day before it was made, or the last it ran for.
    """

    id: str
    app_id: str
    addon_id: str
    name: str
    hour: int
    timezone: str
    last: date
    created_at: datetime


@dataclass(frozen=True, slots=True)
class KeepRules:
    """Of each database: how many backups that were asked for, and how many days those of a schedule are kept."""

    manual: int = 25
    days: int = 7


@dataclass(frozen=True, slots=True)
class Due:
    """Whether a schedule's backup is to be taken now, and the day that is dealt with then."""

    run: bool
    last: date = field(default=date.min)


def newest_day(hour: int, timezone: str, now: datetime) -> date:
    """The day, there, whose `hour` was last. An hour that a change of the clocks leaves out comes when it would have
    been; one that comes twice counts the first time."""
    zone = ZoneInfo(timezone)
    today = now.astimezone(zone).date()
    days = (today + DAY, today, today - DAY)
    return next(day for day in days if datetime.combine(day, time(hour), zone).astimezone(UTC) <= now)


def due(schedule: Schedule, now: datetime) -> Due:
    """By the wall clock, which may have been set: a day that was slept through is caught up once, and a day that has
    been dealt with is not done again, though its hour comes twice. A clock that was days ahead is forgiven."""
    day = newest_day(schedule.hour, schedule.timezone, now)
    if day > schedule.last:
        return Due(True, day)
    return Due(False, day if schedule.last > day + DAY else schedule.last)


def check_time(hour: object, timezone: object) -> tuple[int, str]:
    """An hour and a zone as a client sends them ("7", "Europe/Paris"). InvalidParams."""
    text = str(hour) if isinstance(hour, int | str) and not isinstance(hour, bool) else ""
    if not (text.isascii() and text.isdecimal() and len(text) <= 2 and int(text) < 24):
        raise InvalidParams("hour must be a whole hour from 0 to 23; send it as --at '07:00 UTC' does.")
    zone = "UTC" if timezone is None else timezone
    try:
        if not isinstance(zone, str) or not zone or len(zone) > 64:
            raise ValueError
        ZoneInfo(zone)
    except (ValueError, OSError, KeyError) as error:
        raise InvalidParams(
            f"{str(zone)[:64]!r} is no time zone that this machine knows; name one such as UTC or Europe/Paris."
        ) from error
    return int(text), zone


def superfluous(backups: list[Transfer], rules: KeepRules, now: datetime) -> list[Transfer]:
    """Those of one database's backups that need not be kept; its newest good one always is."""
    good = sorted((one for one in backups if one.succeeded), key=lambda one: one.number, reverse=True)
    manual = [one for one in good if one.schedule_id is None]
    scheduled = [one for one in good if one.schedule_id is not None]
    old = [one for one in scheduled if now - one.created_at > rules.days * DAY]
    return [one for one in (*manual[rules.manual :], *old) if one is not good[0]]
