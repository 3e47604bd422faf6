"""Add-ons over a provider in memory: what the ledger, the app's releases and the provider have after each step."""

from datetime import timedelta

import pytest

from paasd.domain.addon import Addon, AddonState
from paasd.domain.errors import ConfirmationRequired, Conflict, InvalidParams, NotFound, ProviderFailed, Unavailable
from paasd.domain.release import RollbackPart
from paasd.services.addon_work import AddonRules
from tests.paasd.services.addons import PG, created, url_of
from tests.paasd.services.world import World, until


async def test_created_it_is_provisioned_and_comes_with_one_release(world: World) -> None:
    app = await world.deployed(procfile="web: serve\nrelease: migrate")
    gate = world.outside.provider.gates.hold("provision")
    addon = await world.addons.create(world.actor, app, "postgres")
    await gate.reached.wait()
    assert addon.state is AddonState.PROVISIONING and addon.plan == "heroku-postgresql:essential-0"
    assert await world.store.attached_now(app.id) == (await world.store.attached_now("")), "no config var yet"
    gate.opened.set()
    addon = await world.addons.wait(addon)
    await world.settled(app)
    assert (await world.ledger_of(app))[2:] == [f"v3 succeeded Attach DATABASE (@{addon.name})"]
    assert await url_of(world, app) == f"postgres://user:{addon.secret}@{addon.host}:5432/data"
    release = await world.release(app, 3)
    assert [one.label for one in release.attachments] == [f"DATABASE (@{addon.name})"]
    assert release.has_output and world.answer() == "v3"
    assert world.outside.provider.held[addon.id].links == {app.id}
    await world.push(app)
    assert (await world.release(app, 4)).attachments == release.attachments
    assert await url_of(world, app) == f"postgres://user:{addon.secret}@{addon.host}:5432/data"


async def test_a_second_one_gets_a_colour_and_own_config_vars_are_left_alone(world: World) -> None:
    app = await world.create()
    await world.config(app, DATABASE_URL="mine")
    first, second = await created(world, app), await created(world, app, "redis")
    names = {one.addon_id: one.name for one in await world.addons.attachments(app_id=app.id)}
    assert names[first.id].startswith("HEROKU_POSTGRESQL_") and names[second.id] == "REDIS"
    assert await url_of(world, app) == "mine"
    with pytest.raises(InvalidParams, match="config var DATABASE_URL of its own"):
        await world.addons.create(world.actor, app, PG, attach_as="DATABASE")


@pytest.mark.parametrize("error", [ProviderFailed("no room on the disk"), ValueError("a fault of ours")])
async def test_one_that_fails_leaves_nothing(world: World, error: Exception) -> None:
    app = await world.deployed()
    world.outside.provider.gates.errors["provisioned"] = error
    addon = await world.addons.wait(await world.addons.create(world.actor, app, PG))
    assert addon.state is AddonState.FAILED and addon.failure is not None
    assert world.outside.provider.held == {} and await world.addons.of(app) == []
    assert await url_of(world, app) is None and len(await world.ledger_of(app)) == 2
    assert any("could not be provisioned" in line for line in world.lines(app))


async def test_one_that_never_comes_up_is_given_up(world: World) -> None:
    app = await world.create()
    world.addons.work.rules = AddonRules(deadline=0.3, retry=0.01)
    world.outside.provider.gates.errors["provision"] = Unavailable("The engine is away.")
    addon = await world.addons.wait(await world.addons.create(world.actor, app, PG))
    assert addon.state is AddonState.FAILED and "after 0.3 seconds: The engine is away." in str(addon.failure)


