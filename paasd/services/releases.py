"""The doors to a deploy: record a release, then carry it out. A push, a config change and a rollback enter here."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from paasd.domain.access import Actor
from paasd.domain.app import App
from paasd.domain.errors import InvalidParams, NotFound, PaasError, ReleaseInProgress
from paasd.domain.manifest import default_formation
from paasd.domain.release import (
    Build,
    BuildStatus,
    NewRelease,
    Release,
    RollbackPart,
    Stage,
    Status,
    check_rollback_target,
)
from paasd.ports import Write
from paasd.services.deploy import Deploy, Stagehands, carry_out, retire_previous
from paasd.services.first_deploy import note_postdeploy, run_postdeploy

WAIT_SECONDS = 50.0  # clients give up at 60
RETRY_SECONDS = 0.5  # between looks at a pending release that another daemon holds

Draft = Callable[[], Awaitable[NewRelease | None]]
"""A release with the app's own config vars: those of its add-ons are laid over them when it is recorded."""


async def discard(_: bytes) -> None:
    """Output nobody watches."""


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A recorded release and the task that carries it out, None where nothing had to be started."""

    release: Release
    task: "asyncio.Task[Deploy] | None"


class Releases:
    """Records releases and carries them out. `live` are the ids of pending releases that a task of ours owns."""

    def __init__(self, hands: Stagehands, *, wait: float = WAIT_SECONDS) -> None:
        self._hands = hands
        self._wait = wait
        self.live: set[str] = set()
        self.waiting: set[str] = set()  # ids of apps whose turn is held by one who waits for a release that is not ours

    async def roll_back(
        self,
        actor: Actor,
        app: App,
        target: str,
        *,
        skip_release_phase: bool = False,
        only: RollbackPart | None = None,
    ) -> Release:
        """Append a copy of an earlier release, or of its code or config `only`; acknowledged means recorded.

        Add-ons stay as they are: its attachments and their config vars are those of now.
        Raises NotFound, InvalidParams.
        """
        await self._check_image(app, check_rollback_target(await self._hands.store.release(app.id, target)))

        async def draft() -> NewRelease:
            source = check_rollback_target(await self._hands.store.release(app.id, target))
            code = source if only is not RollbackPart.CONFIG else await self._served(app)
            config = source.own_config if only is not RollbackPart.CODE else await self._hands.store.own_config(app.id)
            return NewRelease(
                app_id=app.id,
                description=f"Rollback to v{source.version}" + (f" ({only.value} only)" if only else ""),
                actor=actor,
                config=config,
                formation=await self.formation(app, code),
                processes=code.processes,
                build_id=code.build_id,
                artifact=code.artifact,
                commit=code.commit,
                rollback_of=source.version,
                has_output=code.processes.release is not None and not skip_release_phase,
            )

        under_way = await self.begin(app, draft)
        return under_way.release

    async def _served(self, app: App) -> Release:
        served = await self._hands.store.current_release(app.id)
        if served is None:
            raise InvalidParams("Nothing is served yet whose code could stay: push first.", resource="release")
        return served

    async def _check_image(self, app: App, target: Release) -> None:
        """An image that somebody removed behind our back is met here, before a release is recorded that must fail."""
        try:
            await self._hands.engine.tag(str(target.artifact), f"paasd/{app.name}:v{target.version}")
        except NotFound:
            served = await self._hands.store.current_release(app.id)
            if served is not None and served.version == target.version:
                raise  # what is served is never expired: an older release would become current
            await self._hands.store.transition(target.id, Status.SUCCEEDED, Status.EXPIRED)
            check_rollback_target(await self._hands.store.release(app.id, target.id))

    async def release_build(self, actor: Actor, app: App, build_id: str, description: str | None) -> Release:
        """Release a succeeded build (Heroku's slug) with the app's config. Raises NotFound, InvalidParams."""
        build = await self._hands.store.build(app.id, build_id)
        if build.status is not BuildStatus.SUCCEEDED:
            raise InvalidParams(f"Build {build_id} is {build.status.value}; release a build that succeeded.")
        under_way = await self.begin(app, lambda: self.draft_of_build(actor, app, build, description))
        return under_way.release

    async def postdeploy(self, app: App, release: Release, output: Write) -> None:
        """Run app.json's command after an app's first deploy. That it fails is said to `output` and undoes nothing."""
        running = self._hands.background.spawn(
            f"postdeploy of {app.name}", run_postdeploy(self._hands, app, release, output)
        )
        await asyncio.shield(running)  # whoever waits for it may go away

    async def note_postdeploy(self, app: App, release: Release) -> None:
        """Before it serves: that the command will be due then."""
        await note_postdeploy(self._hands, app, release)

    async def draft_of_build(
        self,
        actor: Actor,
        app: App,
        build: Build,
        description: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> NewRelease:
        """The release that a build makes with the app's newest config, and what `env` has beside it."""
        label = build.commit.label if build.commit else build.id[:8]
        wanted = NewRelease(
            app_id=app.id,
            description=description or f"Deploy {label}",
            actor=actor,
            config={**(env or {}), **await self._hands.store.own_config(app.id)},
            formation={},
            processes=build.processes,
            build_id=build.id,
            artifact=build.artifact,
            commit=build.commit,
            has_output=build.processes.release is not None,
        )
        return replace(wanted, formation=await self.formation(app, wanted))

    async def with_code_of(self, app: App, served: Release, new: NewRelease) -> NewRelease:
        """A release of `new`'s config with the code that is served now; it has to be carried out."""
        return replace(
            new,
            status=Status.PENDING,
            formation=await self.formation(app, served),
            processes=served.processes,
            build_id=served.build_id,
            artifact=served.artifact,
            commit=served.commit,
            has_output=served.processes.release is not None,
        )

    async def formation(self, app: App, release: Release | NewRelease) -> dict[str, int]:
        """Quantity of each of the release's process types: what was asked for, else one web and none of the others."""
        wanted = {entry.type: entry.quantity for entry in await self._hands.store.formation(app.id)}
        return default_formation(release.processes, wanted)

    async def begin(self, app: App, draft: Draft, *, output: Write = discard) -> UnderWay:
        """Wait for the app's turn, draft, record, and carry out in a task of its own. Returns once it is recorded.

        A draft of None means there is nothing to release: the newest release is returned. Raises ReleaseInProgress
        after waiting, and whatever the draft raises.
        """

        async def whole() -> NewRelease | None:
            own = await draft()
            return await self._with_addons(own) if own is not None else None

        return await self.begin_as_drafted(app, whole, output=output)

    async def begin_as_drafted(self, app: App, draft: Draft, *, output: Write = discard) -> UnderWay:
        """As `begin`, of a draft that has the attachments and all config vars that it is to have."""
        deadline = asyncio.get_running_loop().time() + self._wait
        lock = await self._take_turn(app)
        return await self._hands.background.finish(
            f"record a release of {app.name}", self._record(app, lock, draft, output, deadline)
        )

    @contextlib.asynccontextmanager
    async def turn(self, app: App) -> AsyncIterator[None]:
        """Hold the app's turn: no release of it is under way inside. Raises ReleaseInProgress after waiting."""
        lock = await self._take_turn(app)
        try:
            yield
        finally:
            lock.release()

    async def _take_turn(self, app: App) -> asyncio.Lock:
        lock = self._hands.background.lock(app.id)
        try:
            async with asyncio.timeout(self._wait):
                await lock.acquire()
        except TimeoutError:
            raise await self._in_progress(app) from None
        return lock

    async def _record(self, app: App, lock: asyncio.Lock, draft: Draft, output: Write, deadline: float) -> UnderWay:
        """Holds the lock on entry; hands it to the task that carries the release out, if there is anything to carry."""
        store, task = self._hands.store, None
        try:
            new = await draft()
            if new is None:
                newest = await store.releases(app.id, newest_first=True, limit=1)
                return UnderWay(newest[0], None)
            if new.status is Status.PENDING:
                # An engine that is away refuses the whole call here, rather than fail a release already recorded.
                await self._hands.engine.create_network(app.id)
            release = await self._record_in_turn(new, deadline)
            version, who = release.version, release.actor.shown
            self._hands.logs.note(app.id, "api", f"Release v{version} created by user {who}", release=version)
            if release.status is Status.PENDING:
                kept = await self._hands.release_phase.open(app, release) if release.has_output else None
                self.live.add(release.id)
                task = self._hands.background.spawn(
                    f"release {app.name} v{release.version}", self._carry_out(Deploy(app, release, output, kept), lock)
                )
            return UnderWay(release, task)
        finally:
            if task is None:
                lock.release()

    async def _with_addons(self, own: NewRelease) -> NewRelease:
        """Every release has the add-ons of the moment it is recorded at: an older one may have a dead password."""
        now = await self._hands.store.attached_now(own.app_id)
        return replace(own, config={**own.config, **now.config}, attachments=now.attachments)

    async def _record_in_turn(self, new: NewRelease, deadline: float) -> Release:
        """A release that another daemon, or a dead task, holds pending is waited for too."""
        while True:
            try:
                release = await self._hands.store.record_release(new)
            except ReleaseInProgress:
                if asyncio.get_running_loop().time() >= deadline:
                    raise
                self.waiting.add(new.app_id)
                try:
                    await asyncio.sleep(RETRY_SECONDS)
                finally:
                    self.waiting.discard(new.app_id)
            else:
                await self._hands.failpoints.reach("release-row")
                await self._hands.store.add_stage(release.id, Stage.RECORD)
                return release

    async def _carry_out(self, deploy: Deploy, lock: asyncio.Lock) -> Deploy:
        """Whatever happens, the app's turn ends here; the old dynos are somebody's before it does."""
        try:
            done = await carry_out(self._hands, deploy)
            self._hands.background.spawn(
                f"retire before {deploy.app.name} v{deploy.release.version}", retire_previous(self._hands, done)
            )
            await self._hands.failpoints.reach("promote")
            return done
        finally:
            self.live.discard(deploy.release.id)
            lock.release()
            if deploy.kept is not None:
                await deploy.kept.close()

    async def _in_progress(self, app: App) -> PaasError:
        for release in await self._hands.store.pending_releases(app.id):
            stages = await self._hands.store.stages(release.id)
            stage = stages[-1].stage.value if stages else Stage.RECORD.value
            return ReleaseInProgress(
                f"v{release.version} ({release.description}) is being released by {release.actor.email}, "
                f"stage: {stage}; wait for it or try again later.",
                app=app.name,
            )
        return ReleaseInProgress(f"Another change of {app.name} is under way; try again in a moment.", app=app.name)
