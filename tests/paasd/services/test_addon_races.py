"""Add-ons that two ask for at once, or that a third party changes meanwhile: one of them has its way, whole."""

import asyncio
from dataclasses import replace

import pytest

from paasd.domain.addon import AddonState
from paasd.domain.errors import InvalidParams, NotFound
from paasd.services.addon_releases import renewal
from tests.paasd.services.addons import PG, created
from tests.paasd.services.world import World, until


async def test_one_that_comes_up_as_it_is_destroyed_is_set_aside(world: World) -> None:
    """Its partner says so, or a round of mending had begun it again. Bites: `destroy` that fails it by the state of
    before its turn: its data is gone, and the ledger has it as up."""
    app, provider = await world.create(), world.outside.provider
    gate = provider.gates.hold("provisioned")
    addon = await world.addons.create(world.actor, app, PG)
    await gate.reached.wait()
    turn = world.background.lock(addon.id)

    async def come_up() -> None:
        async with turn:
            await until(lambda: bool(turn._waiters))
            await world.store.move_addon(addon.id, AddonState.PROVISIONING, AddonState.PROVISIONED)

    other = asyncio.create_task(come_up())
    await asyncio.sleep(0)
    gone = await world.addons.wait(await world.addons.destroy(world.actor, addon))
    await other
    assert gone.state is AddonState.DEPROVISIONED and addon.id in provider.held


async def test_destroyed_twice_while_it_is_provisioned(world: World) -> None:
    """Bites: `destroy` that takes away one that has failed meanwhile: it could be had again, with nothing in it."""
    app, provider = await world.create(), world.outside.provider
    gate = provider.gates.hold("provisioned")
    addon = await world.addons.create(world.actor, app, PG)
    await gate.reached.wait()
    for _ in range(2):  # the second as it was found before the first had its way
        assert (await world.addons.destroy(world.actor, addon)).state is AddonState.FAILED
    assert (await world.store.addon(addon.id)).state is AddonState.FAILED and await world.addons.destroyed() == []


async def test_had_again_by_two_apps_at_once_the_first_has_it(world: World) -> None:
    """Bites: `undestroy` that writes what it read before its turn: the first's add-on becomes the second's."""
    app, till = await world.create(), await world.create("till")
    provider, addon = world.outside.provider, await created(world, app)
    await world.addons.wait(await world.addons.destroy(world.actor, addon))
    gate = provider.gates.hold("bring_back")
    first = asyncio.create_task(world.addons.undestroy(world.actor, addon.id, app))
    await gate.reached.wait()
    second = asyncio.create_task(world.addons.undestroy(world.actor, addon.id, till))
    await until(lambda: bool(world.background.lock(addon.id)._waiters))
    gate.opened.set()
    assert (await first).app_id == app.id
    with pytest.raises(NotFound):
        await second
    await world.addons.work.mend()
    back = await world.store.addon(addon.id)
    assert (back.app_id, back.attached_as) == (app.id, None)
    assert [one.app_id for one in await world.addons.attachments(addon_id=addon.id)] == [app.id]


async def test_one_that_can_t_be_had_again_does_not_go_on_running(world: World) -> None:
    """Its name is taken. Bites: `_clear` that has seen to it before `undestroy` started its server."""
    app, provider = await world.create(), world.outside.provider
    addon = await created(world, app)
    await world.addons.wait(await world.addons.destroy(world.actor, addon))
    await world.addons.work.mend()
    other = await created(world, app, "redis")
    await world.addons.rename(world.actor, other, addon.name)
    with pytest.raises(InvalidParams, match="already taken"):
        await world.addons.undestroy(world.actor, addon.id)
    await world.addons.work.mend()
    assert not provider.held[addon.id].up


async def test_what_a_partner_tells_while_its_plan_is_changed_stays(world: World) -> None:
    """Bites: `AddonWork.resize` that saves all of what it read before it asked."""
    app, provider = await world.create(), world.outside.provider
    addon = await created(world, app)
    gate = provider.gates.hold("resize")
    task = asyncio.create_task(world.addons.upgrade(world.actor, addon, "heroku-postgresql:small"))
    await gate.reached.wait()
    await world.store.save_addon(replace(await world.store.addon(addon.id), values={"URL": "new"}))
    gate.opened.set()
    changed = await task
    assert (changed.plan, changed.values) == ("heroku-postgresql:small", {"URL": "new"})


async def test_nothing_is_said_of_a_password_where_another_release_has_it(world: World) -> None:
    """Bites: `_renew` that takes the newest release, which is not its own, for the one that it made."""
    app = await world.deployed()
    await created(world, app)
    await world.addons.work.following._renew(app, world.actor)
    assert not [line for line in world.lines(app) if "the old password is refused" in line]


async def test_a_config_var_that_a_partner_took_away_renews_nothing(world: World) -> None:
    """Where the release without it fails. Bites: `renewal` that takes it for a password that has changed: it would be
    there again, and each round would try both releases anew."""
    app = await world.deployed()
    addon = await created(world, app)
    [attached] = await world.addons.attachments(addon_id=addon.id)
    url = attached.values["DATABASE_URL"]
    await world.store.set_attachment_values({attached.id: {"DATABASE_URL": url, "DATABASE_TOKEN": "x"}})
    await world.addons.work.following.converge(app, world.actor)
    await world.settled(app)
    served = await world.store.current_release(app.id)
    assert served is not None and served.config["DATABASE_TOKEN"] == "x"
    await world.store.set_attachment_values({attached.id: {"DATABASE_URL": url}})
    assert renewal(served, await world.store.attached_now(app.id), world.actor) is None
    await world.store.set_attachment_values({attached.id: {"DATABASE_URL": "other"}})
    renewed = renewal(served, await world.store.attached_now(app.id), world.actor)
    assert renewed is not None and renewed.config["DATABASE_URL"] == "other"
