"""What goes on behind an add-on: whatever the daemon is killed in, the next one finishes it, and nothing twice."""

from dataclasses import replace

import pytest

from paasd.domain.addon import AddonState
from paasd.domain.errors import NotFound, ProviderFailed, Unavailable
from tests.fake_addons import FakeProvider
from tests.paasd.services.addons import PG, created, url_of
from tests.paasd.services.world import Outside, World, wire


@pytest.mark.parametrize("call", ["provision", "provisioned", "link", "access"])
async def test_killed_while_provisioning_the_next_daemon_goes_on(outside: Outside, world: World, call: str) -> None:
    app = await world.deployed()
    gate = outside.provider.gates.hold(call)
    addon = await world.addons.create(world.actor, app, PG)
    await gate.reached.wait()
    await world.background.close()
    after = wire(outside)
    await after.addons.work.mend()
    await after.addons.wait(addon)
    await after.addons.work.mend()
    await after.settled(app)
    assert (await after.ledger_of(app))[2:] == [f"v3 succeeded Attach DATABASE (@{addon.name})"]
    assert addon.secret in str(await url_of(after, app))


@pytest.mark.parametrize("call", ["rotate", "rotated"])
async def test_killed_while_rotating_the_next_daemon_goes_on(outside: Outside, world: World, call: str) -> None:
    app = await world.deployed()
    addon = await created(world, app)
    gate = outside.provider.gates.hold(call)
    task = world.background.spawn("rotate", world.addons._rotate(world.actor, addon.id))
    await gate.reached.wait()
    task.cancel()
    await world.background.close()
    after = wire(outside)
    await after.addons.work.mend()
    await after.settled(app)
    rotated = await after.store.addon(addon.id)
    assert rotated.next_secret is None and rotated.secret != addon.secret
    assert outside.provider.held[addon.id].secret == rotated.secret
    assert rotated.secret in str(await url_of(after, app))


async def test_killed_while_destroying_the_next_daemon_goes_on(outside: Outside, world: World) -> None:
    app = await world.deployed()
    addon = await created(world, app)
    gate = outside.provider.gates.hold("set_aside")
    await world.addons.destroy(world.actor, addon)
    await gate.reached.wait()
    await world.background.close()
    after = wire(outside)
    await after.addons.work.mend()
    gone = await after.addons.wait(await after.store.addon(addon.id))
    assert gone.state is AddonState.DEPROVISIONED and not outside.provider.held[addon.id].up


async def test_a_failed_one_is_cleared_away_once_and_not_in_each_round(world: World) -> None:
    """Bites: `_settle_in_turn` that purges by itself."""
    app = await world.create()
    world.outside.provider.gates.errors["provisioned"] = ProviderFailed("no room on the disk")
    await world.addons.wait(await world.addons.create(world.actor, app, PG))
    gate = world.outside.provider.gates.hold("purge")
    gate.opened.set()
    for _ in range(2):
        await world.addons.work.mend()
    assert not gate.reached.is_set()
    after = wire(world.outside)
    await after.addons.work.mend()
    assert gate.reached.is_set()  # by the next daemon, which can't know


async def test_one_that_could_not_be_cleared_away_is_in_the_next_round(world: World) -> None:
    app, provider = await world.create(), world.outside.provider
    provider.gates.errors |= {"provisioned": ProviderFailed("no room"), "purge": Unavailable("away")}
    addon = await world.addons.wait(await world.addons.create(world.actor, app, PG))
    assert addon.state is AddonState.FAILED and addon.id in provider.held
    provider.gates.errors.clear()
    await world.addons.work.mend()
    assert provider.held == {}


async def test_destroyed_while_it_is_provisioned_there_is_nothing_to_have_again(world: World) -> None:
    app, provider = await world.create(), world.outside.provider
    gate = provider.gates.hold("provisioned")
    addon = await world.addons.create(world.actor, app, PG)
    await gate.reached.wait()
    gone = await world.addons.destroy(world.actor, addon)
    assert gone.state is AddonState.FAILED and provider.held == {}
    assert await world.addons.of(app) == [] and len(await world.ledger_of(app)) == 1
    with pytest.raises(NotFound):
        await world.addons.undestroy(world.actor, addon.name)
    assert (await created(world, app)).alive  # its attachment's name is free again


async def test_brought_back_once(world: World) -> None:
    """Bites: `undestroy` that has `finish` bring it back a second time."""
    app, provider = await world.create(), world.outside.provider
    addon = await created(world, app)
    await world.addons.wait(await world.addons.destroy(world.actor, addon))
    await world.addons.work.mend()
    second = provider.gates
    back = await world.addons.undestroy(world.actor, addon.name)
    gate = second.hold("bring_back")
    gate.opened.set()
    await world.addons.work.mend()
    assert not gate.reached.is_set() and back.attached_as is None and provider.held[addon.id].up
    assert provider.brought_back == [addon.id]


@pytest.mark.parametrize("reached", ["brought_back", "moved"])
async def test_killed_in_the_middle_of_an_undestruction(outside: Outside, world: World, reached: str) -> None:
    """The next daemon has it down again, or attached, and nothing between."""
    app, provider = await world.create(), outside.provider
    addon = await created(world, app)
    await world.addons.wait(await world.addons.destroy(world.actor, addon))
    destroyed = await world.store.addon(addon.id)
    await provider.bring_back(await world.addons.order(destroyed))
    if reached == "moved":
        await world.store.save_addon(replace(destroyed, attached_as="DATABASE"))
        await world.store.move_addon(addon.id, AddonState.DEPROVISIONED, AddonState.PROVISIONED)
    await world.background.close()
    after = wire(outside)
    await after.addons.work.mend()
    assert provider.held[addon.id].up is (reached == "moved")
    assert (await url_of(after, app) is not None) is (reached == "moved")


async def test_one_that_is_being_changed_is_not_mended_meanwhile(world: World) -> None:
    """Bites: with all that are up asked for, a server is started while its plan is changed."""
    app = await world.deployed()
    addon = await created(world, app)
    provider = world.addons.work.providers["fake"]
    assert isinstance(provider, FakeProvider)
    provider.held[addon.id].up = False
    async with world.background.lock(addon.id):
        await world.addons.work.mend()
        assert not provider.held[addon.id].up
    await world.addons.work.mend()
    assert provider.held[addon.id].up
