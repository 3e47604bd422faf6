"""Disk room: asked before a build, said at the watermarks, won back by removing what the ledger no longer needs.

An image goes only when a release of ours names it and no retained one does; anything else on the engine is not ours.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from paasd.domain.app import App
from paasd.domain.disk import DiskRules, Filesystem, Level, retained
from paasd.domain.errors import DiskFull, NotFound, PaasError
from paasd.domain.release import Release, Status
from paasd.domain.stack import SHARED
from paasd.ports import Artifact, Disks, Engine, Outputs, Store
from paasd.services.background import Background, attempt

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class AppUse:
    """What an app takes: images (layers shared between them counted in each) and bytes of kept outputs."""

    app: str
    images: int
    image_bytes: int
    output_bytes: int


@dataclass(frozen=True, slots=True)
class DiskReport:
    """The disks that matter with their levels, and who uses them, the greatest first."""

    disks: Sequence[tuple[Filesystem, Level]]
    apps: Sequence[AppUse]
    rules: DiskRules


class Disk:
    """The disks that hold the home and the engine's images."""

    def __init__(
        self,
        store: Store,
        engine: Engine,
        outputs: Outputs,
        disks: Disks,
        background: Background,
        home: str,
        rules: DiskRules,
    ) -> None:
        self._store = store
        self._engine = engine
        self._outputs = outputs
        self._disks = disks
        self._background = background
        self._home = home
        self._rules = rules
        self._root: str | None = None  # of the engine, once it has answered
        self._said: dict[str, Level] = {}
        self._purged: set[str] = set()

    async def admit_build(self) -> None:
        """Raises DiskFull, with a sentence naming free and needed room, when a build should not start."""
        refusal = await self._refusal()
        if refusal is not None:
            await attempt("collect", self.collect())
            refusal = await self._refusal()
        if refusal is not None:
            raise DiskFull(refusal)

    async def report(self) -> DiskReport:
        """Who uses what."""
        artifacts = await self._engine.artifacts()
        uses = []
        for app in await self._store.apps():
            sizes = [artifact.size for artifact in artifacts if artifact.app_id == app.id]
            uses.append(AppUse(app.name, len(sizes), sum(sizes), await self._outputs.size(app.id)))
        uses.sort(key=lambda use: -(use.image_bytes + use.output_bytes))
        return DiskReport([(disk, disk.level(self._rules)) for disk in await self._all()], uses, self._rules)

    def collect_soon(self) -> None:
        """After a release: without keeping anybody waiting."""
        self._background.spawn("collect", self._attempt_collect())

    async def _attempt_collect(self) -> None:
        await attempt("collect", self.collect())

    async def look_after(self) -> None:
        """Say each change of level once, then collect."""
        for disk in await self._all():
            level = disk.level(self._rules)
            if level is not self._said.get(disk.path, Level.OK):
                tell = log.info if level is Level.OK else log.warning
                tell("disk", path=disk.path, status=level.value, used_percent=disk.used_percent, free=disk.free)
            self._said[disk.path] = level
        await attempt("collect", self.collect())

    async def collect(self) -> None:
        """One round over all apps: images gone behind our back, images not retained, outputs too old."""
        for app in await self._store.apps():
            lock = self._background.lock(app.id)
            if lock.locked():
                continue  # a release is under way; the next round comes
            async with lock:
                await attempt(f"collect {app.name}", self._collect(app))
            await self._outputs.prune(app.id, self._rules.keep_output_days)

    async def purge_cache(self, app: App) -> int:
        """Remove what builds of the app keep for the next: the bytes that went.

        The wheels that all share go, too: what is broken in them would otherwise be so for the app's next build again.
        """
        self._purged.add(app.id)
        freed = await self._engine.purge_cache(app.id)
        await self._engine.purge_cache(SHARED)
        return freed

    def was_purged(self, app_id: str) -> bool:
        """Whether its cache was, since this was last asked."""
        purged = app_id in self._purged
        self._purged.discard(app_id)
        return purged

    async def bound_caches(self) -> None:
        """Empty the cache of each app that keeps more than it may. An app that builds just now has its turn later."""
        sizes = await self._engine.cache_sizes()
        for app in await self._store.apps():
            if sizes.get(app.id, 0) > self._rules.cache_bytes and not self._background.lock(app.id).locked():
                freed = await self._engine.purge_cache(app.id)
                log.info("build cache emptied", app=app.name, bytes=freed, cap=self._rules.cache_bytes)
        if sizes.get(SHARED, 0) > self._rules.cache_bytes:  # what a build reads of it just now stays
            freed = await self._engine.purge_cache(SHARED)
            log.info("cache of wheels emptied", bytes=freed, cap=self._rules.cache_bytes)

    async def _collect(self, app: App) -> None:
        # The ledger first: what is built after the engine was asked must not be taken for gone.
        releases = await self._store.releases(app.id)
        artifacts = [artifact for artifact in await self._engine.artifacts() if artifact.app_id == app.id]
        current = await self._store.current_release(app.id)
        stay = retained(releases, self._rules.keep_releases)
        if current is not None and current.artifact is not None:
            stay |= {current.artifact}
        for release in releases:
            if (
                release.status is Status.SUCCEEDED
                and release.artifact is not None
                and (current is None or release.version != current.version)
            ):
                gone = await self._is_gone(app, release, artifacts)
                if gone or release.artifact not in stay:
                    # Before its image goes: a rollback must never find a release whose image is half gone.
                    await self._store.transition(release.id, Status.SUCCEEDED, Status.EXPIRED)
                    log.info("release expired", app=app.name, version=release.version, image_was_gone=gone)
        named = {release.artifact for release in releases}
        for artifact in artifacts:
            if artifact.name in named and artifact.name not in stay:
                await self._engine.delete_artifact(artifact.name)

    async def _is_gone(self, app: App, release: Release, artifacts: Sequence[Artifact]) -> bool:
        """Asked twice: a listing may leave out an image without a name, and an expired release never comes back."""
        assert release.artifact is not None
        if any(artifact.name == release.artifact for artifact in artifacts):
            return False
        try:
            await self._engine.tag(release.artifact, f"paasd/{app.name}:v{release.version}")
        except NotFound:
            return True
        return False

    async def _refusal(self) -> str | None:
        return next((said for disk in await self._all() if (said := disk.refusal(self._rules))), None)

    async def _all(self) -> Sequence[Filesystem]:
        if self._root is None:
            with contextlib.suppress(PaasError):  # away: the home's disk is known all the same
                self._root = (await self._engine.info()).data_root
        paths = [self._home, *([self._root] if self._root else [])]
        return [disk for path in paths if (disk := self._disks.look(path)) is not None]
