"""One deploy as one story: from a recorded release to served traffic. STEPS is the order, `promote` the commit point.

On failure or cancellation the undos run backwards, the failed step's first. An undo that fails is logged and left to
recovery, so that it can never block the next deploy.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from paasd.domain.app import App
from paasd.domain.dyno import DEFAULT_SIZE, Dyno, DynoKind, DynoSpec, sizes_of
from paasd.domain.errors import DeployCancelled, DeployFailed, NotFound, PaasError, Unavailable
from paasd.domain.release import Release, Stage, Status
from paasd.failpoints import Failpoints
from paasd.ports import Engine, OutputFile, Store, Write
from paasd.services.background import Background, together
from paasd.services.boot import Boot
from paasd.services.endings import note_exit, stop_dyno
from paasd.services.logs import AppLogs
from paasd.services.release_phase import ReleasePhase
from paasd.services.routing import Routing

log = structlog.get_logger(__name__)

RECORD_AGAIN_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class DeployRules:
    """Seconds given to requests in flight on old dynos, to their websockets, and then between SIGTERM and SIGKILL."""

    drain: float = 30.0
    grace: float = 30.0
    websocket_drain: float = 30.0


@dataclass(frozen=True, slots=True)
class Stagehands:
    """The ports and services that the steps take."""

    store: Store
    engine: Engine
    routing: Routing
    boot: Boot
    release_phase: ReleasePhase
    logs: AppLogs
    background: Background
    rules: DeployRules
    failpoints: Failpoints = field(default_factory=Failpoints)
    ending: set[str] = field(default_factory=set)
    """Ids of releases whose end the store could not take yet: somebody here still tells it."""


@dataclass(frozen=True, slots=True)
class Deploy:
    """One deploy, passed from step to step.

    `kept` takes what the release command prints, None where it is not to run; `previous` are the formation dynos that
    ran before it.
    """

    app: App
    release: Release
    output: Write
    kept: OutputFile | None = None
    specs: tuple[DynoSpec, ...] = ()
    dynos: tuple[Dyno, ...] = ()
    release_size: str = DEFAULT_SIZE
    previous: tuple[Dyno, ...] = field(default=(), repr=False)

    async def say(self, text: str) -> None:
        """A line for whoever watches the deploy."""
        await self.output(f"{text}\n".encode())


Run = Callable[[Stagehands, Deploy], Coroutine[Any, Any, Deploy]]
Undo = Callable[[Stagehands, Deploy], Coroutine[Any, Any, None]]


async def run_release_phase(hands: Stagehands, deploy: Deploy) -> Deploy:
    """The release command, if there is one, in a dyno of the new release."""
    command = deploy.release.processes.release
    if deploy.kept is not None and command is not None:
        await deploy.say(f"-----> Running the release command: {command}")
        await hands.release_phase.run(deploy.app, deploy.release, deploy.kept, deploy.output, deploy.release_size)
    return deploy


async def start_dynos(hands: Stagehands, deploy: Deploy) -> Deploy:
    """New dynos of every process type, beside the old ones."""
    if deploy.specs:
        await deploy.say(f"-----> Starting {', '.join(spec.name for spec in deploy.specs)}")
    own = {spec.id for spec in deploy.specs}
    started, existing = await together(hands.boot.start(deploy.specs), hands.engine.dynos(deploy.app.id))
    await hands.failpoints.reach("start")
    previous = [dyno for dyno in existing if dyno.kind is DynoKind.FORMATION and dyno.id not in own]
    return replace(deploy, dynos=started, previous=tuple(previous))


async def stop_started(hands: Stagehands, deploy: Deploy) -> None:
    """Undo of start_dynos: by the ids of the specs, so that what started before a failure goes too."""
    await asyncio.gather(*(hands.engine.stop(spec.id, grace=hands.rules.grace) for spec in deploy.specs))


async def await_healthy(hands: Stagehands, deploy: Deploy) -> Deploy:
    """Each new dyno answers its probe."""
    await hands.boot.await_healthy(deploy.release, deploy.dynos)
    return deploy


async def swap_route(hands: Stagehands, deploy: Deploy) -> Deploy:
    """The router has acknowledged a table with the new targets."""
    await hands.failpoints.reach("swap-before")
    hands.routing.serving[deploy.app.id] = deploy.release
    await hands.routing.publish(deploy.app.id)
    await hands.failpoints.reach("swap-after")
    return deploy


async def swap_back(hands: Stagehands, deploy: Deploy) -> None:
    """Undo of swap_route: the ledger's route again. Drained first, for the new dynos may have requests in flight."""
    if hands.routing.serving.pop(deploy.app.id, None) is not None:
        await hands.routing.publish(deploy.app.id)
        await hands.routing.drain(deploy.dynos, hands.rules.drain, hands.rules.websocket_drain)


