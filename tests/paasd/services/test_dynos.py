"""Dynos as people see them: listing, formation, scaling, restarting."""

import asyncio

import pytest

from paasd.domain.app import App
from paasd.domain.dyno import DynoKind, Formation
from paasd.domain.errors import DynoUnhealthy, InvalidParams, NotFound
from tests.paasd.services.world import DEADLINE, Output, World, cancelled, until


async def test_dynos_being_replaced_or_being_tried_are_not_listed(world: World) -> None:
    app = await world.create()
    assert await world.dynos.of(app) == []
    await world.push(app)
    old = await world.dyno(app)
    assert old.address is not None
    gate = world.engine.gates.hold("output")
    task = asyncio.create_task(world.builds.receive(world.commit(app, "web: serve\nrelease: hang"), Output()))
    await asyncio.wait_for(gate.reached.wait(), DEADLINE)
    listed = await world.dynos.of(app)
    assert {dyno.kind for dyno in listed} == {DynoKind.FORMATION, DynoKind.RELEASE}  # the release phase shows
    await cancelled(task)
    world.plane.serve(app.id, (old.address, 5000))  # so that the old one has to drain
    await world.push(app)
    assert [dyno.release_version for dyno in await world.dynos.of(app)] == [4]
    world.plane.end_request((old.address, 5000))


async def test_the_formation_is_empty_before_the_first_build(world: World) -> None:
    app = await world.create()
    assert await world.dynos.formation(app) == []
    with pytest.raises(NotFound, match=r"shop has none: deploy first"):
        await world.dynos.scale(world.actor, app, {"web": 1})


async def test_scaling_starts_and_stops_at_once_and_lasts(world: World) -> None:
    app = await world.deployed(procfile="web: serve\nworker: hang")
    formation = await world.dynos.scale(world.actor, app, {"worker": 2})
    assert formation == [(Formation("web", 1), "serve"), (Formation("worker", 2), "hang")]
    assert await world.running(app) == ["web.1 v2", "worker.1 v2", "worker.2 v2"]
    await world.dynos.scale(world.actor, app, {"worker": 1})
    await world.settled(app)
    assert await world.running(app) == ["web.1 v2", "worker.1 v2"]
    said = "app[api]: Scaled to web@1:Standard-1X, worker@1:Standard-1X by user ann@example.org (owner)"
    assert said in world.lines(app)
    await world.push(app, "web: serve\nworker: hang")
    await world.settled(app)
    assert await world.running(app) == ["web.1 v3", "worker.1 v3"]


async def test_an_app_scaled_to_nothing_has_no_dynos_and_the_router_says_so(world: World) -> None:
    app = await world.deployed()
    await world.dynos.scale(world.actor, app, {"web": 0})
    await world.settled(app)
    assert world.answer() == "H14"
    assert await world.running(app) == []
    await world.push(app)
    assert world.answer() == "H14"
    await world.dynos.scale(world.actor, app, {"web": 1})
    await until(lambda: world.answer() == "v3")


async def test_scaling_a_crashing_app_to_nothing_is_not_a_crash(world: World) -> None:
    app = await world.deployed()
    world.engine.commands["serve"] = world.engine.commands["crash"]
    world.engine.die((await world.dyno(app)).id)
    await world.recovery.reconcile()
    await until(lambda: world.answer() == "H10")
    await world.dynos.scale(world.actor, app, {"web": 0})
    await world.recovery.reconcile()
    assert world.answer() == "H14"


@pytest.mark.parametrize("quantity", [-1, 101])
async def test_quantities_are_bounded(world: World, quantity: int) -> None:
    app = await world.deployed()
    with pytest.raises(InvalidParams, match="from 0 to 100"):
        await world.dynos.scale(world.actor, app, {"web": quantity})


async def test_an_unknown_type_is_named_with_those_there_are(world: World) -> None:
    app = await world.deployed()
    with pytest.raises(NotFound, match=r"\(clock\); shop has web"):
        await world.dynos.scale(world.actor, app, {"clock": 1})


@pytest.mark.parametrize("which", [None, "web", "web.1"])
async def test_restarted_dynos_are_new_ones(world: World, which: str | None) -> None:
    app = await world.deployed(procfile="web: serve\nworker: hang")
    await world.dynos.scale(world.actor, app, {"worker": 1})
    before = {dyno.name: dyno.id for dyno in await world.engine.dynos()}
    await world.dynos.restart(app, which)

    async def anew() -> bool:
        found = {dyno.name: dyno.id for dyno in await world.engine.dynos()}
        return found.keys() == before.keys() and found["web.1"] != before["web.1"] and world.answer() == "v2"

    await until(anew)
    now = {dyno.name: dyno.id for dyno in await world.engine.dynos()}
    assert (now["worker.1"] == before["worker.1"]) == (which is not None)


