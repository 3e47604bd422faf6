"""From the ledger and the running dynos to routes, and those to the router: whole tables, one publisher at a time."""

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import msgspec

from paasd.domain.app import App
from paasd.domain.dyno import Dyno, DynoKind, DynoState
from paasd.domain.errors import NotFound, RouterUnavailable
from paasd.domain.release import Release
from paasd.ports import Engine, Router, RouterHost, Store
from router.table import BACKLOG, WEBSOCKETS, Hold, NoTargetCode, Route, RouteTimeouts, Target, pages_of

WEB = "web"


@dataclass(frozen=True, slots=True)
class Door:
    """What of a route an app's upkeep and its own host names say; the rest comes from its release and its dynos."""

    maintenance: bool
    hold: Hold | None
    maintenance_page: str
    error_page: str
    hostnames: tuple[str, ...] = ()

    @classmethod
    def of(cls, app: App) -> "Door":
        """The router looks harder at requests of apps with a hold: there is one only while there is a use for it."""
        kept = app.upkeep
        hold = Hold(
            until=kept.until.timestamp() if kept.until else 0.0,
            pause=kept.pause or 0.0,
            allow=kept.allow,
            health_path=kept.health_path or "",
            bypass=kept.bypass or "",
        )
        wanted = app.maintenance or kept.bypass is not None
        return cls(
            app.maintenance,
            hold if wanted and hold != Hold() else None,
            kept.maintenance_page or "",
            kept.error_page or "",
            app.hostnames,
        )

    @classmethod
    def in_route(cls, route: Route) -> "Door":
        """That of a route."""
        return cls(route.maintenance, route.hold, route.maintenance_page, route.error_page, route.hosts[1:])

    def put_into(self, route: Route) -> Route:
        """The route with this door."""
        if Door.in_route(route) == self:
            return route
        return msgspec.structs.replace(
            route,
            maintenance=self.maintenance,
            hold=self.hold,
            maintenance_page=self.maintenance_page,
            error_page=self.error_page,
            hosts=(route.hosts[0], *self.hostnames),
        )


@dataclass(frozen=True, slots=True)
class RouterStatus:
    """What `paas router status` shows. `status` is "up" or "down"; `table` the counter of the table in force."""

    status: str
    pid: int | None
    listen: str | None
    table: int | None
    started_at: str | None


