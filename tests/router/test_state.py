"""The table in force: durable first, then served; removed addresses are told."""

from pathlib import Path

import msgspec
import pytest

from router.inflight import Address
from router.state import StaleTable, TableInForce
from router.table import RoutingTable, decode
from tests.router.process import route


async def spread(_: RoutingTable) -> None:
    """There is no other worker to tell."""


async def test_a_published_table_is_on_disk_and_in_force(tmp_path: Path) -> None:
    removed: list[frozenset[Address]] = []
    state = TableInForce(tmp_path)
    state.when_removed(removed.append)
    await state.publish(RoutingTable(1, (route("shop", 1, 2),)), spread)
    await state.publish(RoutingTable(2, (route("shop", 2, 3),)), spread)
    assert removed == [frozenset(), frozenset({("127.0.0.1", 1)})]
    assert decode((tmp_path / "table.json").read_bytes()).version == 2
    assert state.serves(("127.0.0.1", 3)) and not state.serves(("127.0.0.1", 1))
    with pytest.raises(StaleTable, match="not newer"):
        await state.publish(RoutingTable(2), spread)
    again = TableInForce(tmp_path)
    assert again.restore() is None
    assert again.table == state.table and again.route("shop.localhost") == route("shop", 2, 3)


async def test_what_can_not_be_saved_is_not_in_force(tmp_path: Path) -> None:
    state = TableInForce(tmp_path / "absent")
    with pytest.raises(OSError):
        await state.publish(RoutingTable(1), spread)
    assert state.table.version == 0


async def test_a_wildcard_answers_for_what_nobody_has(tmp_path: Path) -> None:
    """Bites: without `_under_wildcard`, only exact names are found; with the farthest first, the wrong app answers."""
    state = TableInForce(tmp_path)
    shop, blog, api = (
        msgspec.structs.replace(route(name, 1, port), hosts=hosts)
        for name, port, hosts in (
            ("shop", 1, ("shop.localhost", "*.example.org")),
            ("blog", 2, ("blog.localhost", "*.blog.example.org")),
            ("api", 3, ("api.localhost", "api.example.org")),
        )
    )
    await state.publish(RoutingTable(1, (shop, blog, api)), spread)
    assert state.route("www.example.org") == state.route("a.b.example.org") == shop
    assert state.route("a.blog.example.org") == blog and state.route("blog.example.org") == shop
    assert state.route("api.example.org") == api
    for host in ("example.org", "xexample.org", "org", "", ".example", "*.localhost"):
        assert state.route(host) is None
    await state.publish(RoutingTable(2, (api,)), spread)
    assert state.route("www.example.org") is None
