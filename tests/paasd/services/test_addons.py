"""Add-ons over a provider in memory: what the ledger, the app's releases and the provider have after each step."""

from dataclasses import replace
from datetime import timedelta

import pytest

from paasd.domain.addon import Addon, AddonState
from paasd.domain.app import App
from paasd.domain.errors import ConfirmationRequired, Conflict, InvalidParams, NotFound, ProviderFailed, Unavailable
from paasd.domain.release import RollbackPart
from tests.fake_addons import FakeProvider
from tests.paasd.services.world import Outside, World, until, wire

PG = "heroku-postgresql:mini"


async def created(world: World, app: App, plan: str = PG) -> Addon:
    """Provisioned, and its release served."""
    addon = await world.addons.wait(await world.addons.create(world.actor, app, plan))
    assert addon.state is AddonState.PROVISIONED, addon.failure
    await world.settled(app)
    return addon


async def url_of(world: World, app: App, name: str = "DATABASE_URL") -> str | None:
    return (await world.apps.config(app)).get(name)


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
    world.outside.provider.gates.errors["provision"] = Unavailable("The engine is away.")
    addon = await world.addons.wait(await world.addons.create(world.actor, app, PG))
    assert addon.state is AddonState.FAILED and "3 seconds: The engine is away." in str(addon.failure)


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


# --- a daemon that is killed, at each point ------------------------------------------------------------------------


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


async def test_a_release_that_fails_leaves_the_config_and_is_not_tried_again_by_itself(world: World) -> None:
    app = await world.deployed()
    world.engine.gates.errors["start"] = ProviderFailed("the app does not start")
    addon = await world.addons.wait(await world.addons.create(world.actor, app, PG))
    await world.settled(app)
    assert (await world.ledger_of(app))[-1] == f"v3 failed Attach DATABASE (@{addon.name})"
    assert await url_of(world, app) is None and addon.state is AddonState.PROVISIONED
    world.engine.gates.errors.clear()
    await world.addons.work.mend()
    assert len(await world.ledger_of(app)) == 3
    await world.push(app)
    assert addon.secret in str(await url_of(world, app))


async def test_a_new_password_reaches_the_dynos_though_its_release_fails(world: World) -> None:
    """Bites: AddonReleases._follow without `renew`: web.1 v3 goes on with a password that is refused."""
    app = await world.deployed()
    addon = await created(world, app)
    world.engine.gates.errors["start"] = ProviderFailed("the app does not start")
    await world.addons.rotate(world.actor, addon)
    await until(lambda: ends_with(world, app, "v5 succeeded Update DATABASE by heroku-postgresql"))
    assert (await world.ledger_of(app))[3] == "v4 failed Update DATABASE by heroku-postgresql"
    assert (await world.store.addon(addon.id)).secret in str(await url_of(world, app))
    world.engine.gates.errors.clear()
    await world.recovery.reconcile()
    await until(lambda: world.answer() == "v5")
    await until(lambda: runs(world, app, ["web.1 v5"]))
    await world.addons.work.mend()
    assert len(await world.ledger_of(app)) == 5


async def test_a_failed_rotation_that_could_not_be_made_up_for_is_by_the_next_daemon(
    outside: Outside, world: World
) -> None:
    """Bites: AddonReleases.settle without `_renew`."""
    app = await world.deployed()
    addon = await created(world, app)
    world.engine.gates.errors["start"] = ProviderFailed("the app does not start")
    failing = world.store.gates.hold("stage failed")
    await world.addons.rotate(world.actor, addon)
    await failing.reached.wait()
    world.store.gates.errors["record_release"] = Unavailable("the disk is full")
    failing.opened.set()
    await until(lambda: ends_with(world, app, "v4 failed Update DATABASE by heroku-postgresql"))
    await world.background.close()
    world.store.gates.errors.clear()
    after = wire(outside)
    await after.addons.work.mend()
    assert (await after.ledger_of(app))[3:] == [
        "v4 failed Update DATABASE by heroku-postgresql",
        "v5 succeeded Update DATABASE by heroku-postgresql",
    ]
    assert (await after.store.addon(addon.id)).secret in str(await url_of(after, app))


async def test_a_new_password_brings_nothing_else_that_could_not_be_released(world: World) -> None:
    """A second database whose release phase fails stays out when the first one's password changes. Bites: `renewal`
    with the attachments of now."""
    app = await world.deployed(procfile="web: serve\nrelease: migrate")
    first = await created(world, app)
    world.engine.gates.errors["attach"] = ProviderFailed("the release command fails")
    await world.addons.wait(await world.addons.create(world.actor, app, PG, attach_as="OTHER"))
    await world.settled(app)
    assert (await world.ledger_of(app))[3].startswith("v4 failed Attach OTHER")
    await world.addons.rotate(world.actor, first)
    await until(lambda: ends_with(world, app, "v6 succeeded Update DATABASE by heroku-postgresql"))
    release = await world.release(app, 6)
    assert [one.attachment for one in release.attachments] == ["DATABASE"] and "OTHER_URL" not in release.config
    assert (await world.store.addon(first.id)).secret in release.config["DATABASE_URL"]
    await until(lambda: world.answer() == "v6")
    world.engine.gates.errors.clear()
    await world.push(app, "web: serve")
    assert "OTHER_URL" in await world.apps.config(app)


async def ends_with(world: World, app: App, entry: str) -> bool:
    return (await world.ledger_of(app))[-1] == entry


async def runs(world: World, app: App, dynos: list[str]) -> bool:
    return await world.running(app) == dynos


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
