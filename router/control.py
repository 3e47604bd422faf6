"""The control API, for the daemon, over a unix socket that only the router's user may open. Serving never needs it.

It is answered by the worker that leads, for all of them. No connection is kept: the next request is the next leader's.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import msgspec
from aiohttp import web

from router import metrics
from router.access_log import AccessLog
from router.certificates import CertificateError, Certificates
from router.custom_pages import PageError
from router.peers import Drain, Own, Peers, TakeTable, Tell, Unreachable
from router.state import StaleTable, TableInForce
from router.table import CertificateChange, RoutingTable, TableError, decode, encode

_TABLE_BYTES = 64 * 1024 * 1024
_LONGEST_DRAIN = 3600.0
_DRAIN_MARGIN = 5.0
_UPGRADE_SECONDS = 45.0

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class DrainTarget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One target's address."""

    host: str
    port: int


class DrainOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which targets must have no request in flight, and how many seconds to wait for that.

    `websockets`: after how many seconds theirs are ended; left out, as `timeout`.
    """

    targets: tuple[DrainTarget, ...]
    timeout: float = 30.0
    websockets: float | None = None

    def drain(self) -> Drain:
        """What the workers are asked."""
        seconds, websockets = (
            None if given is None else min(max(given, 0.0), _LONGEST_DRAIN) for given in (self.timeout, self.websockets)
        )
        return Drain(tuple((target.host, target.port) for target in self.targets), seconds or 0.0, websockets)


class About(msgspec.Struct, frozen=True):
    """What the parent says of the router: its pid, since when its workers serve, as whom, how many there should be."""

    pid: int
    started_at: str
    user: str
    workers: int = 1


class Control:
    """Handlers of the control API. `lead` before it is served; `stop` ends the router as SIGTERM does."""

    def __init__(
        self,
        table: TableInForce,
        certificates: Certificates,
        log: AccessLog,
        own: Own,
        peers: Peers,
        listen: str,
        stop: Callable[[], None],
    ) -> None:
        self._table = table
        self._certificates = certificates
        self._log = log
        self._own = own
        self._peers = peers
        self._listen = listen
        self._stop = stop
        self._about = About(0, "", "")
        self._changing = asyncio.Lock()
        self._waited_for: set[asyncio.Future[None]] = set()

    def lead(self, about: About) -> None:
        """Answer for the router that `about` tells of."""
        self._about = about

    def without_parent(self) -> None:
        """Answer as an orphan until the next `lead`: a parent that has just come may still fail to start workers."""
        self._about = msgspec.structs.replace(self._about, pid=0)

    async def settled(self) -> None:
        """Return once nobody waits here any more for a drain or an upgrade to be done."""
        while self._waited_for:
            await asyncio.wait(self._waited_for)

    def app(self) -> web.Application:
        """The API as an aiohttp application."""
        app = web.Application(client_max_size=_TABLE_BYTES)
        app.on_response_prepare.append(_close_after)
        app.router.add_get("/health", self._health)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/table", self._get_table)
        app.router.add_put("/table", self._put_table)
        app.router.add_get("/certificates", self._get_certificates)
        app.router.add_patch("/certificates", self._change_certificates)
        app.router.add_get("/pages", self._get_pages)
        app.router.add_put("/pages/{page}", self._put_page)
        app.router.add_post("/drain", self._waiting(self._drain))
        app.router.add_get("/log", self._follow_log)
        app.router.add_post("/upgrade", self._waiting(self._upgrade))
        app.router.add_post("/shutdown", self._shutdown)
        return app

    def _waiting(self, handler: Handler) -> Handler:
        """A handler that may take its time: a worker that ends meanwhile answers first."""

        async def serve(request: web.Request) -> web.StreamResponse:
            done = asyncio.get_running_loop().create_future()
            self._waited_for.add(done)
            try:
                return await handler(request)
            finally:
                self._waited_for.discard(done)
                done.set_result(None)

        return serve

    async def _health(self, _: web.Request) -> web.Response:
        own = self._own.said(Tell())
        try:
            said = [own, *await self._peers.ask(Tell())]
        except Unreachable:
            said = [own]
        return web.json_response(
            {
                "status": "ok" if self._about.pid else "orphaned",
                "pid": self._about.pid or own.pid,
                "table": self._table.table.version,
                "listen": self._listen,
                "started_at": self._about.started_at,
                "in_flight": sum(each.in_flight for each in said),
                "user": self._about.user,
                "workers": sorted(each.pid for each in said),
            }
        )

    async def _metrics(self, _: web.Request) -> web.Response:
        try:
            said = [self._own.said(Tell()), *await self._peers.ask(Tell())]
        except Unreachable as error:
            return _refusal(503, str(error))
        table = self._table.table
        figures = [each.figures for each in said if each.figures is not None]
        names = {route.app: route.name for route in table.routes}
        text = metrics.render(figures, names=names, table=table.version)
        return web.Response(text=text, headers={"Content-Type": metrics.CONTENT_TYPE})

    async def _get_table(self, _: web.Request) -> web.Response:
        return web.Response(body=encode(self._table.table), content_type="application/json")

    async def _put_table(self, request: web.Request) -> web.Response:
        try:
            table = decode(await request.read())
            await self._table.publish(table, self._spread)
        except TableError as error:
            return _refusal(400, str(error))
        except StaleTable as error:
            return _refusal(409, str(error), version=self._table.table.version)
        except Unreachable as error:
            return _refusal(503, f"The routing table is saved, but not in force everywhere. {error}")
        except OSError as error:
            return _refusal(
                507, f"The routing table could not be saved ({error.strerror}): make room and publish it again."
            )
        return web.json_response({"version": table.version})

    async def _get_pages(self, _: web.Request) -> web.Response:
        return web.json_response({"pages": await asyncio.to_thread(self._table.pages.known)})

    async def _put_page(self, request: web.Request) -> web.Response:
        try:
            await asyncio.to_thread(self._table.pages.put, request.match_info["page"], await request.read())
        except PageError as error:
            return _refusal(400, str(error))
        except OSError as error:
            return _refusal(507, f"The page could not be saved ({error.strerror}): make room and send it again.")
        return web.json_response({"page": request.match_info["page"]})

    async def _spread(self, table: RoutingTable) -> None:
        await self._peers.ask(TakeTable(table))

    async def _get_certificates(self, _: web.Request) -> web.Response:
        return web.json_response(await asyncio.to_thread(self._certificates.held))

    async def _change_certificates(self, request: web.Request) -> web.Response:
        """In force in every worker when this answers: each looks at the files by itself."""
        try:
            change = msgspec.json.decode(await request.read(), type=CertificateChange)
        except msgspec.DecodeError as error:
            return _refusal(400, f"The change of certificates can't be read: {error}.")
        async with self._changing:
            try:
                await asyncio.to_thread(self._certificates.change, change)
            except CertificateError as error:
                return _refusal(400, str(error))
            except OSError as error:
                return _refusal(507, f"A certificate could not be saved ({error.strerror}): make room and try again.")
        return web.json_response({"status": "saved"})

    async def _drain(self, request: web.Request) -> web.Response:
        try:
            order = msgspec.json.decode(await request.read(), type=DrainOrder)
        except msgspec.DecodeError as error:
            return _refusal(400, f"The drain order can't be read: {error}.")
        drain = order.drain()
        try:
            own, others = await asyncio.gather(
                self._own.drained(drain), self._peers.ask(drain, drain.longest + _DRAIN_MARGIN)
            )
        except Unreachable as error:
            return _refusal(503, str(error))
        left = own.in_flight + sum(each.in_flight for each in others)
        return web.json_response({"drained": not left, "in_flight": left})

    async def _follow_log(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        async with aclosing(self._log.follow(request.query.get("since"))) as batches:
            async for lines in batches:
                await response.write(lines)
        return response

    async def _upgrade(self, _: web.Request) -> web.Response:
        try:
            complaint = await self._peers.upgrade(_UPGRADE_SECONDS)
        except Unreachable as error:
            return _refusal(503, str(error))
        except TimeoutError:
            complaint = f"It was not done within {_UPGRADE_SECONDS:g} seconds: see the router's error output."
        if complaint:
            return _refusal(500, complaint)
        return web.json_response({"status": "upgraded"})

    async def _shutdown(self, _: web.Request) -> web.Response:
        self._stop()
        return web.json_response({"status": "stopping"}, status=202)


async def _close_after(_: web.Request, response: web.StreamResponse) -> None:
    response.force_close()
    response.headers["Connection"] = "close"


def _refusal(status: int, message: str, **more: int) -> web.Response:
    return web.json_response({"message": message, **more}, status=status)
