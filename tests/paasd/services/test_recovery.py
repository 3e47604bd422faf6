"""What a killed daemon leaves, and what differs from the ledger: mended, and never at the cost of what is served."""

import asyncio
from dataclasses import replace

import pytest

from paasd.domain.app import App
from paasd.domain.dyno import DynoKind, Formation
from paasd.domain.errors import StoreUnavailable
from paasd.domain.release import Build, BuildStatus, NewRelease, Stage, Status
from tests.paasd.services.world import BOOT, DEADLINE, NOW, Output, World, cancelled, until, wire


async def killed_at(world: World, app: App, point: str, procfile: str = "web: serve\nrelease: migrate") -> World:
    """The daemon is killed while a push is at this point; the next daemon, not yet booted."""
    doomed = wire(world.outside, boot=replace(BOOT, timeout=60.0))
    where, _, call = point.partition(" ")
    gates = {"engine": doomed.engine.gates, "router": doomed.router.gates, "store": doomed.store.gates}[where]
    gate = gates.hold(call)
    if call == "probe":
        procfile = "web: serve"
        doomed.engine.gates.hold("wait")  # nor does it see the end of its dyno
    doomed.background.spawn("push", doomed.builds.receive(doomed.commit(app, procfile), Output()))
    await asyncio.wait_for(gate.reached.wait(), DEADLINE)
    await until(lambda: not any(task.get_name().startswith("stage ") for task in doomed.background._tasks))
    return wire(world.outside)  # what runs in the old one is stuck at its gate for ever, as good as killed


# --- boot -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("point", "stage"),
    [
        ("engine output", "release phase"),
        ("engine start", "start dynos"),
        ("engine probe", "await healthy"),
        ("router publish", "swap route"),
    ],
)
async def test_a_release_killed_before_its_swap_fails_naming_the_stage(world: World, point: str, stage: str) -> None:
    app = await world.deployed()
    again = await killed_at(world, app, point)
    await again.recovery.boot()
    assert f"daemon restarted during {stage}; release it again." in await again.failure(app, 3)
    assert again.answer() == "v2"
    await until(lambda: not again.routing.leaving)
    assert await again.running(app) == ["web.1 v2"]
    assert len(await again.engine.dynos()) == 1
    await again.push(app)
    assert again.answer() == "v4"
    await again.background.close()


@pytest.mark.parametrize("point", ["router published", "store stage promote", "store transition"])
async def test_a_release_that_the_router_serves_already_is_promoted(world: World, point: str) -> None:
    app = await world.deployed()
    again = await killed_at(world, app, point)
    assert again.answer() == "v3"
    await again.recovery.boot()
    assert (await again.release(app, 3)).status is Status.SUCCEEDED
    assert again.answer() == "v3"
    await again.settled(app)
    assert await again.running(app) == ["web.1 v3"]  # what it replaced is retired
    stages = await again.store.stages((await again.release(app, 3)).id)
    assert (stages[-1].stage, stages[-1].detail) == (Stage.PROMOTE, "promoted after a restart of the daemon")
    await again.background.close()


@pytest.mark.parametrize("how", ["crashed", "gone", "sick"])
async def test_a_release_that_the_router_serves_but_that_is_not_healthy_fails(world: World, how: str) -> None:
    app = await world.deployed()
    again = await killed_at(world, app, "router published")
    (new,) = [dyno for dyno in await again.engine.dynos() if dyno.release_version == 3]
    if how == "crashed":
        again.engine.die(new.id)
    elif how == "gone":
        again.engine.die(new.id)
        await again.engine.stop(new.id)
    else:
        again.engine.refusals = [True]
    await again.recovery.boot()
    assert "daemon restarted during swap route" in await again.failure(app, 3)
    assert again.answer() == "v2"
    await again.settled(app)
    assert await again.running(app) == ["web.1 v2"]
    await again.background.close()


async def test_a_release_without_web_dynos_is_not_taken_for_served(world: World) -> None:
    app = await world.deployed()
    await world.store.set_formation(app.id, [Formation("web", 0), Formation("worker", 1)])
    again = await killed_at(world, app, "store transition", "web: serve\nworker: hang")
    await again.recovery.boot()
    assert (await again.release(app, 3)).status is Status.FAILED
    await again.background.close()


