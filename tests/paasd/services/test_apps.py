"""Apps from creation to destruction; config vars; maintenance."""

import asyncio
import random
from dataclasses import replace

import pytest

from paasd.domain.errors import (
    InvalidParams,
    NotFound,
    ReleaseInProgress,
    RouterUnavailable,
)
from paasd.domain.hostname import labels_in
from paasd.domain.release import Status
from tests.paasd.services.world import DEADLINE, World, until, wire

# --- create, destroy --------------------------------------------------------------------------------------------------


async def test_a_new_app_has_a_first_release_a_repository_and_a_route(world: World) -> None:
    app = await world.create()
    assert await world.ledger_of(app) == ["v1 succeeded Initial release"]
    assert world.sources.branches[app.id] == {}
    assert world.answer() == "H81"
    assert await world.apps.find("shop") == await world.apps.find(app.id)
    assert [found.name for found in await world.apps.all()] == ["shop"]


@pytest.mark.parametrize("name", ["..", "a/../b", "Shop", "a" * 64, "x", "-shop", "shop-", "1shop", "shöp", ""])
async def test_a_bad_name_makes_nothing(world: World, name: str) -> None:
    with pytest.raises(InvalidParams, match="3 to 30"):
        await world.apps.create(world.actor, name)
    assert not world.sources.branches
    assert not await world.apps.all()


async def test_a_taken_name_leaves_no_repository(world: World) -> None:
    app = await world.create()
    with pytest.raises(InvalidParams, match="already taken"):
        await world.create()
    assert list(world.sources.branches) == [app.id]


async def test_without_a_name_a_free_one_is_made_up(world: World) -> None:
    taken = await wire_with_dice(world, 1).create(world.actor, None)
    other = await wire_with_dice(world, 1).create(world.actor, None)
    assert taken.name != other.name


def wire_with_dice(world: World, seed: int):  # type: ignore[no-untyped-def]
    apps = world.apps
    return type(apps)(
        apps.store, apps.sources, apps.engine, apps.outputs, apps.routing, apps.releases, apps.logs, apps.background,
        dice=random.Random(seed),
    )  # fmt: skip


class StuckDice(random.Random):
    """Always the same name."""

    def random(self) -> float:
        return 0.0

    def getrandbits(self, k: int, /) -> int:
        return 0


async def test_names_that_run_out_are_said_so(world: World) -> None:
    apps = world.apps
    stuck = type(apps)(
        apps.store, apps.sources, apps.engine, apps.outputs, apps.routing, apps.releases, apps.logs, apps.background,
        dice=StuckDice(),
    )  # fmt: skip
    await stuck.create(world.actor, None)
    with pytest.raises(InvalidParams, match="choose one yourself"):
        await stuck.create(world.actor, None)


@pytest.mark.parametrize("part", ["router", "engine"])
async def test_an_app_is_created_though_its_route_must_wait(world: World, part: str) -> None:
    if part == "router":
        world.plane.stop()
    else:
        world.engine.down = True
    app = await world.create()
    assert (await world.apps.find("shop")).id == app.id
    world.engine.down = False
    await world.recovery.reconcile()
    assert world.answer() == "H81"


async def test_a_destroyed_app_is_gone_but_for_its_ledger(world: World) -> None:
    app = await world.deployed(procfile="web: serve\nrelease: migrate")
    other = await world.deployed("blog")
    await world.apps.destroy(world.actor, app)
    assert world.answer() == "404"
    with pytest.raises(NotFound):
        await world.apps.find("shop")
    await until(lambda: not any(t.get_name().startswith("clear away") for t in world.background._tasks))
    assert app.id not in world.sources.branches
    assert app.id not in world.logs._rings
    assert await world.running(app) == []
    assert world.engine.networks_made == {other.id}
    assert [artifact.app_id for artifact in await world.engine.artifacts()] == [other.id]
    assert not world.outputs.exists(app.id, ("releases", "2"))
    assert len(await world.ledger_of(app)) == 2  # archived
    assert world.answer("blog") == "v2"
    assert (await world.create()).id != app.id  # the name is free
    assert world.answer() == "H81"


