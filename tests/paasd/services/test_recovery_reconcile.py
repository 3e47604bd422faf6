"""What differs from the ledger without anybody having been killed: mended, and what is right is let be."""

import asyncio
import contextlib

from paasd.domain.app import App
from paasd.domain.dyno import DynoKind
from paasd.domain.errors import PaasError
from tests.paasd.services.world import DEADLINE, Output, World, until, wire


async def test_strays_are_drained_and_stopped(world: World) -> None:
    app = await world.deployed()
    boot = world.releases._hands.boot
    release = await world.release(app, 2)
    await world.engine.start(boot.spec(app, release, "web.1", DynoKind.FORMATION, "serve"))  # a second web.1
    await world.engine.start(boot.spec(app, release, "web.9", DynoKind.FORMATION, "serve"))  # nobody asked for
    first = (await world.engine.dynos())[0].id
    await world.recovery.reconcile()
    await world.settled(app)
    assert [dyno.id for dyno in await world.engine.dynos()] == [first]
    assert any(line.startswith("drain") for line in world.engine.journal)
    assert not world.routing.booting
    assert world.answer() == "v2"


async def test_strays_wait_for_the_router_so_that_no_request_meets_them(world: World) -> None:
    app = await world.deployed()
    spec = world.releases._hands.boot.spec(app, await world.release(app, 2), "web.9", DynoKind.FORMATION, "serve")
    await world.engine.start(spec)
    await world.routing.publish(app.id)
    world.plane.stop()
    world.host.startable = False
    await world.recovery.reconcile()
    assert await world.running(app) == ["web.1 v2", "web.9 v2"]
    world.host.startable = True
    await world.recovery.reconcile()
    await world.settled(app)
    assert await world.running(app) == ["web.1 v2"]


async def test_dynos_of_an_app_without_code_are_stopped(world: World) -> None:
    app = await world.create()
    build = await world.engine.build(world.outside.home, build_spec(app), Output())
    release = await world.release(app, 1)
    spec = world.releases._hands.boot.spec(app, release, "worker.1", DynoKind.FORMATION, "hang")
    await world.engine.start(type(spec)(**{**{f: getattr(spec, f) for f in spec.__slots__}, "artifact": build.name}))
    await world.recovery.reconcile()
    await world.settled(app)
    assert await world.running(app) == []


def build_spec(app: App):  # type: ignore[no-untyped-def]
    from paasd.ports import BuildSpec

    return BuildSpec(app.id, "b", "paasd/shop:b-1", "FROM scratch\n")


async def test_reconcile_of_what_is_right_does_nothing(world: World) -> None:
    await world.deployed()
    await world.recovery.reconcile()
    before = [line for line in world.engine.journal if not line.startswith("publish")]
    await world.recovery.reconcile()
    assert [line for line in world.engine.journal if not line.startswith("publish")] == before


async def test_a_dyno_that_was_given_another_address_is_found_again(world: World) -> None:
    app = await world.deployed()
    world.engine.restart_dyno((await world.dyno(app)).id)
    await world.recovery.reconcile()
    assert world.answer() == "v2"


async def test_a_dyno_that_was_made_but_never_started_is_made_again(world: World) -> None:
    """The daemon was killed between the two; the engine calls it neither running nor ended."""
    app = await world.deployed()
    dyno = await world.dyno(app)
    spec = world.engine._running[dyno.id].spec
    await world.engine.stop(dyno.id)
    world.outside.cut_off.clear()
    world.engine.make(spec)
    await world.recovery.reconcile()
    await until(lambda: world.answer() == "v2")
    assert (await world.dyno(app)).id != dyno.id


async def test_what_a_destroyed_app_left_goes_once_the_engine_is_back(world: World) -> None:
    app = await world.deployed()
    await world.dynos.scale(world.actor, app, {"web": 0})
    await world.settled(app)
    await until(lambda: not world.background._tasks)
    world.engine.down = True
    with contextlib.suppress(PaasError):
        await world.apps.destroy(world.actor, app)
    await until(lambda: not world.background._tasks)
    world.engine.down = False
    await world.recovery.reconcile()
    assert await world.engine.artifacts() == []
    assert app.id not in world.engine.networks_made


async def test_a_change_back_to_what_is_already_so_answers_what_is_so(world: World) -> None:
    app = await world.deployed(procfile="web: serve\nrelease: migrate")
    world.engine.commands["migrate"] = world.engine.commands["fail"]
    await world.apps.set_config(world.actor, app, {"A": "1"})
    await world.settled(app)
    assert await world.apps.set_config(world.actor, app, {"A": None}) == {}
    assert [row.split()[1] for row in await world.ledger_of(app)] == ["succeeded", "succeeded", "failed"]


async def test_a_network_that_nothing_else_is_left_of_goes(world: World) -> None:
    """Killed between the removal of a destroyed app's images and of its network. Bites: without `networks` it stays."""
    app = await world.deployed()
    await world.apps.destroy(world.actor, app)
    await until(lambda: not world.background._tasks)
    await world.engine.create_network(app.id)
    await world.recovery.reconcile()
    assert world.engine.networks_made == set()


async def test_the_image_of_a_build_that_failed_goes_and_no_other(world: World) -> None:
    """Killed between the engine's last word and the ledger. Bites: without the sweep it stays; judging by releases
    instead of builds, a slug nobody has released yet would go."""
    app = await world.deployed()
    kept = [artifact.name for artifact in await world.engine.artifacts()]
    (doomed,) = [wire(world.outside)]
    gate = doomed.store.gates.hold("finish_build")
    doomed.background.spawn("push", doomed.builds.receive(doomed.commit(app), Output()))
    await asyncio.wait_for(gate.reached.wait(), DEADLINE)
    assert len(await world.engine.artifacts()) == 2
    again = wire(world.outside)
    await again.recovery.boot()
    assert [artifact.name for artifact in await again.engine.artifacts()] == kept
    await again.background.close()
