"""The services on fakes and a real SQLite, as the daemon wires them, and a client's view of what is served."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from paasd.adapters.disk import LocalDisks
from paasd.adapters.log_files import LogFiles
from paasd.adapters.log_journal import LogJournal
from paasd.adapters.store import SqlStore
from paasd.adapters.uploads import FileUploads
from paasd.adapters.web_fetch import WebFetch
from paasd.domain.access import Account, Actor, Token
from paasd.domain.app import App
from paasd.domain.disk import DiskRules
from paasd.domain.dyno import Dyno, Limits
from paasd.domain.push import Push
from paasd.domain.release import Build, BuildStatus, Commit, NewRelease, Release, Stage, Status
from paasd.ports import Web
from paasd.services.access import Access
from paasd.services.addon_work import AddonRules, AddonWork
from paasd.services.addons import Addons
from paasd.services.apps import Apps
from paasd.services.archives import Archives
from paasd.services.background import Background
from paasd.services.boot import Boot, BootRules
from paasd.services.builds import BuildRules, Builds
from paasd.services.deploy import DeployRules, Stagehands
from paasd.services.disk import Disk
from paasd.services.dynos import Dynos
from paasd.services.first_addons import FirstAddons
from paasd.services.images import Images
from paasd.services.ledger import Ledger
from paasd.services.logs import AppLogs
from paasd.services.maintenance import Maintenance
from paasd.services.recovery import Recovery, RecoveryRules
from paasd.services.release_phase import ReleasePhase
from paasd.services.releases import Releases
from paasd.services.routing import Routing
from tests.fake_addons import FakeProvider, fake_catalogue
from tests.fake_probe import FakeProbe
from tests.fake_router import DataPlane, FakeRouter, FakeRouterHost
from tests.fake_sources import FakeSources, Tree
from tests.fakes import FakeEngine
from tests.gates import Gates

DEADLINE = 10.0
NOW = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
DOCKERFILE = "FROM scratch\n"
BOOT = BootRules(timeout=0.3, probe_interval=0.005, confirm_interval=0.001, steady=0.02, last_lines=0.05)
SIZES = ("Standard-1X", "Standard-2X")
DEPLOY = DeployRules(drain=0.3, grace=0.0)
RECOVERY = RecoveryRules(backoff=0.05, events_retry=0.01)


class GatedStore(SqlStore):
    """The real store; `gates` hold or fail calls: "transition" before it, "transitioned" after it, and so on."""

    gates: Gates

    async def insert_build(self, build: Build) -> None:
        await super().insert_build(build)
        await self.gates.at("inserted_build")

    async def finish_build(self, build_id: str, status: BuildStatus, **found: Any) -> Build:
        await self.gates.at("finish_build")
        return await super().finish_build(build_id, status, **found)

    async def pending_releases(self, app_id: str | None = None) -> Sequence[Release]:
        found = await super().pending_releases(app_id)
        await self.gates.at("pending_releases")
        return found

    async def record_release(self, release: NewRelease) -> Release:
        await self.gates.at("record_release")
        recorded = await super().record_release(release)
        await self.gates.at("recorded")
        return recorded

    async def transition(self, release_id: str, old: Status, new: Status) -> bool:
        await self.gates.at("transition")
        done = await super().transition(release_id, old, new)
        await self.gates.at("transitioned")
        return done

    async def add_stage(self, release_id: str, stage: Stage, detail: str = "") -> None:
        await self.gates.at(f"stage {stage}")
        await super().add_stage(release_id, stage, detail)


@dataclass
class Outside:
    """What outlives a daemon: disk, engine, router, repositories."""

    home: Path
    store: GatedStore
    engine: FakeEngine
    plane: DataPlane
    sources: FakeSources
    actor: Actor
    provider: FakeProvider = field(default_factory=FakeProvider)
    daemons: list["World"] = field(default_factory=list)  # all there were, to be stopped at the end
    cut_off: list[str] = field(default_factory=list)  # dynos stopped while the router still sent requests to them


@dataclass
class World:
    """One daemon's services, and what lies outside of them."""

    outside: Outside
    store: GatedStore
    engine: FakeEngine
    plane: DataPlane
    router: FakeRouter
    host: FakeRouterHost
    sources: FakeSources
    outputs: LogFiles
    background: Background
    access: Access
    apps: Apps
    builds: Builds
    archives: Archives
    images: Images
    releases: Releases
    dynos: Dynos
    ledger: Ledger
    logs: AppLogs
    maintenance: Maintenance
    routing: Routing
    recovery: Recovery
    actor: Actor
    addons: Addons
    disk: Disk

    # --- what a user does -------------------------------------------------------------------------------------------

    async def create(self, name: str = "shop") -> App:
        return await self.apps.create(self.actor, name)

    async def push(self, app: App, procfile: str = "web: serve", **files: str) -> str:
        """`git push`: what the pusher saw, once it is served; the error that rejects it otherwise."""
        output = Output()
        push = self.commit(app, procfile, **files)
        await self.builds.receive(push, output)
        await self.sources.move_branch(app.id, "main", push.sha)
        return output.text

    def commit(self, app: App, procfile: str = "web: serve", **files: str) -> Push:
        """A push whose objects have arrived."""
        sha = uuid.uuid4().hex + "0" * 8
        tree = {"Dockerfile": DOCKERFILE, "Procfile": procfile, **files}
        self.sources.offered[sha] = Tree(Commit(sha, "Ann <ann@example.org>", "Sell more"), tree)
        return Push(app, self.actor, "main", None, sha, self.outside.home)

    async def deployed(self, name: str = "shop", procfile: str = "web: serve") -> App:
        """An app at v2, served."""
        app = await self.create(name)
        await self.push(app, procfile)
        return app

    async def config(self, app: App, **changes: str | None) -> Mapping[str, str]:
        return await self.apps.set_config(self.actor, app, changes)

    async def settled(self, app: App) -> None:
        """Until no release of the app is under way, and what it replaced is retired."""
        async with asyncio.timeout(DEADLINE):
            async with self.releases.turn(app):
                pass
            while retiring := [task for task in self.background._tasks if task.get_name().startswith("retire")]:
                await asyncio.wait(retiring)

    # --- what can be seen -------------------------------------------------------------------------------------------

    def answer(self, name: str = "shop") -> str:
        """What a request to the app gets: "v2", a router's code, or "dead" where no dyno is behind the address."""
        route = next((route for route in self.plane.table.routes if route.name == name), None)
        if route is None:
            return "404"
        if route.maintenance:
            return "H80"
        if not all(self.engine.answer(target.host, target.port, None).healthy for target in route.targets):
            return "dead"
        return f"v{route.targets[0].release}" if route.targets else route.no_target_code

    async def ledger_of(self, app: App) -> list[str]:
        """ "v1 succeeded Initial release", … by version."""
        return [
            f"v{release.version} {release.status} {release.description}"
            for release in await self.store.releases(app.id)
        ]

    async def running(self, app: App) -> list[str]:
        """ "web.1 v2" of each dyno that runs, by name."""
        found = [dyno for dyno in await self.engine.dynos(app.id) if dyno.running]
        return sorted(f"{dyno.name} v{dyno.release_version}" for dyno in found)

    async def dyno(self, app: App, name: str = "web.1") -> Dyno:
        """The one of that name."""
        (found,) = [dyno for dyno in await self.engine.dynos(app.id) if dyno.name == name]
        return found

    async def release(self, app: App, version: int) -> Release:
        return await self.store.release(app.id, str(version))

    async def failure(self, app: App, version: int) -> str:
        """The reason kept with a failed release."""
        details = await self.ledger.details(app, await self.release(app, version))
        assert details.failure is not None
        return details.failure

    async def output(self, app: App, version: int) -> bytes:
        """What is kept of a release phase."""
        return b"".join([chunk async for chunk in self.outputs.read(app.id, ("releases", str(version)))])

    def lines(self, app: App) -> list[str]:
        """The app's log, as "heroku[web.1]: text"."""
        ring = self.logs._rings[app.id]
        return [line.render().partition(" ")[2] for _, line in ring.lines]


