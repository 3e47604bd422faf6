"""What a killed daemon leaves, and what differs from the ledger: mended, and never at the cost of what is served."""

import asyncio
import itertools
from dataclasses import replace

import pytest

from paasd.domain.app import App
from paasd.domain.dyno import DynoKind, Exit, Formation
from paasd.domain.errors import DeployFailed, PaasError, StoreUnavailable
from paasd.domain.release import Build, BuildStatus, NewRelease, Stage, Status
from paasd.services.recovery import RecoveryRules
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
    assert f"The daemon was restarted during the stage '{stage}'; release it again." in await again.failure(app, 3)
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
    assert "during the stage 'swap route'" in await again.failure(app, 3)
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
        "The daemon was restarted during the build; push again.",
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
    settling = asyncio.create_task(world.recovery.settle())
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
    world.engine.die((await world.dyno(app)).id)
    await world.recovery.reconcile()
    world.router.gates.errors.clear()
    await until(lambda: world.answer() == "v2")


# --- settling while others work ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", ["recorded", "stage record", "transition"])
async def test_a_release_that_is_ours_is_not_settled(world: World, point: str) -> None:
    app = await world.deployed()
    gate = world.store.gates.hold(point)
    task = asyncio.create_task(world.push(app))
    await asyncio.wait_for(gate.reached.wait(), DEADLINE)
    await world.recovery.settle()
    await world.recovery.reconcile()
    gate.opened.set()
    await task
    assert world.answer() == "v3"


async def test_a_release_that_ends_while_recovery_looks_is_left_as_it_is(world: World) -> None:
    app = await world.deployed()
    recorded = await world.store.record_release(NewRelease(app.id, "Deploy", world.actor, {}, {}))
    gate = world.store.gates.hold("pending_releases")
    settling = asyncio.create_task(world.recovery.settle())
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


# --- reconcile --------------------------------------------------------------------------------------------------------


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


# --- crashes ----------------------------------------------------------------------------------------------------------


async def watching(world: World) -> None:
    """As the daemon does from its boot on."""
    world.background.spawn("watch", world.recovery.watch())
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_a_crashed_dyno_is_restarted_at_once_and_gets_requests_when_it_is_healthy(world: World) -> None:
    app = await world.deployed()
    await watching(world)
    old = await world.dyno(app)
    gate = world.engine.gates.hold("probe")
    world.engine.die(old.id, Exit(137, signal=9, oom=True))
    await asyncio.wait_for(gate.reached.wait(), DEADLINE)
    await until(lambda: world.answer() == "H20")  # it runs, but is not known to be healthy
    gate.opened.set()
    await until(lambda: world.answer() == "v2")
    assert (await world.dyno(app)).id != old.id
    assert "heroku[web.1]: Process was killed for using more memory than its limit (R15)" in world.lines(app)
    assert "heroku[web.1]: State changed from up to crashed" in world.lines(app)


async def test_a_dyno_that_goes_on_crashing_backs_off_and_the_router_says_so(world: World) -> None:
    app = await world.deployed()
    await watching(world)
    starts: list[float] = []
    clock = asyncio.get_running_loop().time

    class Journal(list[str]):
        def append(self, line: str) -> None:
            if line == "start web.1 v2":
                starts.append(clock())
            super().append(line)

    world.engine.journal = Journal()
    world.engine.commands["serve"] = world.engine.commands["crash"]
    began = clock()
    world.engine.die((await world.dyno(app)).id)
    await until(lambda: world.answer() == "H10")
    await until(lambda: len(starts) >= 4)
    assert starts[0] - began < 0.05  # at once
    gaps = [later - earlier for earlier, later in itertools.pairwise(starts)]
    assert [gap >= least for gap, least in zip(gaps, (0.05, 0.1, 0.2), strict=False)] == [True, True, True]
    assert world.answer() == "H10"
    world.engine.commands["serve"] = world.engine.commands["sick"]  # runs, and accepts
    await until(lambda: world.answer() == "v2")


def test_back_off_doubles_from_one_second_to_five_minutes() -> None:
    rules = RecoveryRules()
    assert [rules.delay(crashes) for crashes in range(1, 12)] == [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300]
    assert rules.delay(10_000) == 300


