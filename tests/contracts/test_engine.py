"""What every Engine must do, whatever it stands on."""

import asyncio
import contextlib
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from paasd.domain.dyno import DynoKind, DynoState, Exit
from paasd.domain.errors import BuildFailed, DynoUnhealthy, NotFound
from paasd.domain.slug import SlugRecipe
from paasd.ports import BuildSpec
from tests.contracts.engines import (
    COUNT,
    DEADLINE,
    FAIL,
    SERVE,
    SLEEP,
    STACK,
    STUBBORN,
    TELLS,
    UNHURRIED,
    Bench,
    eventually,
    lines_of,
)


class Log:
    """A Write that keeps what it got."""

    def __init__(self) -> None:
        self.text = ""

    async def __call__(self, data: bytes) -> None:
        self.text += data.decode()


def recipe(bench: Bench, command: str = "echo preparing") -> BuildSpec:
    """Runs the command and copies the source, by a Dockerfile and by its like for engines without images."""
    build_id = str(uuid.uuid4())
    dockerfile = f"FROM {STACK}\nWORKDIR /app\nRUN {command}\nCOPY . .\n"
    name = f"paasd-test/{bench.home}:b-{build_id[:8]}"
    return BuildSpec(bench.app_id, build_id, name, dockerfile, slug=SlugRecipe(commands=(command,)))


async def test_an_engine_says_what_it_is(bench: Bench, engine_kind: str) -> None:
    info = await bench.engine.info()
    assert info.name == {"bare": "process"}.get(engine_kind, engine_kind)
    assert info.version
    assert all(problem.endswith(".") for problem in info.problems)


async def test_an_engine_says_what_builds_may_stand_on(bench: Bench) -> None:
    stacks = await bench.engine.stacks()
    assert stacks.default.python
    assert all(stack.name and stack.python for stack in stacks.stacks)


# --- artifacts --------------------------------------------------------------------------------------------------------


