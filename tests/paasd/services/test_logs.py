"""The app log: a bounded ring, read from any point, followed live."""

import asyncio
from datetime import UTC, datetime

import pytest

from paasd.domain.app import App
from paasd.domain.dyno import LogLine
from paasd.ports import Tally
from paasd.services.logs import LINE_CHARACTERS, RING_LINES, LogQuery, LogRates
from tests.paasd.services.world import DEADLINE, NOW, World, until, wire


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
    assert [line async for line in world.logs.read("nobodys", LogQuery())] == []


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


async def test_what_the_router_remembers_of_a_destroyed_app_makes_no_log_of_it_again(world: World) -> None:
    """To a daemon that has not seen it go. Bites: with `exists` not asked, the folder is there again."""
    app, other = await world.deployed(), await world.create("blog")
    await world.apps.destroy(world.actor, app)
    await until(lambda: not (world.outside.home / "apps" / app.id).exists())
    again = wire(world.outside)
    world.plane.serve(app.id, ("10.0.0.1", 5000), "at=info status=200")
    world.plane.serve(other.id, ("10.0.0.1", 5000), "at=info status=304")
    task = again.background.spawn("follow router", again.logs.follow_router(exists=again.apps.exists))
    await until(lambda: other.id in again.logs._rings)
    assert not (world.outside.home / "apps" / app.id).exists()
    task.cancel()
    await asyncio.wait([task], timeout=DEADLINE)


async def test_lines_outlive_the_daemon_and_are_searched_on_the_disk(world: World) -> None:
    """Bites: without the journal, a new daemon knows none of these, and this one only the newest 1,500."""
    fill(world, RING_LINES * 2)
    for each in (world, wire(world.outside)):
        assert await read(each, LogQuery(lines=2)) == [f"line {RING_LINES * 2 - 2}", f"line {RING_LINES * 2 - 1}"]
        assert (
            await read(each, LogQuery(grep="line 7"))
            == [text for text in (f"line {n}" for n in range(RING_LINES * 2)) if "line 7" in text][-100:]
        )
        assert len(await read(each, LogQuery(lines=None))) == RING_LINES * 2
        assert await read(each, LogQuery(since=datetime.now(UTC))) == []
        assert len(await read(each, LogQuery(lines=None, since=NOW))) == RING_LINES * 2
        first = await anext(each.logs.read("app", LogQuery(lines=None)))
        assert first is not None
        assert len(await read(each, LogQuery(lines=1), after=first[0])) == RING_LINES * 2 - 1


async def test_a_tail_that_falls_behind_reads_on_from_the_disk(world: World) -> None:
    seen: list[str] = []
    entries = world.logs.read("app", LogQuery(lines=1, tail=True))
    fill(world, 1)
    first = await anext(entries)
    assert first is not None
    fill(world, RING_LINES * 3)
    while len(seen) < RING_LINES * 3:
        entry = await anext(entries)
        if entry is not None:
            seen.append(entry[1].text)
    assert seen == [f"line {number}" for number in range(RING_LINES * 3)]
    await entries.aclose()


async def test_what_a_dyno_printed_is_there_once_after_a_restart(world: World) -> None:
    """Bites: without the position of the journal, the new daemon copies all of the dyno's lines again."""
    app = await world.deployed()
    dyno = await world.dyno(app)
    world.engine.say(dyno.id, b"before\n")
    await until(lambda: "app[web.1]: before" in world.lines(app))
    await world.background.close()
    world.engine.say(dyno.id, b"meanwhile\n")
    again = wire(world.outside)
    await again.recovery.boot()
    world.engine.say(dyno.id, b"after\n")
    await until(lambda: "app[web.1]: after" in again.lines(app))
    said = [line for line in again.lines(app) if line.startswith("app[web.1]: ")]
    assert said == ["app[web.1]: listening on 5000", "app[web.1]: before", "app[web.1]: meanwhile", "app[web.1]: after"]


async def test_lines_know_their_release(world: World) -> None:
    app = await world.deployed()
    dyno = await world.dyno(app)
    world.logs.append(app.id, LogLine(NOW, "heroku", "router", f"at=info dyno={dyno.name} status=200"))
    world.logs.append(app.id, LogLine(NOW, "heroku", "router", "at=error code=H10"))
    await until(lambda: "app[web.1]: listening on 5000" in world.lines(app))
    entries = [e[1] async for e in world.logs.read(app.id, LogQuery(lines=None, release=2)) if e]
    found = {f"{line.source}[{line.process}]: {line.text}" for line in entries}
    assert "app[web.1]: listening on 5000" in found
    assert "heroku[router]: at=info dyno=web.1 status=200" in found
    assert "heroku[api]: Release v2 is served" in found
    assert "heroku[web.1]: State changed from starting to up" in found
    assert not any("H10" in line or "Initial release" in line for line in found)


async def test_a_flood_loses_lines_that_are_counted(world: World) -> None:
    """Bites: with `dropped` not reset or not counted, the sum differs; without the bound, nothing is dropped."""
    app = await world.deployed()
    dyno = await world.dyno(app)
    rates, printed = LogRates(), 30_000
    await until(lambda: "app[web.1]: listening on 5000" in world.lines(app))
    world.engine.say(dyno.id, b"flood\n" * printed)
    query = LogQuery(lines=None, tail=True)
    kept = dropped = 0
    async with asyncio.timeout(DEADLINE):
        async for entry in world.logs.read(app.id, query):
            if entry is None:
                continue
            kept += entry[1].text == "flood"
            if entry[1].process == "logplex":
                dropped += int(entry[1].text.partition(": ")[2].split()[0])
            if kept + dropped == printed:
                break
    assert kept >= rates.lines * 2
    assert dropped > 0


async def test_what_the_engine_rotated_away_unread_is_counted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """While its dyno runs, once nothing more comes, and at its end. Bites: without `_lost` it is counted again."""
    monkeypatch.setattr("paasd.services.logs.SETTLE_SECONDS", 0.02)
    world.logs._rates = LogRates(lines=10)
    app = await world.deployed()
    dyno = await world.dyno(app)
    await until(lambda: "app[web.1]: listening on 5000" in world.lines(app))
    world.engine.tallies[dyno.id] = Tally(150, 101, False)
    world.engine.say(dyno.id, b"flood\n" * 100)
    await until(lambda: kept_or_dropped(world, app) == 149)
    world.engine.tallies[dyno.id] = Tally(250, 201, False)  # as many again, and none of them unread
    world.engine.say(dyno.id, b"flood\n" * 100)
    await until(lambda: kept_or_dropped(world, app) == 249)
    world.engine.tallies[dyno.id] = Tally(256, 202, True)
    world.engine.say(dyno.id, b"flood\n")
    world.engine.die(dyno.id)
    await until(lambda: kept_or_dropped(world, app) == 255)


def kept_or_dropped(world: World, app: App) -> int:
    """Lines of the flood, and those that were told of as dropped."""
    told = [line.partition("overflow): ")[2].split()[0] for line in world.lines(app) if "Error L10" in line]
    return sum(line.endswith(": flood") for line in world.lines(app)) + sum(map(int, told))
