"""Dynos that crash: restarted at once, then ever later, and the router says which it is."""

import asyncio
import itertools
from dataclasses import replace

import pytest

from paasd.domain.dyno import DynoState, Exit
from paasd.domain.errors import DeployFailed, PaasError
from paasd.services.recovery import RecoveryRules
from tests.paasd.services.world import DEADLINE, World, until


async def watching(world: World) -> None:
    """As the daemon does from its boot on."""
    await world.recovery.boot()
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
    r15 = world.lines(app).index("heroku[web.1]: Error R15 (Memory quota vastly exceeded)")
    assert world.lines(app)[r15 + 1] == "heroku[web.1]: Process was killed for using more memory than its limit (R15)"
    assert "heroku[web.1]: State changed from up to crashed" in world.lines(app)


async def test_a_dyno_at_its_memory_limit_is_told_so_once_in_a_while(world: World) -> None:
    """Its end comes on the heels of that. Bites: with `_again` left out of `converge`, which then misses the end."""
    app = await world.deployed()
    await watching(world)
    dyno = await world.dyno(app)

    def told() -> int:
        return world.lines(app).count("heroku[web.1]: Error R14 (Memory quota exceeded)")

    world.engine.run_out_of_memory(dyno.id)
    await until(lambda: told() == 1)
    world.engine.run_out_of_memory(dyno.id)
    world.engine.die(dyno.id)  # seen after that
    await until(lambda: "heroku[web.1]: State changed from up to crashed" in world.lines(app))
    assert told() == 1
    await until(lambda: world.answer() == "v2")
    world.recovery._memory._interval = 0.0
    world.engine.run_out_of_memory((await world.dyno(app)).id)
    await until(lambda: told() == 2)


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


async def test_one_that_ended_before_it_was_up_is_seen_as_crashed_until_the_next_is_started(world: World) -> None:
    """Bites: such a one cleared away at once, and `ps` shows nothing for as long as the back-off lasts."""
    app = await world.deployed()
    await watching(world)
    world.recovery._rules = replace(world.recovery._rules, backoff=60.0)
    world.engine.commands["serve"] = world.engine.commands["crash"]
    first = await world.dyno(app)
    world.engine.die(first.id)  # started again at once, and the next one in a minute

    async def another_crashed() -> bool:
        dynos = await world.engine.dynos(app.id)
        return [(dyno.state, dyno.id == first.id) for dyno in dynos] == [(DynoState.CRASHED, False)]

    await until(another_crashed)
    await world.recovery.reconcile()
    assert await another_crashed()
    assert (await world.engine.dynos(app.id))[0].exit is not None
    assert world.answer() == "H10"


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


async def test_a_restart_that_comes_to_nothing_counts_before_it_is_cleared_away(world: World) -> None:
    """Seen as fifteen restarts in ten minutes. Bites: with the stop before the count in `_stop_unhealthy`."""
    app = await world.deployed()
    world.recovery._rules = RecoveryRules(backoff=1000.0, backoff_max=1000.0)
    world.engine.commands["serve"] = world.engine.commands["never-bind"]
    world.engine.die((await world.dyno(app)).id)
    await world.recovery.reconcile()
    cleared = world.engine.gates.hold("stopped")
    await asyncio.wait_for(cleared.reached.wait(), DEADLINE)
    before = world.engine.journal.count("start web.1 v2")
    await world.recovery.reconcile()  # as when the engine's event comes before its answer
    assert world.engine.journal.count("start web.1 v2") == before
    cleared.opened.set()


async def test_dynos_that_start_beside_one_that_can_not_are_not_left_without_requests(world: World) -> None:
    app = await world.deployed(procfile="web: serve\nworker: hang")
    await world.dynos.scale(world.actor, app, {"worker": 1})
    for dyno in await world.engine.dynos():
        world.engine.die(dyno.id)
    world.engine.commands["hang"] = world.engine.commands["unstartable"]
    await world.recovery.reconcile()
    await until(lambda: not world.routing.booting)
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
