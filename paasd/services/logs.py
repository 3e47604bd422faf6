"""The app log: a ring of recent lines per app, fed by dynos, router and daemon, read by any number of log sessions."""

import asyncio
import re
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from paasd.domain.dyno import Dyno, DynoKind, LogLine
from paasd.domain.errors import NotFound, Unavailable
from paasd.ports import Engine, Router
from paasd.services.background import Background

RING_LINES = 1500  # what Heroku keeps
LINE_CHARACTERS = 10_000  # a longer line is cut
RING_CHARACTERS = 1_000_000  # so that what an app prints does not become the daemon's memory
KEEP_ALIVE_SECONDS = 15.0
ROUTER_RETRY_SECONDS = 2.0
DRAIN_SECONDS = 5.0
CONTROL = re.compile(
    r"[\x00-\x08\x0a-\x1a\x1c-\x1f\x7f-\x9f]"
)  # all but tab and ESC: colours are the reader's to judge


@dataclass(frozen=True, slots=True)
class LogQuery:
    """What a log session wants. `dyno` is a dyno ("web.1") or a process type ("web")."""

    lines: int = 100
    tail: bool = False
    source: str | None = None
    dyno: str | None = None

    def wants(self, line: LogLine) -> bool:
        """Whether this line belongs to the session."""
        if self.source is not None and line.source != self.source:
            return False
        return self.dyno is None or self.dyno in (line.process, line.process.partition(".")[0])


@dataclass(slots=True)
class Ring:
    """The newest lines of one app, each with its number, and the event its readers wait for."""

    lines: deque[tuple[int, LogLine]] = field(default_factory=deque)
    characters: int = 0
    # Counted from the time, in microseconds, so that a reader's last id stays behind after a restart of the daemon.
    last_id: int = field(default_factory=lambda: time.time_ns() // 1000)
    grown: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, line: LogLine) -> None:
        """Under the next number; what is too old or too much goes."""
        self.last_id += 1
        self.lines.append((self.last_id, line))
        self.characters += len(line.text)
        while len(self.lines) > RING_LINES or self.characters > RING_CHARACTERS:
            self.characters -= len(self.lines.popleft()[1].text)
        self.grown.set()
        self.grown = asyncio.Event()


class AppLogs:
    """Rings by app id."""

    def __init__(
        self,
        engine: Engine,
        router: Router,
        background: Background,
        *,
        keep_alive: float = KEEP_ALIVE_SECONDS,
        router_retry: float = ROUTER_RETRY_SECONDS,
    ) -> None:
        """`keep_alive`: seconds of quiet after which a tailing reader hears so; `router_retry`: between two asks."""
        self._engine = engine
        self._router = router
        self._background = background
        self._rings: dict[str, Ring] = {}
        self._keep_alive = keep_alive
        self._router_retry = router_retry
        self._followed: dict[str, asyncio.Task[None]] = {}  # by dyno
        self._broken_off: dict[str, datetime] = {}  # by dyno whose log broke off: the time of the last line we have

    def append(self, app_id: str, line: LogLine) -> None:
        """Add a line; readers that tail see it at once."""
        text = CONTROL.sub("\N{REPLACEMENT CHARACTER}", line.text[:LINE_CHARACTERS])
        self._rings.setdefault(app_id, Ring()).add(LogLine(line.at, line.source, line.process, text))

    def note(self, app_id: str, process: str, text: str, *, source: str = "heroku") -> None:
        """A line of our own: `process` is "api", "web.1", "release.4821"."""
        self.append(app_id, LogLine(datetime.now(UTC), source, process, text))

    async def read(
        self, app_id: str, query: LogQuery, *, after: int | None = None
    ) -> AsyncIterator[tuple[int, LogLine] | None]:
        """(id, line) of the newest `lines` lines, or all after an id; then live if tailing, None when it is quiet."""
        ring = self._rings.setdefault(app_id, Ring())
        wanted = [entry for entry in ring.lines if query.wants(entry[1])]
        wanted = wanted[max(0, len(wanted) - query.lines) :] if after is None else [e for e in wanted if e[0] > after]
        seen = ring.last_id
        for entry in wanted:
            yield entry
        while query.tail:
            grown = ring.grown
            fresh = [entry for entry in ring.lines if entry[0] > seen]
            seen = max(seen, ring.last_id)
            for entry in fresh:
                if query.wants(entry[1]):
                    yield entry
            if fresh:
                continue
            try:
                await asyncio.wait_for(grown.wait(), self._keep_alive)
            except TimeoutError:
                yield None

    def follow(self, dyno: Dyno) -> None:
        """Copy a dyno's lines into its app's ring until it ends. Following it already: fine."""
        if dyno.id in self._followed or dyno.kind is DynoKind.RELEASE:
            return
        self._followed[dyno.id] = self._background.spawn(f"logs of {dyno.id}", self._copy(dyno))

    async def drained(self, dyno: Dyno) -> None:
        """Once all lines of a dyno that has ended are copied, or after a few seconds."""
        if (task := self._followed.get(dyno.id)) is not None:
            await asyncio.wait({task}, timeout=DRAIN_SECONDS)

    async def _copy(self, dyno: Dyno) -> None:
        last = self._broken_off.pop(dyno.id, None)
        try:
            async for at, text in self._engine.logs(dyno.id, since=last):
                last = at
                self.append(dyno.app_id, LogLine(at, "app", dyno.name, text))
        except NotFound:
            pass  # it is gone, and its log with it
        except Unavailable:
            if last is not None:  # reconcile follows it again, from there, once the engine is back
                self._broken_off[dyno.id] = last
        finally:
            self._followed.pop(dyno.id, None)

    async def follow_router(self, lost: Callable[[], Awaitable[None]] | None = None) -> None:
        """Copy the router's request lines into their apps' rings, for ever. `lost` is called when the stream ends."""
        while True:
            try:
                async for app_id, line in self._router.log_lines():
                    self.append(app_id, line)
            except Unavailable:
                pass  # the router serves on without us, or it died
            if lost is not None:
                await lost()
            await asyncio.sleep(self._router_retry)

    def forget(self, app_id: str) -> None:
        """Drop a destroyed app's ring."""
        self._rings.pop(app_id, None)
