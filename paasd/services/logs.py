"""The app log: fed by dynos, router and daemon, kept on the disk, its newest lines in memory for those who tail it.

A dyno that prints more than the daemon can keep up with loses lines, and is told how many: it is never held up.
"""

import asyncio
import re
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice

from paasd.domain.dyno import Dyno, DynoKind, LogLine
from paasd.domain.errors import NotFound, Unavailable
from paasd.ports import Engine, Entry, Journal, Router
from paasd.services.background import Background, stirred

RING_LINES = 1500  # what Heroku keeps
LINE_CHARACTERS = 10_000  # a longer line is cut
RING_CHARACTERS = 1_000_000  # so that what an app prints does not become the daemon's memory
BURST_SECONDS = 2.0  # so much of the rate may come at once
DROPPED_SECONDS = 1.0  # between two lines that say what was dropped
PROCESSES = 500  # an app's, whose release is remembered
SETTLE_SECONDS = 1.0  # between two looks at what the engine has rotated away unread
SETTLED_LOOKS = 3  # alike: nothing more comes
TURN_LINES = 100  # of one dyno, before others have their turn: they may have come at once
ROUTED = re.compile(r" dyno=(\S+)")
KEEP_ALIVE_SECONDS = 15.0
ROUTER_RETRY_SECONDS = 2.0
DRAIN_SECONDS = 5.0
CONTROL = re.compile(
    r"[\x00-\x08\x0a-\x1a\x1c-\x1f\x7f-\x9f]"
)  # all but tab and ESC: colours are the reader's to judge


@dataclass(frozen=True, slots=True)
class LogQuery:
    """What a log session wants: the newest `lines` (None: all that are kept) that the rest leaves, then those to come.

    `dyno` is a dyno ("web.1") or a process type ("web"), `grep` a text the line holds, `release` a version.
    """

    lines: int | None = 100
    tail: bool = False
    source: str | None = None
    dyno: str | None = None
    grep: str | None = None
    since: datetime | None = None
    release: int | None = None

    @property
    def deep(self) -> bool:
        """Whether the newest lines may not be enough."""
        return self.lines is None or any(
            wanted is not None for wanted in (self.source, self.dyno, self.grep, self.since, self.release)
        )

    def wants(self, line: LogLine) -> bool:
        """Whether this line belongs to the session."""
        if self.source is not None and line.source != self.source:
            return False
        if self.dyno is not None and self.dyno not in (line.process, line.process.partition(".")[0]):
            return False
        if self.since is not None and line.at < self.since:
            return False
        if self.release is not None and line.release != self.release:
            return False
        return self.grep is None or self.grep in line.text


