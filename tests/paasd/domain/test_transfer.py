"""Daily schedules under a clock that jumps, and what is kept of backups."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from paasd.domain.errors import InvalidParams
from paasd.domain.transfer import KeepRules, Schedule, Transfer, TransferKind, check_time, due, newest_day, superfluous

NOW = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def schedule(hour: int = 2, timezone: str = "UTC", last: date = date(2026, 11, 22)) -> Schedule:
    return Schedule("s", "app", "addon", "DATABASE_URL", hour, timezone, last, NOW)


def run_through(moments: list[datetime], one: Schedule) -> list[date]:
    """The days that a backup was taken for, when the clock shows these moments one after another."""
    taken = []
    for now in moments:
        found = due(one, now)
        if found.run:
            taken.append(found.last)
        one = replace(one, last=found.last)
    return taken


def test_a_day_is_taken_once_and_never_skipped() -> None:
    minutes = [datetime(2026, 11, 23, 1, 0, tzinfo=UTC) + timedelta(minutes=n) for n in range(3 * 24 * 60)]
    assert run_through(minutes, schedule()) == [date(2026, 11, 23), date(2026, 11, 24), date(2026, 11, 25)]


@pytest.mark.parametrize(
    ("moments", "taken"),
    [
        ([NOW.replace(hour=1), NOW.replace(hour=3)], [23]),  # a leap over the hour
        ([NOW.replace(hour=2, minute=1), NOW.replace(hour=1), NOW.replace(hour=2)], [23]),  # set back: not twice
        ([NOW.replace(hour=1), NOW + 4 * DAY], [27]),  # asleep for days: caught up once
        ([NOW + 400 * DAY, NOW, NOW + DAY], [392 + 8, 24]),  # a year ahead by mistake, and back
    ],
)
def test_a_clock_that_is_set(moments: list[datetime], taken: list[int]) -> None:
    found = run_through(moments, schedule())
    assert len(found) == len(taken)
    assert found[-1].day == taken[-1]


def test_hours_that_a_change_of_clocks_leaves_out_or_doubles() -> None:
    spring = [datetime(2026, 3, 28, 12, tzinfo=UTC) + timedelta(minutes=n) for n in range(48 * 60)]
    assert len(run_through(spring, schedule(2, "Europe/Paris", date(2026, 3, 28)))) == 2
    autumn = [datetime(2026, 10, 24, 12, tzinfo=UTC) + timedelta(minutes=n) for n in range(48 * 60)]
    assert len(run_through(autumn, schedule(2, "Europe/Paris", date(2026, 10, 24)))) == 2
    assert newest_day(7, "Pacific/Auckland", NOW) == date(2026, 11, 23)


def test_times_as_clients_send_them() -> None:
    assert check_time("07", "Europe/Paris") == (7, "Europe/Paris")
    assert check_time(0, None) == (0, "UTC")
    for hour, zone in ((24, "UTC"), ("x", "UTC"), (True, "UTC"), (-1, "UTC"), (3, "Mars/One"), (3, "../etc"), (3, 4)):
        with pytest.raises(InvalidParams):
            check_time(hour, zone)


def backup(number: int, *, age: int = 0, scheduled: bool = False, good: bool = True) -> Transfer:
    at = NOW - age * DAY
    return Transfer(
        f"t{number}", "app", number, TransferKind.BACKUP, "addon", "db", "BACKUP", at,
        schedule_id="s" if scheduled else None, succeeded=good,
    )  # fmt: skip


def test_names_and_what_is_kept() -> None:
    assert (backup(1).name, backup(2, scheduled=True).name) == ("b001", "a002")
    rules = KeepRules(manual=2, days=7)
    found = [backup(1), backup(2), backup(3), backup(4, scheduled=True, age=8), backup(5, scheduled=True)]
    assert {one.number for one in superfluous(found, rules, NOW)} == {1, 4}
    assert superfluous([backup(4, scheduled=True, age=80)], rules, NOW) == []  # the newest good one stays
    assert superfluous([backup(1, good=False)], rules, NOW) == []
