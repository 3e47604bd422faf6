"""The composition root: settings -> adapters -> services -> API. It alone sees everything, and nobody imports it."""

import asyncio
import os
import signal
import socket
import ssl
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import structlog
from aiohttp import web

from paasd import __version__
from paasd.adapters.backup import DailyBackups
from paasd.adapters.damage import builds_unknown_to_ledger, check_store
from paasd.adapters.disk import LocalDisks
from paasd.adapters.drain_outlets import DrainOutlets
from paasd.adapters.dumps import FileDumps
from paasd.adapters.git_repos import GitRepos
from paasd.adapters.local_ca import API_NAMES, LocalCa
from paasd.adapters.log_files import LogFiles
from paasd.adapters.log_journal import LogJournal
from paasd.adapters.migrate import check_version, migrate
from paasd.adapters.probe import NetworkProbe
from paasd.adapters.router_client import RouterClient
from paasd.adapters.router_process import RouterProcess
from paasd.adapters.store import SqlStore
from paasd.adapters.uploads import FileUploads
from paasd.adapters.web_fetch import WebFetch
from paasd.api.git import GitHttp
from paasd.api.hook import HookServer
from paasd.api.parts import ApiParts
from paasd.api.payloads import Payloads
from paasd.api.port import Port
from paasd.api.rendezvous import Rendezvous
from paasd.api.server import make_api
from paasd.api.ssh import SshDoor
from paasd.chores import Data, Services, keep_mending
from paasd.domain.addon_catalogue import Catalogue
from paasd.domain.hostname import labels_in
from paasd.domain.transfer import KeepRules
from paasd.engines import choose
from paasd.failpoints import parse_failpoints
from paasd.home import Home
from paasd.ports import AddonProvider, Engine
from paasd.providers import default_provider, open_providers
from paasd.rules import boot_rules, build_rules, catalogue, deploy_rules, disk_rules, log_rates, partners
from paasd.services.access import Access
from paasd.services.addon_partners import Partners
from paasd.services.addon_work import AddonRules, AddonWork
from paasd.services.addons import Addons
from paasd.services.apps import Apps
from paasd.services.archives import KEPT_SECONDS, Archives
from paasd.services.audit import Audit
from paasd.services.authorizations import Authorizations
from paasd.services.background import Background
from paasd.services.boot import Boot
from paasd.services.builds import Builds
from paasd.services.certificates import Certificates
from paasd.services.databases import Databases
from paasd.services.deploy import Stagehands
from paasd.services.disk import Disk
from paasd.services.domains import Domains
from paasd.services.drains import Drains
from paasd.services.dynos import Dynos
from paasd.services.first_addons import FirstAddons
from paasd.services.images import Images
from paasd.services.ledger import Ledger
from paasd.services.logs import AppLogs
from paasd.services.maintenance import Maintenance
from paasd.services.one_off import OneOffs
from paasd.services.recovery import Recovery
from paasd.services.release_phase import ReleasePhase
from paasd.services.releases import Releases
from paasd.services.routing import Routing
from paasd.services.schedules import Schedules
from paasd.services.transfers import Transfers
from paasd.services.webhooks import Webhooks
from paasd.settings import Settings, host_of, parse_address
from paasd.takeover import LET_GO_SECONDS, Holder, ask

log = structlog.get_logger(__name__)

SHUTDOWN_SECONDS = 5.0  # open streams get this long at the end
RENEW_SECONDS = 20 * 86400.0  # a certificate of ours is good for 90 days


@dataclass(frozen=True, slots=True)
class Adapters:
    """One of each port, opened."""

    store: SqlStore
    engine: Engine
    router: RouterClient
    host: RouterProcess
    sources: GitRepos
    uploads: FileUploads
    dumps: FileDumps
    outputs: LogFiles
    journal: LogJournal
    probe: NetworkProbe
    ca: LocalCa
    web: WebFetch
    providers: Mapping[str, AddonProvider]
    catalogue: Catalogue


def run(settings: Settings, home: Home, listening: Sequence[socket.socket] = ()) -> None:
    """Serve until SIGTERM, SIGINT or another's takeover; the home is held. PaasError for what prevents the start."""
    import uvloop

    check_store(home.path)
    migrate(home.store)
    for app_id, pushes in builds_unknown_to_ledger(home.path).items():
        reason = "an old copy of the database, or a push that was killed as it began"
        log.warning("git holds pushes that the ledger does not know", app=app_id, pushes=pushes, reason=reason)
    uvloop.run(serve(settings, home, listening))


def take_over(settings: Settings, home: Home) -> None:
    """As `run`, in the place of the daemon that holds the home, if one does. HomeError when it does not let go."""
    check_version(home.store)  # whoever is too old for the database finds out before anybody has let go
    handed = ask(home.takeover_socket)
    with home.held(LET_GO_SECONDS if handed else 0.0):
        run(settings, home, handed.listening_at(settings.api) if handed else ())


