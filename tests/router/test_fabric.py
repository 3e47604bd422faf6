"""Which target is next: the less busy of two at random, none that refused, one set aside only for want of more."""

import socket
from pathlib import Path

import pytest

from router.codes import Fault
from router.fabric import Fabric, Limits
from router.inflight import InFlight
from router.state import TableInForce
from router.table import Target
from router.upstream import Upstreams
from tests.router.conftest import Start
from tests.router.process import RouterProcess, echo, route


def fabric(directory: Path) -> Fabric:
    table = TableInForce(directory)
    return Fabric(table, Upstreams(table.serves, 1.0), InFlight(), Limits())


def targets(*ports: int) -> tuple[Target, ...]:
    return tuple(Target("a", 1, f"web.{port}", "127.0.0.1", port) for port in ports)


async def test_the_less_busy_of_two(tmp_path: Path) -> None:
    shared = fabric(tmp_path)
    one, two = targets(1, 2)
    shared.in_flight.enter(("127.0.0.1", 1))
    assert {shared.choose((one, two)) for _ in range(20)} == {two}
    shared.in_flight.enter(("127.0.0.1", 2))
    assert {shared.choose((one, two)) for _ in range(200)} == {one, two}


async def test_none_that_has_refused(tmp_path: Path) -> None:
    shared = fabric(tmp_path)
    one, two = targets(1, 2)
    assert shared.choose((one, two), {("127.0.0.1", 1)}) == two
    assert shared.choose((one,), {("127.0.0.1", 1)}) is None
    assert shared.choose(()) is None


async def test_one_set_aside_only_for_want_of_another(tmp_path: Path) -> None:
    shared = fabric(tmp_path)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with pytest.raises(Fault):
            await shared.upstreams.connect(("127.0.0.1", port))
    refusing, other = targets(port, 2)
    assert {shared.choose((refusing, other)) for _ in range(20)} == {other}
    assert shared.choose((refusing,)) == refusing
    assert shared.choose((refusing, other), {("127.0.0.1", 2)}) == refusing


async def test_a_refusing_dyno_costs_one_connection_attempt(router: RouterProcess, start: Start) -> None:
    app = await start(echo())
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        await router.publish(route("shop", closed.getsockname()[1], app))
        for _ in range(12):
            assert (await router.get("shop.localhost")).status == 200
    assert len(await router.log_lines("dyno=web.2 .* status=200 ", 12)) == 12