async def promote(hands: Stagehands, deploy: Deploy) -> Deploy:
    """The commit point: from here on the release is what the app serves."""
    if not await hands.store.transition(deploy.release.id, Status.PENDING, Status.SUCCEEDED):
        raise DeployCancelled(f"Release v{deploy.release.version} was ended by another daemon; see `heroku releases`.")
    hands.routing.serving.pop(deploy.app.id, None)
    hands.routing.leaving.update(dyno.id for dyno in deploy.previous)
    return replace(deploy, release=replace(deploy.release, status=Status.SUCCEEDED))


@dataclass(frozen=True, slots=True)
class Step:
    """A stage of the story: what it does, what takes it back, and whether this deploy has it at all.

    A commit can't be cancelled half way.
    """

    stage: Stage
    run: Run
    undo: Undo | None = None
    commit: bool = False
    applies: Callable[[Deploy], bool] = lambda _: True


STEPS: tuple[Step, ...] = (
    Step(Stage.RELEASE_PHASE, run_release_phase, applies=lambda deploy: deploy.kept is not None),
    Step(Stage.START_DYNOS, start_dynos, stop_started),
    Step(Stage.AWAIT_HEALTHY, await_healthy),
    Step(Stage.SWAP_ROUTE, swap_route, swap_back),
    Step(Stage.PROMOTE, promote, commit=True),
)


async def carry_out(hands: Stagehands, deploy: Deploy) -> Deploy:
    """All of STEPS. On failure the release is `failed` with its reason, the old one serves on, the error is raised."""
    begun: list[Step] = []
    try:
        sizes = {**deploy.release.processes.sizes, **sizes_of(await hands.store.formation(deploy.app.id))}
        specs = hands.boot.specs(deploy.app, deploy.release, deploy.release.formation, sizes)
        deploy = replace(deploy, specs=specs, release_size=sizes.get("release", DEFAULT_SIZE))
        await deploy.say(f"-----> Releasing v{deploy.release.version}")
        for step in STEPS:
            if not step.applies(deploy):
                continue
            begun.append(step)
            deploy = await (commit if step.commit else play)(hands, deploy, step)
    except BaseException as error:
        failure = reason(error, begun[-1].stage if begun else Stage.RECORD)
        # A second cancellation must not cut the undos short: dynos would be left, and the release pending.
        undoing = undo(hands, deploy, begun, failure)
        await hands.background.finish(f"undo {deploy.release.id}", undoing, deliver=False)
        if isinstance(error, asyncio.CancelledError | DeployFailed) or not isinstance(error, Exception):
            raise
        raise DeployFailed(failure) from error
    version = deploy.release.version
    hands.logs.note(deploy.app.id, "api", f"Release v{version} is served", release=version)
    return deploy


async def play(hands: Stagehands, deploy: Deploy, step: Step) -> Deploy:
    """One step. The record of its stage reaches the disk while it runs: a deploy must not wait for its diary.

    The record is whole before the next one is begun, however the step ends.
    """
    record = hands.background.spawn(f"stage {step.stage}", hands.store.add_stage(deploy.release.id, step.stage))
    try:
        deploy = await step.run(hands, deploy)
    finally:
        await asyncio.wait([record])
    record.result()
    return deploy


async def commit(hands: Stagehands, deploy: Deploy, step: Step) -> Deploy:
    """A step without a half way: recorded before, and carried to its end though the deploy be cancelled meanwhile."""
    await hands.store.add_stage(deploy.release.id, step.stage)
    return await hands.background.finish(f"commit {deploy.release.id}", step.run(hands, deploy), deliver=False)


