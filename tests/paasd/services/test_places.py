"""The place of an app: one holds it, others wait in order, anybody is cancelled by name. More in test_builds.py."""

import asyncio

import pytest

from paasd.domain.errors import BuildFailed, Conflict
from paasd.services.places import QUEUED_MAX, Holder, Places
from tests.paasd.services.world import DEADLINE, Output, World, cancelled, somebody, until


async def test_first_come_first_served(world: World) -> None:
    app, places, served = await world.create(), Places(queue=False), []
    first = asyncio.Event()

    async def take(name: str, held: asyncio.Event) -> None:
        async with places.hold(app, Holder(somebody(world.actor, name)), Output(), queue=True):
            served.append(name)
            await held.wait()

    tasks = [asyncio.create_task(take("a", first))]
    await until(lambda: places.taken(app.id))
    tasks += [asyncio.create_task(take(name, first)) for name in "bcd"]
    await asyncio.sleep(0)
    with pytest.raises(Conflict, match="a has been pushing to shop"):
        places.admit(app, queue=False)
    await cancelled(tasks.pop(2))  # c went away while it waited
    first.set()
    async with asyncio.timeout(DEADLINE):
        await asyncio.gather(*tasks)
    assert served == ["a", "b", "d"]
    assert not places.taken(app.id)


async def test_only_so_many_wait(world: World) -> None:
    app, places, held = await world.create(), Places(queue=True), asyncio.Event()

    async def take() -> None:
        async with places.hold(app, Holder(world.actor), Output(), queue=True):
            await held.wait()

    tasks = [asyncio.create_task(take()) for _ in range(QUEUED_MAX + 1)]
    await asyncio.sleep(0)
    with pytest.raises(Conflict, match="are waiting already"):
        places.admit(app, queue=True)
    held.set()
    await asyncio.gather(*tasks)


async def test_one_that_waits_is_cancelled_too(world: World) -> None:
    app, places, held, waiting = await world.create(), Places(queue=True), asyncio.Event(), Output()

    async def take(build: str, output: Output) -> None:
        holder = Holder(world.actor)
        with places.building(build, holder):
            try:
                async with places.hold(app, holder, output, queue=True):
                    await held.wait()
            finally:
                holder.ended.set()

    first = asyncio.create_task(take("b1", Output()))
    await until(lambda: places.taken(app.id))
    second = asyncio.create_task(take("b2", waiting))
    await until(lambda: "Waiting" in waiting.text)
    assert await places.cancel(world.actor, "b2")
    with pytest.raises(BuildFailed, match=r"cancelled by ann@example\.org"):
        await second
    assert not await places.cancel(world.actor, "b2")
    assert not first.done()
    held.set()
    await first
