"""The doors to a deploy: rollback, releasing a build, waiting for a turn."""

import asyncio
from dataclasses import replace

import pytest

from paasd.domain.dyno import Formation
from paasd.domain.errors import InvalidParams, NotFound, ReleaseInProgress, StoreUnavailable
from paasd.domain.release import Build, BuildStatus, NewRelease, ProcessTypes, Release, RollbackPart, Status
from tests.gates import Gates
from tests.paasd.services.world import DEADLINE, World, somebody, until, wire


async def test_a_rollback_appends_a_copy_with_the_formation_of_now(world: World) -> None:
    app = await world.create()
    await world.config(app, GREETING="hello", OLD="1")
    await world.push(app, "web: serve\nrelease: migrate\nworker: hang")
    await world.config(app, GREETING="bye", OLD=None)
    await world.settled(app)
    await world.push(app, "web: serve")
    await world.dynos.scale(world.actor, app, {"web": 2})
    target, bob = await world.release(app, 3), somebody(world.actor, "bob@example.org")
    made = await world.releases.roll_back(bob, app, "v3")
    await world.settled(app)
    served = await world.release(app, made.version)
    assert (served.version, served.description, served.status) == (6, "Rollback to v3", Status.SUCCEEDED)
    assert (served.rollback_of, served.actor.email) == (3, "bob@example.org")
    assert served.config == target.config == {"GREETING": "hello", "OLD": "1"}
    assert (served.artifact, served.commit, served.build_id) == (target.artifact, target.commit, target.build_id)
    assert served.processes == target.processes
    assert served.formation == {"web": 2, "worker": 0}  # not the one that v3 had
    assert world.answer() == "v6"
    assert await world.running(app) == ["web.1 v6", "web.2 v6"]
    assert await world.output(app, 6)  # the release phase runs on rollbacks too, as on Heroku
    assert await world.apps.config(app) == {"GREETING": "hello", "OLD": "1"}


async def test_a_rollback_may_leave_out_the_release_phase(world: World) -> None:
    app = await world.deployed(procfile="web: serve\nrelease: migrate")
    await world.push(app)
    world.engine.journal.clear()
    made = await world.releases.roll_back(world.actor, app, "2", skip_release_phase=True)
    await world.settled(app)
    assert world.answer() == "v4"
    assert not made.has_output
    assert "start release v4" not in world.engine.journal
    assert not world.outputs.exists(app.id, ("releases", "4"))


async def test_a_rollback_of_code_or_config_alone_keeps_the_other(world: World) -> None:
    """Bites: take both from the target, whatever is asked."""
    app = await world.deployed()  # v2
    await world.apps.set_config(world.actor, app, {"A": "1"})  # v3
    await world.settled(app)
    await world.push(app)  # v4
    await world.apps.set_config(world.actor, app, {"A": "2", "B": "2"})  # v5
    await world.settled(app)
    second, third, fifth = [await world.release(app, version) for version in (2, 3, 5)]
    await world.releases.roll_back(world.actor, app, "v2", only=RollbackPart.CODE)
    await world.settled(app)
    made = await world.release(app, 6)
    assert (made.artifact, dict(made.config)) == (second.artifact, {"A": "2", "B": "2"})
    assert (made.description, made.rollback_of) == ("Rollback to v2 (code only)", 2)
    await world.releases.roll_back(world.actor, app, "v5")
    await world.settled(app)
    await world.releases.roll_back(world.actor, app, "v3", only=RollbackPart.CONFIG)
    await world.settled(app)
    made = await world.release(app, 8)
    assert (made.artifact, dict(made.config)) == (fifth.artifact, dict(third.config))
    assert (made.commit, made.description) == (fifth.commit, "Rollback to v3 (config only)")


async def test_a_rollback_of_a_rollback_names_what_it_copies(world: World) -> None:
    app = await world.deployed()
    await world.push(app)
    for target in ("v2", "v4"):
        await world.releases.roll_back(world.actor, app, target)
        await world.settled(app)
    assert (await world.ledger_of(app))[3:] == ["v4 succeeded Rollback to v2", "v5 succeeded Rollback to v4"]


