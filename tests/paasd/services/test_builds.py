"""Pushes: one at a time per app, a bounded number of builds, logs that are streamed and kept, failures that reject."""

import asyncio
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from paasd.domain.access import Account
from paasd.domain.app import App
from paasd.domain.errors import BuildFailed, Conflict, DeployFailed, EngineUnavailable, StoreUnavailable
from paasd.domain.push import Push
from paasd.domain.release import BuildStatus
from paasd.ports import Artifact, BuildSpec, Write
from paasd.services.places import QUEUED_MAX
from tests.paasd.services.world import DEADLINE, Output, World, cancelled, somebody, until, wire


async def test_a_build_is_recorded_with_what_it_made(world: World) -> None:
    app = await world.deployed(procfile="web: serve\nrelease: migrate")
    (build,) = await world.ledger.builds(app)
    release = await world.release(app, 2)
    assert (build.status, build.builder, build.actor) == (BuildStatus.SUCCEEDED, "dockerfile", world.actor)
    assert (build.id, build.artifact, build.commit) == (release.build_id, release.artifact, release.commit)
    assert build.processes.release == "migrate"
    assert build.size
    assert await world.ledger.build(app, build.id) == build


async def test_the_build_log_is_kept_without_what_the_release_says(world: World) -> None:
    app = await world.create()
    seen = await world.push(app)
    (build,) = await world.ledger.builds(app)
    kept = b"".join([chunk async for chunk in world.outputs.read(app.id, ("builds", build.id))]).decode()
    assert seen.startswith(kept)
    assert "FROM scratch" in kept
    assert "Releasing" not in kept


@pytest.mark.parametrize(
    ("procfile", "files", "words"),
    [
        ("web serve", {}, r"Procfile line 1 can't be read: 'web serve'"),
        ("web: serve", {"Dockerfile": ""}, "The Dockerfile is empty"),
        ("web: serve", {"app.json": "{"}, "app.json is not valid JSON"),
        ("web: serve", {"Dockerfile": "FROM x\nRUN make && exit 2"}, "`make && exit 2` exited with status 2"),
    ],
)
async def test_a_bad_source_rejects_the_push_and_makes_no_release(
    world: World, procfile: str, files: dict[str, str], words: str
) -> None:
    app = await world.deployed()
    with pytest.raises(BuildFailed, match=words):
        await world.push(app, procfile, **files)
    newest = (await world.ledger.builds(app))[0]
    assert newest.status is BuildStatus.FAILED
    assert newest.failure is not None
    assert len(await world.ledger_of(app)) == 2
    assert world.answer() == "v2"
    assert "app[api]: Build failed -- check your build output" in world.lines(app)
    assert not world.builds.live
    assert not world.builds.pushing(app.id)


async def test_a_commit_that_did_not_arrive_makes_no_build(world: World) -> None:
    app = await world.create()
    push = replace(world.commit(app), sha="f" * 40)
    with pytest.raises(BuildFailed, match="did not arrive"):
        await world.builds.receive(push, Output())
    assert not await world.ledger.builds(app)


async def test_a_second_push_is_told_who_holds_the_app_and_how_far_it_is(world: World) -> None:
    app = await world.create()
    bob = replace(world.commit(app), actor=somebody(world.actor, "bob@example.org"))
    for point, stage in (("build", "building"), ("probe", "releasing")):
        gate = world.engine.gates.hold(point)
        first = asyncio.create_task(world.push(app))
        await asyncio.wait_for(gate.reached.wait(), DEADLINE)
        with pytest.raises(Conflict, match=rf"ann@example\.org has been pushing to shop since .* \(stage: {stage}\)"):
            await world.builds.receive(bob, Output())
        gate.opened.set()
        await first
    await world.builds.receive(bob, Output())
    assert world.answer() == "v4"


async def test_builds_over_all_apps_are_bounded(world: World) -> None:
    busy = wire(world.outside, parallel=1)
    shop, blog = await busy.create("shop"), await busy.create("blog")
    gate = busy.engine.gates.hold("build")
    first = asyncio.create_task(busy.push(shop))
    await asyncio.wait_for(gate.reached.wait(), DEADLINE)
    second = asyncio.create_task(busy.push(blog))
    await until(lambda: busy.builds.pushing(blog.id))
    with pytest.raises(Conflict, match=r"\(stage: (receiving|waiting for a free place to build)\)"):
        await busy.push(blog)
    gate.opened.set()
    await asyncio.gather(first, second)
    assert (busy.answer("shop"), busy.answer("blog")) == ("v2", "v2")
    await busy.background.close()


