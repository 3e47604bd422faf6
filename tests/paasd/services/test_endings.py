"""What the log says of ends: R12 for a dyno that had to be killed, R15 for one that memory ended."""

from datetime import UTC, datetime

import pytest

from paasd.domain.dyno import DynoKind, Exit
from paasd.ports import Change
from paasd.services.endings import MemoryQuota, note_exit, stop_dyno
from tests.fake_commands import Behaviour
from tests.paasd.services.world import World

R12 = "Error R12 (Exit timeout) -> At least one process failed to exit within 0.05 seconds of SIGTERM"


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        (Behaviour(heeds_sigterm=False), [R12, "Stopping remaining processes with SIGKILL"]),
        (Behaviour(ends_with=Exit(0)), []),
        (Behaviour(ends_with=Exit(137, signal=9)), []),  # by itself, in time
        (Behaviour(ends_with=Exit(137, signal=9, oom=True)), []),
    ],
)
async def test_who_is_stopped_is_told_how_it_went(world: World, behaviour: Behaviour, said: list[str]) -> None:
    """Bites: with the seconds not looked at, the third has an R12."""
    app = await world.deployed()
    boot, release = world.releases._hands.boot, await world.release(app, 2)
    world.engine.commands["odd"] = behaviour
    [dyno] = await boot.start([boot.spec(app, release, "odd.1", DynoKind.FORMATION, "odd")])
    how = await stop_dyno(world.engine, world.logs, dyno, 0.05)
    assert how == (behaviour.ends_with if behaviour.heeds_sigterm else Exit(137, signal=9))
    lines = [line for line in world.lines(app) if "odd.1" in line]
    assert lines[1:] == [f"heroku[odd.1]: {text}" for text in ("Stopping all processes with SIGTERM", *said)]
    assert await stop_dyno(world.engine, world.logs, dyno, 0.05) is None


async def test_an_end_by_memory_has_its_code(world: World) -> None:
    app = await world.deployed()
    note_exit(world.logs, app.id, "web.1", Exit(137, signal=9, oom=True, at=datetime.now(UTC)))
    assert world.lines(app)[-2:] == [
        "heroku[web.1]: Error R15 (Memory quota vastly exceeded)",
        "heroku[web.1]: Process was killed for using more memory than its limit (R15)",
    ]


async def test_each_dyno_at_its_limit_is_told_now_and_then(world: World) -> None:
    app = await world.deployed()
    quota = MemoryQuota(world.logs, interval=3600.0)
    for dyno in ("web.1", "web.1", "web.2"):
        quota.note(Change(app.id, dyno, out_of_memory=True))
    assert [line for line in world.lines(app) if "R14" in line] == [
        f"heroku[{dyno}]: Error R14 (Memory quota exceeded)" for dyno in ("web.1", "web.2")
    ]
