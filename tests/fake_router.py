"""The router in memory: a data plane that keeps its table over a restart, the client's view of it, and its host.

It keeps the contract of tests/contracts/test_router.py, as the real one does.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

from paasd.domain.dyno import LogLine
from paasd.domain.errors import RouterUnavailable
from paasd.ports import RouterHealth
from router.table import Route, RoutingTable, Target, decode, encode
from tests.gates import Gates


class DataPlane:
    """What a router's process has and keeps. Tables older than the one in force are refused."""

    def __init__(self) -> None:
        self.running = True
        self.starts = 1
        self.journal: list[str] = []
        self.in_flight: Counter[tuple[str, int]] = Counter()
        self.ended = asyncio.Event()
        self.followers: list[asyncio.Queue[tuple[str, LogLine] | None]] = []
        self.remembered: list[tuple[str, LogLine]] = []
        self.pages: dict[str, bytes] = {}
        self._saved = encode(RoutingTable(0))
        self._table = RoutingTable(0)

    @property
    def table(self) -> RoutingTable:
        self.check()
        return self._table

    def check(self) -> None:
        if not self.running:
            raise RouterUnavailable("The router does not answer; see `paas router status`.")

    def put(self, table: RoutingTable) -> None:
        """ValueError for one that is not newer than the table in force."""
        self.check()
        if table.version <= self._table.version:
            raise ValueError(f"Table {table.version} is not newer than table {self._table.version}.")
        self._saved = encode(table)
        self._table = decode(self._saved)
        self.journal.append("publish " + " ".join(str(t.release) for route in table.routes for t in route.targets))

    def stop(self) -> None:
        """As by a kill."""
        self.running = False
        self.remembered.clear()
        self.in_flight.clear()
        self.end_request()
        for queue in self.followers:
            queue.put_nowait(None)

    def start(self) -> None:
        """A fresh process, with the table that was saved."""
        self.running = True
        self.starts += 1
        self._table = decode(self._saved)

    def serve(self, app: str, target: tuple[str, int], line: str = "method=GET") -> None:
        """A request comes in, and stays in flight until `end_request`."""
        self.in_flight[target] += 1
        self.remembered.append((app, LogLine(datetime.now(UTC), "heroku", "router", line)))
        for queue in self.followers:
            queue.put_nowait(self.remembered[-1])

    def end_request(self, target: tuple[str, int] | None = None) -> None:
        if target is not None:
            self.in_flight[target] -= 1
        self.ended.set()
        self.ended = asyncio.Event()


class FakeRouter:
    """Router: a client of a data plane, with its own idea of the counter."""

    def __init__(self, plane: DataPlane) -> None:
        self.plane = plane
        self.gates = Gates()
        self._version = 0
        self._heard_until: datetime | None = None

    async def publish(self, routes: Sequence[Route]) -> int:
        await self.gates.at("publish")
        self.plane.check()
        while True:
            self._version += 1
            try:
                self.plane.put(RoutingTable(self._version, tuple(routes)))
            except ValueError:
                self._version = self.plane.table.version
            else:
                await self.gates.at("published")
                return self._version

    async def table(self) -> RoutingTable:
        await self.gates.at("table")
        return self.plane.table

    async def pages(self) -> frozenset[str]:
        self.plane.check()
        return frozenset(self.plane.pages)

    async def put_page(self, sha256: str, body: bytes) -> None:
        self.plane.check()
        self.plane.pages[sha256] = body

    async def drain(self, targets: Sequence[Target], *, timeout: float, websockets: float | None = None) -> bool:
        await self.gates.at("drain")
        self.plane.check()
        self.plane.journal.append("drain " + " ".join(f"{target.dyno} v{target.release}" for target in targets))
        addresses = [(target.host, target.port) for target in targets]
        try:
            async with asyncio.timeout(timeout):
                while any(self.plane.in_flight[address] for address in addresses):
                    await self.plane.ended.wait()
        except TimeoutError:
            return False
        self.plane.check()
        return True

    async def log_lines(self) -> AsyncIterator[tuple[str, LogLine]]:
        self.plane.check()
        queue: asyncio.Queue[tuple[str, LogLine] | None] = asyncio.Queue()
        for entry in self.plane.remembered:
            if self._heard_until is None or entry[1].at > self._heard_until:
                queue.put_nowait(entry)
        self.plane.followers.append(queue)
        try:
            while (heard := await queue.get()) is not None:
                self._heard_until = heard[1].at
                yield heard
        finally:
            self.plane.followers.remove(queue)


class FakeRouterHost:
    """RouterHost of a data plane. Stopped by request, it stays so until an upgrade."""

    def __init__(self, plane: DataPlane) -> None:
        self._plane = plane
        self._stopped = False
        self.startable = True

    async def ensure(self) -> None:
        if self._plane.running or self._stopped:
            return
        if not self.startable:
            raise RouterUnavailable("The router did not start: its port is taken; choose another with --router.")
        self._plane.start()

    async def health(self) -> RouterHealth:
        version = self._plane.table.version
        return RouterHealth(4711 + self._plane.starts, "127.0.0.1:8080", version, "2026-11-23T06:00:00Z")

    async def stop(self) -> None:
        self._stopped = True
        self._plane.stop()

    async def upgrade(self) -> None:
        self._stopped = False
        self._plane.start()
