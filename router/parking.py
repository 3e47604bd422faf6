"""Where requests wait, for a dyno that starts or a pause to end: woken by each table, sent away when time is up."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable

from router import upkeep
from router.inflight import Address, InFlight
from router.state import TableInForce
from router.table import Route

_PAUSED_AT_ONCE = 1000  # of one host: each holds a connection, and up to 128 kB of its body


class Parking:
    """Holds requests; those for a dyno at most `seconds`. Nothing polls: each new table wakes all of them.

    Who waits is in flight, though on no target: a router that ends gives it the time it gives to others.
    """

    def __init__(self, table: TableInForce, in_flight: InFlight, seconds: float) -> None:
        self._table = table
        self._in_flight = in_flight
        self._seconds = seconds
        self._paused: Counter[str] = Counter()
        self._swapped: asyncio.Future[None] | None = None
        table.when_removed(self._wake)

    async def route(self, host: str) -> Route | None:
        """The route for `host`: at once, unless its dynos are still starting (H20)."""
        route = self._table.route(host)
        own = None if route is None else route.timeouts
        return await self._waiting(host, _waits, self._seconds if own is None else own.park)

    async def paused(self, host: str, still: Callable[[Route | None], bool], seconds: float) -> Route | None:
        """The route for `host` once it is `still` paused no more, or time is up, or too many wait already."""
        if self._paused[host] >= _PAUSED_AT_ONCE:
            return self._table.route(host)
        self._paused[host] += 1
        try:
            return await self._waiting(host, still, seconds)
        finally:
            self._paused[host] -= 1
            if not self._paused[host]:
                del self._paused[host]

    async def _waiting(self, host: str, waits: Callable[[Route | None], bool], seconds: float) -> Route | None:
        route = self._table.route(host)
        if not waits(route):
            return route
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        with self._in_flight.parked():
            while waits(route) and loop.time() < until:
                if self._swapped is None:
                    self._swapped = loop.create_future()
                await asyncio.wait((self._swapped,), timeout=until - loop.time())
                route = self._table.route(host)
        return route

    def _wake(self, _: frozenset[Address]) -> None:
        swapped, self._swapped = self._swapped, None
        if swapped is not None:
            swapped.set_result(None)


def _waits(route: Route | None) -> bool:
    if route is None or route.targets or route.no_target_code != "H20":
        return False
    return not route.maintenance or not upkeep.held(route, time.time())
