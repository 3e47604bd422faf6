"""From a push to a release: source -> manifest -> artifact, with its log, then through the door to a deploy."""

import asyncio
import contextlib
import uuid
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import structlog

from paasd.builders.detect import Plan, detect
from paasd.domain.access import Actor
from paasd.domain.app import App
from paasd.domain.errors import BuildFailed, Conflict, DeployCancelled, DeployFailed, PaasError
from paasd.domain.push import Push
from paasd.domain.release import Build, BuildStatus, Stage
from paasd.failpoints import Failpoints
from paasd.ports import Artifact, BuildSpec, Engine, OutputFile, Outputs, Sources, Store, Write
from paasd.services.disk import Disk
from paasd.services.logs import AppLogs
from paasd.services.releases import Releases, UnderWay

log = structlog.get_logger(__name__)

QUEUED_MAX = 10  # pushes that wait for one app


@dataclass(frozen=True, slots=True)
class BuildRules:
    """Seconds a build may take, how many may run at once, whether every push waits its turn; a web URL's form."""

    timeout: float = 900.0
    parallel: int = 2
    queue: bool = False
    web_url: str = "http://{app}.localhost:8080/"


@dataclass(slots=True)
class Holder:
    """Who pushes to an app, since when, and how far it is. `cancelled_by` is who ended its build, if somebody did."""

    actor: Actor
    since: datetime
    stage: str = "receiving"
    build_id: str | None = None
    cancelled_by: str | None = None
    waited: bool = False
    before: str | None = None  # the commit that the push it waited for has deployed
    served: str | None = None
    work: "asyncio.Task[object] | None" = field(default_factory=asyncio.current_task)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def describe(self, app: App) -> str:
        """Who, since when, at which stage."""
        return (
            f"{self.actor.email} has been pushing to {app.name} since {self.since:%H:%M:%S} UTC (stage: {self.stage})"
        )


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
        self._queues: dict[
            str, deque[asyncio.Future[str | None]]
        ] = {}  # by app: pushes that wait, first come first served
        self._places = asyncio.Semaphore(rules.parallel)
        self.live: set[str] = set()

    async def receive(self, push: Push, output: Write) -> None:
        """A push, from its objects in quarantine to served traffic. Returning means: it is served.

        While another push to the app is under way it waits, if it is to, else raises Conflict; DeployFailed and its
        kin when it comes to a bad end. Cancelling it (the pusher went away) stops the build or undoes the deploy.
        """
        async with self._hold(push, output) as holder:
            try:
                await self._receive(push, holder, output)
            except asyncio.CancelledError:
                if holder.cancelled_by is None:
                    raise
                while holder.work is not None and holder.work.uncancel():
                    pass  # it was asked for, and is told as a result
                raise BuildFailed(f"Build cancelled by {holder.cancelled_by}; push again to begin another.") from None
        if self._disk is not None:
            self._disk.collect_soon()

    async def _receive(self, push: Push, holder: Holder, output: Write) -> None:
        build_id = str(uuid.uuid4())
        if self._disk is not None:
            await self._disk.admit_build()
        try:
            build = await self._pending(push, build_id)
            holder.build_id = build_id
            build = await self._kept_build(push, build, holder, output)
        finally:
            holder.build_id = None
            self.live.discard(build_id)
        holder.stage = "releasing"
        await self._release(push, build, output)
        holder.served = push.sha
        if holder.waited:
            await self._put_branch_back(push)

    async def cancel(self, actor: Actor, app: App, build_id: str) -> Build:
        """Stop a build; returns once it has ended and the app is free. Raises NotFound, Conflict if it ended before."""
        build = await self._store.build(app.id, build_id)
        holder = self._holders.get(app.id)
        if holder is None or holder.build_id != build_id or holder.work is None:
            build = await self._store.build(app.id, build_id)
            raise Conflict(f"Build {build_id} is not running (it is {build.status.value}); there is nothing to cancel.")
        holder.cancelled_by = holder.cancelled_by or actor.email
        holder.work.cancel()
        await holder.ended.wait()
        return await self._store.build(app.id, build_id)

    def pushing(self, app_id: str) -> bool:
        """Whether a push to the app is under way."""
        return app_id in self._holders

    @contextlib.asynccontextmanager
    async def _hold(self, push: Push, output: Write) -> AsyncIterator[Holder]:
        app = push.app
        if (other := self._holders.get(app.id)) is not None:
            if not push.queue and not self._rules.queue:
                raise Conflict(
                    f"{other.describe(app)}; wait for that push to end, then push again, "
                    "or have it wait: `git push -o queue`.",
                    app=app.name,
                )
            before = await self._wait(app, other, output)
            holder = Holder(push.actor, datetime.now(UTC), waited=True, before=before)
        else:
            holder = Holder(push.actor, datetime.now(UTC))
        self._holders[app.id] = holder
        try:
            yield holder
        finally:
            self._hand_over(app.id, holder.served)
            holder.ended.set()

    async def _wait(self, app: App, other: Holder, output: Write) -> str | None:
        """Until it is this push's turn; what the one before it deployed. Its place is gone when it stops waiting."""
        queue = self._queues.setdefault(app.id, deque())
        if len(queue) >= QUEUED_MAX:
            raise Conflict(f"{QUEUED_MAX} pushes to {app.name} are waiting already; push again later.", app=app.name)
        place: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        queue.append(place)
        before = len(queue) - 1
        try:
            also = f", and {before} before this one" if before else ""
            await output(f"-----> Waiting: {other.describe(app)}{also}\n".encode())
            return await place
        except BaseException:
            if place in queue:
                queue.remove(place)
            if place.done() and not place.cancelled():
                self._hand_over(app.id, place.result())  # the turn came, but the pusher had gone
            raise

    def _hand_over(self, app_id: str, served: str | None) -> None:
        """To the first that waits. The place stays taken until that one takes it, so that nobody comes between."""
        queue = self._queues.get(app_id)
        while queue:
            place = queue.popleft()
            if not place.done():
                place.set_result(served)
                return
        self._queues.pop(app_id, None)
        self._holders.pop(app_id, None)

    async def _check_branch(self, push: Push, holder: Holder) -> None:
        """git compared this push with the branch as it was then; the one it waited for may have moved it.

        git itself moves it only after that one has ended here, so that what it deployed counts too.
        """
        heads = await self._sources.heads(push.app.id)
        for head in {heads.get(push.branch), holder.before} - {None, push.old, push.sha}:
            if push.old is None or not await self._sources.contains(push.app.id, push.sha, str(head)):
                words = f"{push.branch} was moved to {str(head)[:8]} while this push waited"
                raise BuildFailed(f"{words}; fetch that and put yours on top of it, then push again.")

    async def _put_branch_back(self, push: Push) -> None:
        """git moves a branch only from where the pusher saw it: a push that waited finds it moved by the one before."""
        head = (await self._sources.heads(push.app.id)).get(push.branch)
        if push.old is not None and head not in (None, push.old, push.sha):
            await self._sources.move_branch(push.app.id, push.branch, push.old)

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
            if holder.waited:
                await self._check_branch(push, holder)
            async with self._sources.unpack(push.app.id, push.sha) as source:
                holder.stage = "waiting for a free place to build"
                async with self._places:
                    holder.stage = "building"
                    plan = await asyncio.to_thread(detect, source, app_id=push.app.id)
                    artifact = await self._make(push.app, build, source, plan, output)
        except BaseException as error:
            await self._failed(build, error, holder)
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

    async def _failed(self, build: Build, error: BaseException, holder: Holder) -> None:
        if isinstance(error, PaasError):
            failure = error.message
        elif isinstance(error, asyncio.CancelledError):
            failure = "Cancelled: the pusher went away or the daemon was stopped."
            if holder.cancelled_by is not None:
                failure = f"Cancelled by {holder.cancelled_by}."
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
