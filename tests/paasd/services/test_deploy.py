"""One deploy as one story, and every way it can end: nothing half done, and never a request to a dyno being stopped."""

import asyncio

import pytest

from paasd.domain.dyno import Formation
from paasd.domain.errors import (
    DynoUnhealthy,
)
from paasd.domain.release import Stage, Status
from paasd.services.deploy import STEPS
from tests.gates import Gates
from tests.paasd.services.world import DEADLINE, Output, World, cancelled, nothing_happened, until


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
        ("web: bind-ipv6", None, r"bound to :: for IPv6 only .* must be 0\.0\.0\.0:\$PORT"),
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