async def test_a_build_makes_an_artifact_and_tells_its_steps(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("print('hello')\n")
    log, spec = Log(), recipe(bench)
    began = datetime.now(UTC)
    artifact = await bench.engine.build(tmp_path, spec, log)
    assert (artifact.app_id, artifact.build_id) == (bench.app_id, spec.build_id)
    assert artifact.size > 0
    assert began - timedelta(seconds=1) <= artifact.created_at <= datetime.now(UTC)
    assert log.text.endswith("\n")
    assert list(await bench.engine.artifacts()) == [artifact]


async def test_each_build_makes_an_artifact_of_its_own(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("print('hello')\n")
    first = await bench.engine.build(tmp_path, recipe(bench), Log())
    second = await bench.engine.build(tmp_path, recipe(bench), Log())
    assert first.name != second.name
    await bench.engine.delete_artifact(first.name)
    await bench.engine.delete_artifact(first.name)
    assert [artifact.name for artifact in await bench.engine.artifacts()] == [second.name]


async def test_an_image_that_is_here_becomes_an_artifact_of_the_app(bench: Bench) -> None:
    wanted = recipe(bench)
    artifact = await bench.engine.adopt_image(bench.artifact, wanted, Log())
    assert (artifact.app_id, artifact.build_id) == (bench.app_id, wanted.build_id)
    assert [found.name for found in await bench.engine.artifacts()] == [artifact.name]
    dyno = await bench.engine.start(bench.spec(SLEEP, artifact=artifact.name))
    assert dyno.running
    await bench.engine.stop(dyno.id, grace=0)
    await bench.engine.delete_artifact(artifact.name)
    assert list(await bench.engine.artifacts()) == []


async def test_an_image_that_is_not_here_or_is_another_apps(bench: Bench, tmp_path: Path) -> None:
    """Bites: the label of the app not looked at in Builder.adopt."""
    mine = await bench.engine.build(tmp_path, recipe(bench), Log())
    theirs = replace(recipe(bench), app_id="another-app")
    for image, wanted in (("no-such-image:1", recipe(bench)), ("x" * 300, recipe(bench)), (mine.name, theirs)):
        with pytest.raises(NotFound, match="There is no image"):
            await bench.engine.adopt_image(image, wanted, Log())
    assert [found.name for found in await bench.engine.artifacts()] == [mine.name]


@pytest.mark.parametrize("command", [SLEEP, FAIL])
async def test_an_artifact_of_a_running_or_ended_dyno_stays(bench: Bench, tmp_path: Path, command: str) -> None:
    artifact = await bench.engine.build(tmp_path, recipe(bench), Log())
    await bench.engine.tag(artifact.name, f"paasd-test/{bench.home}:v4")
    spec = bench.spec(command, artifact=artifact.name)
    await bench.engine.start(spec)
    if command == FAIL:
        await bench.engine.wait(spec.id)
    await bench.engine.delete_artifact(artifact.name)
    assert [kept.name for kept in await bench.engine.artifacts()] == [artifact.name]


async def test_an_artifact_may_have_names_more_and_goes_with_all_of_them(bench: Bench, tmp_path: Path) -> None:
    artifact = await bench.engine.build(tmp_path, recipe(bench), Log())
    await bench.engine.tag(artifact.name, f"paasd-test/{bench.home}:v4")
    await bench.engine.tag(artifact.name, f"paasd-test/{bench.home}:v4")
    assert list(await bench.engine.artifacts()) == [artifact]
    await bench.engine.delete_artifact(artifact.name)
    assert not await bench.engine.artifacts()
    with pytest.raises(NotFound, match="push its commit again"):
        await bench.engine.tag(artifact.name, f"paasd-test/{bench.home}:v5")


async def test_the_host_may_be_guarded_again_and_again(bench: Bench) -> None:
    await bench.engine.guard()
    await bench.engine.guard()


async def test_a_failed_build_says_which_command_failed(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match=r"`echo preparing && exit 7` exited with status 7") as caught:
        await bench.engine.build(tmp_path, recipe(bench, "echo preparing && exit 7"), Log())
    assert caught.value.exit_code == 7
    assert not await bench.engine.artifacts()


# --- dynos ------------------------------------------------------------------------------------------------------------


async def test_a_started_dyno_has_an_address_and_its_spec(bench: Bench) -> None:
    spec = bench.spec(SERVE, port=5000)
    dyno = await bench.engine.start(spec)
    assert (dyno.id, dyno.name, dyno.kind, dyno.app_id) == (spec.id, "web.1", DynoKind.FORMATION, bench.app_id)
    assert (dyno.release_id, dyno.release_version, dyno.command) == (spec.release_id, 4, SERVE)
    assert dyno.state is DynoState.UP
    assert dyno.running
    assert dyno.address is not None
    assert dyno.port is not None
    assert dyno.started_at is not None
    assert dyno.exit is None
    assert list(await bench.engine.dynos(bench.app_id)) == [dyno]


async def test_starting_a_running_dyno_again_changes_nothing(bench: Bench) -> None:
    spec = bench.spec(SLEEP)
    first = await bench.engine.start(spec)
    assert await bench.engine.start(spec) == first


async def test_a_dyno_made_but_not_started_is_told_from_a_running_one_and_can_be_started(bench: Bench) -> None:
    spec = bench.spec(SLEEP, port=5000)
    await bench.make(spec)
    (made,) = await bench.engine.dynos(bench.app_id)
    assert (made.id, made.state, made.address) == (spec.id, DynoState.STARTING, None)
    assert (made.started_at, made.exit) == (None, None)
    assert not await bench.engine.listeners(spec.id)
    started = await bench.engine.start(spec)
    assert (started.id, started.state) == (spec.id, DynoState.UP)
    assert started.address is not None
    await bench.engine.stop(spec.id, grace=0)  # a container's first process, as `make` leaves it, heeds no SIGTERM
    await bench.make(spec)
    await bench.engine.stop(spec.id, grace=5)
    assert not await bench.engine.dynos()


async def test_an_ended_dyno_started_again_runs_anew(bench: Bench) -> None:
    spec = bench.spec(COUNT)
    await bench.engine.start(spec)
    await bench.engine.wait(spec.id)
    again = await bench.engine.start(spec)
    assert again.exit is None
    assert await bench.engine.wait(spec.id) == Exit(0)


async def test_dynos_are_listed_by_app_until_they_are_stopped(bench: Bench) -> None:
    spec = bench.spec(SLEEP)
    await bench.engine.start(spec)
    assert [dyno.id for dyno in await bench.engine.dynos()] == [spec.id]
    assert not await bench.engine.dynos(str(uuid.uuid4()))
    await bench.engine.stop(spec.id, grace=5)
    assert not await bench.engine.dynos()
    await bench.engine.stop(spec.id)


@pytest.mark.parametrize(
    ("command", "kind", "state", "ending"),
    [
        (FAIL, DynoKind.FORMATION, DynoState.CRASHED, Exit(3)),
        (COUNT, DynoKind.FORMATION, DynoState.CRASHED, Exit(0)),
        (COUNT, DynoKind.ONE_OFF, DynoState.COMPLETE, Exit(0)),
        (FAIL, DynoKind.RELEASE, DynoState.CRASHED, Exit(3)),
    ],
)
async def test_an_ended_dyno_says_how(
    bench: Bench, command: str, kind: DynoKind, state: DynoState, ending: Exit
) -> None:
    spec = bench.spec(command, kind=kind)
    await bench.engine.start(spec)
    assert await bench.engine.wait(spec.id) == ending
    (dyno,) = await bench.engine.dynos(bench.app_id)
    assert (dyno.state, dyno.exit, dyno.address, dyno.running) == (state, ending, None, False)
    assert await bench.engine.wait(spec.id) == ending  # asked after its end, the same


async def test_a_dyno_whose_artifact_is_gone_is_unhealthy_and_leaves_nothing(bench: Bench) -> None:
    with pytest.raises(DynoUnhealthy, match="push its commit again"):
        await bench.engine.start(bench.spec(SLEEP, artifact="sha256:" + "0" * 64))
    assert not await bench.engine.dynos()


async def test_a_cancelled_start_can_be_undone(bench: Bench) -> None:
    spec = bench.spec(SLEEP)
    starting = asyncio.create_task(bench.engine.start(spec))
    await eventually(bench.engine.dynos)
    starting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await starting
    await bench.engine.stop(spec.id, grace=5)
    assert not await bench.engine.dynos()


async def test_stop_kills_what_does_not_heed_sigterm(bench: Bench) -> None:
    spec = bench.spec(STUBBORN)
    await bench.engine.start(spec)
    async for _, text in bench.engine.logs(spec.id):
        assert text == "ready"
        break
    waiting = asyncio.create_task(bench.engine.wait(spec.id))
    began = asyncio.get_running_loop().time()
    ended = await bench.engine.stop(spec.id, grace=1)
    assert asyncio.get_running_loop().time() - began >= 1
    assert ended == Exit(137, signal=9)
    assert await bench.engine.stop(spec.id, grace=1) is None
    with contextlib.suppress(NotFound):  # or it was removed before that was asked
        assert (await waiting).signal == 9


async def test_what_a_shell_runs_has_its_time_after_sigterm(bench: Bench) -> None:
    """Bites: with `WAITS` empty, for the shell ends at once, and the dyno with it."""
    spec = bench.spec(UNHURRIED)
    await bench.engine.start(spec)
    async for _, text in bench.engine.logs(spec.id):
        assert text == "ready"
        break
    assert await bench.engine.stop(spec.id, grace=20) == Exit(7)


async def test_waiting_ends_when_the_dyno_is_stopped(bench: Bench) -> None:
    spec = bench.spec(TELLS)
    await bench.engine.start(spec)
    waiting = asyncio.create_task(bench.engine.wait(spec.id))
    async for _, text in bench.engine.logs(spec.id):
        assert text == "ready"
        break
    assert await bench.engine.stop(spec.id, grace=5) == Exit(143, signal=15)
    async with asyncio.timeout(DEADLINE):
        assert await waiting == Exit(143, signal=15)


async def test_an_unknown_dyno_is_not_found(bench: Bench) -> None:
    with pytest.raises(NotFound):
        await bench.engine.wait("shop.web.1.v9-000000")
    with pytest.raises(NotFound):
        await lines_of(bench, "shop.web.1.v9-000000")
    assert not await bench.engine.listeners("shop.web.1.v9-000000")


async def test_listeners_are_seen_inside_a_dyno(bench: Bench) -> None:
    spec = bench.spec(SERVE, port=5000)
    dyno = await bench.engine.start(spec)
    found = await eventually(lambda: bench.engine.listeners(spec.id))
    assert found == [("0.0.0.0", dyno.told or 5000)]
    await bench.engine.stop(spec.id, grace=5)
    assert not await bench.engine.listeners(spec.id)


async def test_an_app_s_build_cache_is_purged_as_often_as_one_likes(bench: Bench) -> None:
    """That a full one is emptied, tests of each engine show."""
    app_id = str(uuid.uuid4())
    assert await bench.engine.purge_cache(app_id) == 0
    assert await bench.engine.purge_cache(app_id) == 0
    assert app_id not in await bench.engine.cache_sizes()
