"""The control API, for the daemon, over a unix socket that only the router's user may open. Serving never needs it."""

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass

import msgspec
from aiohttp import web

from router.access_log import AccessLog
from router.inflight import InFlight
from router.state import StaleTable, TableInForce
from router.table import TableError, decode, encode

_TABLE_BYTES = 64 * 1024 * 1024
_LONGEST_DRAIN = 3600.0


class DrainTarget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One address to wait for."""

    host: str
    port: int


class DrainOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What POST /drain takes; `timeout` in seconds."""

    targets: tuple[DrainTarget, ...]
    timeout: float = 30.0


@dataclass(frozen=True, slots=True)
class About:
    """What /health tells of this process."""

    pid: int
    listen: str
    started_at: str


class Control:
    """Handlers of the control API; `stop` is what SIGTERM does too."""

    def __init__(
        self, table: TableInForce, in_flight: InFlight, log: AccessLog, about: About, stop: Callable[[], None]
    ) -> None:
        self._table = table
        self._in_flight = in_flight
        self._log = log
        self._about = about
        self._stop = stop

    def app(self) -> web.Application:
        """The API as an aiohttp application."""
        app = web.Application(client_max_size=_TABLE_BYTES)
        app.router.add_get("/health", self._health)
        app.router.add_get("/table", self._get_table)
        app.router.add_put("/table", self._put_table)
        app.router.add_post("/drain", self._drain)
        app.router.add_get("/log", self._follow_log)
        app.router.add_post("/shutdown", self._shutdown)
        return app

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response(
            {
                "status": "ok",
                "pid": self._about.pid,
                "table": self._table.table.version,
                "listen": self._about.listen,
                "started_at": self._about.started_at,
                "in_flight": self._in_flight.count(),
            }
        )

    async def _get_table(self, _: web.Request) -> web.Response:
        return web.Response(body=encode(self._table.table), content_type="application/json")

    async def _put_table(self, request: web.Request) -> web.Response:
        try:
            table = decode(await request.read())
            await self._table.publish(table)
        except TableError as error:
            return _refusal(400, str(error))
        except StaleTable as error:
            return _refusal(409, str(error), version=self._table.table.version)
        except OSError as error:
            return _refusal(
                507, f"The routing table could not be saved ({error.strerror}): make room and publish it again."
            )
        return web.json_response({"version": table.version})

    async def _drain(self, request: web.Request) -> web.Response:
        try:
            order = msgspec.json.decode(await request.read(), type=DrainOrder)
        except msgspec.DecodeError as error:
            return _refusal(400, f"The drain order can't be read: {error}.")
        addresses = [(target.host, target.port) for target in order.targets]
        drained = await self._in_flight.idle(addresses, min(max(order.timeout, 0.0), _LONGEST_DRAIN))
        return web.json_response({"drained": drained, "in_flight": self._in_flight.count(addresses)})

    async def _follow_log(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        async with aclosing(self._log.follow(request.query.get("since"))) as batches:
            async for lines in batches:
                await response.write(lines)
        return response

    async def _shutdown(self, _: web.Request) -> web.Response:
        self._stop()
        return web.json_response({"status": "stopping"}, status=202)


def _refusal(status: int, message: str, **more: int) -> web.Response:
    return web.json_response({"message": message, **more}, status=status)