async def test_bad_input(world: World) -> None:
    app = await world.create()
    for plan in ("heroku-mysql:mini", "heroku-postgresql:huge", "", "redis:nope"):
        with pytest.raises(NotFound, match="Couldn't find either"):
            await world.addons.create(world.actor, app, plan)
    for name in ("A", "x" * 64, "-a", "a_b"):
        with pytest.raises(InvalidParams, match="--name"):
            await world.addons.create(world.actor, app, PG, name=name)
    with pytest.raises(InvalidParams, match="--as"):
        await world.addons.create(world.actor, app, PG, attach_as="data")
    addon = await created(world, app)
    with pytest.raises(InvalidParams, match="already taken"):
        await world.addons.create(world.actor, app, PG, name=addon.name)
    with pytest.raises(InvalidParams, match="already"):
        await world.addons.attach(world.actor, app, addon)
    with pytest.raises(InvalidParams, match="Cannot overwrite attachment values DATABASE_URL"):
        await world.config(app, DATABASE_URL="other")
    with pytest.raises(InvalidParams, match="Cannot overwrite attachment values DATABASE_URL"):
        await world.config(app, DATABASE_URL=None)
    with pytest.raises(InvalidParams, match="last attachment to billing app"):
        await world.addons.detach(world.actor, (await world.addons.attachments())[0])
    world.outside.provider.trouble = "Docker has no room."
    with pytest.raises(Conflict, match="can't be had here: Docker has no room"):
        await world.addons.create(world.actor, app, PG)


async def test_attached_to_a_second_app_and_detached(world: World) -> None:
    shop, blog = await world.deployed(), await world.deployed("blog")
    addon = await created(world, shop)
    made = await world.addons.attach(world.actor, blog, addon, name="SHOP")
    await world.settled(blog)
    assert await url_of(world, blog, "SHOP_URL") == await url_of(world, shop)
    with pytest.raises(InvalidParams, match=r"other apps \(blog\)"):
        await world.addons.destroy(world.actor, addon)
    held = world.outside.provider.held[addon.id]
    assert held.links == {shop.id, blog.id}
    await world.addons.detach(world.actor, made)
    await world.settled(blog)
    await until(lambda: held.links == {shop.id})
    assert await url_of(world, blog, "SHOP_URL") is None
    assert (await world.ledger_of(blog))[-1].endswith(f"Detach SHOP (@{addon.name})")


async def test_a_name_is_given_to_another_with_confirmation(world: World) -> None:
    """What `heroku pg:promote` does."""
    app = await world.create()
    first, second = await created(world, app), await created(world, app)
    with pytest.raises(ConfirmationRequired):
        await world.addons.attach(world.actor, app, second, name="DATABASE")
    await world.addons.attach(world.actor, app, second, name="DATABASE", confirm="shop")
    assert second.secret in str(await url_of(world, app))
    assert (await world.addons.find("DATABASE", app)).id == second.id
    description = (await world.ledger_of(app))[-1]
    assert f"Detach DATABASE (@{first.name}), Attach DATABASE (@{second.name})" in description


async def test_a_rollback_keeps_the_addons_as_they_are(world: World) -> None:
    app = await world.deployed()
    await world.config(app, COLOUR="red")
    addon = await created(world, app)  # v4
    await world.config(app, COLOUR="blue")
    await world.settled(app)
    await world.addons.rotate(world.actor, addon)  # v6
    await world.settled(app)
    assert (await world.ledger_of(app))[-1] == "v6 succeeded Update DATABASE by heroku-postgresql"
    live = await url_of(world, app)
    for number, (target, part) in enumerate([("v4", None), ("v4", RollbackPart.CONFIG), ("v2", None)], 7):
        await world.releases.roll_back(world.actor, app, target, only=part)
        await world.settled(app)
        release = await world.release(app, number)
        assert release.config["DATABASE_URL"] == live
        assert release.own_config == ({"COLOUR": "red"} if target == "v4" else {})
        assert [one.addon_id for one in release.attachments] == [addon.id]


async def test_rotation_refuses_the_old_password_and_every_app_gets_the_new(world: World) -> None:
    shop, blog = await world.deployed(), await world.deployed("blog")
    addon = await created(world, shop)
    await world.addons.attach(world.actor, blog, addon)
    await world.settled(blog)
    rotated = await world.addons.rotate(world.actor, addon)
    for app in (shop, blog):
        await world.settled(app)
        assert rotated.secret in str(await url_of(world, app)) and rotated.secret != addon.secret
        assert not (await world.store.releases(app.id))[-1].has_output
    assert world.outside.provider.held[addon.id].secret == rotated.secret


