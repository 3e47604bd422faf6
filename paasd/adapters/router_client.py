"""Router over its control socket: whole tables by PUT, under a counter that follows the router's own."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import msgspec

from paasd.domain.dyno import LogLine
from paasd.domain.errors import RouterUnavailable
from paasd.ports import RouterHealth
from router.table import CertificateChange, Route, RoutingTable, TableError, Target, decode, encode

CALL_SECONDS = 10.0
DRAIN_MARGIN = 10.0
PUBLISH_ATTEMPTS = 3
LOG_CHUNK_BYTES = 1 << 20  # the longest line of the log stream


class RouterClient:
    """The router that listens at `socket`. The connection is kept; a router that was replaced is found again."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._session: aiohttp.ClientSession | None = None
        self._version: int | None = None
        self._heard_until: str | None = None

    async def __aenter__(self) -> "RouterClient":
        connector = aiohttp.UnixConnector(path=str(self._socket))
        self._session = aiohttp.ClientSession("http://router", connector=connector)
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def publish(self, routes: Sequence[Route]) -> int:
        """Put a whole table in force. A router that counts further than we knew is asked where it stands."""
        for _ in range(PUBLISH_ATTEMPTS):
            version = (self._version if self._version is not None else (await self.table()).version) + 1
            async with self._call("PUT", "/table", data=encode(RoutingTable(version, tuple(routes)))) as response:
                answer = await response.json()
                if response.status == 200:
                    self._version = version
                    return version
                if response.status != 409:
                    raise RouterUnavailable(f"The router refused the routing table: {answer.get('message')}")
                self._version = int(answer["version"])
        raise RouterUnavailable("Another daemon publishes routes to this router; stop one of them.")

    async def table(self) -> RoutingTable:
        """The table in force."""
        async with self._call("GET", "/table") as response:
            try:
                return decode(await response.read())
            except TableError as error:
                raise RouterUnavailable(f"The router's table can't be read: {error}") from error

    async def pages(self) -> frozenset[str]:
        """The SHA-256 of every page it has; a router of an older release has none."""
        async with self._call("GET", "/pages") as response:
            return frozenset((await response.json())["pages"]) if response.status == 200 else frozenset()

    async def put_page(self, sha256: str, body: bytes) -> None:
        """Have it keep a page."""
        async with self._call("PUT", f"/pages/{sha256}", data=body) as response:
            if response.status != 200:
                raise RouterUnavailable(f"The router did not take a page (HTTP {response.status}): see its log.")

    async def drain(self, targets: Sequence[Target], *, timeout: float, websockets: float | None = None) -> bool:
        """True when the targets have no request in flight, False at the deadline."""
        order: dict[str, Any] = {"targets": [{"host": t.host, "port": t.port} for t in targets], "timeout": timeout}
        if websockets not in (None, timeout):  # a router of an older release refuses what it does not know
            order["websockets"] = websockets
        seconds = max(timeout, websockets or 0.0) + DRAIN_MARGIN
        async with self._call("POST", "/drain", json=order, seconds=seconds) as response:
            return bool((await response.json()).get("drained"))

    async def certificates(self) -> Mapping[str, str]:
        """Host name to the mark of the certificate that the router holds for it."""
        async with self._call("GET", "/certificates") as response:
            return dict(await response.json())

    async def change_certificates(self, change: CertificateChange) -> None:
        """Have the router hold these, and drop others."""
        async with self._call("PATCH", "/certificates", data=msgspec.json.encode(change)) as response:
            if response.status != 200:
                raise RouterUnavailable(f"The router refused certificates: {(await response.json()).get('message')}")

    async def log_lines(self) -> AsyncIterator[tuple[str, LogLine]]:
        """(app id, line) of each request that the router remembers, then live; later, from where the last one ended."""
        path = f"/log?since={quote(self._heard_until or '')}"  # to begin with, what came while no daemon ran
        async with self._call("GET", path, seconds=None) as response:
            async for raw in response.content:
                entry: dict[str, Any] = json.loads(raw)
                if entry.get("app"):
                    self._heard_until = entry["at"]
                    at = datetime.fromisoformat(entry["at"])
                    yield entry["app"], LogLine(at, "heroku", "router", entry["line"])

    async def health(self) -> RouterHealth:
        """What the router says of itself."""
        async with self._call("GET", "/health") as response:
            answer = await response.json()
        return RouterHealth(answer["pid"], answer["listen"], answer["table"], answer["started_at"])

    async def orphaned(self) -> bool:
        """Whether it serves without its parent process, which alone replaces what dies; a new start mends that."""
        async with self._call("GET", "/health") as response:
            return bool((await response.json()).get("status") == "orphaned")

    async def shutdown(self) -> None:
        """Tell it to finish what is in flight and end."""
        async with self._call("POST", "/shutdown"):
            pass

    async def upgrade(self) -> None:
        """Tell it to hand its listening socket to a fresh process; returns once that one serves."""
        async with self._call("POST", "/upgrade", seconds=60.0) as response:
            answer = await response.json()
            if response.status != 200:
                raise RouterUnavailable(f"The router could not be replaced: {answer.get('message')}")
        self._version = None

    @asynccontextmanager
    async def _call(
        self, method: str, path: str, *, seconds: float | None = CALL_SECONDS, **body: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        assert self._session is not None, "open it with `async with`"
        timeout = aiohttp.ClientTimeout(total=seconds)
        try:
            async with self._session.request(
                method, path, timeout=timeout, max_line_size=LOG_CHUNK_BYTES, **body
            ) as response:
                yield response
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError) as error:
            raise RouterUnavailable(
                f"The router does not answer at {self._socket} ({type(error).__name__}); "
                "see `paas router status` and the router's log."
            ) from error
