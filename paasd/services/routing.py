"""From the ledger and the running dynos to routes, and those to the router: whole tables, one publisher at a time."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from paasd.domain.app import App
from paasd.domain.dyno import Dyno, DynoKind, DynoState
from paasd.domain.errors import NotFound, RouterUnavailable
from paasd.domain.release import Release
from paasd.ports import Engine, Router, RouterHost, Store
from router.table import NoTargetCode, Route, Target

WEB = "web"


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

    def __init__(self, store: Store, engine: Engine, router: Router, host: RouterHost, domain: str) -> None:
        self._store = store
        self._engine = engine
        self._router = router
        self._host = host
        self._domain = domain
        self._routes: dict[str, Route] = {}
        self._learnt = False
        self._in_force: list[Route] | None = None
        self._turn = asyncio.Lock()
        self.serving: dict[str, Release] = {}
        self.booting: set[str] = set()
        self.leaving: set[str] = set()
        self.crashed: set[str] = set()

    async def publish(self, app_id: str) -> None:
        """Derive one app's route anew and put the whole table in force, unless it is: each engine event asks for this.

        Raises RouterUnavailable, EngineUnavailable.
        """
        async with self._turn:
            await self._learn()
            await self._derive(app_id)
            if self._table() != self._in_force:
                await self._put()

    async def publish_all(self) -> None:
        """Derive every app's route anew: at boot and in each reconcile, whatever the router has."""
        async with self._turn:
            dynos = await self._engine.dynos()
            routes = {}
            for app in await self._store.apps():
                release = self.serving.get(app.id) or await self._store.current_release(app.id)
                own = [dyno for dyno in dynos if dyno.app_id == app.id]
                routes[app.id] = self._route(app, release, own)
            self._routes, self._learnt = routes, True
            await self._put()

    async def publish_maintenance(self, app: App) -> None:
        """Switch one app's page on or off without asking the engine, so that it works while the engine is down."""
        async with self._turn:
            await self._learn()
            known = self._routes.get(app.id)
            if known is None:
                await self._derive(app.id)
            else:
                self._routes[app.id] = Route(
                    app=known.app,
                    name=known.name,
                    hosts=known.hosts,
                    targets=known.targets,
                    maintenance=app.maintenance,
                    no_target_code=known.no_target_code,
                )
            await self._put()

    async def drain(self, dynos: Sequence[Dyno], timeout: float) -> bool:
        """Wait until the router has no request in flight on these dynos; False at the deadline or without a router."""
        targets = [target for dyno in dynos if (target := target_of(dyno)) is not None]
        if not targets:
            return True
        try:
            return await self._router.drain(targets, timeout=timeout)
        except RouterUnavailable:
            return False

    async def served_version(self, app_id: str) -> int | None:
        """The release that the router's own table sends requests to. Raises RouterUnavailable."""
        table = await self._router.table()
        for route in table.routes:
            if route.app == app_id and route.targets:
                return route.targets[0].release
        return None

    async def status(self) -> RouterStatus:
        """The router's state, down included."""
        try:
            health = await self._host.health()
        except RouterUnavailable:
            return RouterStatus("down", None, None, None, None)
        return RouterStatus("up", health.pid, health.listen, health.table, health.started_at)

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
        await self._router.publish(table)
        self._in_force = table

    async def _learn(self) -> None:
        """Begin with what the router has: a table is whole, and the other apps' routes must not be missing in it."""
        if not self._learnt:
            self._routes = {route.app: route for route in (await self._router.table()).routes}
            self._learnt = True

    async def _derive(self, app_id: str) -> None:
        try:
            app = await self._store.app(app_id)
        except NotFound:
            self._routes.pop(app_id, None)
            return
        release = self.serving.get(app_id) or await self._store.current_release(app_id)
        self._routes[app_id] = self._route(app, release, await self._engine.dynos(app_id))

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
        return Route(
            app=app.id,
            name=app.name,
            hosts=(f"{app.name}.{self._domain}",),
            targets=tuple(sorted(targets, key=lambda target: target.dyno)),
            maintenance=app.maintenance,
            no_target_code=self._no_target_code(release, own),
        )

    def _no_target_code(self, release: Release | None, own: Sequence[Dyno]) -> NoTargetCode:
        if release is None or release.artifact is None:
            return "H81"
        if any(dyno.state is DynoState.CRASHED for dyno in own):
            return "H10"
        if own:
            return "H20"
        return "H10" if release.id in self.crashed else "H14"

    def _table(self) -> list[Route]:
        return sorted(self._routes.values(), key=lambda route: route.name)


def target_of(dyno: Dyno) -> Target | None:
    """Where the router reaches a dyno, or None when it has no address."""
    if not dyno.running or dyno.address is None or dyno.port is None:
        return None
    return Target(app=dyno.app_id, release=dyno.release_version, dyno=dyno.name, host=dyno.address, port=dyno.port)
