"""Archives: the same story as a push's, told in the build's own output."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from paasd.domain.app import App
from paasd.domain.errors import Conflict, InvalidParams
from paasd.domain.push import Archive
from paasd.domain.release import Build, BuildStatus
from tests.paasd.adapters.tars import Entry, packed, zipped
from tests.paasd.services.world import DEADLINE, DOCKERFILE, World, until

KEY = "0f0e0d0c-0000-4000-8000-000000000001"


async def put(world: World, procfile: str = "web: serve", **files: str) -> bytes:
    """An archive that was put under KEY."""
    contents = {"Dockerfile": DOCKERFILE, "Procfile": procfile, **files}
    archive = zipped(packed(*(Entry(name, text.encode()) for name, text in contents.items())))

    async def chunks() -> AsyncIterator[bytes]:
        yield archive

    assert await world.archives.put(KEY, chunks()) == len(archive)
    return archive


def sent(world: World, app: App, version: str = "", queue: bool = False) -> Archive:
    return Archive(app, world.actor, upload=KEY, version=version, queue=queue)


async def told(world: World, build: Build) -> str:
    """The output, once it has ended."""
    async with asyncio.timeout(DEADLINE):
        return b"".join([chunk async for chunk in world.outputs.read(build.app_id, ("builds", build.id))]).decode()


async def test_an_archive_is_built_and_served_and_its_output_says_so(world: World) -> None:
    app = await world.create()
    await put(world)
    build = await world.archives.begin(sent(world, app, version="v1.2-dirty"))
    assert build.status is BuildStatus.PENDING
    said = await told(world, build)
    assert "-----> Source received" in said
    assert "FROM scratch" in said
    assert "-----> v2 is live" in said
    assert world.answer() == "v2"
    release = await world.release(app, 2)
    assert release.commit is not None
    assert (release.description, release.commit.sha, release.commit.pushed) == (
        "Deploy v1.2-dirty",
        "v1.2-dirty",
        False,
    )
    assert (release.build_id, release.actor) == (build.id, world.actor)
    assert (await world.ledger.build(app, build.id)).status is BuildStatus.SUCCEEDED
    assert "app[api]: Build succeeded" in world.lines(app)
    assert not world.builds.live


async def test_no_branch_is_moved_to_a_version_that_is_no_commit_of_the_repository(world: World) -> None:
    """Bites: Commit.pushed left out of settling.move_branch."""
    app = await world.deployed()
    heads = await world.sources.heads(app.id)
    await put(world)
    await told(world, await world.archives.begin(sent(world, app, version="f" * 40)))
    await world.recovery.reconcile()
    assert await world.sources.heads(app.id) == heads


async def test_a_bad_source_fails_the_build_and_its_output_ends_with_the_reason(world: World) -> None:
    app = await world.deployed()
    await put(world, procfile="web serve")
    build = await world.archives.begin(sent(world, app))
    said = await told(world, build)
    assert " !     Procfile line 1 can't be read" in said
    ended = await world.ledger.build(app, build.id)
    assert (ended.status, world.answer()) == (BuildStatus.FAILED, "v2")
    assert str(ended.failure) in said.replace("\n", "")


async def test_a_release_that_fails_is_told_there_too(world: World) -> None:
    app = await world.deployed()
    await put(world, procfile="web: crash")
    world.engine.gates.errors["start"] = InvalidParams("No dyno today; try tomorrow.")
    said = await told(world, await world.archives.begin(sent(world, app)))
    assert " !     Release v3 failed: " in said
    assert world.answer() == "v2"


async def test_what_was_not_put_is_not_begun(world: World) -> None:
    app = await world.create()
    with pytest.raises(InvalidParams, match="No archive was put there"):
        await world.archives.begin(sent(world, app))
    assert not await world.ledger.builds(app)


async def test_an_archive_that_is_another_than_its_checksum_says(world: World) -> None:
    app = await world.create()
    archive = await put(world)
    wrong = replace(sent(world, app), sha256="0" * 64)
    assert "not the one that its checksum is of" in await told(world, await world.archives.begin(wrong))
    right = replace(wrong, sha256=hashlib.sha256(archive).hexdigest())
    assert "v2 is live" in await told(world, await world.archives.begin(right))


async def test_one_at_a_time_and_the_second_waits_if_it_is_to(world: World) -> None:
    app = await world.create()
    await put(world)
    gate = world.engine.gates.hold("build")
    first = await world.archives.begin(sent(world, app))
    await asyncio.wait_for(gate.reached.wait(), DEADLINE)
    with pytest.raises(Conflict, match=r"has been pushing to shop since .* \(stage: building\)"):
        await world.archives.begin(sent(world, app))
    with pytest.raises(Conflict):
        await world.push(app)
    second = await world.archives.begin(sent(world, app, queue=True))
    gate.opened.set()
    assert "v2 is live" in await told(world, first)
    said = await told(world, second)
    assert said.startswith("-----> Waiting: ")
    assert "v3 is live" in said


@pytest.mark.parametrize("point", ["adopt archive", "build"])
async def test_a_build_is_cancelled_by_name(world: World, point: str) -> None:
    app = await world.deployed()
    await put(world)
    gate = (world.sources if point == "adopt archive" else world.engine).gates.hold(point)
    build = await world.archives.begin(sent(world, app))
    await asyncio.wait_for(gate.reached.wait(), DEADLINE)
    ended = await world.builds.cancel(world.actor, app, build.id)
    assert (ended.status, ended.failure) == (BuildStatus.FAILED, "Cancelled by ann@example.org.")
    assert " !     Build cancelled by ann@example.org" in await told(world, build)
    assert not world.builds.pushing(app.id)
    assert not world.builds.live


async def test_one_that_waits_is_cancelled_by_name(world: World) -> None:
    app = await world.create()
    await put(world)
    gate = world.engine.gates.hold("build")
    first = await world.archives.begin(sent(world, app))
    await asyncio.wait_for(gate.reached.wait(), DEADLINE)
    second = await world.archives.begin(sent(world, app, queue=True))
    await until(lambda: len(world.builds.live) == 2)
    ended = await world.builds.cancel(world.actor, app, second.id)
    assert (ended.status, ended.failure) == (BuildStatus.FAILED, "Cancelled by ann@example.org.")
    gate.opened.set()
    assert "v2 is live" in await told(world, first)


async def test_a_daemon_that_stops_ends_what_is_under_way(world: World) -> None:
    app = await world.create()
    await put(world)
    gate = world.engine.gates.hold("build")
    build = await world.archives.begin(sent(world, app))
    await asyncio.wait_for(gate.reached.wait(), DEADLINE)
    await world.background.close()
    assert not await world.store.pending_builds()
    assert "the daemon was stopped" in await told(world, build)