async def undo(hands: Stagehands, deploy: Deploy, begun: Sequence[Step], failure: str) -> None:
    """Everything as it was before the deploy, and the release marked failed."""
    await take_back(hands, deploy, begun)
    await fail(hands, deploy, failure)


async def take_back(hands: Stagehands, deploy: Deploy, begun: Sequence[Step]) -> None:
    """The undos of the steps that were begun, backwards. From one that fails on, the rest is left to recovery: while
    the router may still send requests to the new dynos, stopping them would lose those."""
    for step in reversed(begun):
        if step.undo is None:
            continue
        try:
            await step.undo(hands, deploy)
        except PaasError as error:
            log.warning("undo left to recovery", stage=step.stage, app=deploy.app.name, reason=error.message)
            return
        except Exception:
            log.exception("undo left to recovery", stage=step.stage, app=deploy.app.name)
            return


async def fail(hands: Stagehands, deploy: Deploy, failure: str) -> None:
    """Mark the release failed with its reason; a store that is down is told again until it takes it."""
    try:
        await record_failure(hands, deploy.release.id, failure)
    except PaasError as error:
        log.warning("failed release is recorded later", app=deploy.app.name, reason=error.message)
        hands.ending.add(deploy.release.id)
        hands.background.spawn(f"end {deploy.release.id}", keep_failing(hands, deploy.release, failure))
    version = deploy.release.version
    hands.logs.note(deploy.app.id, "api", f"Release v{version} failed: {failure.splitlines()[0]}", release=version)


async def record_failure(hands: Stagehands, release_id: str, failure: str) -> None:
    """Both records of a failed release."""
    await hands.store.add_stage(release_id, Stage.FAILED, failure)
    await hands.store.transition(release_id, Status.PENDING, Status.FAILED)


async def keep_failing(hands: Stagehands, release: Release, failure: str) -> None:
    """Until the store takes it. While the release is pending, no other of its app can be recorded."""
    try:
        while True:
            await asyncio.sleep(RECORD_AGAIN_SECONDS)
            with contextlib.suppress(Unavailable):
                if (await hands.store.release(release.app_id, release.id)).status is Status.PENDING:
                    await record_failure(hands, release.id, failure)
                return
    except NotFound:
        return  # its app was destroyed meanwhile
    finally:
        hands.ending.discard(release.id)


def reason(error: BaseException, stage: Stage) -> str:
    """What is stored with a failed release, for the person who caused it."""
    if isinstance(error, PaasError):
        return error.message
    if isinstance(error, asyncio.CancelledError):
        return f"Cancelled during {stage.value}: the pusher went away or the daemon was stopped; push again."
    log.error("deploy failed unexpectedly", stage=stage, exc_info=error)
    return f"Internal error during {stage.value} ({type(error).__name__}); see the daemon's log."


async def retire_previous(hands: Stagehands, deploy: Deploy) -> None:
    """After the commit: drain the old targets, then stop the old dynos. What fails here is reconciled away later."""
    record = hands.store.add_stage
    try:
        await record(deploy.release.id, Stage.RETIRE_PREVIOUS)
        if deploy.release.artifact is not None:
            await hands.engine.tag(deploy.release.artifact, f"paasd/{deploy.app.name}:v{deploy.release.version}")
        await retire(hands, deploy.previous)
        await record(deploy.release.id, Stage.DONE)
    except PaasError as error:
        log.warning("old dynos left to recovery", app=deploy.app.name, reason=error.message)
    finally:
        hands.routing.leaving.difference_update(dyno.id for dyno in deploy.previous)


async def retire(hands: Stagehands, dynos: Sequence[Dyno]) -> None:
    """Wait for what the dynos have in flight, then SIGTERM, grace, SIGKILL."""
    ids = {dyno.id for dyno in dynos}
    hands.routing.leaving |= ids
    try:
        await hands.failpoints.reach("drain")
        await hands.routing.drain(dynos, hands.rules.drain, hands.rules.websocket_drain)
        await asyncio.gather(*(_end(hands, dyno) for dyno in dynos))
    finally:
        hands.routing.leaving -= ids


async def _end(hands: Stagehands, dyno: Dyno) -> None:
    how = await stop_dyno(hands.engine, hands.logs, dyno, hands.rules.grace)
    if how is not None:
        note_exit(hands.logs, dyno.app_id, dyno.name, how)
