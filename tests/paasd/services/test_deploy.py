"""One deploy as one story, and every way it can end: nothing half done, and never a request to a dyno being stopped."""

import asyncio
from collections.abc import Callable

import pytest

from paasd.domain.dyno import DynoKind, Exit, Formation
from paasd.domain.errors import (
    DeployCancelled,
    DeployFailed,
    DynoUnhealthy,
    EngineUnavailable,
    ReleasePhaseFailed,
    RouterUnavailable,
    StoreUnavailable,
)
from paasd.domain.release import Stage, Status
from paasd.services.deploy import STEPS
from tests.fakes import Behaviour
from tests.gates import Gates
from tests.paasd.services.world import DEADLINE, Output, World, cancelled, until, wire


def test_the_story_in_its_order() -> None:
    assert [step.stage for step in STEPS] == [
        Stage.RELEASE_PHASE,
        Stage.START_DYNOS,
        Stage.AWAIT_HEALTHY,
        Stage.SWAP_ROUTE,
        Stage.PROMOTE,
    ]
    assert [step.stage for step in STEPS if step.commit] == [Stage.PROMOTE]


async def test_a_push_is_built_released_and_served(world: World) -> None:
    app = await world.create()
    assert world.answer() == "H81"
    seen = await world.push(app, "web: serve\nrelease: migrate")
    assert world.answer() == "v2"
    assert await world.ledger_of(app) == [
        "v1 succeeded Initial release",
        f"v2 succeeded Deploy {world.sources.branches[app.id]['main'][:8]}",
    ]
    order = [
        "-----> Building by the Dockerfile in the repository",
        "Procfile declares types -> web, release",
        "-----> Releasing v2",
        "-----> Running the release command: migrate",
        "Applying 0001_initial... OK",
        "-----> Starting web.1",
        "-----> v2 is live (",
        "http://shop.localhost:8080/ deployed to paasd",
    ]
    places = [seen.index(words) for words in order]
    assert places == sorted(places)
    assert "no newline\n----->" in seen  # our lines begin on a line of their own


async def test_a_deploy_does_things_in_order_and_drains_before_it_stops(world: World) -> None:
    app = await world.deployed()
    await world.settled(app)
    world.engine.journal.clear()
    await world.push(app, "web: serve\nrelease: migrate")
    await world.settled(app)
    assert world.engine.journal == [
        "start release v3",
        "end release v3",
        "remove release v3",
        "start web.1 v3",
        "publish 3",
        "drain web.1 v2",
        "end web.1 v2",
        "remove web.1 v2",
    ]
    details = await world.ledger.details(app, await world.release(app, 3))
    assert [stage.stage for stage in details.stages] == [
        "record",
        *(step.stage.value for step in STEPS),
        "retire previous",
        "done",
    ]


async def test_old_dynos_live_until_their_requests_are_answered(world: World) -> None:
    app = await world.deployed()
    old = await world.dyno(app)
    assert old.address is not None
    assert old.port is not None
    world.plane.serve(app.id, (old.address, old.port))
    await world.push(app)
    await until(lambda: "drain web.1 v2" in world.engine.journal)
    assert await world.running(app) == ["web.1 v2", "web.1 v3"]
    world.plane.end_request((old.address, old.port))
    await world.settled(app)
    assert await world.running(app) == ["web.1 v3"]


async def test_every_process_type_is_started_as_often_as_asked_for(world: World) -> None:
    app = await world.create()
    await world.store.set_formation(app.id, [Formation("web", 2), Formation("worker", 1)])
    await world.push(app, "web: serve\nworker: hang\nclock: hang")
    assert await world.running(app) == ["web.1 v2", "web.2 v2", "worker.1 v2"]
    assert len(world.plane.table.routes[0].targets) == 2


# --- a release phase that fails ---------------------------------------------------------------------------------------


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


