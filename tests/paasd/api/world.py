"""The real API on a real socket, over the real services and a real SQLite; only engine, router and git are fakes."""

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from paasd.adapters.disk import LocalDisks
from paasd.adapters.drain_outlets import DrainOutlets
from paasd.adapters.dumps import FileDumps
from paasd.adapters.log_files import LogFiles
from paasd.adapters.log_journal import LogJournal
from paasd.adapters.store import SqlStore
from paasd.adapters.uploads import FileUploads
from paasd.adapters.web_fetch import WebFetch
from paasd.api.parts import ApiParts
from paasd.api.ssh import SshDoor
from paasd.domain.access import Account, Actor
from paasd.domain.app import App
from paasd.domain.disk import DiskRules
from paasd.domain.dyno import Dyno, Limits
from paasd.domain.release import Build, BuildStatus, Commit, ProcessTypes, Release
from paasd.ports import Outputs
from paasd.services.access import Access
from paasd.services.addon_partners import Partners
from paasd.services.addon_work import AddonWork
from paasd.services.addons import Addons
from paasd.services.apps import Apps
from paasd.services.archives import Archives
from paasd.services.audit import Audit
from paasd.services.authorizations import Authorizations
from paasd.services.background import Background
from paasd.services.boot import Boot, BootRules
from paasd.services.builds import BuildRules, Builds
from paasd.services.databases import Databases
from paasd.services.deploy import DeployRules, Stagehands
from paasd.services.disk import Disk
from paasd.services.domains import Domains
from paasd.services.drains import DrainRules, Drains
from paasd.services.dynos import Dynos
from paasd.services.images import Images
from paasd.services.ledger import Ledger
from paasd.services.logs import AppLogs
from paasd.services.maintenance import Maintenance
from paasd.services.one_off import OneOffs
from paasd.services.release_phase import ReleasePhase
from paasd.services.releases import Releases
from paasd.services.routing import Routing
from paasd.services.schedules import Schedules
from paasd.services.transfers import Transfers
from paasd.services.webhooks import Webhooks
from tests.fake_addons import FakeProvider, fake_catalogue
from tests.paasd.api.fakes import FakeEngine, FakeProbe, FakeRouter, FakeSources
from tests.paasd.api.schema import load_judge

TOKEN = "t0ken-of-the-owner"
ACCEPT = "application/vnd.heroku+json; version=3"
OUTPUT_BYTES = 8_000_000
DEADLINE = 10.0
QUICK = DrainRules(first_pause=0.01, longest_pause=0.05, save=0.05)
WEB = ProcessTypes({"web": "serve", "worker": "work"})


@dataclass(frozen=True)
class Answer:
    """A reply read to its end; `json` is its body, None when it has none."""

    status: int
    headers: Mapping[str, str]
    json: Any
    raw: bytes

    def header(self, name: str) -> str | None:
        return self.headers.get(name)