async def serve(settings: Settings, home: Home, listeners: Sequence[socket.socket] = ()) -> None:
    """One daemon's life: open, mend, serve, and at the end undo what is under way. Apps and router go on."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        adapters = await open_adapters(settings, home, stack)
        services = wire(settings, adapters)
        tie(services)
        stack.push_async_callback(services.background.close)
        await services.access.ensure_owner(settings.owner, home.token())
        hook = await stack.enter_async_context(HookServer(home.hook_socket, home.hooks, services.builds.receive))
        alive = [app.id for app in await adapters.store.apps()]
        await services.data.transfers.settle()
        await adapters.uploads.sweep(KEPT_SECONDS, all_unnamed=True)
        await adapters.sources.sweep(alive, await adapters.store.destroyed_apps())
        runner = await make_runner(settings, home, adapters, services, hook, stack)
        door = await listen(settings, adapters, services, runner, listeners)
        # At the end: no new calls, then the pushes under way are undone and their pushers told, and only then hang up.
        stack.push_async_callback(hook.close)
        stack.push_async_callback(door.stop)
        url = settings.api_url
        await stack.enter_async_context(Holder(home.takeover_socket, settings.api, lambda: door.listeners, stop.set))
        home.announce(url, settings.router_directory)
        log.info("serving", api=url, router=settings.router, home=str(home.path), version=__version__)
        keep_mending(services)
        await stop.wait()
        log.info("stopping", reason="signal")


async def open_adapters(settings: Settings, home: Home, stack: AsyncExitStack) -> Adapters:
    """Each adapter, closed again in reverse order."""
    directory = settings.router_directory
    store = await stack.enter_async_context(SqlStore(home.store, home.key))
    engine = await stack.enter_async_context(await choose(settings, home))
    used = {addon.provider for addon in await store.addons()}
    router = await stack.enter_async_context(RouterClient(directory / "control.sock"))
    return Adapters(
        store=store,
        engine=engine,
        router=router,
        host=RouterProcess(
            router,
            listen=settings.router,
            directory=directory,
            path=settings.search_path,
            supervised=settings.router_supervised,
            drain=settings.deploy.drain,
            websocket_drain=settings.deploy.websocket_drain,
            workers=settings.router_workers,
        ),
        sources=GitRepos(
            home.path, path=settings.search_path, hooks=home.hooks, max_push_bytes=settings.build.max_push_bytes
        ),
        uploads=FileUploads(home.path, max_bytes=settings.build.max_push_bytes),
        dumps=FileDumps(home.path),
        outputs=LogFiles(home.path),
        journal=LogJournal(home.path, max_bytes=settings.logs.max_bytes, days=settings.logs.days),
        probe=NetworkProbe(),
        ca=LocalCa.open(home.ca),
        web=WebFetch(settings.web.allow_private),
        providers=await open_providers(settings, home, engine, stack, used),
        catalogue=catalogue(settings, default_provider(settings, home)),
    )


def own_hosts(settings: Settings) -> frozenset[str]:
    """Those of the API."""
    return frozenset({host_of(settings.api_url), *API_NAMES})


def names_not_free(settings: Settings) -> frozenset[str]:
    """What no app may be called, for it would answer at one of those."""
    return labels_in(settings.domain, own_hosts(settings))


def wire(settings: Settings, adapters: Adapters) -> Services:
    """The services on these adapters."""
    background = Background()
    store, engine, outputs, sources = adapters.store, adapters.engine, adapters.outputs, adapters.sources
    bounds = {"backlog": settings.traffic.backlog, "websockets": settings.traffic.websockets}
    routing = Routing(store, engine, adapters.router, adapters.host, settings.domain, settings.timeouts.of, **bounds)
    logs = AppLogs(engine, adapters.router, background, adapters.journal, rates=log_rates(settings))
    points = parse_failpoints(settings.failpoints)
    boot = Boot(engine, adapters.probe, logs, boot_rules(settings), points)
    phase = ReleasePhase(engine, outputs, logs, boot, points)
    hands = Stagehands(store, engine, routing, boot, phase, logs, background, deploy_rules(settings), points)
    releases = Releases(hands, wait=settings.deploy.wait)
    rules_of_addons = AddonRules(settings.addons.timeout)
    work = AddonWork(store, releases, logs, background, adapters.providers, adapters.catalogue, rules_of_addons, points)
    disk = Disk(store, engine, outputs, LocalDisks(), background, str(settings.home), disk_rules(settings))
    builds = Builds(store, sources, engine, outputs, releases, logs, build_rules(settings), points, disk)
    archives = Archives(
        sources, adapters.uploads, adapters.web, outputs, builds, background, disk, settings.build.max_push_bytes
    )
    apps = Apps(store, sources, engine, outputs, routing, releases, logs, background, names_not_free(settings))
    recovery = Recovery(hands, adapters.host, sources, apps, releases, builds)
    dynos = Dynos(store, engine, routing, releases, logs, background, recovery, boot.rules.sizes)
    certificates = Certificates(adapters.router, adapters.ca, routing.hosts, routing.hosts_changed)
    maintenance = Maintenance(store, routing, logs, adapters.web, background)
    one_offs = OneOffs(store, engine, boot, logs, background)
    domains = Domains(store, routing, logs, settings.domain, own_hosts(settings))
    return Services(
        access=Access(store),
        addons=Addons(store, work),
        apps=apps,
        ledger=Ledger(store),
        builds=builds,
        archives=archives,
        images=Images(store, engine, outputs, builds, releases, disk),
        releases=releases,
        dynos=dynos,
        domains=domains,
        one_offs=one_offs,
        logs=logs,
        drains=Drains(store, DrainOutlets(adapters.web), logs, background),
        maintenance=maintenance,
        webhooks=Webhooks(store, adapters.web, logs, background),
        routing=routing,
        recovery=recovery,
        certificates=certificates,
        disk=disk,
        data=wire_data(settings, adapters, work, background),
        background=background,
        backups=DailyBackups(settings.home, settings.backups),
    )


def tie(services: Services) -> None:
    """What services call of others that are made of them."""
    services.addons.work.following.start = services.recovery.converge
    services.builds.provide = FirstAddons(services.addons).provide


def wire_data(settings: Settings, adapters: Adapters, work: AddonWork, background: Background) -> Data:
    """What is done with the data behind add-ons."""
    databases = Databases(adapters.store, work)
    rules = KeepRules(settings.addons.backups, settings.addons.backup_days)
    transfers = Transfers(adapters.store, adapters.dumps, adapters.web, databases.reach, background, rules)
    return Data(databases, transfers, Schedules(adapters.store, transfers, databases.living))


def api_parts(settings: Settings, home: Home, adapters: Adapters, services: Services, hook: HookServer) -> ApiParts:
    """What the API is made of."""
    _, router_port = parse_address(settings.router, "router")
    access, audit = services.access, Audit(adapters.store)
    finders = access.authenticate, services.apps.find, access.admit, audit.push
    git = GitHttp(*finders, adapters.sources, hook, parse_failpoints(settings.failpoints), services.disk.admit_build)
    return ApiParts(
        access=access,
        authorizations=Authorizations(adapters.store),
        addons=services.addons,
        partners=Partners(adapters.store, services.addons.work, partners(settings), home.url_secret()),
        audit=audit,
        apps=services.apps,
        builds=services.builds,
        archives=services.archives,
        images=services.images,
        ledger=services.ledger,
        releases=services.releases,
        dynos=services.dynos,
        domains=services.domains,
        one_offs=services.one_offs,
        logs=services.logs,
        drains=services.drains,
        maintenance=services.maintenance,
        webhooks=services.webhooks,
        routing=services.routing,
        disk=services.disk,
        databases=services.data.databases,
        transfers=services.data.transfers,
        schedules=services.data.schedules,
        outputs=adapters.outputs,
        requests=adapters.store,
        secret=home.url_secret(),
        public_url=settings.api_url,
        domain=settings.domain,
        router_port=router_port,
        version=__version__,
        ssh=SshDoor(services.one_offs, services.background),
        attach=settings.attach,
        ca_certificate=adapters.ca.certificate,
        rate_limit=settings.rate_limit,
        guess_limit=settings.guess_limit,
        extra_routes=git.routes(),
    )


async def make_runner(
    settings: Settings, home: Home, adapters: Adapters, services: Services, hook: HookServer, stack: AsyncExitStack
) -> web.AppRunner:
    """The API, without a port yet."""
    parts = api_parts(settings, home, adapters, services, hook)
    services.webhooks.render = Payloads(adapters.store, parts.links, adapters.catalogue).render
    runner = web.AppRunner(make_api(parts), access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    return runner


async def listen(
    settings: Settings,
    adapters: Adapters,
    services: Services,
    runner: web.AppRunner,
    listeners: Sequence[socket.socket],
) -> Port:
    """The API on its port, or on the sockets that the daemon before this one listened on."""
    names = (*API_NAMES, *([host_of(settings.api_url)] if settings.public_url else ()))
    context = adapters.ca.server_context(names)
    services.background.spawn("renew the API's certificate", keep_renewed(adapters.ca, context, names))
    assert runner.server is not None
    meeting = Rendezvous(services.one_offs, services.background)
    door = Port(runner.server, context, services.background.spawn, meeting.make)
    if listeners:
        door.adopt(listeners)
        return door
    host, port = parse_address(settings.api, "api")
    try:
        await door.listen(host, port)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        sys.exit(f"paasd: {settings.api} can't be listened on ({reason}); choose another with --api HOST:PORT.")
    return door


async def keep_renewed(ca: LocalCa, context: ssl.SSLContext, names: Sequence[str]) -> None:
    """Put a fresh certificate in the place of the API's long before it ends."""
    while True:
        await asyncio.sleep(RENEW_SECONDS)
        ca.renew_api(context, names)
