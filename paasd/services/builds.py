"""From a push to a release: source -> manifest -> artifact, with its log, then through the door to a deploy."""

import asyncio
import re
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

import structlog

from paasd.builders.detect import Plan, detect, with_learnt
from paasd.builders.source import Source as BuildSource
from paasd.domain.access import Actor
from paasd.domain.app import App
from paasd.domain.app_json import AppJson, WantedAddon
from paasd.domain.dyno import DEFAULT_SIZE
from paasd.domain.errors import BuildFailed, Conflict, DeployCancelled, DeployFailed, NotFound, PaasError
from paasd.domain.manifest import with_known_sizes
from paasd.domain.push import Push
from paasd.domain.release import Build, BuildStatus
from paasd.domain.stack import COMPILED, Packages, packages_of
from paasd.failpoints import Failpoints
from paasd.ports import Artifact, BuildSpec, Engine, Outputs, Sources, Store, Write
from paasd.services.disk import Disk
from paasd.services.first_deploy import filled_in
from paasd.services.live_output import LiveOutput
from paasd.services.logs import AppLogs
from paasd.services.places import Holder, Places, Room
from paasd.services.releases import Releases, UnderWay

log = structlog.get_logger(__name__)

KEPT_BYTES = 64 * 1024
LACKS_COMPILER = re.compile(rb"Failed to build|build backend returned an error|gyp ERR!")
LACKS_WHEEL = re.compile(rb"no usable wheels|uilding (?:source distributions|from source).{0,99} is disabled")
WITHOUT_WHEEL = re.compile(rb"Wheels are required for `([\w.-]+)`")
AGAIN = {
    Packages.SDISTS: "A package has no wheel: building again, from its source",
    Packages.COMPILERS: "A package has to be compiled: building again, with compilers and headers in the image",
}
LARGE_BYTES = 500_000_000