async def test_the_branch_moves_to_a_commit_that_was_promoted(world: World) -> None:
    app = await world.deployed()
    old = world.sources.branches[app.id]["main"]
    again = await killed_at(world, app, "store transition")
    await again.recovery.boot()
    new = (await again.release(app, 3)).commit
    assert new is not None
    assert world.sources.branches[app.id] == {"main": new.sha} != {"main": old}
    await again.background.close()


async def test_the_branch_stays_where_it_is_after_a_rollback_and_config_changes(world: World) -> None:
    app = await world.deployed()
    await world.push(app)
    newest = world.sources.branches[app.id]["main"]
    await world.releases.roll_back(world.actor, app, "v2")
    await world.config(app, GREETING="hello")
    await world.settled(app)
    again = wire(world.outside)
    await again.recovery.boot()
    assert world.sources.branches[app.id]["main"] == newest
    await again.background.close()


async def test_the_branch_that_moves_is_the_one_that_people_push_to(world: World) -> None:
    app = await world.create()
    push = world.commit(app)
    await world.builds.receive(push, Output())
    world.sources.branches[app.id] = {"master": "0" * 40}
    await world.recovery.boot()
    assert world.sources.branches[app.id] == {"master": push.sha}


async def test_a_push_under_way_moves_its_branch_itself(world: World) -> None:
    app = await world.deployed()
    world.sources.branches[app.id]["main"] = "0" * 40
    gate = world.engine.gates.hold("build")
    task = asyncio.create_task(world.push(app))
    await asyncio.wait_for(gate.reached.wait(), DEADLINE)
    await world.recovery.boot()
    assert world.sources.branches[app.id]["main"] == "0" * 40
    gate.opened.set()
    await task


async def test_a_build_that_nobody_owns_fails(world: World) -> None:
    app = await world.create()
    build = Build("4d1f2c3b", app.id, BuildStatus.PENDING, world.actor, None, NOW, NOW)
    await world.store.insert_build(build)
    await world.recovery.boot()
    (found,) = await world.ledger.builds(app)
    assert (found.status, found.failure) == (
        BuildStatus.FAILED,
        "daemon restarted during build; push again.",
    )


async def test_other_apps_are_served_all_the_while(world: World) -> None:
    """A table is whole: mending one app must not drop the others from it."""
    app = await world.deployed()
    await world.deployed("blog")
    again = await killed_at(world, app, "engine probe")
    published = len(world.engine.journal)
    await again.recovery.boot()
    tables = [line for line in world.engine.journal[published:] if line.startswith("publish")]
    assert tables
    assert all(line.split().count("2") == 2 for line in tables)
    await again.background.close()


async def test_boot_starts_the_router_and_gives_it_everything(world: World) -> None:
    await world.deployed()
    world.plane.stop()
    again = wire(world.outside)
    await again.recovery.boot()
    assert again.answer() == "v2"
    await again.background.close()


async def test_boot_without_an_engine_changes_nothing_and_mends_later(world: World) -> None:
    app = await world.deployed()
    again = await killed_at(world, app, "engine probe")
    again.engine.down = True
    await again.recovery.boot()
    again.engine.down = False
    assert again.answer() == "v2"
    assert (await again.release(app, 3)).status is Status.PENDING
    await again.recovery.reconcile()
    assert (await again.release(app, 3)).status is Status.FAILED
    await again.background.close()


async def test_one_release_that_can_not_be_settled_does_not_keep_the_others(world: World) -> None:
    shop, blog = await world.create("shop"), await world.create("blog")
    for app in (shop, blog):
        await world.store.record_release(NewRelease(app.id, "Deploy", world.actor, {}, {}))
    world.store.gates.errors["stage failed"] = StoreUnavailable("Full; make room.")
    gate = world.store.gates.hold("stage failed")
    settling = asyncio.create_task(world.recovery.settling.settle())
    await asyncio.wait_for(gate.reached.wait(), DEADLINE)
    gate.opened.set()
    await until(lambda: not world.store.gates.errors.clear())  # type: ignore[func-returns-value]
    await settling
    statuses = {(await world.release(app, 2)).status for app in (shop, blog)}
    assert Status.FAILED in statuses