@pytest.mark.parametrize("point", ["adopt", "unpack"])
async def test_a_pusher_that_goes_away_early_leaves_nothing_pending(world: World, point: str) -> None:
    app = await world.create()
    gate = world.sources.gates.hold(point)
    task = asyncio.create_task(world.builds.receive(world.commit(app), Output()))
    await asyncio.wait_for(gate.reached.wait(), DEADLINE)
    await cancelled(task)
    assert not await world.store.pending_builds()
    await world.push(app)
    assert world.answer() == "v2"


async def test_a_pusher_that_goes_away_stops_the_build(world: World) -> None:
    app = await world.create()
    gate = world.engine.gates.hold("build")
    task = asyncio.create_task(world.builds.receive(world.commit(app), Output()))
    await asyncio.wait_for(gate.reached.wait(), DEADLINE)
    await cancelled(task)
    (build,) = await world.ledger.builds(app)
    assert (build.status, build.failure) == (
        BuildStatus.FAILED,
        "Cancelled: the pusher went away or the daemon was stopped.",
    )
    assert not await world.engine.artifacts()


async def test_a_fault_of_our_own_is_kept_without_its_details(world: World) -> None:
    app = await world.create()
    world.engine.gates.errors["build"] = ValueError("secret=hunter2")
    with pytest.raises(ValueError, match="hunter2"):
        await world.push(app)
    (build,) = await world.ledger.builds(app)
    assert build.failure == "Internal error (ValueError); see the daemon's log."


async def test_an_engine_that_is_down_fails_the_build(world: World) -> None:
    app = await world.deployed()
    world.engine.down = True
    with pytest.raises(EngineUnavailable):
        await world.push(app)
    world.engine.down = False
    assert (await world.ledger.builds(app))[0].failure == (
        "The engine does not answer; start it, then see `paasd doctor`."
    )


async def test_a_failed_build_that_can_not_be_recorded_is_left_to_recovery(world: World) -> None:
    app = await world.create()
    world.store.gates.errors["finish_build"] = StoreUnavailable("The disk is full; make room.")
    with pytest.raises(BuildFailed):
        await world.push(app, "what is this")
    assert len(await world.store.pending_builds()) == 1
    world.store.gates.errors.clear()
    await world.recovery.settling.settle()
    (build,) = await world.ledger.builds(app)
    assert build.failure == "daemon restarted during build; push again."


async def test_recovery_leaves_a_build_alone_that_is_just_being_recorded(world: World) -> None:
    app = await world.create()
    gate = world.store.gates.hold("inserted_build")
    task = asyncio.create_task(world.push(app))
    await asyncio.wait_for(gate.reached.wait(), DEADLINE)
    await world.recovery.settling.settle()
    gate.opened.set()
    await task
    assert world.answer() == "v2"


async def test_a_pusher_hears_of_the_release_that_failed(world: World) -> None:
    app = await world.create()
    output = Output()
    with pytest.raises(DeployFailed, match="Release v2 failed: "):
        await world.builds.receive(world.commit(app, "web: serve\nrelease: fail"), output)
    assert "no such table" in output.text  # the release phase streams to the pusher
    assert "is live" not in output.text


def following(world: World, app: App, before: Push) -> Push:
    """A push to wait, on top of another that git had not moved the branch to yet."""
    push = replace(world.commit(app), queue=True, old=before.old)
    world.sources.parents[push.sha] = before.sha
    return push


