"""An add-on of the world in memory, as the tests of add-ons want it."""

from paasd.domain.addon import Addon, AddonState
from paasd.domain.app import App
from tests.paasd.services.world import World

PG = "heroku-postgresql:mini"


async def created(world: World, app: App, plan: str = PG) -> Addon:
    """Provisioned, and its release served."""
    addon = await world.addons.wait(await world.addons.create(world.actor, app, plan))
    assert addon.state is AddonState.PROVISIONED, addon.failure
    await world.settled(app)
    return addon


async def url_of(world: World, app: App, name: str = "DATABASE_URL") -> str | None:
    return (await world.apps.config(app)).get(name)
