"""Bringing dynos up: specs, environment, and what is said of those that don't come up."""

import asyncio
import json
from dataclasses import replace

import pytest

from paasd.domain.dyno import DynoKind
from paasd.domain.errors import DeployFailed, DynoUnhealthy
from paasd.services.boot import environment
from tests.paasd.services.world import DEADLINE, World, cancelled, until


async def test_the_platforms_variables_stand_over_the_config(world: World) -> None:
    app = await world.deployed()
    await world.config(app, PORT="80", GREETING="hello", HEROKU_APP_NAME="mine")
    await world.settled(app)
    release = await world.release(app, 3)
    assert release.commit is not None
    assert environment(app, release, "web.1", 5000) == {
        "GREETING": "hello",
        "PORT": "5000",
        "DYNO": "web.1",
        "HEROKU_APP_ID": app.id,
        "HEROKU_APP_NAME": "shop",
        "HEROKU_RELEASE_VERSION": "v3",
        "HEROKU_RELEASE_CREATED_AT": release.created_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "HEROKU_SLUG_COMMIT": release.commit.sha,
        "HEROKU_SLUG_DESCRIPTION": f"Deploy {release.commit.sha[:8]}",
    }
    first = environment(app, await world.release(app, 1), "run.1", 5000)
    assert (first["HEROKU_SLUG_COMMIT"], first["HEROKU_SLUG_DESCRIPTION"]) == ("", "")


async def test_specs_are_new_each_time_and_only_web_has_a_port(world: World) -> None:
    app = await world.deployed(procfile="web: serve\nworker: hang")
    boot, release = world.releases._hands.boot, await world.release(app, 2)
    first, second = (boot.specs(app, release, {"web": 1, "worker": 1, "gone": 3}) for _ in range(2))
    assert [(spec.name, spec.port, spec.kind) for spec in first] == [
        ("web.1", 5000, DynoKind.FORMATION),
        ("worker.1", None, DynoKind.FORMATION),
    ]
    assert not {spec.id for spec in first} & {spec.id for spec in second}
    assert "GREETING" not in repr(first)


async def test_a_dyno_removed_while_it_boots_is_said_so(world: World) -> None:
    app = await world.deployed()
    boot, release = world.releases._hands.boot, await world.release(app, 2)
    gate = world.engine.gates.hold("probe")
    (dyno,) = await boot.start([boot.spec(app, release, "web.2", DynoKind.FORMATION, None)])
    waiting = world.engine.gates.hold("wait")
    task = asyncio.create_task(boot.await_healthy(release, [dyno]))
    await asyncio.wait_for(gate.reached.wait(), DEADLINE)
    await asyncio.wait_for(waiting.reached.wait(), DEADLINE)
    await world.engine.stop(dyno.id)
    waiting.opened.set()
    with pytest.raises(DynoUnhealthy, match=r"web\.2 was removed before it was up; mend the command `of the image`"):
        await task


async def test_a_dyno_without_an_address_does_not_come_up(world: World) -> None:
    app = await world.deployed()
    boot, release = world.releases._hands.boot, await world.release(app, 2)
    dyno = replace(await world.dyno(app), address=None)
    with pytest.raises(DynoUnhealthy, match=r"its check at TCP did not pass .* it has no address"):
        await boot.await_healthy(release, [dyno])


def checks(kind: str = "web", **check: object) -> dict[str, str]:
    return {"app.json": json.dumps({"healthchecks": {kind: [check]}})}


async def test_a_dyno_is_given_up_after_so_many_checks_that_fail(world: World) -> None:
    """Before the usual time is over. Bites: `attempts` not counted; broken by `failures == None`, when it fails after
    12 s with "did not pass in 12 s"."""
    app = await world.create()
    with pytest.raises(DeployFailed, match=r"at /ok did not pass in 0\.?\S* s \(4 attempts\): answered 500"):
        await world.push(app, "web: sick", **checks(path="/ok", attempts=4, wait=0, timeout=3))
    assert world.engine.probed == ["/ok"] * 5  # the last one asks why
    assert world.engine.timeouts == [3] * 5


async def test_what_does_not_listen_yet_counts_as_one_failed_check_in_each_wait(world: World) -> None:
    """Bites: an app of 3 attempts, 5 seconds apart, that is given up after 3 refusals in a third of a second; broken by
    counting each."""
    world.engine.refusals = [True] * 20
    app = await world.create()
    await world.push(app, **checks(path="/ok", attempts=1, wait=1))
    assert world.answer() == "v2" and len(world.engine.probed) == 23


async def test_a_first_check_may_be_late(world: World) -> None:
    app = await world.create()
    world.engine.refusals = [False]
    began = asyncio.get_running_loop().time()
    await world.push(app, **checks(path="/ok", initialDelay=1))
    assert asyncio.get_running_loop().time() - began >= 1  # and longer than the usual time, which begins after it


async def test_a_worker_may_have_to_run_for_a_while(world: World) -> None:
    """Bites: `uptime` not heeded: the deploy is done at once."""
    app = await world.create()
    files = {"app.json": json.dumps({"formation": {"w": 1}, "healthchecks": {"w": {"uptime": 1}}})}
    began = asyncio.get_running_loop().time()
    await world.push(app, "web: serve\nw: hang", **files)
    assert asyncio.get_running_loop().time() - began >= 1


async def test_the_release_phase_has_the_size_that_app_json_gives_it(world: World) -> None:
    app = await world.create()
    files = {"app.json": json.dumps({"formation": {"release": {"size": "standard-2x"}}})}
    pushing = world.background.spawn("push", world.push(app, "web: serve\nrelease: hang", **files))

    async def there() -> bool:
        return any(dyno.kind is DynoKind.RELEASE for dyno in await world.engine.dynos(app.id))

    await until(there)
    assert [dyno.size for dyno in await world.engine.dynos(app.id)] == ["Standard-2X"]
    await cancelled(pushing)


async def test_sizes_of_app_json_are_those_of_dynos_until_somebody_chose(world: World) -> None:
    """Bites: Boot.specs, Deploy's release_size and Dynos.formation by the kept formation alone."""
    app = await world.create()
    formation = {
        "web": {"size": "standard-2x"},
        "release": {"size": "Standard-2X"},
        "w": {"quantity": 1, "size": "eco"},
    }
    files = {"app.json": json.dumps({"formation": formation})}
    said = await world.push(app, "web: serve\nw: hang\nrelease: migrate", **files)
    assert "there is no size 'eco' of 'w' here" in said
    before = {dyno.id for dyno in await world.dynos.of(app)}
    await world.recovery.reconcile()
    assert {dyno.id for dyno in await world.dynos.of(app)} == before  # nothing to be resized
    assert {dyno.name: dyno.size for dyno in await world.dynos.of(app)} == {
        "web.1": "Standard-2X",
        "w.1": "Standard-1X",
    }
    shown = {entry.type: entry.size for entry, _ in await world.dynos.formation(app)}
    assert shown == {"web": "Standard-2X", "w": "Standard-1X", "release": "Standard-2X"}
    await world.dynos.scale(world.actor, app, {}, {"web": "Standard-1X"})
    await world.push(app, "web: serve\nw: hang", **files)
    assert {dyno.name: dyno.size for dyno in await world.dynos.of(app)} == {
        "web.1": "Standard-1X",
        "w.1": "Standard-1X",
    }
