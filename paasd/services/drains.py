"""Log drains: every line of an app, sent on in order to whoever asked for it; at least once.

The app's own log is the buffer. A drain that falls behind, or whose receiver is away, goes on where it was, from the
disk, over restarts too; only what its app's log no longer holds is lost, and counted (L10).
"""

import asyncio
import uuid
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog

from paasd.domain.access import Actor
from paasd.domain.app import App
from paasd.domain.drain import Drain, chunks, dropped_line, parse_drain_url
from paasd.domain.dyno import LogLine
from paasd.domain.errors import InvalidParams, NotFound, PaasError
from paasd.ports import Entry, Outlet, Outlets, Refused, Store
from paasd.services.background import Background, attempt, stirred
from paasd.services.logs import AppLogs

log = structlog.get_logger(__name__)

DRAINS_OF_APP = 20
SAVE_SECONDS = 5.0
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
SAY_SECONDS = 60.0  # between two lines of the app's log that say that the receiver is away
PIECE_LINES, PIECE_CHARACTERS = 1000, 256 * 1024
TOO_LARGE = 413


@dataclass(frozen=True, slots=True)
class DrainRules:
    """Seconds: the first pause after a failure, which doubles up to the longest; between two notes of how far it is."""

    first_pause: float = FIRST_PAUSE
    longest_pause: float = LONGEST_PAUSE
    save: float = SAVE_SECONDS


@dataclass(frozen=True, slots=True)
class Piece:
    """What is sent at once: lines, and how many before them are gone. `last` is the drain's position afterwards."""

    entries: Sequence[Entry]
    gone: int
    last: int


@dataclass(slots=True)
class Flow:
    """A drain at work."""

    drain: Drain
    outlet: Outlet
    position: int
    saved: int
    stir: asyncio.Event
    told_at: datetime  # of the last line that was delivered
    refused: int = 0  # lines the receiver would not have, of which it is yet to be told
    failures: int = 0
    said_at: float = -1e9
    away: bool = False  # and its app's log says so
    retry_to: int = 0  # the end of the piece that failed: sent again as it was, a receiver can tell that it is the same
    task: asyncio.Task[None] | None = None


