"""Counting requests in flight, and being told when there are none."""

import asyncio

from router.inflight import InFlight

ONE, TWO = ("10.0.0.1", 1), ("10.0.0.2", 2)


async def test_idle_waits_for_the_named_targets_only() -> None:
    in_flight = InFlight()
    with in_flight.hold(ONE):
        assert await in_flight.idle([TWO], 0)
        assert not await in_flight.idle([ONE], 0.01)
        with in_flight.hold(ONE), in_flight.hold(TWO):
            assert in_flight.count() == 3 and in_flight.count([ONE]) == 2
        waiting = asyncio.create_task(in_flight.idle(None, 5))
        await asyncio.sleep(0)
    assert await waiting
