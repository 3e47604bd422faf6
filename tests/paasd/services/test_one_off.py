"""One-off dynos: on their own, talked to, inside another, and never longer than they may."""

import asyncio
import time
from dataclasses import replace
from datetime import datetime, tzinfo

import pytest

from paasd.domain.dyno import DEFAULT_SIZE, DynoKind, DynoState, Exit, Limits
from paasd.domain.errors import InvalidParams, NotFound
from paasd.services.one_off import ASKS_STATUS, OFFERS_MAX, OneOffRules, OneOffs, plain_command
from tests.paasd.services.world import World, until


def one_offs(world: World, **rules: float) -> OneOffs:
    boot = world.releases._hands.boot
    return OneOffs(world.store, world.engine, boot, world.logs, world.background, OneOffRules(grace=0, **rules))


async def test_on_its_own_it_is_logged_and_gone_when_it_ends(world: World) -> None:
    app = await world.deployed()
    dyno = await one_offs(world).start(world.actor, app, "finish", {"NAME": "Ann"})
    assert (dyno.kind, dyno.type, dyno.command) == (DynoKind.ONE_OFF, "run", "finish")
    await until(lambda: f"heroku[{dyno.name}]: State changed from up to complete" in world.lines(app))
    assert f"app[{dyno.name}]: done" in world.lines(app)
    assert f"heroku[{dyno.name}]: Process exited with status 0" in world.lines(app)

    async def gone() -> bool:
        return dyno.id not in {each.id for each in await world.engine.dynos()}

    await until(gone)


async def test_it_has_the_size_that_is_asked_for(world: World) -> None:
    """Bites: the size left out of `_spec`, and it is the smallest whatever is asked."""
    app = await world.deployed()
    boot = world.releases._hands.boot
    boot = replace(boot, rules=replace(boot.rules, sizes={"Standard-2X": Limits(memory=7)}))
    runs = OneOffs(world.store, world.engine, boot, world.logs, world.background, OneOffRules(grace=0))
    for asked, size in ((None, DEFAULT_SIZE), ("standard-1x", DEFAULT_SIZE), ("standard-2x", "Standard-2X")):
        assert (await runs.start(world.actor, app, "hang", {}, asked)).size == size
        offer = await runs.offer(world.actor, app, "hang", {}, None, asked)
        assert (offer.dyno.size, offer.spec.limits.memory == 7) == (size, size == "Standard-2X")
    with pytest.raises(InvalidParams, match="There is no size 'huge'; there are Standard-1X, Standard-2X"):
        await runs.start(world.actor, app, "hang", {}, "huge")


async def test_a_deploy_leaves_it_alone(world: World) -> None:
    app = await world.deployed()
    dyno = await one_offs(world).start(world.actor, app, "hang", {})
    await world.push(app)
    await world.settled(app)
    await world.recovery.reconcile()
    assert [each.id for each in await world.engine.dynos() if each.kind is DynoKind.ONE_OFF] == [dyno.id]


async def test_it_does_not_outlive_its_longest_time(world: World) -> None:
    """Bites: leave the time-out out of `_watch`."""
    app = await world.deployed()
    dyno = await one_offs(world, longest=0.05).start(world.actor, app, "hang", {})

    async def gone() -> bool:
        return dyno.id not in {each.id for each in await world.engine.dynos()}

    await until(gone)
    assert any("it ran for 0.05 seconds" in line for line in world.lines(app))


async def test_what_an_earlier_daemon_left_is_swept(world: World) -> None:
    app = await world.deployed()
    running = await one_offs(world).start(world.actor, app, "hang", {})
    later = one_offs(world)
    await later.sweep()
    assert running.id in {each.id for each in await world.engine.dynos()}
    await one_offs(world, longest=0.0).sweep()
    assert running.id not in {each.id for each in await world.engine.dynos()}


