"""From a push to a release: source -> manifest -> artifact, with its log, then through the door to a deploy."""

import asyncio
import contextlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog

from paasd.builders.detect import Plan, detect
from paasd.domain.access import Actor
from paasd.domain.app import App
from paasd.domain.errors import Conflict, DeployCancelled, DeployFailed, PaasError
from paasd.domain.push import Push
from paasd.domain.release import Build, BuildStatus, Stage
from paasd.failpoints import Failpoints
from paasd.ports import Artifact, BuildSpec, Engine, OutputFile, Outputs, Sources, Store, Write
from paasd.services.disk import Disk
from paasd.services.logs import AppLogs
from paasd.services.releases import Releases, UnderWay

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class BuildRules:
    """Seconds a build may take, how many may run at once, and how a web URL is written."""

    timeout: float = 900.0
    parallel: int = 2
    web_url: str = "http://{app}.localhost:8080/"


@dataclass(slots=True)
class Holder:
    """Who pushes to an app, since when, and how far it is."""

    actor: Actor
    since: datetime
    stage: str = "receiving"


class Builds:
    """Receives pushes: one at a time per app, a bounded number of builds over all apps."""

    def __init__(
        self,
        store: Store,
        sources: Sources,
        engine: Engine,
        outputs: Outputs,
        releases: Releases,
        logs: AppLogs,
        rules: BuildRules,
        failpoints: Failpoints | None = None,
        disk: Disk | None = None,
    ) -> None:
        self._store = store
        self._sources = sources
        self._engine = engine
        self._outputs = outputs
        self._releases = releases
        self._logs = logs
        self._rules = rules
        self._failpoints = failpoints or Failpoints()
        self._disk = disk
        self._holders: dict[str, Holder] = {}
        self._places = asyncio.Semaphore(rules.parallel)
        self.live: set[str] = set()

    async def receive(self, push: Push, output: Write) -> None:
        """A push, from its objects in quarantine to served traffic. Returning means: it is served.

        Raises Conflict while another push to the app is under way, DeployFailed and its kin when it comes to a bad
        end. Cancelling it (the pusher went away) stops the build or undoes the deploy.
        """
        with self._hold(push.app, push.actor) as holder:
            build_id = str(uuid.uuid4())
            if self._disk is not None:
                await self._disk.admit_build()
            try:
                build = await self._pending(push, build_id)
                build = await self._kept_build(push, build, holder, output)
            finally:
                self.live.discard(build_id)
            holder.stage = "releasing"
            await self._release(push, build, output)
        if self._disk is not None:
            self._disk.collect_soon()

    def pushing(self, app_id: str) -> bool:
        """Whether a push to the app is under way."""
        return app_id in self._holders

    @contextlib.contextmanager
    def _hold(self, app: App, actor: Actor) -> Iterator[Holder]:
        holder = self._holders.get(app.id)
        if holder is not None:
            raise Conflict(
                f"{holder.actor.email} has been pushing to {app.name} since {holder.since:%H:%M:%S} UTC "
                f"(stage: {holder.stage}); wait for that push to end, then push again.",
                app=app.name,
            )
        self._holders[app.id] = holder = Holder(actor, datetime.now(UTC))
        try:
            yield holder
        finally:
            del self._holders[app.id]

    async def _pending(self, push: Push, build_id: str) -> Build:
        now = datetime.now(UTC)
        commit = await self._sources.adopt(push.app.id, push.quarantine, push.sha, build_id)
        self.live.add(build_id)  # before it can be seen: recovery fails pending builds that nobody owns
        build = Build(build_id, push.app.id, BuildStatus.PENDING, push.actor, commit, now, now)
        await self._store.insert_build(build)
        self._logs.note(push.app.id, "api", f"Build started by user {push.actor.email}", source="app")
        return build

    async def _kept_build(self, push: Push, build: Build, holder: Holder, output: Write) -> Build:
        kept = await self._outputs.open(push.app.id, ("builds", build.id))
        try:
            return await self._build(push, build, holder, tee(kept, output))
        finally:
            await kept.close()

    async def _build(self, push: Push, build: Build, holder: Holder, output: Write) -> Build:
        try:
            async with self._sources.unpack(push.app.id, push.sha) as source:
                holder.stage = "waiting for a free place to build"
                async with self._places:
                    holder.stage = "building"
                    plan = await asyncio.to_thread(detect, source, app_id=push.app.id)
                    artifact = await self._make(push.app, build, source, plan, output)
        except BaseException as error:
            await self._failed(build, error)
            raise
        self._logs.note(push.app.id, "api", "Build succeeded", source="app")
        return await self._store.finish_build(
            build.id,
            BuildStatus.SUCCEEDED,
            builder=plan.builder,
            stack=plan.stack,
            artifact=artifact.name,
            processes=plan.processes,
            size=artifact.size,
        )

    async def _make(self, app: App, build: Build, source: Path, plan: Plan, output: Write) -> Artifact:
        for line in plan.reasons:
            await output(f"-----> {line}\n".encode())
        recipe = BuildSpec(
            app_id=app.id,
            build_id=build.id,
            name=f"paasd/{app.name}:b-{build.id[:8]}",
            dockerfile=plan.dockerfile,
            dockerfile_classic=plan.dockerfile_classic,
            timeout=self._rules.timeout,
        )
        artifact = await self._engine.build(source, recipe, self._telling_begin(output))
        await self._failpoints.reach("built")
        types = ", ".join([*plan.processes.commands, *(["release"] if plan.processes.release else [])])
        await output(f"-----> Discovering process types\n       Procfile declares types -> {types}\n".encode())
        await output(f"-----> Image {artifact.name[:19]}, {artifact.size / 1e6:.0f} MB\n".encode())
        return artifact

    def _telling_begin(self, output: Write) -> Write:
        begun = False

        async def write(data: bytes) -> None:
            nonlocal begun
            if not begun:
                begun = True
                await self._failpoints.reach("build")
            await output(data)

        return write

    async def _failed(self, build: Build, error: BaseException) -> None:
        if isinstance(error, PaasError):
            failure = error.message
        elif isinstance(error, asyncio.CancelledError):
            failure = "Cancelled: the pusher went away or the daemon was stopped."
        else:
            failure = f"Internal error ({type(error).__name__}); see the daemon's log."
        self._logs.note(build.app_id, "api", "Build failed -- check your build output", source="app")
        try:
            await self._store.finish_build(build.id, BuildStatus.FAILED, failure=failure)
        except PaasError as unavailable:
            log.warning("failed build left to recovery", build=build.id, reason=unavailable.message)

    async def _release(self, push: Push, build: Build, output: Write) -> None:
        under_way = await self._releases.begin(
            push.app, lambda: self._releases.draft_of_build(push.actor, push.app, build), output=output
        )
        await self._await(under_way)
        await output(
            f"-----> v{under_way.release.version} is live ({await self._seconds(under_way)} s)\n"
            f"       {self._rules.web_url.format(app=push.app.name)} deployed to paasd\n".encode()
        )

    async def _await(self, under_way: UnderWay) -> None:
        """Until it is served. A pusher that goes away cancels the deploy, unless it was promoted meanwhile."""
        task = under_way.task
        if task is None:
            return
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise DeployCancelled(
                    f"Release v{under_way.release.version} was undone because the daemon was stopped; push again."
                ) from None
            task.cancel()
            await asyncio.wait([task])
            raise
        except DeployFailed as error:
            raise replace_message(error, f"Release v{under_way.release.version} failed: {error.message}") from error

    async def _seconds(self, under_way: UnderWay) -> str:
        stages = await self._store.stages(under_way.release.id)
        began = next((record.at for record in stages if record.stage is Stage.RECORD), under_way.release.created_at)
        return f"{(datetime.now(UTC) - began).total_seconds():.1f}"


def replace_message(error: DeployFailed, message: str) -> DeployFailed:
    """The same kind of failure, told with more of its context."""
    return type(error)(message, exit_code=error.exit_code)


def tee(kept: OutputFile, output: Write) -> Write:
    """A writer that keeps what it passes on."""

    async def write(data: bytes) -> None:
        await kept.write(data)
        await output(data)

    return write
