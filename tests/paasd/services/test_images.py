"""Images that are there already: a build that takes one over, and the same ledger and deploy."""

import asyncio

import pytest

from paasd.domain.errors import Conflict, InvalidParams, NotFound
from paasd.domain.release import BuildStatus
from paasd.services.images import check_image
from tests.paasd.services.world import DEADLINE, World

IMAGE = "paasd/stack:bookworm"


async def test_an_image_becomes_a_release_like_any_other(world: World) -> None:
    app = await world.deployed()
    released = await world.images.deploy(world.actor, app, IMAGE, {"web": None, "worker": "work", "release": "migrate"})
    await world.settled(app)
    release = await world.release(app, 3)
    assert (released.version, release.description, world.answer()) == (3, f"Deploy {IMAGE}", "v3")
    assert dict(release.processes.commands) == {"web": None, "worker": "work"}
    assert (release.processes.release, release.has_output, dict(release.formation)) == (
        "migrate", True, {"web": 1, "worker": 0},
    )  # fmt: skip
    build = await world.ledger.build(app, str(release.build_id))
    assert (build.status, build.builder, build.artifact) == (BuildStatus.SUCCEEDED, "image", release.artifact)
    await world.releases.roll_back(world.actor, app, "v2")
    await world.settled(app)
    await world.releases.roll_back(world.actor, app, "v3")
    await world.settled(app)
    assert world.answer() == "v5"
    await world.recovery.reconcile()
    assert len(await world.sources.heads(app.id)) == 1


async def test_an_image_that_is_not_here_makes_no_release(world: World) -> None:
    app = await world.deployed()
    with pytest.raises(NotFound, match="There is no image"):
        await world.images.deploy(world.actor, app, "nothing:1", {"web": None})
    assert len(await world.ledger_of(app)) == 2
    statuses = {build.status for build in await world.ledger.builds(app)}
    assert statuses == {BuildStatus.FAILED, BuildStatus.SUCCEEDED}
    assert not world.builds.live
    assert not world.builds.pushing(app.id)


async def test_one_at_a_time(world: World) -> None:
    app = await world.deployed()
    gate = world.engine.gates.hold("build")
    push = asyncio.create_task(world.push(app))
    await asyncio.wait_for(gate.reached.wait(), DEADLINE)
    with pytest.raises(Conflict, match="has been pushing to shop"):
        await world.images.deploy(world.actor, app, IMAGE, {"web": None})
    gate.opened.set()
    await push


@pytest.mark.parametrize(
    ("image", "commands"),
    [
        ("-v", {"web": None}),
        ("a b", {"web": None}),
        ("x" * 256, {"web": None}),
        (IMAGE, {}),
        (IMAGE, {"release": "migrate"}),
        (IMAGE, {"web": None, "release": None}),
        (IMAGE, {"a.b": None}),
        (IMAGE, {"web": "a\0b"}),
    ],
)
def test_what_can_not_be_meant(image: str, commands: dict[str, str | None]) -> None:
    with pytest.raises(InvalidParams):
        check_image(image, commands)
