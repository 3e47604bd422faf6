"""Ports Router and RouterHost: the data plane's table, and its process."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from paasd.domain.dyno import LogLine
from router.table import CertificateChange, Route, RoutingTable, Target


class Router(Protocol):
    """The data plane. All raise RouterUnavailable."""

    async def publish(self, routes: Sequence[Route]) -> int:
        """Put a whole table under the next counter; when this returns every worker has it in force. May be repeated."""

    async def table(self) -> RoutingTable:
        """The table in force."""

    async def pages(self) -> frozenset[str]:
        """The SHA-256 of every page it has."""

    async def put_page(self, sha256: str, body: bytes) -> None:
        """Have it keep a page, before a table names it. May be repeated."""

    async def drain(self, targets: Sequence[Target], *, timeout: float, websockets: float | None = None) -> bool:
        """True when the targets have no request in flight, False at the deadline.

        After `websockets` seconds (None: `timeout`) their websockets are ended, and until then waited for.
        """

    def log_lines(self) -> AsyncIterator[tuple[str, LogLine]]:
        """(app id, line) of each request that the router remembers (but those heard before), then live.

        Ends when the router goes away.
        """


class CertificateHolder(Protocol):
    """The data plane's certificates for https. All raise RouterUnavailable."""

    async def certificates(self) -> Mapping[str, str]:
        """Host name to the mark of the certificate that is held for it."""

    async def change_certificates(self, change: CertificateChange) -> None:
        """Hold these, in place of those of the same host names, and drop others. May be repeated."""


@dataclass(frozen=True, slots=True)
class RouterHealth:
    """What the router says of itself. `listen` is "127.0.0.1:8080"; `table` the counter in force."""

    pid: int
    listen: str
    table: int
    started_at: str


class RouterHost(Protocol):
    """The router's process."""

    async def ensure(self) -> None:
        """Running when this returns, with the newest code it was started with. RouterUnavailable saying why not."""

    async def health(self) -> RouterHealth:
        """RouterUnavailable when it does not answer."""

    async def stop(self) -> None:
        """Let it finish what is in flight, and end. Not running: fine."""

    async def upgrade(self) -> None:
        """A fresh process on the same listening socket; the old one finishes what it has in flight."""
