"""A daemon in this process that can be killed: real services, the real API on a socket, SQLite; fakes outside of it.

Killed means: from one call of a port on, nothing it does reaches the outside any more, and nobody cleans up. The next
one is made over the same store, engine, router and repositories.
"""

import asyncio
import contextlib
import inspect
import socket
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, cast

import aiohttp
from aiohttp import web
from aiohttp.typedefs import Handler

from paasd.adapters.disk import LocalDisks
from paasd.adapters.drain_outlets import DrainOutlets
from paasd.adapters.dumps import FileDumps
from paasd.adapters.web_fetch import WebFetch
from paasd.api.parts import ApiParts
from paasd.api.server import make_api
from paasd.api.ssh import SshDoor
from paasd.domain.disk import DiskRules
from paasd.domain.errors import PaasError
from paasd.services.addon_partners import Partners
from paasd.services.audit import Audit
from paasd.services.authorizations import Authorizations
from paasd.services.databases import Databases
from paasd.services.disk import Disk
from paasd.services.domains import Domains
from paasd.services.drains import Drains
from paasd.services.one_off import OneOffs
from paasd.services.schedules import Schedules
from paasd.services.transfers import Transfers
from paasd.services.webhooks import Webhooks
from tests.paasd.services.world import Output, Outside, World, wire

TOKEN = "t0ken"
ACCEPT = "application/vnd.heroku+json; version=3"


class Killed(BaseException):
    """What a dead daemon's calls raise: nothing of ours may catch it and go on."""


@dataclass
class Life:
    """Ends by itself when `fuse` calls of ports have begun or ended from now; None: when it is told to."""

    fuse: int | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def step(self) -> None:
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse <= 0:
                self.over.set()
        if self.over.is_set():
            raise Killed


class Mortal:
    """A port as a daemon of that life reaches it."""

    def __init__(self, port: object, life: Life) -> None:
        self._port = port
        self._life = life

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if inspect.iscoroutinefunction(found):
            return self._call(found)
        return self._at_once(found) if inspect.isroutine(found) else found

    def _call(self, found: Callable[..., Any]) -> Callable[..., Any]:
        async def call(*args: Any, **kwargs: Any) -> Any:
            self._life.step()
            result = await found(*args, **kwargs)
            self._life.step()
            return result

        return call

    def _at_once(self, found: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self._life.step()
            return found(*args, **kwargs)

        return call


@web.middleware
async def fall_silent(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Whoever was being answered by a daemon that dies hears no more."""
    try:
        return await handler(request)
    except Killed:
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=503)


class MortalDaemon:
    """One life of a daemon over `outside`."""

    def __init__(self, outside: Outside) -> None:
        self.life = Life()
        self.store = outside.store
        self.home = outside.home
        mortal = {name: Mortal(getattr(outside, name), self.life) for name in ("store", "engine", "plane", "sources")}
        self.world: World = wire(replace(outside, **cast(Any, mortal)))
        self._runner: web.AppRunner | None = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    async def start(self) -> None:
        """Serve the API and mend, as the daemon does."""
        world = self.world
        one_offs = OneOffs(world.store, world.engine, world.releases._hands.boot, world.logs, world.background)
        databases = Databases(world.store, world.addons.work)
        home = self.home
        transfers = Transfers(world.store, FileDumps(home), WebFetch(), databases.reach, world.background)
        parts = ApiParts(
            access=world.access, addons=world.addons, databases=databases, transfers=transfers,
            partners=Partners(world.store, world.addons.work),
            schedules=Schedules(world.store, transfers, databases.living),
            authorizations=Authorizations(world.store), audit=Audit(world.store),
            maintenance=world.maintenance,
            drains=Drains(world.store, DrainOutlets(WebFetch()), world.logs, world.background),
            webhooks=Webhooks(world.store, WebFetch(), world.logs, world.background),
            apps=world.apps, builds=world.builds, archives=world.archives,
            images=world.images, ledger=world.ledger, releases=world.releases, dynos=world.dynos,
            one_offs=one_offs, ssh=SshDoor(one_offs, world.background),
            domains=Domains(world.store, world.routing, world.logs, "localhost"),
            logs=world.logs, routing=world.routing, outputs=world.outputs, requests=world.store,
            disk=Disk(
                world.store, world.engine, world.outputs, LocalDisks(), world.background, "/", DiskRules()
            ),
            secret=b"s" * 32, public_url=self.url,
            router_port=8080, version="0", rate_limit=10_000_000,
        )  # fmt: skip
        api = make_api(parts)
        api.middlewares.insert(0, fall_silent)
        self._runner = web.AppRunner(api, access_log=None, shutdown_timeout=0.01)
        await self._runner.setup()
        await web.SockSite(self._runner, self._listener).start()
        await world.access.ensure_owner("ann@example.org", TOKEN)
        world.background.spawn("boot", world.recovery.boot())
        world.background.spawn("watch", world.recovery.watch())

    async def kill(self) -> None:
        """At once; returns when nothing of it is left in this process."""
        self.life.over.set()
        assert self._runner is not None
        server = self._runner.server
        assert server is not None
        asyncio.get_running_loop().remove_reader(self._listener)
        await _a_few_rounds()  # what asyncio has accepted must be attached to its server while that is open
        lines = [handler.transport for handler in server.connections]
        await self.world.background.close()
        with contextlib.suppress(Killed):
            await self._runner.cleanup()
        for line in [*lines, *(handler.transport for handler in server.connections)]:
            if line is not None:
                line.abort()
        await self.world.background.close()
        # A commit that was handed to the database's thread is not called back: it is before this one, or is not to be.
        async with self.store._database.write():
            pass

    async def call(self, method: str, path: str, body: object = None) -> tuple[int | None, Any]:
        """(status, JSON) of an API call; (None, None) when the daemon died over it."""
        headers = {"Accept": ACCEPT, "Authorization": f"Bearer {TOKEN}"}
        try:
            async with (
                aiohttp.ClientSession(self.url) as session,
                session.request(method, path, json=body, headers=headers) as answer,
            ):
                return answer.status, await answer.json()
        except aiohttp.ClientError:
            return None, None

    async def push(self, name: str, procfile: str) -> tuple[int | None, Any]:
        """(200, None) for a push that is served, (422, reason) for a rejected one, as if it were a call."""
        try:
            app = await self.world.apps.find(name)
            push = self.world.commit(app, procfile)
            await self.world.builds.receive(push, Output())
            await self.world.sources.move_branch(app.id, "main", push.sha)
        except PaasError as error:
            return 422, error.message
        except (Killed, asyncio.CancelledError):
            return None, None
        return 200, None


async def _a_few_rounds() -> None:
    """Of the event loop: whatever was due in it has been done."""
    for _ in range(4):
        await asyncio.sleep(0)
