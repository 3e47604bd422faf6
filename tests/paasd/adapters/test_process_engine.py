"""What outlives a daemon, what goes with a dyno, and what one app can't do to another: on real processes."""

import asyncio
import contextlib
import json
import os
import signal
from datetime import datetime
from pathlib import Path

import pytest

from paasd.adapters.process_engine import ProcessEngine, ProcessSettings
from paasd.adapters.process_tree import start_ticks
from paasd.domain.dyno import DynoState, Exit
from paasd.ports import Change
from tests.contracts.engines import SLEEP, eventually
from tests.paasd.adapters.conftest import bench, lines, none, running

# A tree that wants to stay: in a session of its own, without its parent, deaf to SIGTERM.
HIDES = "(setsid sh -c 'trap \"\" TERM; sleep 7731 & wait; sleep 7731' &) ; sleep 0.1"
TICKS = "i=0; while :; do echo tick $((i=i+1)); sleep 0.05; done"


# --- daemons come and go ----------------------------------------------------------------------------------------------


async def test_the_next_daemon_takes_dynos_over_as_they_are(home: Path, settings: ProcessSettings) -> None:
    """Bites: a dyno of the daemon before taken for ended; its lines of the time between read twice, or not at all."""
    async with ProcessEngine("7e57ab1e", home, settings) as engine:
        spec = bench(engine).spec(TICKS, port=5000)
        dyno = await engine.start(spec)
        seen: list[tuple[datetime, str]] = []
        async for line in engine.logs(dyno.id):
            seen.append(line)
            if len(seen) == 3:
                break
    await asyncio.sleep(0.2)  # nobody is there
    async with ProcessEngine("7e57ab1e", home, settings) as engine:
        assert list(await engine.dynos()) == [dyno]
        assert await engine.start(spec) == dyno
        async for line in engine.logs(dyno.id, since=seen[-1][0]):
            seen.append(line)
            if len(seen) == 20:
                break
        assert [text for _, text in seen] == [f"tick {number}" for number in range(1, 21)]
        changes, waiting = engine.changes(), asyncio.ensure_future(engine.wait(dyno.id))
        how = await engine.stop(dyno.id, grace=5)
        assert how is not None
        assert await waiting == how
        async with asyncio.timeout(10):
            assert await anext(changes) == Change(dyno.app_id, dyno.name)


async def test_how_a_dyno_ended_while_nobody_was_there_is_known(home: Path, settings: ProcessSettings) -> None:
    async with ProcessEngine("7e57ab1e", home, settings) as engine:
        made = await engine.start(bench(engine).spec("echo begun; sleep 0.3; echo bye; exit 5"))
    exit_file = home / "process" / "dynos" / made.id / "exit.json"
    await eventually(lambda: asyncio.to_thread(exit_file.exists))
    async with ProcessEngine("7e57ab1e", home, settings) as engine:
        (found,) = [each for each in await engine.dynos() if each.id == made.id]
        assert (found.state, found.exit, found.started_at) == (DynoState.CRASHED, Exit(5), made.started_at)
        assert await engine.wait(made.id) == Exit(5)
        assert await lines(engine, made) == ["begun", "bye"]


@pytest.mark.parametrize("away", [False, True])
async def test_a_dyno_whose_supervisor_was_killed_is_gone_with_it(
    home: Path, settings: ProcessSettings, away: bool
) -> None:
    """Bites: a tree that nobody holds any more, which would serve beside the dyno that takes its place."""
    engine = await ProcessEngine("7e57ab1e", home, settings).__aenter__()
    dyno = await engine.start(bench(engine).spec("sleep 7732"))
    await eventually(lambda: running(b"sleep\x007732"))
    ran = json.loads(await asyncio.to_thread((home / "process/dynos" / dyno.id / "run.json").read_text))
    if away:
        await engine.__aexit__()
    os.kill(ran["supervisor"], signal.SIGKILL)
    if away:
        await eventually(lambda: asyncio.to_thread(ended, ran["supervisor"]))
        engine = await ProcessEngine("7e57ab1e", home, settings).__aenter__()
    assert await engine.wait(dyno.id) == Exit(137, signal=9)
    (found,) = await engine.dynos()
    assert found.state is DynoState.CRASHED
    await eventually(lambda: none(running(b"sleep\x007732")))
    await engine.__aexit__()