async def test_a_fault_of_our_own_in_one_part_mends_the_rest(world: World) -> None:
    app = await world.deployed()
    world.engine.gates.errors["artifacts"] = ValueError("a fault of ours")
    world.engine.gates.errors["changes"] = ValueError("a fault of ours")
    world.router.gates.errors["publish"] = ValueError("a fault of ours")
    dead = (await world.dyno(app)).id
    world.engine.die(dead)
    await world.recovery.reconcile()
    assert [dyno.id for dyno in await world.engine.dynos(app.id) if dyno.running and dyno.id != dead]
    world.router.gates.errors.clear()
    await world.recovery.reconcile()  # what could not be published is, in the next round
    await until(lambda: world.answer() == "v2")


# --- settling while others work ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", ["recorded", "stage record", "transition"])
async def test_a_release_that_is_ours_is_not_settled(world: World, point: str) -> None:
    app = await world.deployed()
    gate = world.store.gates.hold(point)
    task = asyncio.create_task(world.push(app))
    await asyncio.wait_for(gate.reached.wait(), DEADLINE)
    await world.recovery.settling.settle()
    await world.recovery.reconcile()
    gate.opened.set()
    await task
    assert world.answer() == "v3"


async def test_a_release_that_ends_while_recovery_looks_is_left_as_it_is(world: World) -> None:
    app = await world.deployed()
    recorded = await world.store.record_release(NewRelease(app.id, "Deploy", world.actor, {}, {}))
    gate = world.store.gates.hold("pending_releases")
    settling = asyncio.create_task(world.recovery.settling.settle())
    await asyncio.wait_for(gate.reached.wait(), DEADLINE)  # the list is made
    await world.store.transition(recorded.id, Status.PENDING, Status.SUCCEEDED)
    gate.opened.set()
    await settling
    assert (await world.release(app, 3)).status is Status.SUCCEEDED
    assert not await world.store.stages(recorded.id)


async def test_somebody_who_waits_for_a_dead_release_is_helped(world: World) -> None:
    """An undo that raised, or a killed daemon, must not lock the app for ever."""
    app = await world.deployed()
    again = await killed_at(world, app, "engine probe")
    waiting = asyncio.create_task(again.config(app, GREETING="hello"))
    await until(lambda: app.id in again.releases.waiting)
    await again.recovery.reconcile()
    async with asyncio.timeout(DEADLINE):
        assert await waiting == {"GREETING": "hello"}
    await again.settled(app)
    assert again.answer() == "v4"
    await again.background.close()


async def test_a_release_dyno_of_a_live_release_is_let_run_and_a_dead_ones_is_stopped(world: World) -> None:
    app = await world.deployed()
    gate = world.engine.gates.hold("output")
    task = asyncio.create_task(world.builds.receive(world.commit(app, "web: serve\nrelease: hang"), Output()))
    await asyncio.wait_for(gate.reached.wait(), DEADLINE)
    await world.recovery.reconcile()
    kinds = sorted(dyno.kind for dyno in await world.engine.dynos())
    assert kinds == [DynoKind.FORMATION, DynoKind.RELEASE]
    again = wire(world.outside)  # to which it belongs to nobody
    await again.recovery.boot()
    assert [dyno.kind for dyno in await again.engine.dynos()] == [DynoKind.FORMATION]
    await cancelled(task)
    await again.background.close()


async def test_a_release_fails_at_once_though_its_dynos_take_long_to_end(world: World) -> None:
    """Bites: with the dynos retired first, the release stays pending, and the app locked, for a drain and a grace."""
    app = await world.deployed()
    again = await killed_at(world, app, "router publish")
    stopping = again.engine.gates.hold("stop")
    await asyncio.wait_for(again.recovery.settling.settle(), DEADLINE)
    assert (await again.release(app, 3)).status is Status.FAILED
    await asyncio.wait_for(stopping.reached.wait(), DEADLINE)
    stopping.opened.set()
    await again.recovery.boot()
    await until(lambda: not again.routing.leaving)
    assert await again.running(app) == ["web.1 v2"]
    await again.background.close()
