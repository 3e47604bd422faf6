"""Mending: at boot what a killed daemon left, every 30 s and on engine events whatever differs from the ledger."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Any

import structlog

from paasd.domain.app import App
from paasd.domain.dyno import Dyno, DynoKind, DynoSpec
from paasd.domain.errors import DynoUnhealthy, NotFound, PaasError, Unavailable
from paasd.domain.push import DEPLOYED_BRANCHES
from paasd.domain.release import BuildStatus, Release, Stage, Status
from paasd.ports import RouterHost, Sources
from paasd.services.apps import Apps
from paasd.services.boot import WEB
from paasd.services.builds import Builds
from paasd.services.deploy import Stagehands, retire
from paasd.services.releases import Releases

log = structlog.get_logger(__name__)

NOTED_MAX = 1000  # ended dynos whose crash has been counted


@dataclass(frozen=True, slots=True)
class RecoveryRules:
    """Seconds: the first wait between two restarts of a crashed dyno, doubled each time up to the longest; how long a
    dyno must have run not to be crash-looping; and between two asks for the engine's events."""

    backoff: float = 1.0
    backoff_max: float = 300.0
    steady_after: float = 600.0
    events_retry: float = 2.0

    def delay(self, crashes: int) -> float:
        """Before the restart after this many crashes in a row: none at first, then 1, 2, 4, … seconds."""
        return 0.0 if crashes <= 1 else min(self.backoff * 2.0 ** min(crashes - 2, 30), self.backoff_max)


@dataclass(frozen=True, slots=True)
class Crashes:
    """How often a dyno of a release came to nothing in a row, and when (monotonic) it may be started again."""

    count: int
    not_before: float