class Output:
    """What a pusher sees."""

    def __init__(self) -> None:
        self.data = b""

    async def __call__(self, data: bytes) -> None:
        self.data += data

    @property
    def text(self) -> str:
        return self.data.decode(errors="replace")


def wire(
    outside: Outside, *, wait: float = 5.0, boot: BootRules = BOOT, parallel: int = 2, web: Web | None = None
) -> World:
    """A daemon's services. Called again on the same outside, it is the daemon after its restart."""
    background = Background()
    store, engine, sources = outside.store, outside.engine, outside.sources
    router, host = FakeRouter(outside.plane), FakeRouterHost(outside.plane)
    outputs = LogFiles(outside.home)
    routing = Routing(store, engine, router, host, "localhost")
    logs = AppLogs(
        engine,
        router,
        background,
        LogJournal(outside.home, max_bytes=100_000_000, days=7),
        keep_alive=0.05,
        router_retry=0.01,
    )
    starter = Boot(engine, FakeProbe(engine), logs, boot)
    phase = ReleasePhase(engine, outputs, logs, starter)
    hands = Stagehands(store, engine, routing, starter, phase, logs, background, DEPLOY)
    releases = Releases(hands, wait=wait)
    disk = Disk(store, engine, outputs, LocalDisks(), background, "/", DiskRules(100, 100, 0, 0))
    builds = Builds(store, sources, engine, outputs, releases, logs, BuildRules(parallel=parallel, sizes=SIZES))
    providers = {FakeProvider.name: outside.provider}
    rules = AddonRules(deadline=3.0, retry=0.01)
    work = AddonWork(store, releases, logs, background, providers, fake_catalogue(), rules)
    uploads, fetch = FileUploads(outside.home, max_bytes=10_000_000), web or WebFetch()
    archives = Archives(sources, uploads, fetch, outputs, builds, background, disk, 10_000_000)
    apps = Apps(store, sources, engine, outputs, routing, releases, logs, background)
    recovery = Recovery(hands, host, sources, apps, releases, builds, RECOVERY)
    work.following.start = recovery.converge
    dynos = Dynos(
        store,
        engine,
        routing,
        releases,
        logs,
        background,
        recovery,
        {"Standard-1X": Limits(), "Standard-2X": Limits(1024**3, 1.5)},
    )
    maintenance = Maintenance(store, routing, logs, fetch, background)
    world = World(
        outside, store, engine, outside.plane, router, host, sources, outputs, background, Access(store), apps, builds,
        archives, Images(store, engine, outputs, builds, releases, disk),
        releases, dynos, Ledger(store), logs, maintenance, routing, recovery, outside.actor, Addons(store, work), disk,
    )  # fmt: skip
    builds.provide = FirstAddons(world.addons).provide
    outside.daemons.append(world)
    return world