async def test_bad_targets_are_refused_and_make_no_release(world: World) -> None:
    app = await world.deployed()
    with pytest.raises(Exception, match="v3"):
        await world.push(app, "web: crash")
    await world.push(app)
    expiring = await world.release(app, 4)
    await world.push(app)
    assert await world.store.transition(expiring.id, Status.SUCCEEDED, Status.EXPIRED)
    before = await world.ledger_of(app)
    for target, error, words in (
        ("v99", NotFound, "v99"),
        ("nonsense", NotFound, "nonsense"),
        ("v1", InvalidParams, "has no code to go back to"),
        ("v3", InvalidParams, "v3: it failed; choose a release that succeeded"),
        ("v4", InvalidParams, "has expired and its image is gone; push its commit again"),
    ):
        with pytest.raises(error, match=words):
            await world.releases.roll_back(world.actor, app, target)
    assert await world.ledger_of(app) == before


async def test_a_rollback_to_the_release_under_way_is_refused_at_once(world: World) -> None:
    app = await world.deployed()
    gate = world.engine.gates.hold("probe")
    task = asyncio.create_task(world.push(app))
    await asyncio.wait_for(gate.reached.wait(), DEADLINE)
    with pytest.raises(InvalidParams, match="is still being released; wait for it"):
        await world.releases.roll_back(world.actor, app, "v3")
    gate.opened.set()
    await task


async def test_a_target_that_fails_while_we_wait_is_refused_in_our_turn(world: World) -> None:
    app = await world.deployed()
    await world.push(app)
    gate = world.engine.gates.hold("probe")
    pushing = asyncio.create_task(world.push(app))
    await asyncio.wait_for(gate.reached.wait(), DEADLINE)
    waiting = asyncio.create_task(world.releases.roll_back(world.actor, app, "v2"))
    await asyncio.sleep(0.01)
    assert await world.store.transition((await world.release(app, 2)).id, Status.SUCCEEDED, Status.EXPIRED)
    gate.opened.set()
    await pushing
    with pytest.raises(InvalidParams, match="expired"):
        await waiting
    assert [release.version for release in await world.store.releases(app.id)] == [1, 2, 3, 4]


async def test_a_failed_rollback_changes_nothing(world: World) -> None:
    app = await world.deployed(procfile="web: serve\nrelease: migrate")
    await world.push(app, "web: serve")
    world.engine.commands["migrate"] = world.engine.commands["fail"]  # the database has moved on meanwhile
    await world.releases.roll_back(world.actor, app, "v2")
    await world.settled(app)
    assert "exited with status 3" in await world.failure(app, 4)
    assert world.answer() == "v3"


# --- waiting for a turn -----------------------------------------------------------------------------------------------


async def test_waiting_too_long_names_version_stage_and_owner(world: World) -> None:
    app = await world.deployed()
    other = wire(world.outside, wait=0.05)
    other.background._locks = world.background._locks  # the same daemon, with less patience
    gate = world.engine.gates.hold("probe")
    task = asyncio.create_task(world.push(app))
    await asyncio.wait_for(gate.reached.wait(), DEADLINE)
    with pytest.raises(ReleaseInProgress) as caught:
        await other.config(app, GREETING="hello")
    assert caught.value.app == "shop"
    assert caught.value.message.startswith("v3 (Deploy ")
    assert "is being released by ann@example.org, stage: await healthy; " in caught.value.message
    gate.opened.set()
    await task
    assert await world.apps.config(app) == {}


async def test_waiting_too_long_for_something_else_says_so(world: World) -> None:
    app = await world.create()
    hasty = wire(world.outside, wait=0.02)
    async with hasty.releases.turn(app):
        with pytest.raises(ReleaseInProgress, match="Another change of shop is under way; try again"):
            await hasty.config(app, GREETING="hello")


async def test_a_release_without_a_stage_yet_is_at_its_record(world: World) -> None:
    app = await world.create()
    await world.store.record_release(NewRelease(app.id, "Deploy 1234", world.actor, {}, {}))
    hasty = wire(world.outside, wait=0.02)
    async with hasty.releases.turn(app):
        with pytest.raises(ReleaseInProgress, match="stage: record"):
            await hasty.config(app, GREETING="hello")


async def test_a_release_pending_in_another_daemon_is_waited_for(world: World) -> None:
    app = await world.create()
    elsewhere = await world.store.record_release(NewRelease(app.id, "Deploy 1234", world.actor, {"A": "1"}, {}))
    waiting = asyncio.create_task(world.config(app, B="2"))
    await until(lambda: app.id in world.releases.waiting)
    await world.store.transition(elsewhere.id, Status.PENDING, Status.SUCCEEDED)
    async with asyncio.timeout(DEADLINE):
        assert "B" in await waiting
    assert not world.releases.waiting