async def test_pushes_that_wait_come_in_their_turn(world: World) -> None:
    """Bites: `queue.popleft()` made `queue.pop()`; or the place freed before the next one takes it."""
    app = await world.deployed()
    old = (await world.sources.heads(app.id))["main"]
    first = replace(world.commit(app), old=old)
    world.sources.parents[first.sha] = old
    second = following(world, app, first)
    third = following(world, app, second)
    seen = Output(), Output()
    gate = world.engine.gates.hold("build")
    one = asyncio.create_task(world.builds.receive(first, Output()))
    await asyncio.wait_for(gate.reached.wait(), DEADLINE)
    two = asyncio.create_task(world.builds.receive(second, seen[0]))
    await until(lambda: "Waiting" in seen[0].text)
    three = asyncio.create_task(world.builds.receive(third, seen[1]))
    await until(lambda: "Waiting" in seen[1].text)
    assert "ann@example.org has been pushing to shop since" in seen[0].text
    assert "(stage: building), and 1 before this one" in seen[1].text
    with pytest.raises(Conflict, match="git push -o queue"):
        await world.builds.receive(world.commit(app), Output())
    gate.opened.set()
    await asyncio.gather(one, two, three)
    shas = [build.commit.sha for build in await world.ledger.builds(app) if build.commit]
    assert shas[:3] == [third.sha, second.sha, first.sha]
    assert world.answer() == "v5"
    assert not world.builds.pushing(app.id)
    # git moves the branch from where the pusher saw it, so it has to be there
    assert (await world.sources.heads(app.id))["main"] == old


async def test_a_push_that_waited_does_not_undo_the_one_before_it(world: World) -> None:
    """Bites: `_check_branch` not called."""
    app = await world.deployed()
    old = (await world.sources.heads(app.id))["main"]
    first, beside = replace(world.commit(app), old=old), replace(world.commit(app), old=old, queue=True)
    world.sources.parents |= {first.sha: old, beside.sha: old}
    gate = world.engine.gates.hold("build")
    one = asyncio.create_task(world.builds.receive(first, Output()))
    await asyncio.wait_for(gate.reached.wait(), DEADLINE)
    seen = Output()
    two = asyncio.create_task(world.builds.receive(beside, seen))
    await until(lambda: "Waiting" in seen.text)
    gate.opened.set()
    await one
    with pytest.raises(BuildFailed, match=f"main was moved to {first.sha[:8]} while this push waited"):
        await two
    assert world.answer() == "v3"
    assert not world.builds.pushing(app.id)


async def test_one_who_stops_waiting_loses_its_place_only(world: World) -> None:
    app = await world.deployed()
    gate = world.engine.gates.hold("build")
    one = asyncio.create_task(world.push(app))
    await asyncio.wait_for(gate.reached.wait(), DEADLINE)
    waiting = []
    for _ in range(QUEUED_MAX):
        seen = Output()
        waiting.append(asyncio.create_task(world.builds.receive(replace(world.commit(app), queue=True), seen)))
        await until(lambda seen=seen: "Waiting" in seen.text)
    with pytest.raises(Conflict, match="are waiting already"):
        await world.builds.receive(replace(world.commit(app), queue=True), Output())
    for task in waiting:
        await cancelled(task)
    gate.opened.set()
    await one
    assert not world.builds.pushing(app.id)
    await world.push(app)
    assert world.answer() == "v4"


async def test_a_build_can_be_cancelled_by_somebody_else(world: World) -> None:
    """Bites: `holder.work.cancel()` left out; or `uncancel()`, on which the pusher hears nothing."""
    app = await world.deployed()
    gate = world.engine.gates.hold("build")
    push = asyncio.create_task(world.push(app))
    await asyncio.wait_for(gate.reached.wait(), DEADLINE)
    (build, before) = await world.ledger.builds(app)
    ended = await world.builds.cancel(somebody(world.actor, "bob@example.org"), app, build.id)
    assert (ended.status, ended.failure) == (BuildStatus.FAILED, "Cancelled by bob@example.org.")
    assert not world.builds.pushing(app.id)
    with pytest.raises(BuildFailed, match=r"Build cancelled by bob@example\.org"):
        await push
    for other in (build, before):
        with pytest.raises(Conflict, match="is not running"):
            await world.builds.cancel(world.actor, app, other.id)
    await world.push(app)
    assert world.answer() == "v3"