class Routing:
    """Derives routes and publishes them.

    `serving` overrides the ledger for an app between its swap and its promotion; `booting` are running dynos not yet
    found healthy, which get no requests; `leaving` are dynos that somebody is stopping already; `crashed` are releases
    whose web dynos came to nothing and wait to be started again.
    """

    def __init__(
        self,
        store: Store,
        engine: Engine,
        router: Router,
        host: RouterHost,
        domain: str,
        timeouts: Callable[[str], RouteTimeouts | None] = lambda _: None,
        *,
        backlog: int = BACKLOG,
        websockets: int = WEBSOCKETS,
    ) -> None:
        self._store = store
        self._engine = engine
        self._router = router
        self._host = host
        self._domain = domain
        self._timeouts = timeouts
        self._backlog = backlog
        self._websockets = websockets
        self._routes: dict[str, Route] = {}
        self._learnt = False
        self._in_force: list[Route] | None = None
        self._doors: dict[str, Door] = {}
        self._pages: frozenset[str] | None = None
        self._tickets = itertools.count(1)
        self._applied: dict[str, int] = {}
        self._turn = asyncio.Lock()
        self.serving: dict[str, Release] = {}
        self.booting: set[str] = set()
        self.leaving: set[str] = set()
        self.crashed: set[str] = set()
        self.hosts_changed = asyncio.Event()

    async def publish(self, app_id: str) -> None:
        """Derive one app's route anew and put the whole table in force, unless it is: each engine event asks for this.

        Raises RouterUnavailable, EngineUnavailable.
        """
        ticket = next(self._tickets)
        route = await self._derive(app_id)
        async with self._turn:
            await self._learn()
            self._apply(app_id, route, ticket)
            if self._table() != self._in_force:
                await self._put()

    async def observed(self, app_id: str | None = None) -> Sequence[Dyno]:
        """The dynos that the engine has, but those that were being stopped when it was asked: meanwhile they may be
        gone, and neither leaving any more nor there."""
        leaving = frozenset(self.leaving)
        return [dyno for dyno in await self._engine.dynos(app_id) if dyno.id not in leaving]

    async def publish_all(self) -> None:
        """Derive every app's route anew: at boot and in each reconcile, whatever the router has."""
        ticket = next(self._tickets)
        # Releases first, dynos last: a release that is served by then has its dynos in the list.
        served = [(app, await self._release(app.id)) for app in await self._store.apps()]
        dynos = await self.observed()
        async with self._turn:
            await self._learn()
            for app_id in self._routes.keys() - {app.id for app, _ in served}:
                self._apply(app_id, None, ticket)
            for app, release in served:
                self._apply(app.id, self._route(app, release, [d for d in dynos if d.app_id == app.id]), ticket)
            self._pages = None  # a router with a new folder has none
            await self._put()

    async def publish_maintenance(self, app_id: str) -> None:
        """Put an app's upkeep in force, as the ledger says, without the engine: it may be down, or hang."""
        async with self._turn:
            await self._learn()
            app = await self._store.app(app_id)
            if app_id not in self._routes:
                self._routes[app_id] = self._route(app, await self._release(app_id), [])
            before = self._doors.get(app_id)
            self._doors[app_id] = Door.of(app)
            try:
                await self._put()
            except RouterUnavailable:
                if before is None:
                    before = Door.in_route(self._routes[app_id])
                self._doors[app_id] = replace(before, hostnames=app.hostnames)
                raise

    async def publish_domains(self, app_id: str) -> None:
        """Put an app's own host names in force, without the engine. RouterUnavailable: the next table has them."""
        async with self._turn:
            await self._learn()
            app = await self._store.app(app_id)
            if app_id not in self._routes:
                self._routes[app_id] = self._route(app, await self._release(app_id), [])
            self._doors[app_id] = replace(self._doors.get(app_id) or Door.of(app), hostnames=app.hostnames)
            await self._put()

    async def drain(self, dynos: Sequence[Dyno], timeout: float, websockets: float | None = None) -> bool:
        """Wait until the router has no request in flight on these dynos; False at the deadline or without a router.

        After `websockets` seconds (None: `timeout`) it ends their websockets.
        """
        targets = [target for dyno in dynos if (target := target_of(dyno)) is not None]
        if not targets:
            return True
        try:
            return await self._router.drain(targets, timeout=timeout, websockets=websockets)
        except RouterUnavailable:
            return False

    async def served_version(self, app_id: str) -> int | None:
        """The release that the router's own table sends requests to. Raises RouterUnavailable."""
        table = await self._router.table()
        for route in table.routes:
            if route.app == app_id and route.targets:
                return route.targets[0].release
        return None

    async def routes(self) -> Sequence[Route]:
        """Those of the router's own table. Raises RouterUnavailable."""
        return (await self._router.table()).routes

    def hosts(self) -> frozenset[str] | None:
        """The host names of the table last put in force; None before there is one."""
        table = self._in_force
        return None if table is None else frozenset(host for route in table for host in route.hosts)

    async def status(self) -> RouterStatus:
        """The router's state, down included."""
        try:
            health = await self._host.health()
        except RouterUnavailable:
            return RouterStatus("down", None, None, None, None)
        return RouterStatus("up", health.pid, health.listen, health.table, health.started_at)

    async def mend_router(self) -> None:
        """A router whose parent died serves on and its line stays open: nothing tells of it, and nothing replaces what
        dies of it next. Why it can't be mended is said by the reconcile."""
        with contextlib.suppress(RouterUnavailable):
            await self._host.ensure()

    async def stop(self) -> RouterStatus:
        """Let the router finish what is in flight and end."""
        await self._host.stop()
        return await self.status()

    async def upgrade(self) -> RouterStatus:
        """Replace the router's process by a fresh one without refusing a connection, then publish to it."""
        await self._host.upgrade()
        await self.publish_all()
        return await self.status()

    async def _put(self) -> None:
        table = self._table()
        self._in_force = None  # not known, until the router says so
        await self._put_pages(pages_of(table))
        await self._router.publish(table)
        self._in_force = table
        self.hosts_changed.set()

    async def _put_pages(self, named: frozenset[str]) -> None:
        """Give the router the pages that a table is going to name; it has most of them already."""
        if not named or (self._pages is not None and named <= self._pages):
            return
        there = await self._router.pages()
        for page in named - there:
            body = await self._store.page_body(page)
            if body is not None:  # else it was replaced meanwhile, and the next table names another
                await self._router.put_page(page, body)
        self._pages = there | named

    async def _learn(self) -> None:
        """Begin with what the router has: a table is whole, and the other apps' routes must not be missing in it."""
        if not self._learnt:
            self._routes = {route.app: route for route in (await self._router.table()).routes}
            self._learnt = True

    async def _release(self, app_id: str) -> Release | None:
        return self.serving.get(app_id) or await self._store.current_release(app_id)

    async def _derive(self, app_id: str) -> Route | None:
        """None when there is no such app (any more). Asked outside the turn: a slow engine holds up nobody else."""
        try:
            app = await self._store.app(app_id)
        except NotFound:
            return None
        release = await self._release(app_id)
        return self._route(app, release, await self.observed(app_id))

    def _apply(self, app_id: str, route: Route | None, ticket: int) -> None:
        """Whoever began to look later saw more: an older derivation that took longer is dropped."""
        if ticket <= self._applied.get(app_id, 0):
            return
        self._applied[app_id] = ticket
        if route is None:
            self._routes.pop(app_id, None)
            self._doors.pop(app_id, None)
        else:
            self._routes[app_id] = route

    def _route(self, app: App, release: Release | None, dynos: Sequence[Dyno]) -> Route:
        own = [
            dyno
            for dyno in dynos
            if release is not None
            and dyno.release_id == release.id
            and dyno.kind is DynoKind.FORMATION
            and dyno.type == WEB
            and dyno.id not in self.leaving
        ]
        targets = [target for dyno in own if dyno.id not in self.booting and (target := target_of(dyno)) is not None]
        bare = Route(
            app=app.id,
            name=app.name,
            hosts=(f"{app.name}.{self._domain}",),
            targets=tuple(sorted(targets, key=lambda target: target.dyno)),
            timeouts=self._timeouts(app.name),
            backlog=self._backlog,
            websockets=self._websockets,
            no_target_code=self._no_target_code(release, own),
            health_path=release.processes.health_paths.get(WEB, "") if release is not None else "",
        )
        return Door.of(app).put_into(bare)

    def _no_target_code(self, release: Release | None, own: Sequence[Dyno]) -> NoTargetCode:
        if release is None or release.artifact is None:
            return "H81"
        if any(dyno.state is DynoState.CRASHED for dyno in own):
            return "H10"
        if own:
            return "H20"
        return "H10" if release.id in self.crashed else "H14"

    def _table(self) -> list[Route]:
        """By name. A change of an app's upkeep counts, however old the derivation that stands beside it."""
        routes = (
            self._doors[app_id].put_into(route) if app_id in self._doors else route
            for app_id, route in self._routes.items()
        )
        return _without_doubles(sorted(routes, key=lambda route: route.name))


def _without_doubles(routes: list[Route]) -> list[Route]:
    """Each host once, for one double would have the router refuse the whole table: apps' names under the zone come
    first (the zone may have been another when a domain was added), then whoever has it first."""
    taken = {route.hosts[0] for route in routes}
    for index, route in enumerate(routes):
        kept = tuple(host for host in route.hosts[1:] if host not in taken)
        taken.update(kept)
        if len(kept) < len(route.hosts) - 1:
            routes[index] = msgspec.structs.replace(route, hosts=(route.hosts[0], *kept))
    return routes


def target_of(dyno: Dyno) -> Target | None:
    """Where the router reaches a dyno, or None when it has no address."""
    if not dyno.running or dyno.address is None or dyno.port is None:
        return None
    return Target(app=dyno.app_id, release=dyno.release_version, dyno=dyno.name, host=dyno.address, port=dyno.port)
