"""A release that comes to nothing as soon as it is served is told of, once, with what to go back to."""

from paasd.domain.app import App
from tests.paasd.services.world import World, until


def told(world: World, app: App) -> list[str]:
    return [line for line in world.lines(app) if "crashed: each of its web dynos" in line]


async def crash(world: World, app: App, name: str = "web.1") -> None:
    """One of its dynos ends, and is seen to."""
    running = [each for each in await world.engine.dynos(app.id) if each.name == name and each.running]
    world.engine.die(max(running, key=lambda dyno: dyno.release_version).id)
    await world.recovery.reconcile()


async def test_it_is_told_once_and_what_to_do(world: World) -> None:
    app = await world.deployed()
    await world.push(app, "web: serve\nworker: hang")
    await crash(world, app)
    assert told(world, app) == [
        "heroku[api]: Release v3 crashed: each of its web dynos ended within 60 seconds; `heroku rollback v2` brings "
        "back what was served before."
    ]
    await until(lambda: world.answer() == "v3")
    await crash(world, app)
    assert len(told(world, app)) == 1


async def test_the_first_release_has_none_before_it(world: World) -> None:
    app = await world.deployed()
    await crash(world, app)
    assert told(world, app) == ["heroku[api]: Release v2 crashed: each of its web dynos ended within 60 seconds."]


async def test_one_of_two_is_no_alarm_and_neither_is_a_late_end(world: World) -> None:
    app = await world.deployed()
    await world.dynos.scale(world.actor, app, {"web": 2})
    await until(lambda: not world.routing.booting)
    await crash(world, app, "web.1")
    assert told(world, app) == []
    await crash(world, app, "web.2")
    assert len(told(world, app)) == 1
    await world.push(app, "web: serve")
    world.recovery._alarm._window = 0.0
    await crash(world, app)
    assert len(told(world, app)) == 1