async def test_a_rotation_that_the_provider_refuses_changes_nothing(world: World) -> None:
    app = await world.deployed()
    addon = await created(world, app)
    world.outside.provider.gates.errors["rotate"] = ProviderFailed("no")
    with pytest.raises(ProviderFailed):
        await world.addons.rotate(world.actor, addon)
    assert (await world.store.addon(addon.id)).secret == addon.secret and len(await world.ledger_of(app)) == 3
    world.outside.provider.gates.errors["rotate"] = Unavailable("away")
    with pytest.raises(Unavailable):
        await world.addons.rotate(world.actor, addon)
    world.outside.provider.gates.errors.clear()
    await world.addons.work.mend()
    await world.settled(app)
    new = (await world.store.addon(addon.id)).secret
    assert new != addon.secret and new in str(await url_of(world, app))


async def test_destroyed_it_is_set_aside_and_can_be_had_again(world: World) -> None:
    app = await world.deployed()
    addon = await created(world, app)
    held = world.outside.provider.held[addon.id]
    held.rows.append("a row")
    going = await world.addons.destroy(world.actor, addon)
    assert going.state is AddonState.DEPROVISIONING
    gone = await world.addons.wait(going)
    assert gone.state is AddonState.DEPROVISIONED and not held.up and held.rows == ["a row"]
    await world.settled(app)
    assert await url_of(world, app) is None
    assert (await world.ledger_of(app))[-1] == f"v4 succeeded Detach DATABASE (@{addon.name})"
    with pytest.raises(NotFound):
        await world.addons.find(addon.name)
    back = await world.addons.undestroy(world.actor, addon.name)
    await world.settled(app)
    assert back.state is AddonState.PROVISIONED and held.up and addon.secret in str(await url_of(world, app))
    assert held.links == {app.id} and back.attached_as is None


async def test_data_goes_after_seven_days_and_not_before(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    app = await world.create()
    addon = await created(world, app)
    await world.addons.wait(await world.addons.destroy(world.actor, addon))
    await world.addons.work.mend()
    assert addon.id in world.outside.provider.held
    monkeypatch.setattr(Addon, "kept_until", property(lambda one: one.ended_at and one.ended_at - timedelta(seconds=1)))
    await world.addons.work.mend()
    assert world.outside.provider.held == {}
    with pytest.raises(NotFound, match="7 days"):
        await world.addons.undestroy(world.actor, addon.name)


async def test_destroying_an_app_sets_its_addons_aside(world: World) -> None:
    app = await world.deployed()
    addon = await created(world, app)
    await world.apps.destroy(world.actor, app)
    await world.addons.work.mend()
    await world.addons.wait(addon)
    assert [one.id for one in await world.addons.destroyed()] == [addon.id]
    with pytest.raises(InvalidParams, match="--app"):
        await world.addons.undestroy(world.actor, addon.name)
    other = await world.create("other")
    await world.addons.undestroy(world.actor, addon.name, other)
    assert addon.secret in str(await url_of(world, other))


async def test_another_plan_and_another_name(world: World) -> None:
    app = await world.create()
    addon = await created(world, app)
    bigger = await world.addons.upgrade(world.actor, addon, "small")
    assert bigger.plan == "heroku-postgresql:small"
    assert world.outside.provider.held[addon.id].memory == 512 * 1024**2
    with pytest.raises(InvalidParams, match="already"):
        await world.addons.upgrade(world.actor, bigger, "postgres:small")
    with pytest.raises(InvalidParams, match="another service"):
        await world.addons.upgrade(world.actor, bigger, "redis:mini")
    renamed = await world.addons.rename(world.actor, bigger, "sales")
    assert renamed.host == addon.host and (await world.addons.find("sales")).id == addon.id
    assert [one.id for one in [await world.addons.find(name, app) for name in ("DATABASE", "postgres")]] == [
        addon.id
    ] * 2
