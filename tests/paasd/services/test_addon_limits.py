"""What an add-on holds beside its plan: said once when it is much, again when it is too much, and each day then."""

import pytest

from paasd.api.database_resources import of_plan
from paasd.domain.addon import Fullness, Kind, Plan, fullness
from paasd.domain.errors import Unavailable
from paasd.services import addon_limits
from paasd.services.addon_limits import AddonLimits
from tests.paasd.services.addons import created
from tests.paasd.services.world import World

GIGABYTE = 1024**3


async def test_it_is_said_to_each_app_once_a_day(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bites: AddonLimits without `said`: each round says it again."""
    shop, blog = await world.deployed(), await world.deployed("blog")
    addon = await created(world, shop)
    await world.addons.attach(world.actor, blog, addon)
    await world.settled(blog)
    limits, held = AddonLimits(world.addons.work), world.outside.provider.held[addon.id]
    told: list[int] = []
    for used in (GIGABYTE // 2, GIGABYTE * 95 // 100, GIGABYTE * 96 // 100, GIGABYTE, 2 * GIGABYTE, 0, GIGABYTE):
        held.used = used
        await limits.look()
        told.append(sum("its plan is for" in line for line in world.lines(shop)))
    assert told == [0, 1, 1, 2, 2, 2, 3]
    assert sum("its plan is for" in line for line in world.lines(blog)) == 3
    assert any("more than its plan is for: 1024 MB of data, of 1024 MB; remove" in line for line in world.lines(shop))
    monkeypatch.setattr(addon_limits, "AGAIN_SECONDS", -1.0)
    await limits.look()
    assert sum("its plan is for" in line for line in world.lines(shop)) == 4


async def test_one_that_does_not_answer_does_not_keep_the_others_waiting(world: World) -> None:
    app = await world.create()
    first, second = await created(world, app), await created(world, app)
    world.outside.provider.held[second.id].used = GIGABYTE
    world.outside.provider.held[first.id].away = Unavailable("away")
    await AddonLimits(world.addons.work).look()
    assert any(second.name in line and "more than" in line for line in world.lines(app))


def test_how_full_it_is() -> None:
    assert [fullness(used, 100) for used in (0, 89, 90, 99, 100)] == [
        *[Fullness.FINE] * 2, *[Fullness.NEAR] * 2, Fullness.OVER,
    ]  # fmt: skip
    plan = Plan("p", "p", "P", memory=25, disk=100)
    assert (plan.bound_of(Kind.REDIS), plan.bound_of(Kind.POSTGRESQL)) == (25, 100)
    assert of_plan(8_000_000, GIGABYTE) == "7.6 MB / 1.0 GB (0.75%) (In compliance)"
    assert of_plan(GIGABYTE, GIGABYTE).endswith("(100.00%) (Over the plan's limit)")
    assert of_plan(8_000_000, None) == "7.6 MB"