async def test_a_clock_that_jumps_ends_none_early(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bites: with the age asked of the wall clock in each sweep."""
    app = await world.deployed()
    runs = one_offs(world)
    own, later = await runs.start(world.actor, app, "hang", {}), one_offs(world)
    await later.sweep()  # an earlier daemon's, seen before the jump

    class Tomorrow(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Tomorrow":
            return cls.fromtimestamp(time.time() + 2 * 86400, tz)

    monkeypatch.setattr("paasd.services.one_off.datetime", Tomorrow)
    await runs.sweep()
    await later.sweep()
    assert own.id in {each.id for each in await world.engine.dynos()}
    await one_offs(world).sweep()  # one that starts after it can't know
    assert own.id not in {each.id for each in await world.engine.dynos()}


async def test_talked_to_by_who_has_the_secret_and_once(world: World) -> None:
    app = await world.deployed()
    runs = one_offs(world)
    offer = await runs.offer(world.actor, app, f"sh{ASKS_STATUS}", {"TERM": "xterm"}, (99, 33))
    [waiting] = runs.waiting(app.id)
    assert (waiting.name, waiting.state, waiting.command) == (offer.dyno.name, DynoState.STARTING, "sh")
    assert offer.tells_status and offer.spec.env["TERM"] == "xterm" and offer.spec.env["DYNO"] == offer.dyno.name
    assert runs.take("0" * 32) is None
    assert runs.take(offer.secret) is offer
    assert runs.take(offer.secret) is None
    shell = await runs.open(offer)
    assert world.engine.shell.sizes == [(99, 33)]
    await shell.write(b"exit 3")
    assert await shell.wait() == Exit(3)
    await shell.close()
    runs.note_end(offer, Exit(3))
    assert f"heroku[{offer.dyno.name}]: Process exited with status 3" in world.lines(app)
    assert not runs.waiting(app.id)


async def test_nobody_came(world: World) -> None:
    app = await world.deployed()
    runs = one_offs(world, attach=0.0)
    offer = await runs.offer(world.actor, app, "sh", {}, None)
    await asyncio.sleep(0)
    assert not runs.waiting(app.id) and runs.take(offer.secret) is None
    assert any("R13" in line for line in world.lines(app))


async def test_inside_a_running_dyno(world: World) -> None:
    app = await world.deployed()
    runs = one_offs(world)
    dyno = await world.dyno(app)
    offer = await runs.offer_inside(world.actor, app, dyno, "ls", {"A": "b"}, None)
    assert offer.inside and not runs.waiting(app.id)
    shell = await runs.open(offer)
    assert await anext(shell.output()) == b"ls\n"
    await shell.close()
    runs.note_end(offer, None)
    with pytest.raises(NotFound):
        await runs.offer_inside(world.actor, app, replace(dyno, state=DynoState.CRASHED), "ls", {}, None)


async def test_stopped_before_anybody_came(world: World) -> None:
    app = await world.deployed()
    runs = one_offs(world)
    offer = await runs.offer(world.actor, app, "sh", {}, None)
    await runs.stop(offer.dyno)
    assert runs.take(offer.secret) is None


async def test_a_process_type_stands_for_its_command(world: World) -> None:
    app = await world.deployed(procfile="web: serve\nworker: finish")
    dyno = await one_offs(world).start(world.actor, app, "worker --once", {})
    assert dyno.command == "finish --once"


@pytest.mark.parametrize("command", ["", "  ", "a\0b", "x" * 40_000])
async def test_what_can_not_be_run(world: World, command: str) -> None:
    app = await world.deployed()
    with pytest.raises(InvalidParams, match="command"):
        await one_offs(world).start(world.actor, app, command, {})
    for name, value in (("", "x"), ("A=B", "x"), ("A", "\0")):
        with pytest.raises(InvalidParams, match="environment"):
            await one_offs(world).start(world.actor, app, "ls", {name: value})


async def test_an_app_without_code_runs_nothing(world: World) -> None:
    app = await world.create()
    with pytest.raises(InvalidParams, match="no code yet"):
        await one_offs(world).start(world.actor, app, "ls", {})


async def test_a_flood_of_offers_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    app = await world.deployed()
    runs = one_offs(world)
    monkeypatch.setattr("paasd.services.one_off.OFFERS_MAX", 2)
    for _ in range(2):
        await runs.offer(world.actor, app, "sh", {}, None)
    with pytest.raises(InvalidParams, match="wait for their client"):
        await runs.offer(world.actor, app, "sh", {}, None)


async def test_one_account_s_flood_leaves_room_for_others(world: World) -> None:
    """Bites: the count of an account's own left out of `_keep`: one fills it up for everybody, a minute at a time."""
    app = await world.deployed()
    runs = one_offs(world)
    with pytest.raises(InvalidParams, match="of yours"):
        for _ in range(OFFERS_MAX):
            await runs.offer(world.actor, app, "sh", {}, None)
    another = replace(world.actor, account_id="another")
    assert runs.take((await runs.offer(another, app, "sh", {}, None)).secret) is not None


async def test_an_engine_that_goes_away_leaves_it_to_the_next_round(world: World) -> None:
    app = await world.deployed()
    runs = one_offs(world)
    world.engine.gates.errors["wait"] = world_error()
    dyno = await runs.start(world.actor, app, "hang", {})
    await until(lambda: not any(task.get_name() == f"watch {dyno.id}" for task in world.background._tasks))
    assert dyno.id in {each.id for each in await world.engine.dynos()}


def world_error() -> Exception:
    from paasd.domain.errors import EngineUnavailable

    return EngineUnavailable("The engine does not answer; start it.")


def test_the_words_that_ask_for_a_status() -> None:
    assert plain_command(f"ls{ASKS_STATUS}") == ("ls", True)
    assert plain_command("ls ; echo $?") == ("ls ; echo $?", False)
