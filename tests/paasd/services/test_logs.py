"""The app log: a bounded ring, read from any point, followed live."""

import asyncio

from paasd.domain.dyno import LogLine
from paasd.services.logs import LINE_CHARACTERS, RING_LINES, LogQuery
from tests.paasd.services.world import DEADLINE, NOW, World, until


async def read(world: World, query: LogQuery, after: int | None = None) -> list[str]:
    return [entry[1].text async for entry in world.logs.read("app", query, after=after) if entry]


def fill(world: World, count: int) -> None:
    for number in range(count):
        world.logs.note(
            "app", "web.1" if number % 2 else "api", f"line {number}", source="app" if number % 2 else "heroku"
        )


async def test_the_newest_lines_are_read_and_no_more_than_the_ring_has(world: World) -> None:
    fill(world, RING_LINES + 10)
    assert await read(world, LogQuery(lines=2)) == [f"line {RING_LINES + 8}", f"line {RING_LINES + 9}"]
    assert len(await read(world, LogQuery(lines=10_000))) == RING_LINES
    assert await read(world, LogQuery(lines=0)) == []
    assert [line async for line in world.logs.read("nobody's", LogQuery())] == []


async def test_lines_are_chosen_by_source_dyno_and_type(world: World) -> None:
    fill(world, 4)
    assert await read(world, LogQuery(source="app")) == ["line 1", "line 3"]
    assert await read(world, LogQuery(dyno="web")) == await read(world, LogQuery(dyno="web.1")) == ["line 1", "line 3"]
    assert await read(world, LogQuery(dyno="we")) == []
    assert await read(world, LogQuery(source="app", dyno="api")) == []


async def test_a_reader_goes_on_after_the_id_it_saw_last(world: World) -> None:
    fill(world, 5)
    entries = [entry async for entry in world.logs.read("app", LogQuery(lines=2))]
    assert entries[0] is not None
    fill(world, 1)
    assert await read(world, LogQuery(lines=1), after=entries[0][0]) == ["line 4", "line 0"]


async def test_a_tail_goes_on_live_misses_nothing_and_hears_when_it_is_quiet(world: World) -> None:
    fill(world, 3)
    seen: list[str | None] = []

    async def follow() -> None:
        async for entry in world.logs.read("app", LogQuery(lines=1, tail=True, source="app")):
            seen.append(entry[1].text if entry else None)

    task = asyncio.create_task(follow())
    await until(lambda: seen == ["line 1"])
    world.logs.note("app", "web.1", "live 1", source="app")
    world.logs.note("app", "api", "not wanted")
    world.logs.note("app", "web.1", "live 2", source="app")
    await until(lambda: None in seen)  # a keep-alive
    world.logs.note("app", "web.1", "live 3", source="app")
    await until(lambda: seen[-1] == "live 3")
    assert [line for line in seen if line] == ["line 1", "live 1", "live 2", "live 3"]
    task.cancel()
    await asyncio.wait([task])


async def test_ids_go_on_after_a_restart_of_the_daemon(world: World) -> None:
    from tests.paasd.services.world import wire

    fill(world, 3)
    (last,) = [entry async for entry in world.logs.read("app", LogQuery(lines=1))]
    assert last is not None
    again = wire(world.outside)
    again.logs.note("app", "api", "after the restart")
    assert [e[1].text async for e in again.logs.read("app", LogQuery(), after=last[0]) if e] == ["after the restart"]


async def test_long_lines_are_cut_and_control_characters_replaced(world: World) -> None:
    world.logs.append("app", LogLine(NOW, "app", "web.1", "x" * (LINE_CHARACTERS + 1)))
    world.logs.append("app", LogLine(NOW, "app", "web.1", "bell\a nul\0 cr\r tab\t \x1b[31mred\x7f"))
    cut, clean = await read(world, LogQuery())
    assert len(cut) == LINE_CHARACTERS
    assert clean == "bell\ufffd nul\ufffd cr\ufffd tab\t \x1b[31mred\ufffd"


async def test_what_a_dyno_prints_is_copied_until_it_ends(world: World) -> None:
    app = await world.deployed()
    dyno = await world.dyno(app)
    world.logs.follow(dyno)  # a second time: fine
    world.engine.say(dyno.id, b"GET / 200\npart")
    world.engine.say(dyno.id, b"ly\n")
    await until(lambda: "app[web.1]: partly" in world.lines(app))
    assert world.lines(app).count("app[web.1]: GET / 200") == 1
    world.engine.die(dyno.id)
    await until(lambda: not world.logs._followed)


async def test_a_dyno_whose_engine_went_away_is_followed_again(world: World) -> None:
    app = await world.deployed()
    dyno = await world.dyno(app)
    world.engine.go_away()
    await until(lambda: not world.logs._followed)
    world.engine.down = False
    await world.recovery.reconcile()
    world.engine.say(dyno.id, b"back\n")
    await until(lambda: "app[web.1]: back" in world.lines(app))
    assert world.lines(app).count("app[web.1]: listening on 5000") == 1  # nothing twice


async def test_the_routers_lines_are_followed_over_its_restarts(world: World) -> None:
    app = await world.deployed()
    task = world.background.spawn("follow router", world.logs.follow_router())
    await until(lambda: len(world.plane.followers) == 1)
    world.plane.serve(app.id, ("10.0.0.1", 5000), "at=info status=200")
    await until(lambda: "heroku[router]: at=info status=200" in world.lines(app))
    world.plane.stop()
    await asyncio.sleep(0.03)
    world.plane.start()
    await until(lambda: len(world.plane.followers) == 1)
    world.plane.serve(app.id, ("10.0.0.1", 5000), "at=info status=304")
    await until(lambda: "heroku[router]: at=info status=304" in world.lines(app))
    task.cancel()
    await asyncio.wait([task], timeout=DEADLINE)