async def test_an_app_being_released_is_not_destroyed(world: World) -> None:
    app = await world.deployed()
    gate = world.engine.gates.hold("probe")
    task = asyncio.create_task(world.push(app))
    await asyncio.wait_for(gate.reached.wait(), DEADLINE)
    hasty = wire(world.outside, wait=0.02)
    hasty.background._locks = world.background._locks
    with pytest.raises(ReleaseInProgress, match=r"v3 .* stage: await healthy"):
        await hasty.apps.destroy(world.actor, app)
    gate.opened.set()
    await task
    assert world.answer() == "v3"


async def test_a_push_in_its_build_when_the_app_is_destroyed_fails(world: World) -> None:
    app = await world.deployed()
    gate = world.engine.gates.hold("build")
    task = asyncio.create_task(world.push(app))
    await asyncio.wait_for(gate.reached.wait(), DEADLINE)
    await world.apps.destroy(world.actor, app)
    gate.opened.set()
    with pytest.raises(NotFound):
        await task
    assert world.answer() == "404"


async def test_an_app_destroyed_while_the_engine_is_down_is_cleared_away_later(world: World) -> None:
    app = await world.deployed()
    world.engine.down = True
    await world.apps.destroy(world.actor, app)
    await until(lambda: not any("clear away" in task.get_name() for task in world.background._tasks))
    world.engine.down = False
    assert await world.running(app) == ["web.1 v2"]
    world.outside.cut_off.clear()
    await world.recovery.reconcile()
    assert await world.running(app) == []
    assert world.answer() == "404"


async def test_the_release_timeout_is_bounded(world: World) -> None:
    app = await world.create()
    assert (await world.apps.set_release_timeout(app, 10)).release_timeout == 10
    for seconds in (0, -1, 86_401, float("nan")):
        with pytest.raises(InvalidParams, match="more than 0 and at most 86400 seconds"):
            await world.apps.set_release_timeout(app, seconds)


# --- config vars ------------------------------------------------------------------------------------------------------


async def test_config_before_the_first_build_succeeds_at_once_and_starts_nothing(world: World) -> None:
    app = await world.create()
    assert await world.config(app, GREETING="hello") == {"GREETING": "hello"}
    assert await world.ledger_of(app) == ["v1 succeeded Initial release", "v2 succeeded Set GREETING config vars"]
    assert not world.engine.journal or not any("start" in line for line in world.engine.journal)
    assert world.answer() == "H81"
    await world.push(app)
    assert world.answer() == "v3"
    assert (await world.release(app, 3)).config == {"GREETING": "hello"}


async def test_a_config_change_is_a_release_of_the_code_that_is_served(world: World) -> None:
    app = await world.deployed(procfile="web: serve\nrelease: migrate")
    await world.config(app, GREETING="hello")
    await world.settled(app)
    before, after = await world.release(app, 2), await world.release(app, 3)
    assert after.description == "Set GREETING config vars"
    assert (after.artifact, after.commit, after.build_id) == (before.artifact, before.commit, before.build_id)
    assert world.answer() == "v3"
    assert await world.output(app, 3)  # its release phase ran


async def test_a_config_change_that_changes_nothing_makes_no_release(world: World) -> None:
    app = await world.deployed()
    await world.config(app, GREETING="hello")
    await world.settled(app)
    assert await world.config(app, GREETING="hello", ABSENT=None) == {"GREETING": "hello"}
    assert len(await world.ledger_of(app)) == 3
    assert not world.background.lock(app.id).locked()


async def test_concurrent_config_changes_merge_and_are_numbered_without_gaps(world: World) -> None:
    app = await world.deployed()
    names = [f"NAME_{number}" for number in range(5)]
    await asyncio.gather(*(world.config(app, **{name: "1"}) for name in names))
    await world.settled(app)
    assert await world.apps.config(app) == dict.fromkeys(names, "1")
    releases = await world.store.releases(app.id)
    assert [release.version for release in releases] == list(range(1, 8))
    assert {release.status for release in releases} == {Status.SUCCEEDED}
    assert world.answer() == "v7"