@dataclass
class World:
    """What a test holds: the client's side of the wire, and a hand on what is behind it."""

    store: SqlStore
    outputs: Outputs
    engine: FakeEngine
    router: FakeRouter
    background: Background
    logs: AppLogs
    releases: Releases
    parts: ApiParts
    session: aiohttp.ClientSession
    owner: Account
    api: web.Application
    judged: list[str] = field(default_factory=list)

    @property
    def actor(self) -> Actor:
        return Actor(self.owner.id, self.owner.email, "owner", "127.0.0.1")

    async def call(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """A request with the owner's token; what Heroku's schema describes is held to it."""
        given = {"Accept": ACCEPT, "Authorization": f"Bearer {TOKEN}"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        answer = await self.ask(method, path, json=body, headers=given)
        judge = load_judge()
        if answer.status < 300 and judge.check(method, path, answer.json):
            self.judged.append(f"{method} {path}")
        if answer.status >= 400:
            assert {"id", "message"} <= answer.json.keys() <= {"id", "message", "resource", "app"}
            assert answer.json["message"].endswith(".")
        return answer

    async def ask(self, method: str, path: str, **options: Any) -> Answer:
        """A request as it is, with nothing added."""
        async with self.session.request(method, path, **options) as response:
            raw = await response.read()
            is_json = raw and response.content_type == "application/json"
            return Answer(response.status, response.headers, await response.json() if is_json else None, raw)

    async def get(self, path: str, **headers: str) -> Any:
        answer = await self.call("GET", path, **headers)
        assert answer.status in (200, 206), answer.json
        return answer.json

    async def create(self, name: str = "shop") -> App:
        answer = await self.call("POST", "/apps", {"name": name})
        assert answer.status == 201, answer.json
        return await self.store.app(name)

    async def built(self, app: App, processes: ProcessTypes = WEB) -> Build:
        """A build that succeeded, as a push would have left it."""
        now = datetime.now(UTC)
        commit = Commit("9f3c21ab" * 5, "Ada <ada@example.org>", "Sell more")
        build = Build(str(uuid.uuid4()), app.id, BuildStatus.PENDING, self.actor, commit, now, now)
        await self.store.insert_build(build)
        return await self.store.finish_build(
            build.id, BuildStatus.SUCCEEDED, builder="python", artifact=f"sha256:{build.id}", processes=processes,
            size=123_456,
        )  # fmt: skip

    async def deployed(self, app: App, processes: ProcessTypes = WEB) -> Release:
        """A build and its release, served."""
        build = await self.built(app, processes)
        answer = await self.call("POST", f"/apps/{app.name}/releases", {"slug": build.id})
        assert answer.status == 201, answer.json
        await self.settled(app)
        return await self.store.release(app.id, answer.json["id"])

    async def settled(self, app: App) -> None:
        """Until no release of the app is under way; a slow machine needs longer than a call waits for its turn."""
        async with asyncio.timeout(DEADLINE), self.background.lock(app.id):
            pass


def make_parts(
    home: Path, store: SqlStore, engine: FakeEngine, router: FakeRouter, background: Background, url: str
) -> ApiParts:
    """The services, wired as the daemon wires them."""
    outputs = LogFiles(home, max_bytes=OUTPUT_BYTES)
    logs = AppLogs(engine, router, background, LogJournal(home, max_bytes=100_000_000, days=7))
    routing = Routing(store, engine, router, router, "localhost")
    boot = Boot(engine, FakeProbe(), logs, BootRules(steady=0, probe_interval=0, confirm_interval=0))
    phase = ReleasePhase(engine, outputs, logs, boot)
    hands = Stagehands(store, engine, routing, boot, phase, logs, background, DeployRules(drain=0, grace=0))
    releases = Releases(hands, wait=0.2)

    class Starting:
        """Mending that only starts: what stops is another test's."""

        async def converge(self, app: App) -> None:
            served = await store.current_release(app.id)
            if served is not None and served.artifact is not None:
                await boot.start(boot.specs(app, served, await releases.formation(app, served)))

        async def resize(self, app: App) -> None:
            """No dyno is of any size here."""

        async def replace(self, app: App, dynos: Sequence[Dyno]) -> None:
            for dyno in dynos:
                await engine.stop(dyno.id)
            await self.converge(app)

    disk = Disk(store, engine, outputs, LocalDisks(), background, "/", DiskRules(build_bytes=0, build_inodes=0))
    sources = FakeSources()
    builds = Builds(store, sources, engine, outputs, releases, logs, BuildRules())
    one_offs = OneOffs(store, engine, boot, logs, background)
    work = AddonWork(store, releases, logs, background, {FakeProvider.name: FakeProvider()}, fake_catalogue())
    databases = Databases(store, work)
    transfers = Transfers(store, FileDumps(home), WebFetch(), databases.reach, background)
    return ApiParts(
        access=Access(store),
        authorizations=Authorizations(store),
        audit=Audit(store),
        addons=Addons(store, work),
        partners=Partners(store, work, [], b"s" * 32),
        databases=databases,
        transfers=transfers,
        schedules=Schedules(store, transfers, databases.living),
        apps=Apps(store, sources, engine, outputs, routing, releases, logs, background),
        builds=builds,
        images=Images(store, engine, outputs, builds, releases, disk),
        archives=Archives(
            sources, FileUploads(home, max_bytes=1_000_000), WebFetch(), outputs, builds, background, disk, 1_000_000
        ),
        ledger=Ledger(store),
        releases=releases,
        dynos=Dynos(
            store,
            engine,
            routing,
            releases,
            logs,
            background,
            Starting(),
            {"Standard-1X": Limits(), "Standard-2X": Limits(1024**3, 1.5)},
        ),
        domains=Domains(store, routing, logs, "localhost", frozenset({"paas.example.org"})),
        one_offs=one_offs,
        ssh=SshDoor(one_offs, background),
        logs=logs,
        drains=Drains(store, DrainOutlets(WebFetch(("127.0.0.0/8",))), logs, background, QUICK),
        webhooks=Webhooks(store, WebFetch(("127.0.0.0/8",)), logs, background),
        maintenance=Maintenance(store, routing, logs, WebFetch(), background),
        routing=routing,
        disk=disk,
        outputs=outputs,
        requests=store,
        secret=b"s" * 32,
        public_url=url,
        router_port=8080,
        version="0.1.0",
        ca_certificate="the authority's certificate",
    )