async def test_waiting_for_another_daemon_has_an_end_too(world: World) -> None:
    app = await world.create()
    await world.store.record_release(NewRelease(app.id, "Deploy 1234", world.actor, {}, {}))
    hasty = wire(world.outside, wait=0.02)
    with pytest.raises(ReleaseInProgress, match=r"v2 is being released by ann@example\.org"):
        await hasty.config(app, B="2")
    assert not hasty.background.lock(app.id).locked()


async def test_a_cancelled_waiter_leaves_the_turn_to_others(world: World) -> None:
    app = await world.deployed()
    gate = world.engine.gates.hold("probe")
    pushing = asyncio.create_task(world.push(app))
    await asyncio.wait_for(gate.reached.wait(), DEADLINE)
    gone, stays = (asyncio.create_task(world.config(app, **{name: "1"})) for name in ("GONE", "STAYS"))
    await asyncio.sleep(0.01)
    gone.cancel()
    gate.opened.set()
    await pushing
    assert await stays == {"STAYS": "1"}
    await world.settled(app)
    assert world.answer() == "v4"


async def test_a_caller_that_goes_away_while_its_release_is_recorded_does_not_lose_it(world: World) -> None:
    app = await world.deployed()
    gate = world.store.gates.hold("recorded")
    task = asyncio.create_task(world.config(app, GREETING="hello"))
    await asyncio.wait_for(gate.reached.wait(), DEADLINE)
    task.cancel()
    await asyncio.sleep(0)
    gate.opened.set()
    await asyncio.wait([task])
    await world.settled(app)
    assert await world.apps.config(app) == {"GREETING": "hello"}
    assert world.answer() == "v3"


async def test_a_store_that_fails_to_record_frees_the_turn(world: World) -> None:
    app = await world.deployed()
    world.store.gates.errors["record_release"] = StoreUnavailable("The disk is full; make room.")
    with pytest.raises(StoreUnavailable):
        await world.config(app, GREETING="hello")
    world.store.gates = Gates()
    await world.config(app, GREETING="hello")
    await world.settled(app)
    assert world.answer() == "v3"


# --- releasing a build ------------------------------------------------------------------------------------------------


async def build_of(world: World, release: Release) -> Build:
    assert release.build_id is not None
    return await world.store.build(release.app_id, release.build_id)


async def test_a_build_can_be_released_again_with_the_config_of_now(world: World) -> None:
    app = await world.deployed()
    await world.config(app, GREETING="hello")
    await world.settled(app)
    build = await build_of(world, await world.release(app, 2))
    made = await world.releases.release_build(world.actor, app, build.id, "Again")
    await world.settled(app)
    assert (made.description, made.config, made.build_id) == ("Again", {"GREETING": "hello"}, build.id)
    assert world.answer() == "v4"


async def test_a_build_without_a_commit_is_named_by_its_id(world: World) -> None:
    app = await world.deployed()
    build = replace(await build_of(world, await world.release(app, 2)), commit=None)
    draft = await world.releases.draft_of_build(world.actor, app, build)
    assert draft.description == f"Deploy {build.id[:8]}"


async def test_only_a_succeeded_build_can_be_released(world: World) -> None:
    app = await world.create()
    with pytest.raises(Exception, match="can't be read"):
        await world.push(app, "what is this")
    (build,) = await world.ledger.builds(app)
    assert build.status is BuildStatus.FAILED
    with pytest.raises(InvalidParams, match="is failed; release a build that succeeded"):
        await world.releases.release_build(world.actor, app, build.id, None)
    with pytest.raises(NotFound):
        await world.releases.release_build(world.actor, app, "nonsense", None)


async def test_formation_is_what_was_asked_for_else_one_web(world: World) -> None:
    app = await world.create()
    await world.store.set_formation(app.id, [Formation("worker", 3), Formation("gone", 1)])
    release = NewRelease(app.id, "", world.actor, {}, {}, ProcessTypes({"web": None, "worker": "w", "clock": "c"}))
    assert await world.releases.formation(app, release) == {"web": 1, "worker": 3, "clock": 0}