async def test_a_config_change_that_fails_its_release_changes_nothing(world: World) -> None:
    app = await world.deployed()
    await world.config(app, KEPT="1")
    await world.settled(app)
    world.engine.commands["serve"] = world.engine.commands["crash"]
    acknowledged = await world.config(app, LOST="1")
    assert acknowledged == {"KEPT": "1", "LOST": "1"}  # recorded
    await world.settled(app)
    assert await world.apps.config(app) == {"KEPT": "1"}
    assert world.answer() == "v3"
    world.engine.commands["serve"] = world.engine.commands["sick"]
    await world.config(app, NEXT="1")
    await world.settled(app)
    assert await world.apps.config(app) == {"KEPT": "1", "NEXT": "1"}


@pytest.mark.parametrize(
    "changes",
    [{"A B": "1"}, {"": "1"}, {"1A": "1"}, {"A": "nul\0"}, {"A": "\ud800"}, {"A": "x" * 65_536}, {"A" * 257: "1"}],
    ids=["space", "empty", "digit", "nul", "surrogate", "64 kB", "long name"],
)
async def test_bad_config_is_refused_whole(world: World, changes: dict[str, str]) -> None:
    app = await world.deployed()
    with pytest.raises(InvalidParams):
        await world.config(app, FINE="1", **changes)
    assert await world.apps.config(app) == {}
    assert len(await world.ledger_of(app)) == 2


async def test_a_push_takes_its_config_when_it_is_recorded_not_when_it_begins(world: World) -> None:
    app = await world.deployed()
    gate = world.engine.gates.hold("build")
    task = asyncio.create_task(world.push(app))
    await asyncio.wait_for(gate.reached.wait(), DEADLINE)
    await world.config(app, GREETING="hello")
    await world.settled(app)
    gate.opened.set()
    await task
    assert (await world.release(app, 4)).config == {"GREETING": "hello"}


# --- maintenance ------------------------------------------------------------------------------------------------------


async def test_maintenance_shows_the_page_and_makes_no_release(world: World) -> None:
    app = await world.deployed()
    before = await world.ledger_of(app)
    assert (await world.apps.set_maintenance(world.actor, app, True)).maintenance
    assert world.answer() == "H80"
    assert await world.running(app) == ["web.1 v2"]
    await world.push(app)  # deploys go on behind it
    assert world.answer() == "H80"
    await world.apps.set_maintenance(world.actor, app, False)
    assert world.answer() == "v3"
    assert len(await world.ledger_of(app)) == len(before) + 1


async def test_maintenance_works_while_the_engine_is_down_even_after_a_restart(world: World) -> None:
    app = await world.deployed()
    await world.deployed("blog")
    world.engine.down = True
    again = wire(world.outside)
    await again.apps.set_maintenance(world.actor, app, True)
    assert again.answer() == "H80"
    await again.apps.set_maintenance(world.actor, app, False)
    world.engine.down = False
    assert again.answer() == "v2"
    assert again.answer("blog") == "v2"  # a table is whole: the other app was not forgotten
    await again.background.close()


async def test_maintenance_survives_restarts_of_router_and_daemon(world: World) -> None:
    app = await world.deployed()
    await world.apps.set_maintenance(world.actor, app, True)
    world.plane.stop()
    world.plane.start()
    assert world.answer() == "H80"
    again = wire(world.outside)
    await again.recovery.boot()
    assert again.answer() == "H80"
    await again.background.close()


async def test_maintenance_is_refused_whole_when_the_router_is_down(world: World) -> None:
    app = await world.deployed()
    world.plane.stop()
    with pytest.raises(RouterUnavailable):
        await world.apps.set_maintenance(world.actor, app, True)
    assert not (await world.apps.find("shop")).maintenance


async def test_maintenance_of_an_app_the_router_never_heard_of_needs_no_engine(world: World) -> None:
    world.plane.stop()
    app = await world.create()
    world.plane.start()
    world.engine.down = True
    await world.apps.set_maintenance(world.actor, app, True)
    assert world.answer() == "H80"


async def test_an_app_is_not_called_what_the_api_is(world: World) -> None:
    """Bites: `create` or `rename` without `not_free`: the app would answer at the API's own host name."""
    apps = replace(world.apps, not_free=labels_in("example.org", ["paas.example.org", "127.0.0.1"]))
    with pytest.raises(InvalidParams, match="platform's own"):
        await apps.create(world.actor, "paas")
    app = await apps.create(world.actor, "shop")
    with pytest.raises(InvalidParams, match="platform's own"):
        await apps.rename(world.actor, app, "paas")
