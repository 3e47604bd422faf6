"""Deploys while parts are away or break: the app is never locked, and what is left over is reconciled away."""

import asyncio
from collections.abc import Callable

import pytest

from paasd.domain.dyno import DynoKind
from paasd.domain.errors import (
    DeployCancelled,
    DeployFailed,
    DynoUnhealthy,
    EngineUnavailable,
    RouterUnavailable,
    StoreUnavailable,
)
from paasd.domain.release import Status
from paasd.services import deploy
from tests.paasd.services.world import DEADLINE, Output, World, cancelled, nothing_happened, until, wire


async def test_an_engine_that_dies_fails_the_release_and_its_undos_without_locking_the_app(world: World) -> None:
    """An undo that raises is left to recovery: the next deploy goes ahead."""
    app = await world.deployed()
    gate = world.engine.gates.hold("probe")
    task = asyncio.create_task(world.push(app))
    await asyncio.wait_for(gate.reached.wait(), DEADLINE)
    world.engine.down = True
    gate.opened.set()
    with pytest.raises(DeployFailed):
        await task
    assert (await world.release(app, 3)).status is Status.FAILED
    world.engine.down = False
    assert await world.running(app) == ["web.1 v2", "web.1 v3"]  # the undo could not reach it
    await world.recovery.reconcile()
    await world.settled(app)
    await nothing_happened(world)
    await world.push(app)
    assert world.answer() == "v4"


async def test_an_undo_that_breaks_unexpectedly_is_left_to_recovery_too(world: World) -> None:
    app = await world.deployed()
    world.engine.gates.errors["stop"] = RuntimeError("a fault of ours")
    with pytest.raises(DynoUnhealthy):
        await world.push(app, "web: never-bind")
    del world.engine.gates.errors["stop"]
    assert (await world.release(app, 3)).status is Status.FAILED
    await world.push(app)
    await world.settled(app)
    assert world.answer() == "v4"


async def test_a_router_that_is_down_fails_the_swap(world: World) -> None:
    app = await world.deployed()
    gate = world.router.gates.hold("publish")
    task = asyncio.create_task(world.push(app))
    await asyncio.wait_for(gate.reached.wait(), DEADLINE)
    world.plane.stop()
    gate.opened.set()
    with pytest.raises(DeployFailed, match="Release v3 failed: The router does not answer") as caught:
        await task
    assert isinstance(caught.value.__cause__, DeployFailed)
    # The router may have saved a table that names them: they are stopped only once another is in force.
    assert await world.running(app) == ["web.1 v2", "web.1 v3"]
    world.plane.start()
    await world.recovery.reconcile()
    await world.settled(app)
    await nothing_happened(world)


async def test_a_store_that_fails_at_the_end_is_told_the_reason_as_soon_as_it_works(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bites: without keep_failing the release stays pending until some later round, and gets another reason."""
    monkeypatch.setattr(deploy, "RECORD_AGAIN_SECONDS", 0.05)
    app = await world.deployed()
    world.store.gates.errors["stage failed"] = StoreUnavailable("The disk is full; make room.")
    with pytest.raises(DynoUnhealthy):
        await world.push(app, "web: crash")
    await world.recovery.reconcile()
    assert (await world.release(app, 3)).status is Status.PENDING
    del world.store.gates.errors["stage failed"]
    await until(lambda: not world.recovery._hands.ending)
    assert "daemon restarted" not in await world.failure(app, 3)
    await world.push(app)
    assert world.answer() == "v4"


async def test_a_fault_of_our_own_is_told_without_its_details(world: World) -> None:
    app = await world.deployed()
    world.engine.gates.errors["attach"] = ValueError("secret=hunter2")
    with pytest.raises(DeployFailed, match=r"Internal error during release phase \(ValueError\); see the daemon's log"):
        await world.push(app, "web: serve\nrelease: migrate")
    await nothing_happened(world)


async def test_a_release_that_another_daemon_ended_is_not_promoted(world: World) -> None:
    app = await world.deployed()
    gate = world.router.gates.hold("published")
    task = asyncio.create_task(world.push(app))
    await asyncio.wait_for(gate.reached.wait(), DEADLINE)
    (pending,) = await world.store.pending_releases(app.id)
    assert await world.store.transition(pending.id, Status.PENDING, Status.FAILED)
    gate.opened.set()
    with pytest.raises(DeployCancelled, match="was ended by another daemon"):
        await task
    await nothing_happened(world)


@pytest.mark.parametrize(
    "break_it",
    [
        lambda world: world.store.gates.errors.update({"stage retire previous": StoreUnavailable("Full; make room.")}),
        lambda world: world.router.gates.errors.update({"drain": RouterUnavailable("Gone; start it.")}),
        lambda world: world.engine.gates.errors.update({"stop": EngineUnavailable("Gone; start it.")}),
    ],
    ids=["store", "router", "engine"],
)
async def test_what_fails_after_the_commit_fails_no_release_and_is_reconciled(
    world: World, break_it: Callable[[World], None]
) -> None:
    app = await world.deployed()
    break_it(world)
    await world.push(app)
    await world.settled(app)
    assert world.answer() == "v3"
    for gates in (world.store.gates, world.router.gates, world.engine.gates):
        gates.errors.clear()
    await world.recovery.reconcile()
    await world.settled(app)
    assert await world.running(app) == ["web.1 v3"]
    assert (await world.release(app, 3)).status is Status.SUCCEEDED


async def test_a_deploy_leaves_one_off_dynos_alone(world: World) -> None:
    """ "Stop every dyno of the app but the new ones" would also kill somebody's `run`."""
    app = await world.deployed()
    spec = world.releases._hands.boot.spec(app, await world.release(app, 2), "run.4711", DynoKind.ONE_OFF, "hang")
    await world.engine.start(spec)
    await world.push(app)
    await world.settled(app)
    await world.recovery.reconcile()
    assert await world.running(app) == ["run.4711 v2", "web.1 v3"]


async def test_tables_have_a_counter_of_their_own_so_that_a_restored_one_is_not_older(world: World) -> None:
    """Numbered by release version, the table that brings v2 back would be refused as older than v3's."""
    app = await world.deployed()
    before = world.plane.table.version
    gate = world.store.gates.hold("stage promote")
    task = asyncio.create_task(world.builds.receive(world.commit(app), Output()))
    await asyncio.wait_for(gate.reached.wait(), DEADLINE)
    assert world.answer() == "v3"
    swapped = world.plane.table.version
    await cancelled(task)
    assert world.answer() == "v2"
    assert before < swapped < world.plane.table.version


async def test_the_daemon_stopping_undoes_what_is_under_way(world: World) -> None:
    app = await world.deployed()
    gate = world.engine.gates.hold("output")
    task = asyncio.create_task(world.builds.receive(world.commit(app, "web: serve\nrelease: hang"), Output()))
    await asyncio.wait_for(gate.reached.wait(), DEADLINE)
    await world.background.close()
    with pytest.raises(DeployCancelled, match="Release v3 was undone because the daemon was stopped; push again"):
        await task
    await nothing_happened(wire(world.outside))