Source = Callable[[], Awaitable[str]]
Provide = Callable[[Actor, App, Sequence[WantedAddon], Write], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class BuildRules:
    """Seconds a build may take, how many may run at once, whether every push waits its turn; a web URL's form.

    `strict`: an app that asks for a version that no stack has is refused, rather than built on the nearest. `aliases`:
    what is taken for a base image of that name. `sizes`: those that dynos may have.
    """

    timeout: float = 900.0
    parallel: int = 2
    queue: bool = False
    strict: bool = False
    aliases: Mapping[str, str] = field(default_factory=dict)
    sizes: Sequence[str] = (DEFAULT_SIZE,)
    web_url: str = "http://{app}.localhost:8080/"


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
        self.places = Places(queue=rules.queue)
        self._room = Room(rules.parallel)
        self.live: set[str] = set()
        self._wanted: dict[str, AppJson] = {}  # by build, until it is released
        self.provide: Provide | None = None  # what creates the add-ons of app.json

    async def receive(self, push: Push, output: Write) -> None:
        """A push, from its objects in quarantine to served traffic. Returning means: it is served.

        While another push to the app is under way it waits, if it is to, else raises Conflict; DeployFailed and its
        kin when it comes to a bad end. Cancelling it (the pusher went away) stops the build or undoes the deploy.
        """
        holder = Holder(push.actor)
        async with self.places.hold(push.app, holder, output, queue=push.queue):
            await self._receive(push, holder, output)
        if self._disk is not None:
            self._disk.collect_soon()

    async def _receive(self, push: Push, holder: Holder, output: Write) -> None:
        build_id = str(uuid.uuid4())
        if self._disk is not None:
            await self._disk.admit_build()

        async def commit() -> str:
            if holder.waited:
                await self._check_branch(push, holder)
            return push.sha

        try:
            build = await self._pending(push, build_id)
            with self.places.building(build_id, holder):
                build = await self._kept_build(push, build, holder, commit, output)
        finally:
            self.live.discard(build_id)
        holder.stage = "releasing"
        await self.release(push.app, build, output)
        holder.served = push.sha
        if holder.waited:
            await self._put_branch_back(push)

    async def cancel(self, actor: Actor, app: App, build_id: str) -> Build:
        """Stop a build; returns once it has ended and the app is free. Raises NotFound, Conflict if it ended before."""
        await self._store.build(app.id, build_id)
        if not await self.places.cancel(actor, build_id):
            build = await self._store.build(app.id, build_id)
            raise Conflict(f"Build {build_id} is not running (it is {build.status.value}); there is nothing to cancel.")
        return await self._store.build(app.id, build_id)

    def pushing(self, app_id: str) -> bool:
        """Whether a push to the app is under way."""
        return self.places.taken(app_id)

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
        build = Build(build_id, push.app.id, BuildStatus.PENDING, push.actor, commit, now, now)
        await self.insert(build)
        return build

    async def insert(self, build: Build) -> None:
        """A pending build that is ours to end: `fail` it, or `build` it, and discard it from `live`."""
        self.live.add(build.id)  # before it can be seen: recovery fails pending builds that nobody owns
        await self._store.insert_build(build)
        self._logs.note(build.app_id, "api", f"Build started by user {build.actor.shown}", source="app")

    async def _kept_build(self, push: Push, build: Build, holder: Holder, commit: Source, output: Write) -> Build:
        kept = await self._outputs.open(push.app.id, ("builds", build.id))
        live = LiveOutput(output, f"`paas builds:output {build.id}` has the end")

        async def tee(data: bytes) -> None:
            await kept.write(data)
            await live.write(data)

        try:
            return await self.build(push.app, build, holder, commit, tee)
        finally:
            await kept.close()
            await live.end()

    async def build(self, app: App, build: Build, holder: Holder, commit: Source, output: Write) -> Build:
        """Build what `commit` gives, a commit that the app's repository has; the build as it ended, or what failed."""
        try:
            async with self._sources.unpack(app.id, await commit()) as source:
                holder.stage = "waiting for a free place to build"
                async with self._room.place(build.actor.account_id):
                    holder.stage = "building"
                    plan, artifact = await self._make_of(app, build, source, output)
        except BaseException as error:
            await self.fail(build, error, holder)
            raise
        self._logs.note(app.id, "api", "Build succeeded", source="app")
        self._wanted[build.id] = plan.app
        return await self._store.finish_build(
            build.id,
            BuildStatus.SUCCEEDED,
            builder=plan.builder,
            stack=plan.stack,
            artifact=artifact.name,
            processes=plan.processes,
            size=artifact.size,
        )

    async def _make_of(self, app: App, build: Build, root: Path, output: Write) -> tuple[Plan, Artifact]:
        """Once more, where a package lacked something, with that; later builds of the app begin with it."""
        packages = await self._packages(app)
        while True:
            printed = bytearray()
            plan = self._sized(await self._plan(app, root, packages))
            try:
                return await self._make(app, build, plan, output, printed)
            except BuildFailed:
                lacked = await self._lacked(plan, packages, printed)
                if lacked is None:
                    raise
            packages = lacked
            await output(f"-----> {AGAIN[packages]}\n".encode())

    async def _lacked(self, plan: Plan, packages: Packages, printed: bytearray) -> Packages | None:
        """What a failed build is to be done again with; None when that would not mend it."""
        if plan.builder == "dockerfile":
            return None
        compilers = None if (await self._engine.info()).name == "process" else Packages.COMPILERS
        if packages is Packages.WHEELS and LACKS_WHEEL.search(printed):
            known = {name.decode().lower() for name in WITHOUT_WHEEL.findall(printed)} & COMPILED
            return compilers if known and compilers is not None else Packages.SDISTS
        return compilers if packages is not Packages.COMPILERS and LACKS_COMPILER.search(printed) else None

    def _sized(self, plan: Plan) -> Plan:
        """With app.json's sizes of dynos as they are called here."""
        processes, warnings = with_known_sizes(plan.processes, self._rules.sizes)
        return replace(plan, processes=processes, warnings=(*plan.warnings, *warnings))

    async def _packages(self, app: App) -> Packages:
        """As the build before needed them; one whose cache was purged is to show it again."""
        if self._disk is not None and self._disk.was_purged(app.id):
            return Packages.WHEELS
        newest = await self._store.builds(app.id, status=BuildStatus.SUCCEEDED, limit=1)
        return packages_of(newest[0].stack or "") if newest else Packages.WHEELS

    async def _plan(self, app: App, root: Path, packages: Packages) -> Plan:
        config = await self._store.newest_config(app.id)
        buildpacks = tuple(await self._store.buildpacks(app.id))
        stacks = await self._engine.stacks()
        wanted = BuildSource(
            *(root, app.id, config, buildpacks, stacks),
            strict=self._rules.strict,
            packages=packages,
            aliases=self._rules.aliases,
        )
        return await asyncio.to_thread(detect, wanted)

    async def _make(
        self, app: App, build: Build, plan: Plan, output: Write, printed: bytearray
    ) -> tuple[Plan, Artifact]:
        await output("".join(f"-----> {line}\n" for line in plan.reasons).encode())
        for warning in plan.warnings:
            await output(f" !     {warning}\n".encode())
        recipe = BuildSpec(
            app_id=app.id,
            build_id=build.id,
            name=f"paasd/{app.name}:b-{build.id[:8]}",
            dockerfile=plan.dockerfile,
            dockerfile_classic=plan.dockerfile_classic,
            timeout=self._rules.timeout,
            slug=plan.slug,
            secrets=plan.secrets,
            ours=plan.builder != "dockerfile",
            trusted=await self._by_admin(build),
        )
        artifact = await self._engine.build(plan.root, recipe, self._telling_begin(keeping(printed, output)))
        plan = with_learnt(plan, bytes(printed))
        await self._failpoints.reach("built")
        await output(plan.told_types().encode())
        megabytes, kind = artifact.size / 1e6, artifact.kind
        await output(f"-----> {kind} {artifact.name[:19]}, {megabytes:.{0 if megabytes >= 10 else 1}f} MB\n".encode())
        if artifact.size > LARGE_BYTES:
            words = (
                f"larger than {LARGE_BYTES / 1e6:.0f} MB: it takes long to start and fills the disk; see what is in it"
            )
            remedy = " (a .dockerignore leaves things out)" if kind == "Image" else ""
            await output(f" !     The {kind.lower()} is {words}{remedy}\n".encode())
        return plan, artifact

    async def _by_admin(self, build: Build) -> bool:
        try:
            return (await self._store.account(build.actor.account_id)).admin
        except NotFound:
            return False

    def _telling_begin(self, output: Write) -> Write:
        begun = False

        async def write(data: bytes) -> None:
            nonlocal begun
            if not begun:
                begun = True
                await self._failpoints.reach("build")
            await output(data)

        return write

    async def fail(self, build: Build, error: BaseException, holder: Holder) -> None:
        """Keep why a build failed. A store that is down leaves that to recovery."""
        if holder.cancelled_by is not None:
            failure = f"Cancelled by {holder.cancelled_by}."
        elif isinstance(error, PaasError):
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

    async def release(self, app: App, build: Build, output: Write) -> None:
        """Release what was built, for whoever began the build. Returning means: it is served. Raises DeployFailed."""
        wanted = self._wanted.pop(build.id, AppJson())
        if self.provide is not None:
            await self.provide(build.actor, app, wanted.addons, output)
        config = await self._store.newest_config(app.id)
        setup = await self._setup(app, wanted.setup, config)
        env = filled_in(wanted.env, {**config, **setup})
        for file, names in (("heroku.yml", setup), ("app.json", env)):
            if names:
                await output(f"-----> Setting config vars by {file}: {', '.join(names)}\n".encode())
        env |= setup
        under_way = await self._releases.begin(
            app, lambda: self._releases.draft_of_build(build.actor, app, build, env=env), output=output
        )
        began = monotonic()
        await self._releases.note_postdeploy(app, under_way.release)
        await self._await(under_way)
        await output(
            f"-----> v{under_way.release.version} is live ({monotonic() - began:.1f} s)\n"
            f"       {self._rules.web_url.format(app=app.name)} deployed to paasd\n".encode()
        )
        await self._releases.postdeploy(app, under_way.release, output)

    async def _setup(self, app: App, setup: Mapping[str, str], config: Mapping[str, str]) -> dict[str, str]:
        """What heroku.yml sets before an app's first release with code, and never again."""
        missing = {name: value for name, value in setup.items() if name not in config}
        served = await self._store.current_release(app.id) if missing else None
        return missing if served is None or served.artifact is None else {}

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


def replace_message(error: DeployFailed, message: str) -> DeployFailed:
    """The same kind of failure, told with more of its context."""
    return type(error)(message, exit_code=error.exit_code)


def keeping(end: bytearray, output: Write) -> Write:
    """A writer that keeps the end of what it passes on, where a build tells what it learnt."""

    async def write(data: bytes) -> None:
        end.extend(data)
        del end[:-KEPT_BYTES]
        await output(data)

    return write
