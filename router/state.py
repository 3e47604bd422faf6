"""The table in force and its copy on disk: on disk before it is in force, in force before it is acknowledged."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from router.custom_pages import CustomPages
from router.inflight import Address
from router.table import Route, RoutingTable, TableError, decode, encode, pages_of


class StaleTable(ValueError):
    """A table older than the one in force (or another one under the same version) was offered."""


class TableInForce:
    """Host names to routes; a new table takes the place of the old one as a whole, between two requests."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / "table.json"
        self.pages = CustomPages(directory)
        self._on_removed: list[Callable[[frozenset[Address]], None]] = []
        self._publishing = asyncio.Lock()
        self._table = RoutingTable(version=0)
        self.by_host: dict[str, Route] = {}  # by the lower-case host name without a port
        self._wildcards = False
        self._addresses: frozenset[Address] = frozenset()

    @property
    def table(self) -> RoutingTable:
        return self._table

    def route(self, host: str) -> Route | None:
        """The route for a lower-case host name without a port: its own, or that of the nearest wildcard over it."""
        return self.by_host.get(host) or (self._under_wildcard(host) if self._wildcards else None)

    def serves(self, address: Address) -> bool:
        """Whether the table in force still routes to `address`."""
        return address in self._addresses

    def when_removed(self, hear: Callable[[frozenset[Address]], None]) -> None:
        """Have `hear` called, in the swap, with the addresses no longer routed to."""
        self._on_removed.append(hear)

    def restore(self) -> str | None:
        """Take the saved table, if there is one. A damaged file is set aside; the sentence that says so is returned."""
        try:
            self._put_in_force(decode(self._file.read_bytes()))
        except FileNotFoundError:
            return None
        except TableError as error:
            aside = self._file.with_suffix(".json.damaged")
            with suppress(FileNotFoundError):  # another worker that starts has done it
                self._file.replace(aside)
            return f"The saved routing table was damaged and is kept as {aside}; starting with an empty one. {error}"
        return None

    def take(self, table: RoutingTable) -> None:
        """Swap to a table that the worker which publishes has saved; an older one than ours is let be."""
        if table.version > self._table.version:
            self._put_in_force(table)

    async def publish(self, table: RoutingTable, spread: Callable[[RoutingTable], Awaitable[None]]) -> None:
        """Save `table` durably, swap to it, then `spread` it. The one in force is only spread. Raises StaleTable."""
        async with self._publishing:
            current = self._table
            if table != current:
                if table.version <= current.version:
                    raise StaleTable(
                        f"Table {table.version} is not newer than table {current.version}, which is in force: "
                        f"publish a version above {current.version}."
                    )
                await asyncio.to_thread(_save, self._file, encode(table))
                self._put_in_force(table)
            await spread(table)
            await asyncio.to_thread(self.pages.keep, pages_of(table.routes))

    async def settled(self) -> None:
        """Return once nothing is being published."""
        async with self._publishing:
            return

    def _under_wildcard(self, host: str) -> Route | None:
        _, dot, above = host.partition(".")
        while dot:
            route = self.by_host.get(f"*.{above}")
            if route is not None:
                return route
            _, dot, above = above.partition(".")
        return None

    def _put_in_force(self, table: RoutingTable) -> None:
        by_host = {host: route for route in table.routes for host in route.hosts}
        addresses = frozenset((target.host, target.port) for route in table.routes for target in route.targets)
        removed = self._addresses - addresses
        self._wildcards = any(host.startswith("*.") for host in by_host)
        self._table, self.by_host, self._addresses = table, by_host, addresses
        for hear in self._on_removed:
            hear(removed)


def _save(file: Path, data: bytes) -> None:
    aside = file.with_suffix(".json.new")
    with aside.open("wb") as handle:
        handle.write(data)
        handle.flush()
        os.fsync(handle.fileno())
    aside.replace(file)
    directory = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
