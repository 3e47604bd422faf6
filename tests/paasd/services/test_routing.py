"""Routes from ledger and dynos; whole tables; the router's state."""

import asyncio

import pytest

from paasd.domain.errors import RouterUnavailable
from paasd.services.routing import RouterStatus
from router.table import RoutingTable
from tests.paasd.services.world import DEADLINE, World, until, wire


async def test_a_route_names_its_app_release_and_dynos(world: World) -> None:
    app = await world.deployed()
    dyno = await world.dyno(app)
    (route,) = world.plane.table.routes
    assert (route.app, route.name, route.hosts) == (app.id, "shop", ("shop.localhost",))
    (target,) = route.targets
    assert (target.app, target.release, target.dyno) == (app.id, 2, "web.1")
    assert (target.host, target.port) == (dyno.address, dyno.port)


async def test_a_dyno_that_serves_nothing_is_no_target_and_needs_no_drain(world: World) -> None:
    app = await world.deployed(procfile="web: serve\nworker: hang")
    await world.dynos.scale(world.actor, app, {"worker": 1})
    assert [target.dyno for target in world.plane.table.routes[0].targets] == ["web.1"]
    worker = await world.dyno(app, "worker.1")
    before = list(world.engine.journal)
    assert await world.routing.drain([worker], 1.0)
    assert world.engine.journal == before


async def test_drain_ends_at_its_deadline_and_without_a_router(world: World) -> None:
    app = await world.deployed()
    dyno = await world.dyno(app)
    assert dyno.address is not None
    world.plane.serve(app.id, (dyno.address, 5000))
    assert not await world.routing.drain([dyno], 0.01)
    world.plane.stop()
    assert not await world.routing.drain([dyno], 1.0)


async def test_the_first_table_of_a_new_daemon_keeps_the_other_apps(world: World) -> None:
    app = await world.deployed()
    await world.deployed("blog")
    again = wire(world.outside)
    await again.routing.publish(app.id)
    assert (again.answer("shop"), again.answer("blog")) == ("v2", "v2")
    await again.push(app)
    assert (again.answer("shop"), again.answer("blog")) == ("v3", "v2")
    await again.background.close()


async def test_publishing_all_forgets_destroyed_apps_and_takes_turns(world: World) -> None:
    app = await world.deployed()
    await world.deployed("blog")
    await world.store.archive_app(app.id)
    await asyncio.gather(*(world.routing.publish_all() for _ in range(3)))
    assert [route.name for route in world.plane.table.routes] == ["blog"]


async def test_served_version_is_what_the_routers_own_table_says(world: World) -> None:
    app = await world.deployed()
    blank = await world.create("blank")
    assert await world.routing.served_version(app.id) == 2
    assert await world.routing.served_version(blank.id) is None
    assert await world.routing.served_version("nobody's") is None
    world.plane.stop()
    with pytest.raises(RouterUnavailable):
        await world.routing.served_version(app.id)


async def test_the_router_is_stopped_and_upgraded_by_request(world: World) -> None:
    await world.deployed()
    up = await world.routing.status()
    assert (up.status, up.listen, up.table) == ("up", "127.0.0.1:8080", world.plane.table.version)
    assert await world.routing.stop() == RouterStatus("down", None, None, None, None)
    await world.recovery.reconcile()
    assert (await world.routing.status()).status == "down"  # it was stopped on purpose
    fresh = await world.routing.upgrade()
    assert fresh.status == "up"
    assert fresh.pid != up.pid
    assert world.answer() == "v2"


async def test_while_an_apps_first_dyno_boots_again_the_router_says_so(world: World) -> None:
    app = await world.deployed()
    gate = world.engine.gates.hold("probe")
    world.engine.die((await world.dyno(app)).id)
    await world.recovery.reconcile()
    await asyncio.wait_for(gate.reached.wait(), DEADLINE)
    assert world.answer() == "H20"
    gate.opened.set()
    await until(lambda: world.answer() == "v2")


async def test_a_whole_table_made_during_a_swap_never_leaves_the_app_without_targets(world: World) -> None:
    """Bites when publish_all lists the dynos before it asks which release is served."""
    app = await world.deployed()
    seen: list[str] = []
    put = world.plane.put

    def watch(table: RoutingTable) -> None:
        put(table)
        seen.append(world.answer())

    world.plane.put = watch  # type: ignore[method-assign]
    gate = world.engine.gates.hold("dynos")
    publishing = asyncio.create_task(world.routing.publish_all())
    await asyncio.wait_for(gate.reached.wait(), DEADLINE)
    await world.push(app)
    gate.opened.set()
    await publishing
    assert world.answer() == "v3"
    assert set(seen) <= {"v2", "v3"}


async def test_an_engine_that_hangs_holds_up_no_maintenance_page(world: World) -> None:
    app = await world.deployed()
    gate = world.engine.gates.hold("dynos")
    publishing = asyncio.create_task(world.routing.publish(app.id))
    await asyncio.wait_for(gate.reached.wait(), DEADLINE)
    await asyncio.wait_for(world.apps.set_maintenance(world.actor, app, True), 1.0)
    assert world.answer() == "H80"
    gate.opened.set()
    await publishing
    assert world.answer() == "H80"  # the older look does not take the page away