@dataclass(slots=True)
class Drains:
    """Use cases on log drains, and their work."""

    store: Store
    outlets: Outlets
    logs: AppLogs
    background: Background
    rules: DrainRules = DrainRules()
    flows: dict[str, Flow] = field(default_factory=dict)  # by drain
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    adding: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def of(self, app: App) -> Sequence[Drain]:
        """Oldest first."""
        return await self.store.drains(app.id)

    async def find(self, app: App, name: str) -> Drain:
        """By id, token or URL. Raises NotFound."""
        for drain in await self.store.drains(app.id):
            if drain.named(name):
                return drain
        raise NotFound("Couldn't find that log drain; see `heroku drains`.", resource="log_drain")

    async def add(self, actor: Actor, app: App, url: object) -> Drain:
        """From now on. Raises InvalidParams, also for an address that may not be used."""
        parse_drain_url(url)
        assert isinstance(url, str)
        await self.outlets.check(url)
        async with self.adding:
            known = await self.of(app)
            if any(drain.url == url for drain in known):
                raise InvalidParams("This app has that drain already; see `heroku drains`.", resource="log_drain")
            if len(known) >= DRAINS_OF_APP:
                message = f"An app may have {DRAINS_OF_APP} log drains; remove one first."
                raise InvalidParams(message, resource="log_drain")
            now, drain_id = datetime.now(UTC), str(uuid.uuid4())
            drain = Drain(drain_id, app.id, f"d.{uuid.uuid4()}", url, self.logs.last(app.id), now, now)
            await self.store.insert_drain(drain)
            self._begin(drain)
        self.logs.note(app.id, "api", f"Add drain to {drain.host} by user {actor.shown}", source="app")
        self.woken.set()
        return drain

    async def remove(self, actor: Actor, app: App, drain: Drain) -> None:
        """What was not sent yet is not."""
        await self.store.delete_drain(drain.id)
        await self._end(drain.id)
        self.logs.note(app.id, "api", f"Remove drain to {drain.host} by user {actor.shown}", source="app")

    async def keep(self) -> None:
        """For ever: a flow for each drain there is, none for others, and how far each is."""
        try:
            while True:
                self.woken.clear()
                await attempt("log drains", self.round())
                await stirred(self.woken, self.rules.save if self.flows else None)
        finally:
            for drain_id in list(self.flows):
                await self._end(drain_id, keep=True)
            await attempt("log drains", self._save())

    async def round(self) -> None:
        """Once."""
        async with self.adding:
            known = {drain.id: drain for drain in await self.store.drains()}
            ended = {drain_id for drain_id, flow in self.flows.items() if flow.task is None or flow.task.done()}
            for drain_id in (self.flows.keys() - known.keys()) | ended:
                await self._end(drain_id)
            for drain_id in known.keys() - self.flows.keys():
                self._begin(known[drain_id])
        await self._save()

    async def _save(self) -> None:
        moved = {one.drain.id: one.position for one in self.flows.values() if one.position != one.saved}
        if moved:
            await self.store.move_drains(moved)
            for drain_id, position in moved.items():
                if drain_id in self.flows:
                    self.flows[drain_id].saved = position

    def _begin(self, drain: Drain) -> None:
        stir = asyncio.Event()
        outlet = self.outlets.open(drain, stir.set)
        flow = Flow(drain, outlet, drain.position, drain.position, stir, drain.created_at)
        self.flows[drain.id] = flow
        flow.task = self.background.spawn(f"drain {drain.id}", self._run(flow))

    async def _end(self, drain_id: str, *, keep: bool = False) -> None:
        flow = self.flows.get(drain_id) if keep else self.flows.pop(drain_id, None)
        if flow is not None and flow.task is not None:
            flow.task.cancel()
            await asyncio.wait([flow.task])

    # --- one drain's work -------------------------------------------------------------------------------------------

    async def _run(self, flow: Flow) -> None:
        drain = flow.drain
        self.logs.watch(drain.app_id, flow.stir)
        try:
            while True:
                flow.stir.clear()
                try:
                    await self._deliver(flow)
                    await flow.stir.wait()
                except PaasError as error:
                    await self._failed(flow, error)
        finally:
            self.logs.unwatch(drain.app_id, flow.stir)
            await flow.outlet.close()

    async def _deliver(self, flow: Flow) -> None:
        """All lines there are."""
        self._go_back(flow)
        async with aclosing(self.logs.after(flow.drain.app_id, flow.position)) as batches:
            async for batch in batches:
                for piece in self._pieces(flow, batch):
                    if piece.entries:
                        await self._send(flow, piece)
                    flow.position = piece.last

    def _pieces(self, flow: Flow, batch: Sequence[Entry]) -> Iterator[Piece]:
        """Cut where lines are gone, where a piece ended that is sent again, and where it is much."""
        own = _own(flow.drain)
        runs: list[tuple[int, list[Entry]]] = []
        before = flow.position
        for entry in batch:
            gone = 0
            if entry[0] != before + 1:
                gone = self.logs.missing(flow.drain.app_id, before, entry[0])
            if gone or not runs or before == flow.retry_to:
                runs.append((gone, []))
            runs[-1][1].append(entry)
            before = entry[0]
        for gone, run in runs:
            for number, chunk in enumerate(chunks(run, PIECE_LINES, PIECE_CHARACTERS)):
                wanted = [entry for entry in chunk if not _says(entry[1], own)]
                yield Piece(wanted, 0 if number else gone, chunk[-1][0])

    async def _send(self, flow: Flow, piece: Piece) -> None:
        gone, entries = piece.gone + flow.refused, piece.entries
        flow.retry_to = piece.last
        if gone:
            entries = [(entries[0][0], dropped_line(gone, flow.told_at)), *entries]
        try:
            await flow.outlet.send(entries)
        except Refused as refusal:
            if refusal.status == TOO_LARGE and len(piece.entries) > 1:
                half = len(piece.entries) // 2
                await self._send(flow, Piece(piece.entries[:half], piece.gone, piece.entries[half - 1][0]))
                flow.position = piece.entries[half - 1][0]
                await self._send(flow, Piece(piece.entries[half:], 0, piece.last))
                return
            # What was gone before, it was not told of either.
            flow.refused = gone + len(piece.entries)
            self._say(flow, f"{len(piece.entries)} messages were refused with status {refusal.status}, and are dropped")
            return
        flow.told_at, flow.refused = entries[-1][1].at, 0
        if gone:
            self._note(flow, f"{_own(flow.drain)}: {gone} messages dropped.")
        if flow.failures:
            log.info("log drain is back", drain=flow.drain.id, host=flow.drain.host)
            flow.failures = 0
            if flow.away:
                flow.away = False
                self._note(flow, f"Drain {flow.drain.id} to {flow.drain.host} is back.")

    async def _failed(self, flow: Flow, error: PaasError) -> None:
        """Go on where it is certain, with another connection, after a pause."""
        self._go_back(flow)
        await flow.outlet.close()
        if not flow.failures:
            log.warning("log drain is away", drain=flow.drain.id, host=flow.drain.host, reason=error.message)
        self._say(flow, error.message.rstrip("."), certificate=error.resource == "certificate")
        pause = min(self.rules.first_pause * 2 ** min(flow.failures, 20), self.rules.longest_pause)
        flow.failures += 1
        await asyncio.sleep(pause)

    def _go_back(self, flow: Flow) -> None:
        lost = flow.outlet.lost_after()
        if lost is not None and lost < flow.position:
            log.info("log drain sends again", drain=flow.drain.id, host=flow.drain.host, lines=flow.position - lost)
            flow.position = lost

    def _say(self, flow: Flow, reason: str, *, certificate: bool = False) -> None:
        """In the app's log, now and then: each such line is one more that the drain is to carry."""
        now = asyncio.get_running_loop().time()
        if now - flow.said_at >= SAY_SECONDS:
            flow.said_at, flow.away = now, True
            what = "Error L14 (certificate validation error): drain" if certificate else "Drain"
            self._note(flow, f"{what} {flow.drain.id} to {flow.drain.host}: {reason}.")

    def _note(self, flow: Flow, text: str) -> None:
        self.logs.note(flow.drain.app_id, "logplex", text)


def _own(drain: Drain) -> str:
    """How a line of the app's log begins that says what this drain lost. The drain itself was told in its place."""
    return f"Error L10 (drain buffer overflow): drain {drain.id} to {drain.host}"


def _says(line: LogLine, beginning: str) -> bool:
    return line.process == "logplex" and line.source == "heroku" and line.text.startswith(beginning)
