"""How a delivery goes on, and what may be sent when."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from paasd.domain.errors import InvalidParams
from paasd.domain.webhook import WAITS, Delivery, DeliveryStatus, Level, check_include, check_level, check_text, due

NOW = datetime(2026, 11, 26, tzinfo=UTC)


def delivery(number: int = 1, webhook: str = "w", level: Level = Level.SYNC) -> Delivery:
    return Delivery(f"d{number}", "a", webhook, "e", "api:release", level, DeliveryStatus.PENDING, NOW, NOW, seq=number)


def test_sync_tries_ten_times_with_growing_waits() -> None:
    """Bites: with `<` for `<=` there are nine attempts; with a fixed wait the last assertion fails."""
    going, waits = delivery(), []
    for code in (None, 500, 404, 302, 199, 300, 503, 500, 500):
        going = going.attempted("x", code, None, NOW)
        assert going.status is DeliveryStatus.RETRYING and going.next_at is not None
        waits.append(going.next_at - NOW)
    ended = going.attempted("x", 500, None, NOW)
    assert (ended.status, ended.attempts, ended.next_at) == (DeliveryStatus.FAILED, 10, None)
    assert going.attempted("x", 204, None, NOW).status is DeliveryStatus.SUCCEEDED
    assert waits == list(WAITS) == sorted(waits)


def test_notify_tries_once() -> None:
    assert delivery(level=Level.NOTIFY).attempted("x", 500, None, NOW).status is DeliveryStatus.FAILED
    assert delivery(level=Level.NOTIFY).attempted("x", 200, None, NOW).status is DeliveryStatus.SUCCEEDED


def test_sync_keeps_the_order_and_notify_does_not_wait() -> None:
    """Bites: without `held`, the second delivery overtakes the first one's retry."""
    later = replace(delivery(1), next_at=NOW + timedelta(seconds=1), status=DeliveryStatus.RETRYING)
    waiting = [later, delivery(2), delivery(3, "other"), delivery(4, "n", Level.NOTIFY), delivery(5, "n", Level.NOTIFY)]
    assert [one.seq for one in due(waiting, NOW)] == [3, 4, 5]
    assert [one.seq for one in due(waiting, NOW + timedelta(seconds=1))] == [1, 3, 4, 5]


def test_what_is_checked() -> None:
    assert check_include(["api:release", "api:release", "dyno"]) == ("api:release", "dyno")
    assert check_level("sync") is Level.SYNC
    assert check_text("secret", "s3cret") == "s3cret"
    no_include: tuple[object, ...] = ([], ["api:moon"], "api:release", None, [5])
    no_level: tuple[object, ...] = ("always", None, 1)
    no_text: tuple[object, ...] = ("", "a\r\nX-Evil: 1", "ü", "x" * 501, 7)
    for wrong in no_include:
        with pytest.raises(InvalidParams):
            check_include(wrong)
    for wrong in no_level:
        with pytest.raises(InvalidParams):
            check_level(wrong)
    for wrong in no_text:
        with pytest.raises(InvalidParams) as refused:
            check_text("secret", wrong)
        assert "Evil" not in refused.value.message