async def test_a_process_that_got_a_supervisors_number_is_not_taken_for_it(home: Path) -> None:
    """Bites: the number alone looked at; then `stop` sends its signals to whoever has it now."""
    async with ProcessEngine("7e57ab1e", home) as engine:
        dyno = await engine.start(bench(engine).spec(SLEEP))
        folder = home / "process" / "dynos" / dyno.id
    ran = json.loads(await asyncio.to_thread((folder / "run.json").read_text))
    changed = json.dumps({**ran, "supervisor": os.getpid(), "ticks": start_ticks(os.getpid()) - 1})
    await asyncio.to_thread((folder / "run.json").write_text, changed)
    async with ProcessEngine("7e57ab1e", home) as engine:
        (found,) = await engine.dynos()
        assert found.exit == Exit(137, signal=9)
    os.kill(ran["supervisor"], signal.SIGUSR1)


async def test_a_killed_zygote_is_replaced_and_its_supervisors_go_on(home: Path, settings: ProcessSettings) -> None:
    """Bites: every start after it refused, until the daemon is started again."""
    async with ProcessEngine("7e57ab1e", home, settings) as engine:
        first = await engine.start(bench(engine).spec(SLEEP))
        zygote = engine._launcher._zygote
        assert zygote is not None
        os.kill(zygote.pid, signal.SIGKILL)
        second = await engine.start(bench(engine).spec(SLEEP))
        assert {each.id for each in await engine.dynos() if each.running} == {first.id, second.id}
        assert await engine.stop(first.id, grace=5) is not None
    assert engine._launcher._zygote is not None
    assert await asyncio.to_thread(ended, engine._launcher._zygote.pid), "it did not end with its daemon"


async def test_starts_that_are_cancelled_leave_nothing_and_hinder_none(home: Path, settings: ProcessSettings) -> None:
    """Bites: the answer to a cancelled request taken for that to the next; a dyno that nobody asked for any more."""
    async with ProcessEngine("7e57ab1e", home, settings) as engine:
        for turns in range(12):  # from the first step to the last: a cancellation in each place that waits
            start = asyncio.ensure_future(engine.start(bench(engine).spec("sleep 7734")))
            for _ in range(turns):
                await asyncio.sleep(0)
            start.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await start
        starts = [engine.start(bench(engine).spec("sleep 7735")) for _ in range(5)]
        dynos = await asyncio.gather(*starts)
        assert len({dyno.port or dyno.id for dyno in dynos}) == 5
        await asyncio.gather(*(engine.stop(each.id, grace=0) for each in await engine.dynos()))
        await eventually(lambda: none(running(b"sleep\x007734")))


# --- trees ------------------------------------------------------------------------------------------------------------


async def test_stopping_a_dyno_ends_all_that_it_started(home: Path, settings: ProcessSettings) -> None:
    """Bites: a signal to the process group alone, which who calls setsid has left."""
    async with ProcessEngine("7e57ab1e", home, settings) as engine:
        dyno = await engine.start(bench(engine).spec(f"{HIDES}; sleep 600"))
        await eventually(lambda: running(b"sleep\x007731"))
        await engine.stop(dyno.id, grace=0.2)
        assert await running(b"sleep\x007731") == []


async def test_a_dyno_that_ends_takes_all_that_it_started_along(home: Path, settings: ProcessSettings) -> None:
    async with ProcessEngine("7e57ab1e", home, settings) as engine:
        dyno = await engine.start(bench(engine).spec(f"{HIDES}; exit 4"))
        assert await engine.wait(dyno.id) == Exit(4)
        assert await running(b"sleep\x007731") == []


async def test_a_dyno_has_its_grace_after_sigterm(home: Path, settings: ProcessSettings) -> None:
    async with ProcessEngine("7e57ab1e", home, settings) as engine:
        program = "trap 'sleep 0.3; echo done in time; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
        dyno = await engine.start(bench(engine).spec(program))
        reading = asyncio.ensure_future(lines(engine, dyno))
        await eventually(lambda: asyncio.to_thread(has, home / "process/dynos" / dyno.id / "log", b"ready"))
        await engine.stop(dyno.id, grace=20)
        assert "done in time" in await reading


def ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def has(path: Path, words: bytes) -> bool:
    return path.exists() and words in path.read_bytes()
