"""The releases that add-ons bring: one that fails changes no config, and leaves no dyno with a refused password."""

from paasd.domain.addon import AddonState
from paasd.domain.app import App
from paasd.domain.errors import ProviderFailed, Unavailable
from tests.paasd.services.addons import PG, created, url_of
from tests.paasd.services.world import Outside, World, until, wire


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
