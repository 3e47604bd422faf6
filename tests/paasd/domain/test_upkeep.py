"""The rules of maintenance and of pages; each broken one is a sentence."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest

from paasd.domain import upkeep
from paasd.domain.errors import InvalidParams

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (lambda: upkeep.check_until(NOW, NOW), "is over"),
        (lambda: upkeep.check_until(NOW + timedelta(days=400), NOW), "366 days"),
        (lambda: upkeep.check_until(datetime(2027, 1, 1), NOW), "time zone"),
        (lambda: upkeep.check_pause(0), "more than 0"),
        (lambda: upkeep.check_pause(121), "at most 120"),
        (lambda: upkeep.check_networks(["10.0.0.1/8"]), "host bits"),
        (lambda: upkeep.check_networks(["everybody"]), "203.0.113.0/24"),
        (lambda: upkeep.check_networks(["10.0.0.1"] * 101), "at most 100"),
        (lambda: upkeep.check_path("up", "health_path"), "begin with /"),
        (lambda: upkeep.check_path("/a b", "health_path"), "without spaces"),
        (lambda: upkeep.check_bypass_seconds(0), "1 to"),
        (lambda: upkeep.check_bypass_seconds(1e9), "1 to"),
        (lambda: upkeep.check_page(b"x" * (256 * 1024 + 1)), "larger than 256 kB"),
        (lambda: upkeep.check_page(b" \n"), "empty"),
        (lambda: upkeep.check_page("ä".encode("latin-1")), "not UTF-8"),
        (lambda: upkeep.check_page(b"a\0b"), "NUL"),
    ],
)
def test_what_is_broken_is_said(broken: Callable[[], object], words: str) -> None:
    with pytest.raises(InvalidParams, match=words) as raised:
        broken()
    assert raised.value.message.endswith(".")


def test_what_is_right_comes_back_as_it_is_kept() -> None:
    later = datetime(2026, 11, 26, 15, tzinfo=timezone(timedelta(hours=2)))
    assert upkeep.check_until(later, NOW) == later and upkeep.check_until(later, NOW).tzinfo is UTC
    assert upkeep.check_networks(["10.0.0.1", "::1", " 10.0.0.1 "]) == ("10.0.0.1/32", "::1/128")
    assert (upkeep.check_pause(120), upkeep.check_path("/up", "x"), upkeep.check_bypass_seconds(60)) == (120, "/up", 60)
    assert len(upkeep.check_page(b"x" * 256 * 1024)) == 64
    assert upkeep.PageKind.ERROR.variable == "ERROR_PAGE_URL"
