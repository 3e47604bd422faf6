"""Where requests wait for a dyno that is starting: woken by the table that has one, sent away when time is up."""

import asyncio

from router.inflight import Address
from router.state import TableInForce
from router.table import Route


class Parking:
    """Holds requests for at most `seconds`. Nothing polls: each new table wakes all of them."""

    def __init__(self, table: TableInForce, seconds: float) -> None:
        self._table = table
        self._seconds = seconds
        self._swapped: asyncio.Future[None] | None = None
        table.when_removed(self._wake)

    async def route(self, host: str) -> Route | None:
        """The route for `host`: at once, unless its dynos are still starting (H20)."""
        route = self._table.route(host)
        if not _waits(route):
            return route
        loop = asyncio.get_running_loop()
        until = loop.time() + self._seconds
        while _waits(route) and loop.time() < until:
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
    return route is not None and not route.targets and not route.maintenance and route.no_target_code == "H20"