@dataclass(slots=True)
class Ring:
    """The newest lines of one app, each with its number, and the event its readers wait for."""

    lines: deque[tuple[int, LogLine]] = field(default_factory=deque)
    characters: int = 0
    # Counted from the time, in microseconds, so that a reader's last id stays behind after a restart of the daemon.
    last_id: int = field(default_factory=lambda: time.time_ns() // 1000)
    grown: asyncio.Event = field(default_factory=asyncio.Event)
    watchers: list[asyncio.Event] = field(default_factory=list)

    def take_over(self, entries: Sequence[Entry]) -> None:
        """The newest lines of the disk, into an empty ring."""
        for number, line in entries:
            self._hold(number, line)
            self.last_id = max(self.last_id, number)

    def add(self, line: LogLine) -> int:
        """Under the next number, which it returns; what is too old or too much goes."""
        self.last_id += 1
        self._hold(self.last_id, line)
        self.grown.set()
        self.grown = asyncio.Event()
        for watcher in self.watchers:
            watcher.set()
        return self.last_id

    def since(self, number: int) -> list[Entry] | None:
        """The lines with greater numbers; None when some of them are in the ring no more."""
        if self.lines and self.lines[0][0] > number + 1:
            return None
        behind = 0
        for entry in reversed(self.lines):
            if entry[0] <= number:
                break
            behind += 1
        return list(islice(self.lines, len(self.lines) - behind, None))

    def _hold(self, number: int, line: LogLine) -> None:
        self.lines.append((number, line))
        self.characters += len(line.text)
        while len(self.lines) > RING_LINES or self.characters > RING_CHARACTERS:
            self.characters -= len(self.lines.popleft()[1].text)


@dataclass(frozen=True, slots=True)
class LogRates:
    """What the dynos of one app may print: lines and characters a second, both only on average over some seconds."""

    lines: int = 5_000
    characters: int = 4_000_000


@dataclass(slots=True)
class Allowance:
    """What an app may still print, and what it lost."""

    rates: LogRates
    lines: float = 0.0
    characters: float = 0.0
    at: float = -1e9
    dropped: int = 0
    since: datetime | None = None

    def admits(self, text: str) -> bool:
        """Whether there is room for this line, which is taken; else it counts as dropped."""
        now = time.monotonic()
        past = min(now - self.at, BURST_SECONDS)
        self.at = now
        self.lines = min(self.lines + past * self.rates.lines, BURST_SECONDS * self.rates.lines)
        most = BURST_SECONDS * self.rates.characters
        self.characters = min(self.characters + past * self.rates.characters, most)
        length = min(len(text), LINE_CHARACTERS)
        if self.lines >= 1 and self.characters >= length:
            self.lines -= 1
            self.characters -= length
            return True
        self.dropped += 1
        return False


class AppLogs:
    """Logs by app id."""

    def __init__(
        self,
        engine: Engine,
        router: Router,
        background: Background,
        journal: Journal,
        *,
        rates: LogRates | None = None,
        keep_alive: float = KEEP_ALIVE_SECONDS,
        router_retry: float = ROUTER_RETRY_SECONDS,
    ) -> None:
        """`keep_alive`: seconds of quiet after which a tailing reader hears so; `router_retry`: between two asks."""
        self._engine = engine
        self._router = router
        self._background = background
        self._journal = journal
        self._rates = rates or LogRates()
        self._allowances: dict[str, Allowance] = {}
        self._releases: dict[str, dict[str, int]] = {}  # by app and process
        self._rings: dict[str, Ring] = {}
        self._keep_alive = keep_alive
        self._router_retry = router_retry
        self._followed: dict[str, asyncio.Task[None]] = {}  # by dyno
        self._settling: set[str] = set()  # dynos
        self._lost: dict[str, int] = {}  # by dyno: lines that the engine rotated away unread, counted as dropped

    def append(self, app_id: str, line: LogLine) -> None:
        """Add a line; readers that tail see it at once, and it is on the disk when this returns."""
        text = CONTROL.sub("\N{REPLACEMENT CHARACTER}", line.text[:LINE_CHARACTERS])
        release = line.release
        if release is None and (known := self._releases.get(app_id)):
            routed = ROUTED.search(text) if line.process == "router" else None
            release = known.get(routed[1] if routed else line.process)
        line = replace(line, text=text, release=release)
        number = self._ring(app_id).add(line)
        self._journal.append(app_id, number, line)

    def note(self, app_id: str, process: str, text: str, *, source: str = "heroku", release: int | None = None) -> None:
        """A line of our own: `process` is "api", "web.1", "release.4821"; `release` a version, if known."""
        self.append(app_id, LogLine(datetime.now(UTC), source, process, text, release))

    def belongs(self, app_id: str, process: str, release: int) -> None:
        """From now on, lines of this process are this release's."""
        known = self._releases.setdefault(app_id, {})
        known.pop(process, None)
        known[process] = release
        if len(known) > PROCESSES:
            del known[next(iter(known))]

    def last(self, app_id: str) -> int:
        """The number of the newest line; those to come have greater ones."""
        return self._ring(app_id).last_id

    def after(self, app_id: str, number: int) -> AsyncGenerator[Sequence[Entry]]:
        """Batches of all lines with greater numbers, up to now."""
        return self._fresh(app_id, self._ring(app_id), number, None)

    def missing(self, app_id: str, after: int, before: int) -> int:
        """How many lines there were between two numbers, both left out."""
        return self._journal.missing(app_id, after, before)

    def watch(self, app_id: str, event: asyncio.Event) -> None:
        """Set it whenever there is a line, until `unwatch`."""
        self._ring(app_id).watchers.append(event)

    def unwatch(self, app_id: str, event: asyncio.Event) -> None:
        """Not watched: fine."""
        if (ring := self._rings.get(app_id)) is not None and event in ring.watchers:
            ring.watchers.remove(event)

    def _ring(self, app_id: str) -> Ring:
        ring = self._rings.get(app_id)
        if ring is None:
            ring = self._rings[app_id] = Ring()
            ring.take_over(self._journal.newest(app_id, RING_LINES))
        return ring

    async def read(
        self, app_id: str, query: LogQuery, *, after: int | None = None
    ) -> AsyncGenerator[tuple[int, LogLine] | None]:
        """(id, line) of the newest `lines` lines, or all after an id; then live if tailing, None when it is quiet."""
        ring = self._ring(app_id)
        seen = ring.last_id if after is None else after
        if after is None:
            for entry in await self._past(app_id, ring, query) if query.lines is not None else ():
                yield entry
            seen = seen if query.lines is not None else 0
        while True:
            grown = ring.grown
            async for fresh in self._fresh(app_id, ring, seen, query.since):
                for entry in fresh:
                    seen = max(seen, entry[0])
                    if query.wants(entry[1]):
                        yield entry
            if not query.tail:
                return
            if ring.grown is not grown:
                continue
            if not await stirred(grown, self._keep_alive):
                yield None

    async def _past(self, app_id: str, ring: Ring, query: LogQuery) -> Sequence[Entry]:
        """The newest lines that are wanted, up to those of now."""
        count, last = query.lines or 0, ring.last_id
        found = deque((entry for entry in ring.lines if query.wants(entry[1])), maxlen=count)
        if len(found) >= count or not query.deep:
            return found
        found = deque(maxlen=count)
        async for batch in self._fresh(app_id, ring, 0, query.since):
            found.extend(entry for entry in batch if entry[0] <= last and query.wants(entry[1]))
        return found

    async def _fresh(
        self, app_id: str, ring: Ring, seen: int, since: datetime | None
    ) -> AsyncGenerator[Sequence[Entry]]:
        """All lines after a number: from the disk what the ring has no more."""
        while (fresh := ring.since(seen)) is None:
            before = seen
            async for batch in self._journal.read(app_id, after=seen, since=since):
                seen = max(seen, batch[-1][0])
                yield batch
            if seen == before:
                fresh = [entry for entry in ring.lines if entry[0] > seen]  # the disk has no more of them
                break
        if fresh:
            yield fresh

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
        # What is on the disk was read: by a daemon before this one, or by us before the engine went away.
        last = self._journal.position(dyno.app_id, dyno.id)
        allowance = self._allowances.setdefault(dyno.app_id, Allowance(self._rates))
        self.belongs(dyno.app_id, dyno.name, dyno.release_version)
        try:
            turn = 0
            async for at, text in self._engine.logs(dyno.id, since=last):
                turn += 1
                if turn % TURN_LINES == 0:
                    await asyncio.sleep(0)
                if allowance.admits(text):
                    line = LogLine(at, "app", dyno.name, text, dyno.release_version, dyno.id)
                    self.append(dyno.app_id, line)
                else:
                    self._dropped(dyno, allowance, at)
        except (NotFound, Unavailable):
            pass  # it is gone, and its log with it; or the engine is, and reconcile follows it again from there
        finally:
            self._followed.pop(dyno.id, None)
        if self._unread(dyno.id):
            self._begin_settling(dyno, allowance)
        else:
            self._lost.pop(dyno.id, None)

    def _dropped(self, dyno: Dyno, allowance: Allowance, at: datetime) -> None:
        """Who drops lines may read too slowly for others, too."""
        self._begin_telling(dyno, allowance, at)
        self._begin_settling(dyno, allowance)

    def _begin_telling(self, dyno: Dyno, allowance: Allowance, at: datetime) -> None:
        if allowance.since is None:
            allowance.since = at
            self._background.spawn(f"dropped lines of {dyno.app_id}", self._tell(dyno.app_id, allowance))

    def _unread(self, dyno_id: str) -> int:
        """How many lines of a dyno are neither given by the engine nor counted as lost; 0 where it does not count."""
        tally = self._engine.tally(dyno_id)
        return 0 if tally is None else tally.lines - tally.given - self._lost.get(dyno_id, 0)

    def _begin_settling(self, dyno: Dyno, allowance: Allowance) -> None:
        if dyno.id not in self._settling and self._engine.tally(dyno.id) is not None:
            self._settling.add(dyno.id)
            self._background.spawn(f"unread lines of {dyno.id}", self._settle(dyno, allowance))

    async def _settle(self, dyno: Dyno, allowance: Allowance) -> None:
        """Once nothing more comes, what was printed and never given was rotated away: it counts as dropped, too."""
        began, calm, before = datetime.now(UTC), 0, self._engine.tally(dyno.id)
        try:
            while calm < SETTLED_LOOKS:
                await asyncio.sleep(SETTLE_SECONDS)
                now = self._engine.tally(dyno.id)
                calm, before = calm + 1 if now == before else 0, now
        finally:
            self._settling.discard(dyno.id)
        if (lost := self._unread(dyno.id)) > 0:
            self._lost[dyno.id] = self._lost.get(dyno.id, 0) + lost
            allowance.dropped += lost
            self._begin_telling(dyno, allowance, began)
        if dyno.id not in self._followed:
            self._lost.pop(dyno.id, None)

    async def _tell(self, app_id: str, allowance: Allowance) -> None:
        """Say how many lines were dropped within a second: now and then, or a flood would be one of these lines too."""
        try:
            await asyncio.sleep(DROPPED_SECONDS)
        finally:
            since = (allowance.since or datetime.now(UTC)).isoformat(timespec="microseconds")
            dropped, allowance.dropped, allowance.since = allowance.dropped, 0, None
            text = f"Error L10 (output buffer overflow): {dropped} messages dropped since {since}."
            self.note(app_id, "logplex", text)

    async def follow_router(
        self,
        lost: Callable[[], Awaitable[None]] | None = None,
        exists: Callable[[str], Awaitable[bool]] | None = None,
    ) -> None:
        """Copy the router's request lines into their apps' rings, for ever. `lost` is called when the stream ends.

        It remembers lines of destroyed apps, too: where there is no ring, `exists` is asked by the app's id.
        """
        while True:
            try:
                async for app_id, line in self._router.log_lines():
                    if app_id in self._rings or exists is None or await exists(app_id):
                        self.append(app_id, line)
            except Unavailable:
                pass  # the router serves on without us, or it died
            if lost is not None:
                await lost()
            await asyncio.sleep(self._router_retry)

    async def prune(self) -> None:
        """Delete lines that are kept for long enough."""
        await self._journal.prune()

    async def forget(self, app_id: str) -> None:
        """Delete a destroyed app's log."""
        self._rings.pop(app_id, None)
        self._releases.pop(app_id, None)
        self._allowances.pop(app_id, None)
        await self._journal.delete_app(app_id)