# --- dynos that don't come up -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("procfile", "app_json", "words"),
    [
        ("web: crash", None, r"web\.1 exited with status 1 before it was up; mend the command `crash`"),
        ("web: crash", None, r"web\.1: Traceback: no module named app"),
        ("web: oom", None, r"was killed for using more memory"),
        ("web: never-bind", None, r"failed to bind to \$PORT \(5000\) within 0\.3 seconds of launch \(R10\)"),
        ("web: never-bind", None, r"web\.1: thinking"),
        ("web: bind-loopback", None, r"bound to 127\.0\.0\.1 .* must be 0\.0\.0\.0:\$PORT"),
        ("web: wrong-port", None, r"but listens on 8000 \(R10\)"),
        ("web: sick", '{"healthchecks": {"web": [{"path": "/ok"}]}}', r"its check at /ok did not pass .*answered 500"),
        ("web: unstartable", None, r"web\.1 can't start: no such command"),
        ("web: serve\nworker: finish", None, r"worker\.1 exited with status 0 before it was up"),
    ],
)
async def test_a_dyno_that_does_not_come_up_undoes_the_deploy(
    world: World, procfile: str, app_json: str | None, words: str
) -> None:
    app = await world.deployed()
    await world.store.set_formation(app.id, [Formation("worker", 1)])
    files = {} if app_json is None else {"app.json": app_json}
    with pytest.raises(DynoUnhealthy, match=f"(?s)Release v3 failed: .*{words}"):
        await world.push(app, procfile, **files)
    await nothing_happened(world)
    assert "publish 3" not in world.engine.journal  # the route never moved


async def test_one_bad_dyno_takes_its_healthy_siblings_with_it(world: World) -> None:
    app = await world.deployed()
    await world.store.set_formation(app.id, [Formation("worker", 2)])
    with pytest.raises(DynoUnhealthy):
        await world.push(app, "web: serve\nworker: crash")
    await nothing_happened(world)


async def test_one_success_is_not_enough_and_app_json_says_where_to_ask(world: World) -> None:
    app = await world.create()
    world.engine.refusals = [False, True, False, False, False]
    await world.push(app, "web: serve", **{"app.json": '{"healthchecks": {"web": [{"path": "/ok"}]}}'})
    assert world.engine.probed == ["/ok"] * 5  # three in a row


# --- cancellation -----------------------------------------------------------------------------------------------------

BEFORE_COMMIT = [
    ("engine", "attach", Stage.RELEASE_PHASE),
    ("engine", "output", Stage.RELEASE_PHASE),
    ("engine", "wait", Stage.RELEASE_PHASE),
    ("engine", "dynos", Stage.START_DYNOS),
    ("engine", "start", Stage.START_DYNOS),
    ("engine", "started", Stage.START_DYNOS),
    ("engine", "probe", Stage.AWAIT_HEALTHY),
    ("router", "publish", Stage.SWAP_ROUTE),
    ("router", "published", Stage.SWAP_ROUTE),
    ("store", "stage promote", Stage.PROMOTE),
]


def gates_of(world: World, where: str) -> Gates:
    return {"engine": world.engine.gates, "router": world.router.gates, "store": world.store.gates}[where]


@pytest.mark.parametrize(("where", "call", "stage"), BEFORE_COMMIT)
async def test_a_deploy_cancelled_before_the_commit_is_undone(
    world: World, where: str, call: str, stage: Stage
) -> None:
    app = await world.deployed()
    gate = gates_of(world, where).hold(call)
    task = asyncio.create_task(world.builds.receive(world.commit(app, "web: serve\nrelease: migrate"), Output()))
    await asyncio.wait_for(gate.reached.wait(), DEADLINE)
    await cancelled(task)
    await nothing_happened(world)
    assert await world.failure(app, 3) == (
        f"Cancelled during {stage.value}: the pusher went away or the daemon was stopped; push again."
    )


@pytest.mark.parametrize("call", ["transition", "transitioned"])
async def test_a_deploy_cancelled_during_the_commit_is_served(world: World, call: str) -> None:
    app = await world.deployed()
    gate = world.store.gates.hold(call)
    task = asyncio.create_task(world.builds.receive(world.commit(app), Output()))
    await asyncio.wait_for(gate.reached.wait(), DEADLINE)
    task.cancel()
    await asyncio.sleep(0)
    gate.opened.set()
    await asyncio.wait([task])
    await world.settled(app)
    assert (await world.release(app, 3)).status is Status.SUCCEEDED
    assert world.answer() == "v3"
    assert await world.running(app) == ["web.1 v3"]
    await world.push(app)  # and the app is free
    assert world.answer() == "v4"


