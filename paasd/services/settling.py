"""What a killed daemon left in the middle: pending builds and releases, booting dynos, branches that did not move."""

import asyncio
import contextlib
from collections.abc import Sequence

import structlog

from paasd.domain.app import App
from paasd.domain.dyno import Dyno, DynoState
from paasd.domain.errors import NotFound
from paasd.domain.push import DEPLOYED_BRANCHES
from paasd.domain.release import BuildStatus, Release, Stage, Status
from paasd.ports import Artifact, Sources, Write
from paasd.services.background import attempt
from paasd.services.boot import check_of
from paasd.services.builds import Builds
from paasd.services.deploy import Stagehands, retire
from paasd.services.first_deploy import postdeploy_is_due, run_postdeploy
from paasd.services.releases import Releases
from paasd.services.routing import target_of

log = structlog.get_logger(__name__)

RECENT = 20  # releases of an app that may be left with something to make up for


class Settling:
    """Brings to an end what no live task of ours owns."""

    def __init__(self, hands: Stagehands, sources: Sources, releases: Releases, builds: Builds) -> None:
        self._hands = hands
        self._sources = sources
        self._releases = releases
        self._builds = builds
        self._built: set[str] = set()  # builds known to have succeeded
        self._branches: dict[str, str] = {}  # by app: the release whose commit a branch was seen at

    async def adopt(self) -> None:
        """A running dyno that the router sends no requests to, though it does to its release, was booting when the
        last daemon died. So is any while the app has no target; but the old ones of an unfinished swap are well."""
        targets = [target for route in await self._hands.routing.routes() for target in route.targets]
        served = {(target.app, target.dyno, target.host, target.port) for target in targets}
        releases = {target.app: target.release for target in targets}
        for dyno in await self._hands.engine.dynos():
            target = target_of(dyno)
            if target is None or releases.get(target.app, target.release) != target.release:
                continue
            if (target.app, target.dyno, target.host, target.port) not in served:
                self._hands.routing.booting.add(dyno.id)

    async def settle(self) -> None:
        """Finish or fail every pending build and release that no live task owns."""
        store = self._hands.store
        for build in await store.pending_builds():
            if build.id not in self._builds.live:
                failure = "daemon restarted during build; push again."
                await store.finish_build(build.id, BuildStatus.FAILED, failure=failure)
        await asyncio.gather(
            *(
                attempt(f"settle v{release.version}", self._settle_in_turn(release))
                for release in await store.pending_releases()
                if release.id not in self._hands.ending
            )
        )

    async def sweep_artifacts(self, artifacts: Sequence[Artifact]) -> None:
        """Those of builds that failed: the engine came to the end of one whose daemon had died, or was told to stop."""
        for artifact in artifacts:
            if artifact.build_id in self._built:
                continue
            try:
                build = await self._hands.store.build(artifact.app_id, artifact.build_id)
            except NotFound:
                continue  # not of this ledger: not ours to judge
            if build.status is BuildStatus.SUCCEEDED:
                self._built.add(build.id)
            elif build.status is BuildStatus.FAILED:
                await self._hands.engine.delete_artifact(artifact.name)

    async def make_up(self, app: App) -> None:
        """What app.json asks for after an app's first deploy, where the daemon before this one was killed before its
        end: from its beginning, since nobody knows how far it came. Its output is in the app's log."""
        for release in await self._hands.store.releases(app.id, newest_first=True, limit=RECENT):
            if release.status is Status.SUCCEEDED and await postdeploy_is_due(self._hands, release):
                words = f"Running app.json's postdeploy of v{release.version} anew: the daemon ended before it had"
                self._hands.logs.note(app.id, "api", words, source="app")
                self._hands.background.spawn(
                    f"postdeploy of {app.name}", run_postdeploy(self._hands, app, release, self._to_log(app, release))
                )

    def _to_log(self, app: App, release: Release) -> Write:
        async def write(data: bytes) -> None:
            for line in data.decode(errors="replace").splitlines():
                self._hands.logs.note(app.id, f"postdeploy.v{release.version}", line, source="app")

        return write

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
        stages = [one for one in await hands.store.stages(release.id) if one.stage is not Stage.POSTDEPLOY]
        stage = stages[-1].stage.value if stages else Stage.RECORD.value
        await hands.routing.publish(release.app_id)
        failure = f"daemon restarted during {stage}; release it again."
        await hands.store.add_stage(release.id, Stage.FAILED, failure)
        await hands.store.transition(release.id, Status.PENDING, Status.FAILED)
        # Whoever waits for the release need not wait for its dynos: they may take a drain and a grace to end.
        hands.routing.leaving.update(dyno.id for dyno in own)
        hands.background.spawn(f"retire failed v{release.version}", retire(hands, own))
        log.info("release failed by a restart", app=release.app_id, version=release.version, stage=stage)

    async def _answers(self, release: Release, dynos: Sequence[Dyno]) -> bool:
        for dyno in dynos:
            if dyno.state is not DynoState.UP:
                return False
            if dyno.port is None:
                continue
            check, ask = check_of(release, dyno), self._hands.boot.probe.check
            if dyno.address is None:
                return False
            asked = ask(dyno.address, dyno.port, check.path, check.content, timeout=check.pace.timeout)
            if not (await asked).healthy:
                return False
        return True

    async def move_branch(self, app: App) -> None:
        """A branch stands at the newest deployed commit, though the daemon died before git could move it."""
        recent = await self._hands.store.releases(app.id, newest_first=True, limit=20)
        served = [
            release
            for release in recent
            if release.status is Status.SUCCEEDED and release.commit is not None and release.commit.pushed
        ]
        # A build is deployed by the first release that has it; those after it go back to it, or only change the config.
        firsts = [r for at, r in enumerate(served) if all(older.build_id != r.build_id for older in served[at + 1 :])]
        deployed = next(iter(firsts), None)
        if deployed is None or deployed.commit is None or self._builds.pushing(app.id):
            return
        if self._branches.get(app.id) == deployed.id:
            return
        heads = await self._sources.heads(app.id)
        if deployed.commit.sha not in heads.values():
            branch = next((name for name in DEPLOYED_BRANCHES if name in heads), DEPLOYED_BRANCHES[0])
            await self._sources.move_branch(app.id, branch, deployed.commit.sha)
        self._branches[app.id] = deployed.id