async def test_a_dyno_that_ran_long_is_restarted_at_once_however_often_it_crashed_before(world: World) -> None:
    app = await world.deployed()
    patient = RecoveryRules(backoff=1000.0, backoff_max=1000.0, steady_after=0.0)
    world.recovery._rules = patient
    for _ in range(3):
        old = await world.dyno(app)
        await asyncio.sleep(0.001)
        world.engine.die(old.id)
        await world.recovery.reconcile()
        await until(lambda: world.answer() == "v2")
        assert (await world.dyno(app)).id != old.id


async def test_a_restarted_dyno_that_never_binds_is_stopped_and_counted(world: World) -> None:
    app = await world.deployed()
    world.engine.commands["serve"] = world.engine.commands["never-bind"]
    world.engine.die((await world.dyno(app)).id)
    await world.recovery.reconcile()
    await until(lambda: world.answer() == "H10")  # stopped, and to be started again
    assert await world.running(app) == []
    assert "heroku[web.1]: Process did not come up" in world.lines(app)
    world.engine.commands["serve"] = world.engine.commands["sick"]
    await until(lambda: world.answer() == "v2")


async def test_dynos_that_start_beside_one_that_can_not_are_not_left_without_requests(world: World) -> None:
    app = await world.deployed(procfile="web: serve\nworker: hang")
    await world.dynos.scale(world.actor, app, {"worker": 1})
    for dyno in await world.engine.dynos():
        world.engine.die(dyno.id)
    world.engine.commands["hang"] = world.engine.commands["unstartable"]
    await world.recovery.reconcile()
    assert not world.routing.booting
    world.engine.commands["hang"] = world.engine.commands["never-bind"]
    await until(lambda: world.answer() == "v2")
    await until(lambda: len(world.routing.booting) == 0)
    assert await world.running(app) == ["web.1 v2", "worker.1 v2"]


async def test_an_image_that_is_gone_is_not_tried_in_a_tight_loop(world: World) -> None:
    app = await world.deployed()
    await watching(world)
    dyno = await world.dyno(app)
    release = await world.release(app, 2)
    assert release.artifact is not None
    world.engine.die(dyno.id)
    await world.engine.stop(dyno.id)
    await world.engine.delete_artifact(release.artifact)
    await world.recovery.reconcile()
    await until(lambda: world.answer() == "H10")
    assert world.recovery._crashes[release.id, "web.1"].count < 10


async def test_starting_while_the_router_is_down_starts_once(world: World) -> None:
    app = await world.deployed()
    await watching(world)
    world.host.startable = False
    world.plane.stop()
    world.engine.journal.clear()
    world.engine.die((await world.dyno(app)).id)
    await until(lambda: "start web.1 v2" in world.engine.journal)
    await until(lambda: not world.routing.booting)
    assert world.engine.journal.count("start web.1 v2") == 1
    world.host.startable = True
    await world.recovery.reconcile()
    assert world.answer() == "v2"


async def test_a_release_under_way_looks_after_its_dynos_itself(world: World) -> None:
    app = await world.deployed()
    gate = world.engine.gates.hold("probe")
    task = asyncio.create_task(world.push(app))
    await asyncio.wait_for(gate.reached.wait(), DEADLINE)
    await world.recovery.converge(app)
    assert await world.running(app) == ["web.1 v2", "web.1 v3"]
    gate.opened.set()
    await task


async def test_engine_events_are_asked_for_again_after_the_engine_went_away(world: World) -> None:
    app = await world.deployed()
    await watching(world)
    world.engine.go_away()
    await asyncio.sleep(0.03)
    world.engine.down = False
    await until(lambda: len(world.engine._listeners) == 1)
    world.engine.die((await world.dyno(app)).id)
    await until(lambda: world.answer() == "v2")


async def test_events_of_an_app_that_is_gone_are_nothing(world: World) -> None:
    app = await world.deployed()
    await watching(world)
    await world.apps.destroy(world.actor, app)
    await until(lambda: not world.sources.branches)
    with pytest.raises(PaasError):
        await world.apps.find("shop")
    assert world.answer() == "404"


async def test_a_failed_deploy_of_a_crashing_app_leaves_its_old_dyno_to_reconcile(world: World) -> None:
    app = await world.deployed()
    with pytest.raises(DeployFailed):
        await world.push(app, "web: crash")
    world.engine.die((await world.dyno(app)).id)
    await world.recovery.reconcile()
    await until(lambda: world.answer() == "v2")