async def test_an_image_that_is_large_is_warned_of(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    app = await world.create()
    assert "larger than" not in await world.push(app)
    monkeypatch.setattr("paasd.services.builds.LARGE_BYTES", 1)
    assert "The image is larger than 0 MB" in await world.push(app)


async def test_a_pusher_is_shown_so_much_of_a_build_and_all_of_it_is_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bites: `tee` passing on to `output` itself."""
    monkeypatch.setattr("paasd.services.live_output.LIVE_BYTES", 10)
    app = await world.create()
    seen = await world.push(app)
    [build] = await world.store.builds(app.id)
    kept = b"".join([chunk async for chunk in world.outputs.read(app.id, ("builds", build.id))])
    assert len(kept) > 100
    told = f"\n !     Output too long: {len(kept) - 10} more bytes were left out here"
    assert f"{kept[:10].decode()}{told}; `paas builds:output {build.id}` has the end.\n" in seen
    assert "v2 is live" in seen


async def test_what_has_to_be_compiled_is_built_again_with_compilers_and_later_at_once(world: World) -> None:
    """Bites: without the second attempt the push is rejected; with what was learnt in the daemon's memory alone, the
    next daemon builds again; where a purge is not heeded, what needs no compilers any longer keeps them for ever."""
    app = await world.create()
    world.engine.compiled = ("requirements.txt",)
    await world.config(app, PROJECT_PATH="web")  # beside which the Dockerfile at the top does not count
    files = {"web/requirements.txt": "psycopg2==2.9.3\n", "web/Procfile": "web: serve\n"}
    said = await world.push(app, **files)
    assert "A package has to be compiled: building again" in said
    assert world.answer() == "v3"
    assert "building again" not in await world.push(app, **files)
    assert (await world.store.builds(app.id))[0].stack == "bookworm+compilers"
    after = wire(world.outside)
    after.builds._disk = after.disk
    assert "building again" not in await after.push(app, **files)
    await after.disk.purge_cache(app)
    assert "building again" in await after.push(app, **files)
    world.engine.compiled = ()
    await after.disk.purge_cache(app)
    await after.push(app, **files)
    assert (await world.store.builds(app.id))[0].stack == "bookworm"


@pytest.mark.parametrize(
    ("package", "words", "stack"),
    [
        ("docopt", "A package has no wheel: building again, from its source", "bookworm+sdists"),
        ("psycopg2-binary", "A package has to be compiled: building again", "bookworm+compilers"),
    ],
)
async def test_what_has_no_wheel_is_built_from_its_source_with_compilers_at_once_where_they_are_known_to_be_needed(
    world: World, package: str, words: str, stack: str
) -> None:
    """Bites: the third attempt, of which it was known that it would be wanted."""
    app = await world.create()
    world.engine.without_wheel = package
    world.engine.compiled = ("psycopg2-binary",)
    await world.config(app, PROJECT_PATH="web")
    files = {"web/requirements.txt": f"{package}\n", "web/Procfile": "web: serve\n"}
    said = await world.push(app, **files)
    assert said.count("building again") == 1 and words in said
    assert (await world.store.builds(app.id))[0].stack == stack
    assert "building again" not in await world.push(app, **files)


async def test_a_dockerfile_says_itself_what_it_compiles_with(world: World) -> None:
    app = await world.create()
    world.engine.compiled = ("FROM",)
    output = Output()
    with pytest.raises(BuildFailed, match="no compiler"):
        await world.builds.receive(world.commit(app), output)
    assert "building again" not in output.text


@pytest.mark.parametrize("who", ["an admin", "a member", "nobody any more"])
async def test_only_an_admins_build_may_have_the_engine_fetch(
    world: World, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    """Bites: `trusted=True` in `_make`, and any tenant's Dockerfile reads what only this host may."""
    app, seen, build = await world.create(), list[bool](), world.engine.build

    async def recorded(source: Path, recipe: BuildSpec, output: Write) -> Artifact:
        seen.append(recipe.trusted)
        return await build(source, recipe, output)

    monkeypatch.setattr(world.engine, "build", recorded)
    account = Account(str(uuid.uuid4()), "bob@example.org", None, datetime.now(UTC), who == "an admin")
    if who != "nobody any more":
        await world.store.insert_account(account)
    actor = replace(world.actor, account_id=account.id, email=account.email)
    await world.builds.receive(replace(world.commit(app), actor=actor), Output())
    assert seen == [who == "an admin"]
