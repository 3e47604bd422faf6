"""A server that ends is started again at once, whatever is done with its add-on; one that goes on ending is not."""

import asyncio

import pytest

from paasd.domain.addon import AddonState
from paasd.domain.errors import ProviderFailed, Unavailable
from paasd.services.addon_watch import AddonWatch, WatchRules
from tests.paasd.services.addons import created
from tests.paasd.services.world import World, until


@pytest.fixture
async def watch(world: World) -> AddonWatch:
    """Begun."""
    watch = AddonWatch(world.addons.work, WatchRules(retry=0.01, longest=0.05))
    watch.begin()
    return watch


async def test_a_killed_server_is_started_again_at_once(world: World, watch: AddonWatch) -> None:
    """Bites: `watch` without its `_start`: it is down until the next round."""
    addon = await created(world, await world.create())
    provider = world.outside.provider
    for _ in range(3):
        provider.kill(addon.id)
        await until(lambda: provider.held[addon.id].up)
    assert not watch.waiting


async def test_one_that_is_being_changed_is_started_after_that(world: World, watch: AddonWatch) -> None:
    """Bites: AddonWork.mend_one without its lock: two at once make its server twice."""
    addon = await created(world, await world.create())
    provider = world.outside.provider
    async with world.background.lock(addon.id):
        provider.kill(addon.id)
        await until(lambda: provider.ended.empty() and addon.id not in watch.waiting)
        await asyncio.sleep(0)
        assert not provider.held[addon.id].up
    await until(lambda: provider.held[addon.id].up)


async def test_one_that_is_set_aside_stays_so(world: World, watch: AddonWatch) -> None:
    addon = await created(world, await world.create())
    await world.addons.wait(await world.addons.destroy(world.actor, addon))
    world.outside.provider.kill(addon.id)
    await until(lambda: world.outside.provider.ended.empty() and addon.id not in watch.waiting)
    await world.background.lock(addon.id).acquire()
    assert (await world.store.addon(addon.id)).state is AddonState.DEPROVISIONED
    assert not world.outside.provider.held[addon.id].up
    world.background.lock(addon.id).release()


async def test_a_rotation_that_found_it_down_is_done_once_it_is_up(world: World, watch: AddonWatch) -> None:
    """Bites: `_mend` without `go_on`: it is done in the next round, up to 30 seconds later."""
    app, provider = await world.deployed(), world.outside.provider
    addon = await created(world, app)
    provider.gates.errors["rotate"] = Unavailable("It is not up.")
    with pytest.raises(Unavailable):
        await world.addons.rotate(world.actor, addon)
    provider.gates.errors.clear()
    provider.kill(addon.id)
    await until(lambda: world.answer() == "v4")
    rotated = await world.store.addon(addon.id)
    assert rotated.secret != addon.secret and rotated.secret in (await world.apps.config(app))["DATABASE_URL"]


async def test_one_that_does_not_come_up_can_be_destroyed_meanwhile(world: World, watch: AddonWatch) -> None:
    """Bites: `destroy` without `stop_mending`: it waits for as long as its server is given to come up."""
    addon = await created(world, await world.create())
    provider = world.outside.provider
    gate = provider.gates.hold("mend")
    provider.kill(addon.id)
    await gate.reached.wait()
    async with asyncio.timeout(5):
        await world.addons.wait(await world.addons.destroy(world.actor, addon))
    assert (await world.store.addon(addon.id)).state is AddonState.DEPROVISIONED
    assert not provider.held[addon.id].up and watch.work.mending == {}
    other = await created(world, await world.create("blog"))
    provider.kill(other.id)
    await until(lambda: provider.held[other.id].up)  # who watches goes on


async def test_what_we_end_ourselves_is_no_crash(world: World, watch: AddonWatch) -> None:
    """Another plan, or being destroyed, is a new container: the first crash after it has its server started at once.

    Bites: `_being_changed` always false; `_is_to_be_up` always true.
    """
    app, provider = await world.create(), world.outside.provider
    addon = await created(world, app)
    gate = provider.gates.hold("resized")
    upgrading = asyncio.create_task(world.addons.upgrade(world.actor, addon, "small"))
    await gate.reached.wait()
    await until(lambda: provider.ended.empty() and not watch.waiting)
    gate.opened.set()
    await upgrading
    await world.addons.wait(await world.addons.destroy(world.actor, addon))
    turn = world.background.lock(addon.id)
    await until(lambda: provider.ended.empty() and not watch.waiting and not turn.locked())
    provider.ended.put_nowait(addon.id)  # the engine may be late to tell
    await until(lambda: provider.ended.empty() and not watch.waiting)
    await world.addons.undestroy(world.actor, addon.name)
    assert addon.id not in watch.endings
    provider.kill(addon.id)
    await until(lambda: provider.held[addon.id].up)
    assert len(watch.endings[addon.id]) == 1


async def test_one_that_ends_while_it_is_started_does_not_stay_up(world: World, watch: AddonWatch) -> None:
    """Bites: `_being_changed` without `mending`: it would be started again and again at once."""
    addon, provider = await created(world, await world.create()), world.outside.provider
    gate = provider.gates.hold("mend")
    provider.kill(addon.id)
    await gate.reached.wait()
    provider.ended.put_nowait(addon.id)
    await until(lambda: len(watch.endings[addon.id]) == 2)
    gate.opened.set()
    await until(lambda: provider.held[addon.id].up and not watch.waiting)


async def test_what_ended_while_the_provider_was_away_is_found_when_it_is_back(world: World) -> None:
    """Bites: `watch` that takes no look at all once it listens."""
    addon = await created(world, await world.create())
    provider = world.outside.provider
    provider.gates.errors["endings"] = Unavailable("The engine is away.")
    gate = provider.gates.hold("endings")
    AddonWatch(world.addons.work, WatchRules(retry=0.01)).begin()
    await gate.reached.wait()
    provider.held[addon.id].up = False
    gate.opened.set()
    again = provider.gates.hold("endings")
    await again.reached.wait()
    assert not provider.held[addon.id].up
    provider.gates.errors.clear()
    again.opened.set()
    await until(lambda: provider.held[addon.id].up)


async def test_one_that_can_t_be_started_is_left_to_the_round(world: World, watch: AddonWatch) -> None:
    addon = await created(world, await world.create())
    provider = world.outside.provider
    provider.gates.errors["mend"] = ProviderFailed("its data is damaged")
    provider.kill(addon.id)
    await until(lambda: addon.id in watch.endings and addon.id not in watch.waiting)
    provider.gates.errors.clear()
    await world.addons.work.mend()
    assert provider.held[addon.id].up


def test_one_that_ends_again_and_again_is_started_later_and_later() -> None:
    rules = WatchRules()
    assert [rules.delay(endings) for endings in range(1, 9)] == [0, 1, 2, 4, 8, 16, 30, 30]
