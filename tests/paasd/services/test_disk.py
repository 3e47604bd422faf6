"""Room is asked for before a build; images go by the ledger alone; one that went by itself expires its release."""

import os

import pytest

from paasd.domain.app import App
from paasd.domain.disk import DiskRules, Filesystem
from paasd.domain.errors import DiskFull, InvalidParams
from paasd.domain.stack import SHARED
from paasd.services.disk import Disk
from tests.paasd.services.world import World, until


class Disks:
    """A disk as full as a test likes."""

    def __init__(self, free: int = 10**11) -> None:
        self.free = free

    def look(self, path: str) -> Filesystem | None:
        return Filesystem(path, 10**11, self.free, 0, 0)


def disk_of(world: World, keep: int = 20, disks: Disks | None = None) -> Disk:
    rules = DiskRules(keep_releases=keep)
    return Disk(
        world.store, world.engine, world.outputs, disks or Disks(), world.background, str(world.outside.home), rules
    )


async def pushed(world: World, times: int) -> App:
    app = await world.deployed()
    for _ in range(times - 1):
        await world.push(app)
    await world.settled(app)
    return app


async def statuses(world: World, app: App) -> list[str]:
    return [entry.split()[1] for entry in await world.ledger_of(app)]


async def test_no_room_no_build_and_nothing_is_recorded(world: World) -> None:
    """Bites: without `admit_build` in Builds.receive the push goes through."""
    app = await world.deployed()
    disks = Disks(free=1_000_000)
    world.builds._disk = disk_of(world, disks=disks)
    with pytest.raises(DiskFull, match=r"1 MB are free at .* and 256 MB are needed"):
        await world.push(app)
    assert len(await world.store.builds(app.id)) == 1
    assert world.answer() == "v2"
    disks.free = 10**11
    await world.push(app)
    assert world.answer() == "v3"
    await until(lambda: not any(task.get_name() == "collect" for task in world.background._tasks))


async def test_images_beyond_the_retained_go_and_their_releases_expire(world: World) -> None:
    """Bites: with the transition left out, v2 stays "succeeded" without an image."""
    app = await pushed(world, 4)
    fresh = await world.engine.artifacts()
    world.engine._artifacts["foreign"] = fresh[0].__class__("foreign", app.id, "none", 5, fresh[0].created_at)
    await disk_of(world, keep=2).collect()
    assert await statuses(world, app) == ["succeeded", "expired", "expired", "succeeded", "succeeded"]
    stays = {(await world.release(app, version)).artifact for version in (4, 5)} | {"foreign"}
    assert {artifact.name for artifact in await world.engine.artifacts()} == stays
    assert world.answer() == "v5"
    sha = (await world.release(app, 2)).commit
    assert sha is not None
    with pytest.raises(InvalidParams, match=f"expired and its image is gone; push its commit again .*{sha.sha}"):
        await world.releases.roll_back(world.actor, app, "v2")


async def test_what_is_served_stays_however_old(world: World) -> None:
    """Bites: without current's image among those that stay, a rollback's is removed."""
    app = await pushed(world, 3)
    await world.releases.roll_back(world.actor, app, "v2")
    await world.settled(app)
    await disk_of(world, keep=1).collect()
    assert await statuses(world, app) == ["succeeded", "succeeded", "expired", "expired", "succeeded"]
    assert [artifact.name for artifact in await world.engine.artifacts()] == [(await world.release(app, 5)).artifact]


async def test_an_image_removed_behind_our_back(world: World) -> None:
    """Bites: without `_check_image` the rollback is recorded, and fails later. What is served is never expired."""
    app = await pushed(world, 3)
    second = (await world.release(app, 2)).artifact
    world.engine._artifacts.pop(str(second))
    with pytest.raises(InvalidParams, match="push its commit again"):
        await world.releases.roll_back(world.actor, app, "v2")
    assert await statuses(world, app) == ["succeeded", "expired", "succeeded", "succeeded"]
    world.engine._artifacts.clear()
    await disk_of(world).collect()
    assert await statuses(world, app) == ["succeeded", "expired", "expired", "succeeded"]


async def test_a_release_under_way_is_left_alone_and_an_engine_away_is_no_fault(world: World) -> None:
    app = await pushed(world, 3)
    async with world.background.lock(app.id):
        await disk_of(world, keep=1).collect()
    world.engine.down = True
    await disk_of(world, keep=1).look_after()
    world.engine.down = False
    assert "expired" not in await statuses(world, app)


async def test_the_report_and_old_outputs(world: World) -> None:
    app = await pushed(world, 2)
    disk = disk_of(world)
    report = await disk.report()
    (use,) = report.apps
    assert (use.app, use.images) == ("shop", 2)
    assert use.output_bytes == await world.outputs.size(app.id) > 0
    for path in (world.outside.home / "apps" / app.id / "builds").iterdir():
        os.utime(path, (0, 0))
    await disk.collect()
    assert await world.outputs.size(app.id) == 0
    assert await statuses(world, app) == ["succeeded", "succeeded", "succeeded"]


async def test_a_cache_beyond_its_bound_is_emptied_and_no_other(world: World) -> None:
    """Bites: without the comparison with `cache_bytes` the small one goes too."""
    app = await world.deployed()
    disk = disk_of(world)
    world.engine.caches = {app.id: disk._rules.cache_bytes, "of another home": 10**12}
    await disk.bound_caches()
    assert world.engine.caches[app.id] == disk._rules.cache_bytes
    world.engine.caches[app.id] += 1
    async with world.background.lock(app.id):
        await disk.bound_caches()  # it builds or is released just now
    assert app.id in world.engine.caches
    await disk.bound_caches()
    assert world.engine.caches == {"of another home": 10**12}


async def test_a_purge_takes_what_all_apps_share_along(world: World) -> None:
    """Bites: left as it is, what is broken in it breaks the next build of each app again, and for good."""
    app = await world.deployed()
    world.engine.caches = {app.id: 5, SHARED: 7, "of another": 9}
    assert await disk_of(world).purge_cache(app) == 5
    assert world.engine.caches == {"of another": 9}


async def test_a_destroyed_apps_cache_goes(world: World) -> None:
    app = await world.deployed()
    world.engine.caches = {app.id: 5}
    await world.apps.destroy(world.actor, app)
    await until(lambda: world.engine.caches == {})
