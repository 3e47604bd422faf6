"""Add-ons whose provider is not set up any more: left as they are, said once by the daemon, and by the doctor."""

import os

from structlog.testing import capture_logs

from paasd.doctor import addon_findings
from paasd.domain.addon import AddonState
from paasd.domain.errors import ProviderFailed, Unavailable
from paasd.home import Home
from paasd.settings import Settings
from tests.paasd.services.addons import PG, created, url_of
from tests.paasd.services.world import Outside, World, wire


async def test_they_are_said_once_and_left_as_they_are(outside: Outside, world: World) -> None:
    """One that failed and was not cleared away, one that is up, one that an app was detached from, one destroyed.

    Bites: `mend` over all of them (a warning for each in each round), `shut_out` that asks for any provider.
    """
    app, other = await world.deployed(), await world.create("other")
    up, gone = await created(world, app), await created(world, app)
    lent = await world.addons.attach(world.actor, other, up, name="LENT")
    await world.addons.wait(await world.addons.destroy(world.actor, gone))
    gates = outside.provider.gates
    gates.errors |= {"unlink": Unavailable("away"), "purge": Unavailable("away"), "provisioned": ProviderFailed("no")}
    failed = await world.addons.wait(await world.addons.create(world.actor, app, PG))
    await world.addons.detach(world.actor, lent)
    await world.background.close()
    assert failed.state is AddonState.FAILED and failed.id in outside.provider.held
    gates.errors.clear()
    after = wire(outside)
    after.addons.work.providers = {}
    with capture_logs() as logs:
        for _ in range(3):
            await after.addons.work.mend()
    [said] = [one for one in logs if one["log_level"] == "warning"]
    assert set(said["addons"]) == {up.name, gone.name, failed.name} and "'fake' is not set up" in said["reason"]
    assert await url_of(after, app) and failed.id in outside.provider.held
    back = wire(outside)  # in paasd.yaml again
    await back.addons.work.mend()
    assert outside.provider.held.keys() == {up.id, gone.id}


async def test_one_to_be_destroyed_leaves_its_app_and_is_said_once(outside: Outside, world: World) -> None:
    app = await world.deployed()
    addon = await created(world, app)
    await world.background.close()
    after = wire(outside)
    after.addons.work.providers = {}
    with capture_logs() as logs:
        await after.addons.wait(await after.addons.destroy(world.actor, addon))
        for _ in range(3):
            await after.addons.work.mend()
            await after.addons.wait(addon)
    assert [one["addon"] for one in logs if one["log_level"] == "warning"] == [addon.name]
    await after.settled(app)
    assert await url_of(after, app) is None


async def test_the_doctor_says_it_with_what_to_do(world: World) -> None:
    """Bites: `addon_findings` without `absent_providers`."""
    home = Home(world.outside.home)
    home.id()
    home.keep_engine("process")
    settings = Settings(home=home.path, search_path=os.environ["PATH"], engine="process")
    app = await world.deployed()
    names = sorted([(await created(world, app)).name for _ in range(7)])
    [found] = await addon_findings(settings)
    assert found.detail == f"{', '.join(names[:5])} and 2 more: had from 'fake', which is not set up any more"
    assert not found.ok and "addons.partners" in found.remedy
