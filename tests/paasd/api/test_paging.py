"""Ranges: whatever a client sends, and pages that add up to the whole."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from paasd.api.paging import Range, cut, parse_range, reply_list
from paasd.api.replies import Refusal
from paasd.api.resources import stamp

ATTRIBUTES = ("id", "name", "created_at")


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, Range("id")),
        ("", Range("id")),
        ("id ..; max=1000", Range("id", limit=1000)),
        ("id ..; max=1000;", Range("id", limit=1000)),
        ("id ..; ;", Range("id")),
        ("id ..;max=5000", Range("id", limit=1000)),
        ("domain a..b; order=desc,max=1", Range("id", descending=True, limit=1)),
        ("created_at ..; max=15, order=desc", Range("created_at", descending=True, limit=15)),
        ("name ]a..b[; max=3", Range("name", "a", True, "b", True, 3)),
        ("name a..b", Range("name", "a", False, "b", False)),
        ("name [a..b]", Range("name", "a", False, "b", False)),
        ("bytes=0-", Range("id")),
        ("id ..; flavour=sweet", Range("id")),
    ],
)
def test_headers(header: str | None, expected: Range) -> None:
    assert parse_range(header, ATTRIBUTES) == expected


@given(st.text())
def test_anything_is_read_or_refused(header: str) -> None:
    try:
        wanted = parse_range(header, ATTRIBUTES)
        cut([({"id": "x", "name": "y", "created_at": "z"}, None)], wanted)
    except Refusal as refusal:
        assert refusal.status == 416


NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Made:
    """Something that a resource shows."""

    id: str
    created_at: datetime

    def shown(self) -> dict[str, Any]:
        return {"id": self.id, "created_at": stamp(self.created_at)}


moments = st.sampled_from([0, 1, 400_000, 999_999, 1_000_000, 1_000_001]).map(
    lambda us: NOON + timedelta(microseconds=us)
)
things = st.lists(st.builds(Made, st.uuids().map(str), moments), unique_by=lambda made: made.id, max_size=20)


def pages(made: Sequence[Made], header: str | None) -> Iterator[str]:
    """The ids, page after page, as a client that follows Next-Range has them."""
    resources = [(one.shown(), one) for one in made]
    while header is not None:
        request = make_mocked_request("GET", "/", {"Range": header})
        answer = reply_list(request, [one for one, _ in resources], ATTRIBUTES[::2], of=made)
        yield from (one["id"] for one in json.loads(bytes(answer.body)))  # type: ignore[arg-type]
        header = answer.headers.get("Next-Range")


@given(things, st.sampled_from(["id", "created_at"]), st.booleans(), st.integers(min_value=1, max_value=5))
def test_pages_add_up(made: list[Made], attribute: str, descending: bool, limit: int) -> None:
    """By the moment, which is finer than what is shown. Bites: `_position` by the text alone."""
    header = f"{attribute} ..; max={limit}, order={'desc' if descending else 'asc'}"
    expected = sorted(made, key=lambda one: (getattr(one, attribute), one.id), reverse=descending)
    assert list(pages(made, header)) == [one.id for one in expected]


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ("2026-11-27T12:00:00Z..", "abcd"),
        ("]2026-11-27T12:00:00Z..", "d"),
        ("..2026-11-27T12:00:00Z", "abc"),
        ("..2026-11-27T12:00:00Z[", ""),
        ("2026-11-27T12:00:00Z..2026-11-27T12:00:01Z", "abcd"),
        ("2026-11-27T12:00:00Z..2026-11-27T12:00:01Z[", "abc"),
        ("]2026-11-27T12:00:00.4Z..", "cd"),
        ("2026-11-27T12:00:00.4Z..", "bcd"),
        ("2026-11-27..2026-11-28", "abcd"),
    ],
)
def test_a_second_in_a_bound_is_the_whole_second(bounds: str, expected: str) -> None:
    """Bites: `_bound` that keeps the Z of a bound before a second."""
    times = {"c": 999_999, "a": 0, "d": 1_000_000, "b": 400_000}
    made = [Made(name, NOON + timedelta(microseconds=us)) for name, us in times.items()]
    for limit in (1, 4):
        assert "".join(pages(made, f"created_at {bounds}; max={limit}")) == expected


def test_a_list_by_time_needs_the_times() -> None:
    with pytest.raises(ValueError, match="ordered by time"):
        reply_list(make_mocked_request("GET", "/"), [], ("id", "updated_at"))


def test_bounds_are_positions_in_the_order_asked_for() -> None:
    resources = [({"id": name}, None) for name in "abcde"]

    def ids(header: str) -> str:
        return "".join(item["id"] for item, _ in cut(resources, parse_range(header, ("id",)))[0])

    assert ids("id b..d") == "bcd"
    assert ids("id ]b..d[") == "c"
    assert ids("id d..b; order=desc") == "dcb"
    assert ids("id ]d..b[; order=desc") == "c"
    assert ids("id ]e..") == ""
    assert ids("id ..; max=2, order=desc") == "ed"


async def test_apps_by_name(world: Any) -> None:
    for name in ("cart", "admin", "blog"):
        await world.create(name)
    answer = await world.call("GET", "/apps", Range="name ..; max=2")
    assert (answer.status, [app["name"] for app in answer.json]) == (206, ["admin", "blog"])
    assert answer.header("Content-Range") == "name admin..blog; max=2"
    assert answer.header("Next-Range") == "name ]blog..; max=2"
    assert answer.header("Accept-Ranges") == "id, name, created_at, updated_at"
    rest = await world.call("GET", "/apps", Range=answer.header("Next-Range"))
    assert (rest.status, [app["name"] for app in rest.json], rest.header("Next-Range")) == (200, ["cart"], None)
