"""Owned work: finished though its caller be cancelled, undone when the daemon stops, its errors told once."""

import asyncio

import pytest
from structlog.typing import EventDict

from paasd.domain.errors import NotFound
from paasd.services.background import Background, every, stirred, together
from tests.paasd.services.world import DEADLINE


async def test_finish_carries_work_to_its_end_and_then_delivers_the_cancellation() -> None:
    background, go, done = Background(), asyncio.Event(), []

    async def work() -> str:
        await go.wait()
        done.append("work")
        return "result"

    async def caller() -> None:
        done.append(await background.finish("work", work()))
        await asyncio.sleep(0)
        done.append("never")

    task = asyncio.create_task(caller())
    await asyncio.sleep(0)
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    assert not task.done()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == ["work", "result"]


async def test_finish_may_say_that_a_cancellation_came_too_late() -> None:
    background, go = Background(), asyncio.Event()

    async def caller() -> str:
        await background.finish("work", go.wait(), deliver=False)
        await asyncio.sleep(0)
        return "went on"

    task = asyncio.create_task(caller())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    go.set()
    assert await task == "went on"


async def test_finish_raises_what_the_work_raises() -> None:
    async def work() -> None:
        raise NotFound("It is gone; look elsewhere.")

    with pytest.raises(NotFound):
        await Background().finish("work", work())


async def test_close_waits_for_what_cleans_up_and_for_what_that_starts() -> None:
    background, steps = Background(), []

    async def late() -> None:
        steps.append("late")
        await asyncio.Event().wait()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            steps.append("cleaned up")
            background.spawn("late", late())

    background.spawn("work", work())
    await asyncio.sleep(0)
    await asyncio.wait_for(background.close(), DEADLINE)
    assert steps[0] == "cleaned up"
    assert not background._tasks


async def test_an_unexpected_error_is_logged_once_and_an_expected_one_is_not(said: list[EventDict]) -> None:
    background = Background()

    async def fail(error: Exception) -> None:
        raise error

    for error in (ValueError("a fault of ours"), NotFound("It is gone; look elsewhere.")):
        task = background.spawn(f"task of {type(error).__name__}", fail(error))
        await asyncio.wait([task])
    await asyncio.sleep(0)
    assert [(entry["event"], entry["task"]) for entry in said] == [("task failed", "task of ValueError")]


async def test_each_app_has_one_lock_until_it_is_forgotten() -> None:
    background = Background()
    lock = background.lock("a")
    assert background.lock("a") is lock is not background.lock("b")
    background.forget("a")
    background.forget("a")
    assert background.lock("a") is not lock


async def test_together_is_both_or_neither() -> None:
    ended = asyncio.Event()

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def fail() -> None:
        await asyncio.sleep(0)
        raise NotFound("It is gone; look elsewhere.")

    with pytest.raises(NotFound):
        await together(forever(), fail())
    assert ended.is_set()
    assert await together(asyncio.sleep(0, 1), asyncio.sleep(0, "2")) == (1, "2")


async def test_what_is_periodic_goes_on_after_a_fault() -> None:
    """Bites: with `work` awaited without `attempt`."""
    background, times, enough = Background(), [0], asyncio.Event()

    async def work() -> None:
        times[0] += 1
        if times[0] == 3:
            enough.set()
        raise NotFound("It is away just now.")

    background.spawn("work", every(0.01, "work", work))
    await asyncio.wait_for(enough.wait(), DEADLINE)
    await background.close()
    assert times[0] >= 3


async def test_an_event_is_waited_for_so_long_at_most() -> None:
    event = asyncio.Event()
    assert await stirred(event, 0.01) is False
    event.set()
    assert await stirred(event, 0.0) is True
    assert await stirred(event, None) is True
