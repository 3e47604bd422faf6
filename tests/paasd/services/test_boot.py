"""Bringing dynos up: specs, environment, and what is said of those that don't come up."""

import asyncio

import pytest

from paasd.domain.dyno import DynoKind
from paasd.domain.errors import DynoUnhealthy
from paasd.services.boot import environment
from tests.paasd.services.world import DEADLINE, World


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
    from dataclasses import replace

    app = await world.deployed()
    boot, release = world.releases._hands.boot, await world.release(app, 2)
    dyno = replace(await world.dyno(app), address=None)
    with pytest.raises(DynoUnhealthy, match=r"its check at TCP did not pass .* it has no address"):
        await boot.await_healthy(release, [dyno])