async def test_a_second_cancellation_does_not_cut_the_undos_short(world: World) -> None:
    app = await world.deployed()
    healthy, stop = world.engine.gates.hold("probe"), world.engine.gates.hold("stop")
    task = asyncio.create_task(world.builds.receive(world.commit(app), Output()))
    await asyncio.wait_for(healthy.reached.wait(), DEADLINE)
    task.cancel()
    await asyncio.wait_for(stop.reached.wait(), DEADLINE)
    closing = asyncio.create_task(world.background.close())  # the daemon is told to stop meanwhile
    await asyncio.sleep(0.01)
    assert not closing.done()
    stop.opened.set()
    await asyncio.wait([task, closing], timeout=DEADLINE)
    await nothing_happened(world)


async def test_requests_in_flight_on_new_dynos_are_answered_before_those_are_taken_back(world: World) -> None:
    app = await world.deployed()
    gate = world.router.gates.hold("published")
    task = asyncio.create_task(world.builds.receive(world.commit(app), Output()))
    await asyncio.wait_for(gate.reached.wait(), DEADLINE)
    (target,) = world.plane.table.routes[0].targets
    assert target.release == 3
    world.plane.serve(app.id, (target.host, target.port))
    task.cancel()
    await until(lambda: "drain web.1 v3" in world.engine.journal)
    assert "web.1 v3" in await world.running(app)
    world.plane.end_request((target.host, target.port))
    await asyncio.wait([task])
    assert world.engine.journal.index("drain web.1 v3") < world.engine.journal.index("end web.1 v3")
    await nothing_happened(world)


# --- parts that are away ----------------------------------------------------------------------------------------------


async def test_an_engine_that_dies_fails_the_release_and_its_undos_without_locking_the_app(world: World) -> None:
    """An undo that raises is left to recovery: the next deploy goes ahead."""
    app = await world.deployed()
    gate = world.engine.gates.hold("probe")
    task = asyncio.create_task(world.push(app))
    await asyncio.wait_for(gate.reached.wait(), DEADLINE)
    world.engine.down = True
    gate.opened.set()
    with pytest.raises(DeployFailed):
        await task
    assert (await world.release(app, 3)).status is Status.FAILED
    world.engine.down = False
    assert await world.running(app) == ["web.1 v2", "web.1 v3"]  # the undo could not reach it
    await world.recovery.reconcile()
    await world.settled(app)
    await nothing_happened(world)
    await world.push(app)
    assert world.answer() == "v4"


async def test_an_undo_that_breaks_unexpectedly_is_left_to_recovery_too(world: World) -> None:
    app = await world.deployed()
    world.engine.gates.errors["stop"] = RuntimeError("a fault of ours")
    with pytest.raises(DynoUnhealthy):
        await world.push(app, "web: never-bind")
    del world.engine.gates.errors["stop"]
    assert (await world.release(app, 3)).status is Status.FAILED
    await world.push(app)
    await world.settled(app)
    assert world.answer() == "v4"


async def test_a_router_that_is_down_fails_the_swap(world: World) -> None:
    app = await world.deployed()
    gate = world.router.gates.hold("publish")
    task = asyncio.create_task(world.push(app))
    await asyncio.wait_for(gate.reached.wait(), DEADLINE)
    world.plane.stop()
    gate.opened.set()
    with pytest.raises(DeployFailed, match="Release v3 failed: The router does not answer") as caught:
        await task
    assert isinstance(caught.value.__cause__, DeployFailed)
    world.plane.start()
    await nothing_happened(world)


async def test_a_store_that_fails_at_the_end_leaves_the_release_to_recovery(world: World) -> None:
    app = await world.deployed()
    world.store.gates.errors["stage failed"] = StoreUnavailable("The disk is full; make room.")
    with pytest.raises(DynoUnhealthy):
        await world.push(app, "web: crash")
    assert (await world.release(app, 3)).status is Status.PENDING
    del world.store.gates.errors["stage failed"]
    await world.recovery.reconcile()
    assert "during the stage 'await healthy'" in await world.failure(app, 3)
    await world.push(app)
    assert world.answer() == "v4"