class Recovery:
    """Desired is the ledger times the formation; observed is what the engine says; the difference is mended."""

    def __init__(
        self,
        hands: Stagehands,
        host: RouterHost,
        sources: Sources,
        apps: Apps,
        releases: Releases,
        builds: Builds,
        rules: RecoveryRules | None = None,
    ) -> None:
        self._hands = hands
        self._host = host
        self._sources = sources
        self._apps = apps
        self._releases = releases
        self._builds = builds
        self._rules = rules or RecoveryRules()
        self._crashes: dict[tuple[str, str], Crashes] = {}
        self._noted: deque[str] = deque(maxlen=NOTED_MAX)

    async def boot(self) -> None:
        """Settle what no task of ours owns, before anything is published over what the router has saved."""
        await self._try("settle", self.settle())
        await self.reconcile()
        for app in await self._hands.store.apps():
            await self._try(f"branch of {app.name}", self._move_branch(app))

    async def reconcile(self) -> None:
        """One round over everything. What can't be mended now is tried again in the next round."""
        await self._try("router", self._host.ensure())
        await self._try("settle", self.settle())
        await self._try("publish", self._hands.routing.publish_all())
        await self._try("sweep", self._sweep())
        for app in await self._hands.store.apps():
            await self._try(f"converge {app.name}", self.converge(app))

    async def ensure_router(self) -> None:
        """At once when its line is lost, for without it no app is reached. The next round says why it could not be."""
        with contextlib.suppress(PaasError):
            await self._host.ensure()
            await self._hands.routing.publish_all()  # whatever table the new one found on its disk

    async def watch(self) -> None:
        """Converge the app of each engine event, for ever; an engine that went away is asked again."""
        said = ""  # once, however long the engine stays away
        while True:
            try:
                async for app_id in self._hands.engine.changes():
                    said = ""
                    self._hands.background.spawn(f"observe {app_id}", self._observe(app_id))
            except Unavailable as error:
                if error.message != said:
                    log.warning("engine events lost", reason=error.message)
                said = error.message
            await asyncio.sleep(self._rules.events_retry)

    async def settle(self) -> None:
        """Finish or fail every pending build and release that no live task owns."""
        store = self._hands.store
        for build in await store.pending_builds():
            if build.id not in self._builds.live:
                failure = "The daemon was restarted during the build; push again."
                await store.finish_build(build.id, BuildStatus.FAILED, failure=failure)
        for release in await store.pending_releases():
            await self._try(f"settle v{release.version}", self._settle_in_turn(release))

    async def _settle_in_turn(self, release: Release) -> None:
        """A live task of ours holds the app's lock from before the release is recorded; one who waits may be helped."""
        lock = self._hands.background.lock(release.app_id)
        waited_for = release.app_id in self._releases.waiting
        if lock.locked() and not waited_for:
            return
        async with contextlib.nullcontext() if waited_for else lock:
            # asked again: it may have come to its end since the list was made
            if (await self._hands.store.release(release.app_id, release.id)).status is Status.PENDING:
                await self._settle(release)

    async def _settle(self, release: Release) -> None:
        """Served by the router already and healthy: promoted. Otherwise the old table again, then failed."""
        hands = self._hands
        own = [dyno for dyno in await hands.engine.dynos(release.app_id) if dyno.release_id == release.id]
        served = await hands.routing.served_version(release.app_id) == release.version
        if served and own and await self._answers(release, own):
            await hands.store.transition(release.id, Status.PENDING, Status.SUCCEEDED)
            await hands.store.add_stage(release.id, Stage.PROMOTE, "promoted after a restart of the daemon")
            return
        stages = await hands.store.stages(release.id)
        stage = stages[-1].stage.value if stages else Stage.RECORD.value
        await hands.routing.publish(release.app_id)
        await retire(hands, own)
        await hands.store.add_stage(
            release.id, Stage.FAILED, f"The daemon was restarted during the stage {stage!r}; release it again."
        )
        await hands.store.transition(release.id, Status.PENDING, Status.FAILED)
        log.info("release failed by a restart", app=release.app_id, version=release.version, stage=stage)

    async def _answers(self, release: Release, dynos: Sequence[Dyno]) -> bool:
        for dyno in dynos:
            if not dyno.running:
                return False
            if dyno.port is not None and dyno.address is not None:
                path = release.processes.health_paths.get(dyno.type)
                if not (await self._hands.boot.probe.check(dyno.address, dyno.port, path)).healthy:
                    return False
        return True

    async def converge(self, app: App) -> None:
        """Start what is missing, stop what is too much, restart what crashed (with back-off). Skipped while a release
        of the app is under way: that release looks after its dynos itself."""
        lock = self._hands.background.lock(app.id)
        if lock.locked():
            return
        async with lock:
            release = await self._hands.store.current_release(app.id)
            observed = [d for d in await self._hands.engine.dynos(app.id) if d.kind is DynoKind.FORMATION]
            specs = await self._wanted(app, release)
            if release is not None and not any(spec.type == WEB for spec in specs):
                self._hands.routing.crashed.discard(release.id)
            keep, extra, ended = self._sort_out(release, {spec.name for spec in specs}, observed)
            for dyno in keep.values():
                self._hands.logs.follow(dyno)
            for dyno in ended.values():
                self._note_crash(app, dyno)
            if extra:
                await self._stop(app, extra)
            starting = [spec for spec in specs if spec.name not in keep and self._may_start(app, spec)]
            if starting and release is not None:
                await self._start(app, release, starting, [ended[s.name] for s in starting if s.name in ended])

    async def _wanted(self, app: App, release: Release | None) -> Sequence[DynoSpec]:
        if release is None or release.artifact is None:
            return ()
        return self._hands.boot.specs(app, release, await self._releases.formation(app, release))

    def _sort_out(
        self, release: Release | None, names: set[str], observed: Sequence[Dyno]
    ) -> tuple[dict[str, Dyno], list[Dyno], dict[str, Dyno]]:
        """By wanted name the running dyno, and the ended one that stands in its place; and all that is too much."""
        keep: dict[str, Dyno] = {}
        ended: dict[str, Dyno] = {}
        extra: list[Dyno] = []
        for dyno in sorted(observed, key=lambda dyno: dyno.created_at):
            if dyno.id in self._hands.routing.leaving:
                continue
            place = keep if dyno.running else ended
            if release is None or dyno.release_id != release.id or dyno.name not in names or dyno.name in place:
                extra.append(dyno)
            else:
                place[dyno.name] = dyno
        extra += [ended.pop(name) for name in keep.keys() & ended.keys()]
        return keep, extra, ended

    async def _stop(self, app: App, extra: Sequence[Dyno]) -> None:
        """Ended ones are cleared away at once; running ones leave the table first, then drain."""
        running = [dyno for dyno in extra if dyno.running]
        await asyncio.gather(*(self._hands.engine.stop(dyno.id, grace=0) for dyno in extra if not dyno.running))
        if running:
            ids = {dyno.id for dyno in running}
            self._hands.routing.leaving |= ids
            try:
                await self._hands.routing.publish(app.id)
            except PaasError:
                self._hands.routing.leaving -= ids
                raise
            self._hands.background.spawn(f"retire strays of {app.name}", retire(self._hands, running))

    def _note_crash(self, app: App, dyno: Dyno) -> None:
        if dyno.id in self._noted:
            return
        self._noted.append(dyno.id)
        how = dyno.exit.describe() if dyno.exit else "did not come up"
        self._hands.logs.note(app.id, dyno.name, f"Process {how}")
        self._hands.logs.note(app.id, dyno.name, "State changed from up to crashed")
        ended = dyno.exit.at if dyno.exit and dyno.exit.at else datetime.now(UTC)
        ran = (ended - dyno.started_at).total_seconds() if dyno.started_at else 0.0
        self._count_crash(dyno.release_id, dyno.name, ran)

    def _count_crash(self, release_id: str, name: str, ran: float) -> None:
        before = self._crashes.get((release_id, name), Crashes(0, 0.0))
        count = 1 if ran > self._rules.steady_after else before.count + 1
        self._crashes[release_id, name] = Crashes(count, monotonic() + self._rules.delay(count))
        if name.startswith(f"{WEB}."):
            self._hands.routing.crashed.add(release_id)

    def _may_start(self, app: App, spec: DynoSpec) -> bool:
        """Whether its back-off is over; if not, another look is taken when it is."""
        crashes = self._crashes.get((spec.release_id, spec.name))
        wait = crashes.not_before - monotonic() if crashes else 0.0
        if wait <= 0:
            return True
        self._hands.background.spawn(f"start {spec.name} of {app.name} later", self._later(app, wait))
        return False

    async def _later(self, app: App, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._observe(app.id)

    async def _start(self, app: App, release: Release, specs: Sequence[DynoSpec], ended: Sequence[Dyno]) -> None:
        """Start dynos in the place of ended ones, which stayed until now to be seen as crashed."""
        await asyncio.gather(*(self._hands.engine.stop(dyno.id, grace=0) for dyno in ended))
        self._hands.routing.booting.update(spec.id for spec in specs)
        try:
            dynos = await self._hands.boot.start(specs)
        except PaasError as error:
            # Nobody will admit those that did start: they go, and a later round begins anew.
            for spec in specs:
                await self._try("stop", self._hands.engine.stop(spec.id, grace=0))
                self._hands.routing.booting.discard(spec.id)
                if isinstance(error, DynoUnhealthy):
                    self._count_crash(spec.release_id, spec.name, 0.0)
                    self._may_start(app, spec)
            raise
        await self._try("publish", self._hands.routing.publish(app.id))
        for dyno in dynos:
            self._hands.background.spawn(f"boot {dyno.id}", self._admit(app, release, dyno))

    async def _admit(self, app: App, release: Release, dyno: Dyno) -> None:
        """Give a dyno requests once it is healthy; one that is not is stopped and counted as a crash."""
        try:
            await self._hands.boot.await_healthy(release, [dyno])
            self._hands.routing.crashed.discard(release.id)
        except PaasError as error:
            log.info("dyno did not come up", app=app.name, dyno=dyno.name, reason=error.message.splitlines()[0])
            await self._try("stop", self._hands.engine.stop(dyno.id, grace=0))
            self._note_crash(app, dyno)
        finally:
            self._hands.routing.booting.discard(dyno.id)
        await self._observe(app.id)

    async def _observe(self, app_id: str) -> None:
        try:
            app = await self._hands.store.app(app_id)
        except NotFound:
            return
        await self._try(f"publish {app.name}", self._hands.routing.publish(app_id))
        await self._try(f"converge {app.name}", self.converge(app))

    async def _sweep(self) -> None:
        """What destroyed apps and dead one-off dynos left behind."""
        dynos = await self._hands.engine.dynos()  # asked first, so that a new app's are not taken for a dead one's
        alive = {app.id for app in await self._hands.store.apps()}
        for app_id in {dyno.app_id for dyno in dynos} - alive:
            await self._apps.clear_away(app_id)
        for dyno in dynos:
            if dyno.kind is DynoKind.RELEASE and dyno.release_id not in self._releases.live:
                await self._hands.engine.stop(dyno.id, grace=0)

    async def _move_branch(self, app: App) -> None:
        """A branch stands at the newest deployed commit, though the daemon died before git could move it."""
        recent = await self._hands.store.releases(app.id, newest_first=True, limit=20)
        served = [release for release in recent if release.status is Status.SUCCEEDED and release.commit is not None]
        # A build is deployed by the first release that has it; those after it go back to it, or only change the config.
        firsts = [r for at, r in enumerate(served) if all(older.build_id != r.build_id for older in served[at + 1 :])]
        deployed = next(iter(firsts), None)
        if deployed is None or deployed.commit is None or self._builds.pushing(app.id):
            return
        heads = await self._sources.heads(app.id)
        if deployed.commit.sha not in heads.values():
            branch = next((name for name in DEPLOYED_BRANCHES if name in heads), DEPLOYED_BRANCHES[0])
            await self._sources.move_branch(app.id, branch, deployed.commit.sha)

    async def _try(self, what: str, work: Coroutine[Any, Any, None]) -> None:
        """A part that is away now is back in some later round; a fault of our own is logged and mends nothing else."""
        try:
            await work
        except PaasError as error:
            log.warning("left to the next round", part=what, reason=error.message)
        except Exception:
            log.exception("left to the next round", part=what)
