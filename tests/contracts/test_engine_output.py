"""What every Engine must do with what dynos print, and with their networks."""

import asyncio
import contextlib
import re
import uuid
from datetime import UTC, datetime, timedelta

from paasd.domain.dyno import DynoKind, Exit
from paasd.ports import Change, Tally
from tests.contracts.engines import BINARY, COUNT, DEADLINE, FAIL, GREET, MANY, SLEEP, STUBBORN, Bench, lines_of

# --- what they print --------------------------------------------------------------------------------------------------


async def test_a_cancelled_attach_leaves_nothing(bench: Bench) -> None:
    """Bites when the clean-up is set up only once the dyno has been made: the making goes on though cancelled."""
    await bench.engine.info()  # so that the time below is the attach's own

    async def cancelled_after(milliseconds: int) -> None:
        spec = bench.spec(SLEEP, kind=DynoKind.RELEASE)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(milliseconds / 1000):
                await (await bench.engine.attach(spec)).close()
        assert [dyno for dyno in await bench.engine.dynos() if dyno.id == spec.id] == [], milliseconds

    for first in range(0, 60, 15):
        await asyncio.gather(*(cancelled_after(milliseconds) for milliseconds in range(first, first + 15, 3)))


async def test_an_attached_dyno_loses_no_byte(bench: Bench) -> None:
    terminal = await bench.engine.attach(bench.spec(BINARY, kind=DynoKind.RELEASE))
    try:
        output = b"".join([chunk async for chunk in terminal.output()])
        assert output == b"\x00\xff\r\nend without newline"
        assert await terminal.wait() == Exit(0)
    finally:
        await terminal.close()
    await terminal.close()
    assert not await bench.engine.dynos()


async def test_an_attached_dyno_has_its_environment_and_its_exit(bench: Bench) -> None:
    terminal = await bench.engine.attach(bench.spec(f"{GREET}; {FAIL}", env={"NAME": "Ann"}, port=5000))
    output = b"".join([chunk async for chunk in terminal.output()])
    broken, hello, port = sorted(output.splitlines())
    assert (broken, hello) == (b"broken", b"hello Ann")
    assert re.fullmatch(rb"port [1-9]\d{3,4}", port)  # an engine may choose another than the spec's
    assert await terminal.wait() == Exit(3)
    await terminal.close()


async def test_closing_a_terminal_ends_its_dyno(bench: Bench) -> None:
    terminal = await bench.engine.attach(bench.spec(STUBBORN, kind=DynoKind.RELEASE))
    async for chunk in terminal.output():
        assert chunk == b"ready\n"
        break
    await terminal.close()
    assert not await bench.engine.dynos()


async def test_logs_come_with_times_until_the_end_and_go_on_where_they_were_left(bench: Bench) -> None:
    spec = bench.spec(COUNT)
    began = datetime.now(UTC)
    await bench.engine.start(spec)
    lines = await lines_of(bench, spec.id)
    assert [text for _, text in lines] == ["line 1", "line 2", "line 3"]
    times = [at for at, _ in lines]
    assert times == sorted(times)
    assert began - timedelta(seconds=1) < times[0] < datetime.now(UTC)
    assert await lines_of(bench, spec.id, since=times[1]) == lines[2:]


async def test_a_long_log_begins_with_its_last_lines(bench: Bench) -> None:
    spec = bench.spec(MANY)
    await bench.engine.start(spec)
    await bench.engine.wait(spec.id)
    lines = await lines_of(bench, spec.id)
    assert [text for _, text in lines] == [str(number) for number in range(1501, 3001)]
    assert await lines_of(bench, spec.id, since=datetime(2020, 1, 1, tzinfo=UTC)) != lines  # all that was asked for


async def test_bad_bytes_in_a_log_are_replaced(bench: Bench) -> None:
    spec = bench.spec(BINARY)
    await bench.engine.start(spec)
    assert [text for _, text in await lines_of(bench, spec.id)] == ["\x00\ufffd", "end without newline"]
    assert await tallied(bench, spec.id) in (None, Tally(lines=2, given=2, ended=True))


async def test_an_engine_that_counts_lines_counts_those_that_its_log_does_not_give(bench: Bench) -> None:
    spec = bench.spec(MANY)
    await bench.engine.start(spec)
    await bench.engine.wait(spec.id)
    assert len(await lines_of(bench, spec.id)) == 1500
    assert await tallied(bench, spec.id) in (None, Tally(lines=3000, given=1500, ended=True))
    assert bench.engine.tally("nobody") is None


async def tallied(bench: Bench, dyno_id: str) -> Tally | None:
    """Once the engine knows that it has ended; None at once where it counts nothing."""
    for _ in range(2000):
        tally = bench.engine.tally(dyno_id)
        if tally is None or tally.ended:
            break
        await asyncio.sleep(0.01)
    return tally


async def test_changes_name_what_started_and_ended(bench: Bench) -> None:
    changes = bench.engine.changes()
    spec = bench.spec(SLEEP)
    await bench.engine.start(spec)
    async with asyncio.timeout(DEADLINE):
        assert await anext(changes) == Change(bench.app_id, spec.name)
        await bench.engine.stop(spec.id, grace=5)
        assert await anext(changes) == Change(bench.app_id, spec.name)


# --- networks ---------------------------------------------------------------------------------------------------------


async def test_networks_may_be_made_and_removed_twice(bench: Bench) -> None:
    app_id = str(uuid.uuid4())
    await asyncio.gather(bench.engine.create_network(app_id), bench.engine.create_network(app_id))
    await bench.engine.create_network(app_id)
    assert sorted(await bench.engine.networks()) == sorted([app_id, bench.app_id])
    await bench.engine.remove_network(app_id)
    assert list(await bench.engine.networks()) == [bench.app_id]
    await bench.engine.remove_network(app_id)


async def test_a_network_goes_even_with_a_dyno_on_it(bench: Bench) -> None:
    spec = bench.spec(SLEEP)
    await bench.engine.start(spec)
    await bench.engine.remove_network(bench.app_id)
    await bench.engine.stop(spec.id, grace=5)
    assert not await bench.engine.dynos()