async def test_a_fault_of_our_own_is_told_without_its_details(world: World) -> None:
    app = await world.deployed()
    world.engine.gates.errors["attach"] = ValueError("secret=hunter2")
    with pytest.raises(DeployFailed, match=r"Internal error during release phase \(ValueError\); see the daemon's log"):
        await world.push(app, "web: serve\nrelease: migrate")
    await nothing_happened(world)


async def test_a_release_that_another_daemon_ended_is_not_promoted(world: World) -> None:
    app = await world.deployed()
    gate = world.router.gates.hold("published")
    task = asyncio.create_task(world.push(app))
    await asyncio.wait_for(gate.reached.wait(), DEADLINE)
    (pending,) = await world.store.pending_releases(app.id)
    assert await world.store.transition(pending.id, Status.PENDING, Status.FAILED)
    gate.opened.set()
    with pytest.raises(DeployCancelled, match="was ended by another daemon"):
        await task
    await nothing_happened(world)


@pytest.mark.parametrize(
    "break_it",
    [
        lambda world: world.store.gates.errors.update({"stage retire previous": StoreUnavailable("Full; make room.")}),
        lambda world: world.router.gates.errors.update({"drain": RouterUnavailable("Gone; start it.")}),
        lambda world: world.engine.gates.errors.update({"stop": EngineUnavailable("Gone; start it.")}),
    ],
    ids=["store", "router", "engine"],
)
async def test_what_fails_after_the_commit_fails_no_release_and_is_reconciled(
    world: World, break_it: Callable[[World], None]
) -> None:
    app = await world.deployed()
    break_it(world)
    await world.push(app)
    await world.settled(app)
    assert world.answer() == "v3"
    for gates in (world.store.gates, world.router.gates, world.engine.gates):
        gates.errors.clear()
    await world.recovery.reconcile()
    await world.settled(app)
    assert await world.running(app) == ["web.1 v3"]
    assert (await world.release(app, 3)).status is Status.SUCCEEDED


async def test_a_deploy_leaves_one_off_dynos_alone(world: World) -> None:
    """ "Stop every dyno of the app but the new ones" would also kill somebody's `run`."""
    app = await world.deployed()
    spec = world.releases._hands.boot.spec(app, await world.release(app, 2), "run.4711", DynoKind.ONE_OFF, "hang")
    await world.engine.start(spec)
    await world.push(app)
    await world.settled(app)
    await world.recovery.reconcile()
    assert await world.running(app) == ["run.4711 v2", "web.1 v3"]


async def test_tables_have_a_counter_of_their_own_so_that_a_restored_one_is_not_older(world: World) -> None:
    """Numbered by release version, the table that brings v2 back would be refused as older than v3's."""
    app = await world.deployed()
    before = world.plane.table.version
    gate = world.store.gates.hold("stage promote")
    task = asyncio.create_task(world.builds.receive(world.commit(app), Output()))
    await asyncio.wait_for(gate.reached.wait(), DEADLINE)
    assert world.answer() == "v3"
    swapped = world.plane.table.version
    await cancelled(task)
    assert world.answer() == "v2"
    assert before < swapped < world.plane.table.version


async def test_the_daemon_stopping_undoes_what_is_under_way(world: World) -> None:
    app = await world.deployed()
    gate = world.engine.gates.hold("output")
    task = asyncio.create_task(world.builds.receive(world.commit(app, "web: serve\nrelease: hang"), Output()))
    await asyncio.wait_for(gate.reached.wait(), DEADLINE)
    await world.background.close()
    with pytest.raises(DeployCancelled, match="Release v3 was undone because the daemon was stopped; push again"):
        await task
    await nothing_happened(wire(world.outside))


async def nothing_happened(world: World) -> None:
    """v3 failed; v2 serves as it did, its dyno is the only one, and the app is free."""
    app = await world.apps.find("shop")
    assert [entry.split()[:2] for entry in await world.ledger_of(app)] == [
        ["v1", "succeeded"],
        ["v2", "succeeded"],
        ["v3", "failed"],
    ]
    assert world.answer() == "v2"
    assert await world.running(app) == ["web.1 v2"]
    assert [dyno.release_version for dyno in await world.engine.dynos()] == [2]
    assert not world.background.lock(app.id).locked()
    assert not world.releases.live
    assert not world.routing.serving
