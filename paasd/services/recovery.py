"""Mending: at boot what a killed daemon left, every 30 s and on engine events whatever differs from the ledger."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic

import structlog

from paasd.domain.app import App
from paasd.domain.dyno import Dyno, DynoKind, DynoSpec, DynoState, sizes_of
from paasd.domain.errors import DynoUnhealthy, NotFound, PaasError, Unavailable
from paasd.domain.release import Release
from paasd.ports import RouterHost, Sources
from paasd.services.apps import Apps
from paasd.services.background import attempt
from paasd.services.boot import WEB
from paasd.services.builds import Builds
from paasd.services.crash_alarm import CrashAlarm
from paasd.services.deploy import Stagehands, retire
from paasd.services.endings import MemoryQuota, note_exit
from paasd.services.releases import Releases
from paasd.services.settling import Settling

log = structlog.get_logger(__name__)

APPS_AT_ONCE = 4
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
        self._apps = apps
        self._releases = releases
        self.settling = Settling(hands, sources, releases, builds)
        self._rules = rules or RecoveryRules()
        self._crashes: dict[tuple[str, str], Crashes] = {}
        self._seen: dict[str, dict[str, tuple[str, str]]] = {}  # by app and name: release and id of what ran last
        self._noted: deque[str] = deque(maxlen=NOTED_MAX)
        self._admitting: set[str] = set()
        self._converging: set[str] = set()
        self._again: set[str] = set()
        self._resized: deque[tuple[str, str]] = deque(maxlen=NOTED_MAX)
        self._alarm = CrashAlarm(hands.store, hands.logs)
        self._memory = MemoryQuota(hands.logs)
        self._settled = asyncio.Event()

    async def boot(self) -> None:
        """Settle what no task of ours owns, before anything is published over what the router has saved."""
        await attempt("router", self._host.ensure())
        await attempt("adopt", self.settling.adopt())
        await attempt("settle", self.settling.settle())
        self._settled.set()
        await self.reconcile()
        for app in await self._hands.store.apps():
            await attempt(f"postdeploy of {app.name}", self.settling.make_up(app))

    async def reconcile(self) -> None:
        """One round over everything. What can't be mended now is tried again in the next round."""
        await attempt("router", self._host.ensure())
        await attempt("guard", self._hands.engine.guard())
        await attempt("settle", self.settling.settle())
        await attempt("publish", self._hands.routing.publish_all())
        await attempt("sweep", self._sweep())
        places = asyncio.Semaphore(APPS_AT_ONCE)
        await asyncio.gather(*(self._look_after(app, places) for app in await self._hands.store.apps()))

    async def _look_after(self, app: App, places: asyncio.Semaphore) -> None:
        async with places:
            await attempt(f"converge {app.name}", self.converge(app))
            await attempt(f"sizes of {app.name}", self.resize(app))
            await attempt(f"branch of {app.name}", self.settling.move_branch(app))

    async def ensure_router(self) -> None:
        """At once when its line is lost, for without it no app is reached. The next round says why it could not be."""
        await self._settled.wait()
        with contextlib.suppress(PaasError):
            await self._host.ensure()
            await self._hands.routing.publish_all()  # whatever table the new one found on its disk

    async def watch(self) -> None:
        """Converge the app of each engine event, for ever; an engine that went away is asked again."""
        await self._settled.wait()  # before that, what the router serves says which releases were promoted
        said = ""  # once, however long the engine stays away
        while True:
            try:
                async for change in self._hands.engine.changes():
                    said = ""
                    if change.out_of_memory:
                        self._memory.note(change)
                    self._hands.background.spawn(f"observe {change.app_id}", self._observe(change.app_id))
            except Unavailable as error:
                if error.message != said:
                    log.warning("engine events lost", reason=error.message)
                said = error.message
            except Exception:
                log.exception("engine events lost")
            await asyncio.sleep(self._rules.events_retry)
            with contextlib.suppress(PaasError):  # still away
                await self._hands.engine.info()
                await self.reconcile()  # events were missed: mend at once what changed meanwhile

    async def converge(self, app: App) -> None:
        """Start what is missing, stop what is too much, restart what crashed (with back-off). Skipped while a release
        of the app is under way: that release looks after its dynos itself."""
        lock = self._hands.background.lock(app.id)
        if lock.locked():
            if app.id in self._converging:  # it may have looked already, before what this call is about
                self._again.add(app.id)
            return
        async with lock:
            self._converging.add(app.id)
            try:
                await self._converge(app)
                while app.id in self._again:
                    self._again.discard(app.id)
                    await self._converge(app)
            finally:
                self._converging.discard(app.id)
                self._again.discard(app.id)

    async def _converge(self, app: App) -> None:
        release = await self._hands.store.current_release(app.id)
        observed = [d for d in await self._hands.routing.observed(app.id) if d.kind is DynoKind.FORMATION]
        specs = await self._wanted(app, release)
        if release is not None and not any(spec.type == WEB for spec in specs):
            self._hands.routing.crashed.discard(release.id)
        keep, extra, ended = self._sort_out(release, {spec.name for spec in specs}, observed)
        for dyno in keep.values():
            self._hands.logs.follow(dyno)
            if dyno.id in self._hands.routing.booting and dyno.id not in self._admitting and release is not None:
                self._begin_admission(app, release, dyno)
        for dyno in ended.values():
            self._note_crash(app, dyno)
        if ended and release is not None:
            crashed = [name for of, name in self._crashes if of == release.id]
            await self._alarm.look(app, release, [spec.name for spec in specs if spec.type == WEB], crashed)
        self._note_missing(app, specs, keep, ended)
        if extra:
            await self._stop(app, extra)
        starting = [spec for spec in specs if spec.name not in keep and self._may_start(app, spec)]
        if starting and release is not None:
            await self._start(app, release, starting, [ended[s.name] for s in starting if s.name in ended])

    async def _wanted(self, app: App, release: Release | None) -> Sequence[DynoSpec]:
        if release is None or release.artifact is None:
            return ()
        sizes = sizes_of(await self._hands.store.formation(app.id))
        return self._hands.boot.specs(app, release, await self._releases.formation(app, release), sizes)

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
            if dyno.state is DynoState.STARTING and dyno.id not in self._hands.routing.booting:
                extra.append(dyno)  # created, but never started: whoever was to start it is gone
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
        running = [dyno for dyno in extra if dyno.state is DynoState.UP]
        dead = [dyno for dyno in extra if dyno.state is not DynoState.UP]
        await asyncio.gather(*(self._hands.engine.stop(dyno.id, grace=0) for dyno in dead))
        if running:
            ids = {dyno.id for dyno in running}
            self._hands.routing.leaving |= ids
            try:
                await self._hands.routing.publish(app.id)
            except PaasError:
                self._hands.routing.leaving -= ids
                raise
            self._hands.background.spawn(f"retire strays of {app.name}", retire(self._hands, running))

    def _note_missing(
        self, app: App, specs: Sequence[DynoSpec], keep: Mapping[str, Dyno], ended: Mapping[str, Dyno]
    ) -> None:
        """One that ran when we last looked, and of which nothing is left, was removed by somebody else."""
        wanted = {spec.name: spec.release_id for spec in specs}
        for name, (release_id, dyno_id) in self._seen.pop(app.id, {}).items():
            gone = wanted.get(name) == release_id and name not in keep and name not in ended
            if gone and dyno_id not in self._hands.routing.leaving and dyno_id not in self._noted:
                self._hands.logs.note(app.id, name, "Process was removed by somebody, and is replaced")
        self._seen[app.id] = {name: (dyno.release_id, dyno.id) for name, dyno in keep.items()}

    def _note_crash(self, app: App, dyno: Dyno) -> None:
        if dyno.id in self._noted:
            return
        self._noted.append(dyno.id)
        if dyno.exit:
            note_exit(self._hands.logs, app.id, dyno.name, dyno.exit)
        else:
            tampered = "was paused, renamed or cut off from its network by somebody, and is replaced"
            how = tampered if dyno.state is DynoState.DOWN else "did not come up"
            self._hands.logs.note(app.id, dyno.name, f"Process {how}")
        self._hands.logs.note(app.id, dyno.name, "State changed from up to crashed")
        if dyno.state is DynoState.DOWN:
            return  # no fault of the app's: started again at once
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
        if crashes is None or crashes.not_before <= monotonic():
            return True
        self._look_again(app, spec)
        return False

    def _look_again(self, app: App, spec: DynoSpec) -> None:
        """When its back-off is over, which may be now."""
        wait = self._crashes[spec.release_id, spec.name].not_before - monotonic()
        self._hands.background.spawn(f"start {spec.name} of {app.name} later", self._later(app, max(wait, 0.0)))

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
                await attempt("stop", self._hands.engine.stop(spec.id, grace=0))
                self._hands.routing.booting.discard(spec.id)
                if isinstance(error, DynoUnhealthy):
                    self._count_crash(spec.release_id, spec.name, 0.0)
                    self._look_again(app, spec)
            raise
        await attempt("publish", self._hands.routing.publish(app.id))
        for dyno in dynos:
            self._begin_admission(app, release, dyno)

    def _begin_admission(self, app: App, release: Release, dyno: Dyno) -> None:
        self._admitting.add(dyno.id)
        self._hands.background.spawn(f"boot {dyno.id}", self._admit(app, release, dyno))

    async def _admit(self, app: App, release: Release, dyno: Dyno) -> None:
        """Give a dyno requests once it is healthy; one that is not is stopped and counted as a crash.

        While it can be neither admitted nor stopped (the engine is away) it stays booting, and is looked at again.
        """
        try:
            await self._hands.boot.await_healthy(release, [dyno])
            self._hands.routing.crashed.discard(release.id)
            self._hands.routing.booting.discard(dyno.id)
        except PaasError as error:
            log.info("dyno did not come up", app=app.name, dyno=dyno.name, reason=error.message.splitlines()[0])
            await attempt("stop", self._stop_unhealthy(app, dyno))
        finally:
            self._admitting.discard(dyno.id)
        await self._observe(app.id)

    async def _stop_unhealthy(self, app: App, dyno: Dyno) -> None:
        found = next((each for each in await self._hands.engine.dynos(app.id) if each.id == dyno.id), dyno)
        self._note_crash(app, found)  # before it is gone, or it is started at once
        if found.state is not DynoState.CRASHED:  # which stays to be seen until another is started in its place
            await self._hands.engine.stop(dyno.id, grace=0)
        self._hands.routing.booting.discard(dyno.id)

    async def replace(self, app: App, dynos: Sequence[Dyno]) -> None:
        """Fresh dynos beside these, requests to the fresh ones once they are healthy, then these drain and stop.

        Fresh ones that do not come up are stopped, and these go on. Crashed ones may start again at once.
        """
        async with self._hands.background.lock(app.id):
            release = await self._hands.store.current_release(app.id)
            old = [dyno for dyno in dynos if release is not None and dyno.release_id == release.id]
            for dyno in old:
                self._crashes.pop((dyno.release_id, dyno.name), None)
            going = [dyno for dyno in old if dyno.running]
            if release is not None and going:
                try:
                    await self._replace(app, release, going)
                except PaasError as error:
                    self._hands.logs.note(app.id, "api", f"Restart given up: {error.message.splitlines()[0]}")
        await self.converge(app)

    async def resize(self, app: App) -> None:
        """Have dynos that run in another size than is wanted replaced; those that could not be stay as they are."""
        release = await self._hands.store.current_release(app.id)
        sizes = {spec.name: spec.size for spec in await self._wanted(app, release)}
        other = [
            dyno
            for dyno in await self._hands.engine.dynos(app.id)
            if dyno.kind is DynoKind.FORMATION
            and dyno.running
            and release is not None
            and dyno.release_id == release.id
            and dyno.id not in self._hands.routing.leaving
            and sizes.get(dyno.name, dyno.size) != dyno.size
        ]
        asked = {(dyno.id, sizes[dyno.name]) for dyno in other}
        if asked - set(self._resized):
            self._resized.extend(asked)
            await self.replace(app, other)

    async def _replace(self, app: App, release: Release, going: Sequence[Dyno]) -> None:
        routing, ids = self._hands.routing, {dyno.id for dyno in going}
        names = {dyno.name for dyno in going}
        specs = [spec for spec in await self._wanted(app, release) if spec.name in names]
        fresh = {spec.id for spec in specs}
        routing.booting |= fresh
        try:
            await self._hands.boot.await_healthy(release, await self._hands.boot.start(specs))
            routing.booting -= fresh
            routing.leaving |= ids
            await routing.publish(app.id)
        except PaasError:
            routing.leaving -= ids
            routing.booting |= fresh  # no requests for them, until they are gone
            for spec in specs:
                await attempt("stop", self._hands.engine.stop(spec.id, grace=0))
            routing.booting -= fresh
            raise
        self._hands.background.spawn(f"retire restarted dynos of {app.name}", retire(self._hands, going))

    async def _observe(self, app_id: str) -> None:
        try:
            app = await self._hands.store.app(app_id)
        except NotFound:
            return
        await attempt(f"publish {app.name}", self._hands.routing.publish(app_id))
        await attempt(f"converge {app.name}", self.converge(app))

    async def _sweep(self) -> None:
        """What destroyed apps and dead one-off dynos left behind."""
        dynos = await self._hands.engine.dynos()  # asked first, so that a new app's are not taken for a dead one's
        artifacts, networks = await self._hands.engine.artifacts(), await self._hands.engine.networks()
        known = {dyno.app_id for dyno in dynos} | {artifact.app_id for artifact in artifacts} | set(networks)
        alive = {app.id for app in await self._hands.store.apps()}
        for app_id in known - alive:
            await self._apps.clear_away(app_id)
        for dyno in dynos:
            if dyno.kind is DynoKind.RELEASE and dyno.release_id not in self._releases.live:
                await self._hands.engine.stop(dyno.id, grace=0)
        await self.settling.sweep_artifacts([artifact for artifact in artifacts if artifact.app_id in alive])