async def test_restarting_what_is_not_there_is_said_so(world: World) -> None:
    app = await world.deployed()
    with pytest.raises(NotFound, match=r"Couldn't find that dyno \(web\.7\)"):
        await world.dynos.restart(app, "web.7")
    await world.dynos.restart(await world.create("blog"), None)


@pytest.mark.parametrize("which", ["web.1", "web"])
async def test_what_is_to_be_is_there_though_it_is_just_being_replaced(world: World, which: str) -> None:
    """Bites: without `_to_be`, a type between two dynos is not found."""
    app = await world.deployed()
    for dyno in await world.engine.dynos(app.id):
        await world.engine.stop(dyno.id)
    world.outside.cut_off.clear()
    await world.dynos.restart(app, which)


async def test_a_restart_that_does_not_come_up_leaves_the_old_dynos_on(world: World) -> None:
    app = await world.deployed()
    before = (await world.dyno(app)).id
    world.engine.commands["serve"] = world.engine.commands["never-bind"]
    await world.dynos.restart(app, None)
    await until(lambda: any("Restart given up" in line for line in world.lines(app)))
    await world.settled(app)
    assert (await world.dyno(app)).id == before
    assert world.answer() == "v2"


async def test_a_restart_the_router_does_not_hear_of_stops_nothing_it_serves(world: World) -> None:
    app = await world.deployed()
    before = (await world.dyno(app)).id
    gate = world.engine.gates.hold("probe")
    await world.dynos.restart(app, None)
    await asyncio.wait_for(gate.reached.wait(), DEADLINE)
    world.plane.stop()
    gate.opened.set()
    await until(lambda: any("Restart given up" in line for line in world.lines(app)))
    await world.settled(app)
    assert (await world.dyno(app)).id == before
    world.plane.start()
    assert world.answer() == "v2"


async def test_another_size_starts_fresh_dynos_and_loses_no_request(world: World) -> None:
    """Bites: resize left out of Dynos.scale and of Recovery._look_after."""
    app = await world.deployed(procfile="web: serve\nworker: hang\nrelease: migrate")
    await world.dynos.scale(world.actor, app, {"worker": 1})
    before = (await world.dyno(app)).id
    shown = await world.dynos.scale(world.actor, app, {}, {"web": "standard-2x"})
    assert {entry.type: (entry.quantity, entry.size) for entry, _ in shown} == {
        "web": (1, "Standard-2X"), "worker": (1, "Standard-1X"), "release": (0, "Standard-1X"),
    }  # fmt: skip
    await until(lambda: sizes_are(world, app, {"web.1": "Standard-2X", "worker.1": "Standard-1X"}))
    await world.settled(app)
    assert (await world.dyno(app)).id != before
    assert world.answer() == "v2"
    await world.push(app, "web: serve\nrelease: migrate")
    await world.settled(app)
    assert await sizes_are(world, app, {"web.1": "Standard-2X"})


async def sizes_are(world: World, app: App, wanted: dict[str, str]) -> bool:
    return {dyno.name: dyno.size for dyno in await world.dynos.of(app) if dyno.running} == wanted


async def test_a_daemon_that_was_killed_before_it_resized_does_so_after(world: World) -> None:
    app = await world.deployed()
    await world.store.set_formation(app.id, [Formation("web", 1, "Standard-2X")])
    await world.recovery.reconcile()
    await until(lambda: sizes_are(world, app, {"web.1": "Standard-2X"}))
    await world.settled(app)


async def test_a_size_that_does_not_come_up_is_tried_once(world: World) -> None:
    app = await world.deployed()
    before = (await world.dyno(app)).id
    world.engine.gates.errors["start"] = DynoUnhealthy("Not enough memory; buy some.")
    await world.dynos.scale(world.actor, app, {}, {"web": "Standard-2X"})
    await until(lambda: any("Restart given up: Not enough memory" in line for line in world.lines(app)))
    await world.recovery.reconcile()
    assert sum("Restart given up" in line for line in world.lines(app)) == 1
    assert ((await world.dyno(app)).id, world.answer()) == (before, "v2")


async def test_sizes_and_quantities_that_can_not_be_meant(world: World) -> None:
    app = await world.deployed(procfile="web: serve\nrelease: migrate")
    with pytest.raises(InvalidParams, match="There is no size 'huge'; there are Standard-1X, Standard-2X"):
        await world.dynos.scale(world.actor, app, {}, {"web": "huge"})
    with pytest.raises(NotFound):
        await world.dynos.scale(world.actor, app, {}, {"clock": "Standard-2X"})
    with pytest.raises(InvalidParams, match="once for each release"):
        await world.dynos.scale(world.actor, app, {"release": 1})
    await world.dynos.scale(world.actor, app, {"release": 0}, {"release": "Standard-2X"})
