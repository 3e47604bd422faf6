"""The place of an app: one holds it, others wait in order, anybody is cancelled by name. More in test_builds.py."""

import asyncio
from dataclasses import replace

import pytest

from paasd.domain.access import Actor
from paasd.domain.app import App
from paasd.domain.errors import BuildFailed, Conflict
from paasd.services.places import QUEUED_MAX, Holder, Places
from tests.paasd.services.world import DEADLINE, Output, World, cancelled, somebody, until, wire


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


async def test_one_account_s_many_builds_hold_up_nobody_else_s(world: World) -> None:
    """Bites: who waits is let in as they came, whoever they are: an account with a hundred apps has all others wait for
    a hundred builds."""
    busy, began = wire(world.outside, parallel=1), list[str]()
    mallory, bob = world.actor, replace(world.actor, account_id="bob")

    def push(app: App, actor: Actor) -> asyncio.Task[None]:
        async def note(data: bytes) -> None:
            if b"FROM scratch" in data:
                began.append(app.name)

        return asyncio.create_task(busy.builds.receive(replace(busy.commit(app), actor=actor), note))

    apps = [await busy.create(name) for name in ("one", "two", "three", "four", "bobs", "bobs-too")]
    gate, tasks = busy.engine.gates.hold("build"), []
    for app in apps:
        tasks.append(push(app, bob if app.name.startswith("bobs") else mallory))
        await until(lambda app=app: busy.builds.pushing(app.id))
        await asyncio.sleep(0.05)
    await cancelled(tasks.pop(1))
    gate.opened.set()
    async with asyncio.timeout(DEADLINE):
        await asyncio.gather(*tasks)
    assert began == ["one", "bobs", "three", "bobs-too", "four"]
    await busy.background.close()
