"""Ranges: whatever a client sends, and pages that add up to the whole."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paasd.api.paging import TIE, Range, cut, parse_range
from paasd.api.replies import Refusal

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
        cut([{"id": "x", "name": "y", "created_at": "z"}], wanted)
    except Refusal as refusal:
        assert refusal.status == 416


@given(
    st.lists(st.tuples(st.uuids(), st.sampled_from(["a", "b", "c"])), unique_by=lambda item: item[0], max_size=20),
    st.sampled_from(["id", "created_at"]),
    st.booleans(),
    st.integers(min_value=1, max_value=5),
)
def test_pages_add_up(items: list[tuple[Any, str]], attribute: str, descending: bool, limit: int) -> None:
    resources = [{"id": str(identity), "created_at": at} for identity, at in items]
    seen: list[dict[str, Any]] = []
    start: str | None = None
    while True:
        page, more = cut(resources, Range(attribute, start, True, limit=limit, descending=descending))
        seen += page
        if not more:
            break
        last = page[-1]
        start = last["id"] if attribute == "id" else f"{last['created_at']}{TIE}{last['id']}"
    assert seen == sorted(resources, key=lambda item: (item[attribute], item["id"]), reverse=descending)


def test_bounds_are_positions_in_the_order_asked_for() -> None:
    resources = [{"id": name} for name in "abcde"]

    def ids(header: str) -> str:
        return "".join(item["id"] for item in cut(resources, parse_range(header, ("id",)))[0])

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