async def make_outside(home: Path, store: GatedStore) -> Outside:
    """An engine, a router and repositories with nothing in them; the store has Ann's account."""
    now = datetime.now(UTC)
    account = Account(str(uuid.uuid4()), "ann@example.org", None, now)
    await store.insert_account(account, Token(str(uuid.uuid4()), account.id, "owner", "0" * 64, now))
    actor = Actor(account.id, account.email, "owner", "127.0.0.1")
    outside = Outside(home, store, FakeEngine(), DataPlane(), FakeSources(), actor)
    outside.plane.journal = outside.engine.journal

    def note_cut_off(dyno: Dyno) -> None:
        table = outside.plane._table
        if any(target.host == dyno.address for route in table.routes for target in route.targets):
            outside.cut_off.append(dyno.id)

    outside.engine.leaving.append(note_cut_off)
    return outside


async def nothing_happened(world: World) -> None:
    """v3 failed; v2 serves as it did, its dyno is the only one, and the app is free."""
    app = await world.apps.find("shop")
    assert [entry.split()[:2] for entry in await world.ledger_of(app)] == [
        ["v1", "succeeded"],
        ["v2", "succeeded"],
        ["v3", "failed"],
    ]
    assert world.answer() == "v2"
    assert await world.running(app) == ["web.1 v2"]
    assert [dyno.release_version for dyno in await world.engine.dynos()] == [2]
    assert not world.background.lock(app.id).locked()
    assert not world.releases.live
    assert not world.routing.serving


async def until(true: Callable[[], Awaitable[bool]] | Callable[[], bool], deadline: float = DEADLINE) -> None:
    """Until it is; asked every 2 ms. TimeoutError at the deadline, in seconds."""
    async with asyncio.timeout(deadline):
        while True:
            answer = true()
            if answer if isinstance(answer, bool) else await answer:
                return
            await asyncio.sleep(0.002)


async def cancelled(task: "asyncio.Task[object]") -> None:
    """Cancel it and wait for its end; AssertionError unless it ends cancelled."""
    task.cancel()
    await asyncio.wait([task], timeout=DEADLINE)
    assert task.cancelled()


def somebody(actor: Actor, email: str) -> Actor:
    """Another actor of the same account."""
    return replace(actor, email=email)
