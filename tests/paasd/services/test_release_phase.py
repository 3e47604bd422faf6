"""The release phase: the new image with the new config, before anything is swapped; its output kept byte for byte."""

import asyncio

import pytest

from paasd.domain.dyno import Exit
from paasd.domain.errors import DeployFailed, ReleasePhaseFailed
from tests.fake_commands import Behaviour
from tests.paasd.services.world import DEADLINE, Output, World, cancelled, nothing_happened


async def test_its_output_is_kept_streamed_and_logged(world: World) -> None:
    app = await world.create()
    seen = await world.push(app, "web: serve\nrelease: migrate")
    assert await world.output(app, 2) == b"Applying 0001_initial... OK\r\n\xffno newline"
    assert "Applying 0001_initial... OK\r\n\ufffdno newline\n----->" in seen
    said = [line.partition(": ")[2] for line in world.lines(app) if "[release." in line]
    assert said == [
        "Starting process with command `migrate`",
        "Applying 0001_initial... OK",
        "\ufffdno newline",
        "Process exited with status 0",
    ]
    assert [dyno.name for dyno in await world.engine.dynos()] == ["web.1"]


async def test_its_output_can_be_followed_while_it_runs_and_resumed(world: World) -> None:
    app = await world.create()
    gate = world.engine.gates.hold("output")
    task = asyncio.create_task(world.builds.receive(world.commit(app, "web: serve\nrelease: hang"), Output()))
    await asyncio.wait_for(gate.reached.wait(), DEADLINE)
    reader = world.outputs.read(app.id, ("releases", "2"), offset=len(b"waiting "))
    gate.opened.set()
    assert await asyncio.wait_for(anext(reader), DEADLINE) == b"for a lock\n"
    dyno = next(dyno for dyno in await world.engine.dynos() if dyno.name.startswith("release."))
    world.engine.say(dyno.id, b"still waiting\n")
    assert await asyncio.wait_for(anext(reader), DEADLINE) == b"still waiting\n"
    await cancelled(task)
    assert [chunk async for chunk in reader] == []  # it ends with its writer


@pytest.mark.parametrize(
    ("command", "words", "code"),
    [
        ("fail", "exited with status 3", 3),
        ("oom", r"was killed for using more memory than its limit \(R15\)", 137),
        ("unstartable", "can't start: no such command", None),
    ],
)
async def test_a_failed_release_phase_leaves_the_old_release_serving(
    world: World, command: str, words: str, code: int | None
) -> None:
    app = await world.deployed()
    with pytest.raises(DeployFailed, match=f"Release v3 failed: .*{words}") as caught:
        await world.push(app, f"web: serve\nrelease: {command}")
    assert caught.value.exit_code == code
    await nothing_happened(world)
    assert [name for name in world.engine.journal if name.endswith("web.1 v3")] == []  # failed before anything started


async def test_a_failed_release_keeps_reason_exit_code_and_output(world: World) -> None:
    app = await world.deployed()
    with pytest.raises(ReleasePhaseFailed):
        await world.push(app, "web: serve\nrelease: fail")
    assert await world.output(app, 3) == b"Applying 0002... no such table\n"
    details = await world.ledger.details(app, await world.release(app, 3))
    assert details.failure == "The release command `fail` exited with status 3; see `heroku releases:output v3`."
    assert details.exit_code == 3
    assert "heroku[api]: Release v3 failed: " + details.failure in world.lines(app)


async def test_a_release_phase_that_takes_too_long_is_stopped(world: World) -> None:
    app = await world.deployed()
    app = await world.apps.set_release_timeout(app, 0.05)
    with pytest.raises(ReleasePhaseFailed, match=r"still running after 0\.05 seconds.*PATCH /apps/shop"):
        await world.push(app, "web: serve\nrelease: hang")
    await nothing_happened(world)
    assert await world.output(app, 3) == b"waiting for a lock\n"


async def test_the_release_phase_runs_the_new_image_with_the_new_config(world: World) -> None:
    app = await world.create()
    world.engine.commands["say"] = Behaviour((b"$GREETING $HEROKU_RELEASE_VERSION $DYNO $PORT",), ends=Exit(0))
    await world.config(app, GREETING="hello")
    await world.push(app, "web: serve\nrelease: say")
    words = (await world.output(app, 3)).decode().split()
    assert words[:2] == ["hello", "v3"]
    assert words[2].startswith("release.")
