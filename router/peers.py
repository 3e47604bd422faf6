"""A worker's place among the others: its channel to the parent, and through it questions to all that serve beside it.

Questions are taken in the order they came: what the asker was told is dispatched is in force everywhere once all have
answered. A worker that owes an answer for too long is dismissed; its replacement starts with the newest table.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable, Iterable
from typing import Protocol, cast

import msgspec

from router import tasks
from router.channel import Broken, Frame, Frames, Kind
from router.metrics import Figures
from router.table import RoutingTable

_ANSWER_SECONDS = 5.0


class TakeTable(msgspec.Struct, frozen=True, tag="take_table"):
    """Serve by this table from now on."""

    table: RoutingTable


class GiveTable(msgspec.Struct, frozen=True, tag="give_table"):
    """Which table do you serve by?"""


class Drain(msgspec.Struct, frozen=True, tag="drain"):
    """Answer once these addresses (host, port) have no request in flight, or after `seconds`.

    Their websockets are ended after `websockets` seconds (None: `seconds`), and waited for until then.
    """

    addresses: tuple[tuple[str, int], ...]
    seconds: float
    websockets: float | None = None

    @property
    def longest(self) -> float:
        return max(self.seconds, self.websockets or 0.0)


class Tell(msgspec.Struct, frozen=True, tag="tell"):
    """Who are you, and what have you counted?"""


Question = TakeTable | GiveTable | Drain | Tell


class Said(msgspec.Struct, frozen=True):
    """One worker's answer to any question; what was not asked for is left out."""

    pid: int = 0
    in_flight: int = 0
    table: RoutingTable | None = None
    figures: Figures | None = None


class Unreachable(Exception):
    """Not every worker can be reached; the message is a sentence."""


class Own(Protocol):
    """What this worker answers itself. A `Drain` is answered by `drained`, which may take its time."""

    def said(self, question: Question) -> Said: ...
    async def drained(self, question: Drain) -> Said: ...


class Peers:
    """The channel and who is at its other end. `heard` gets what the parent says to this worker.

    Without a parent (`orphaned`) there is nobody to reach the others through.
    """

    def __init__(self, own: Own, work: tasks.Tasks, heard: Callable[[Frame], None], lost: Callable[[], None]) -> None:
        self._own = own
        self._work = work
        self._heard = heard
        self._lost = lost
        self._line: _Line | None = None
        self._ticket = 0
        self._asked: dict[int, _Asked] = {}
        self._upgrades: dict[int, asyncio.Future[str]] = {}
        self.expected = 1  # workers there should be, as the parent said last

    @property
    def orphaned(self) -> bool:
        return self._line is None

    async def join(self, channel: socket.socket) -> None:
        """Speak over `channel` from now on."""
        channel.setblocking(False)
        line = _Line(self.take, self._cut)
        await asyncio.get_running_loop().create_unix_connection(lambda: line, sock=channel)
        self._line = line

    def tell(self, kind: Kind, payload: bytes = b"", *, worker: int = 0, ticket: int = 0) -> None:
        """Say something to the parent, if there is one."""
        if self._line is not None:
            self._line.write(Frame(kind, worker, ticket, payload).encode())

    async def ask(self, question: Question, seconds: float = _ANSWER_SECONDS) -> list[Said]:
        """What all others say; those that end meanwhile are left out. Raises Unreachable where some can't be asked."""
        if self._line is None:
            if self.expected > 1:
                raise Unreachable("The router's parent process is gone, and with it the way to its other workers.")
            return []
        self._ticket += 1
        ticket = self._ticket
        asked = self._asked[ticket] = _Asked()
        self.tell(Kind.ASK, _ENCODER.encode(question), ticket=ticket)
        try:
            return await self._answers(asked, seconds)
        finally:
            del self._asked[ticket]

    async def upgrade(self, seconds: float) -> str:
        """Have all workers replaced; why that failed, or "". Raises Unreachable, TimeoutError."""
        if self._line is None:
            raise Unreachable("The router's parent process is gone: start the router again, the apps are served on.")
        self._ticket += 1
        ticket = self._ticket
        self._upgrades[ticket] = asyncio.get_running_loop().create_future()
        self.tell(Kind.UPGRADE, ticket=ticket)
        try:
            async with asyncio.timeout(seconds):
                return await self._upgrades[ticket]
        finally:
            del self._upgrades[ticket]

    def take(self, frame: Frame) -> None:
        """One word from the channel."""
        match frame.kind:
            case Kind.ASK:
                self._answer(frame)
            case Kind.DISPATCHED:
                if (asked := self._asked.get(frame.ticket)) is not None:
                    asked.sent_to(number for (number,) in struct.iter_unpack("!I", frame.payload))
            case Kind.ANSWER:
                if (asked := self._asked.get(frame.ticket)) is not None:
                    asked.hear(frame.worker, _said(frame.payload))
            case Kind.GONE:
                for asked in self._asked.values():
                    asked.strike(frame.worker)
            case Kind.UPGRADED:
                future = self._upgrades.get(frame.ticket)
                if future is not None and not future.done():
                    future.set_result(frame.payload.decode(errors="replace"))
            case _:
                self._heard(frame)

    async def _answers(self, asked: "_Asked", seconds: float) -> list[Said]:
        for _ in range(2):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await asked.done.wait()
            if asked.done.is_set():
                break
            for number in asked.missing:
                self.tell(Kind.DISMISS, worker=number)
        if asked.cut or asked.missing:
            raise Unreachable("Not every worker of the router answered in time: ask again.")
        return list(asked.said.values())

    def _cut(self, line: "_Line") -> None:
        if line is not self._line:
            return  # a new parent was faster than the old one's end
        self._line = None
        for asked in self._asked.values():
            asked.cut = self.expected > 1
            asked.done.set()
        for future in self._upgrades.values():
            if not future.done():
                future.set_exception(Unreachable("The router's parent process ended: start the router again."))
        self._lost()

    def _answer(self, frame: Frame) -> None:
        try:
            question = _DECODER.decode(frame.payload)
        except msgspec.DecodeError:
            self._reply(frame, Said())  # a newer version's question: whoever waits for us is not held up
            return
        if isinstance(question, Drain):
            self._work.spawn(self._answer_later(frame, question))
        else:
            self._reply(frame, self._own.said(question))

    async def _answer_later(self, frame: Frame, question: Drain) -> None:
        self._reply(frame, await self._own.drained(question))

    def _reply(self, to: Frame, said: Said) -> None:
        self.tell(Kind.ANSWER, _ENCODER.encode(said), worker=to.worker, ticket=to.ticket)


class _Line(asyncio.Protocol):
    """The channel's bytes, to frames."""

    def __init__(self, take: Callable[[Frame], None], cut: "Callable[[_Line], None]") -> None:
        self._take = take
        self._cut = cut
        self._frames = Frames()
        self._transport: asyncio.Transport | None = None

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            for frame in self._frames.feed(data):
                self._take(frame)
        except Broken:
            if self._transport is not None:
                self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._transport = None
        self._cut(self)


class _Asked:
    """A question under way: who owes an answer, what was said. `cut`: the way to the others is gone."""

    def __init__(self) -> None:
        self._owing: set[int] | None = None
        self._struck: set[int] = set()
        self.said: dict[int, Said] = {}
        self.cut = False
        self.done = asyncio.Event()

    @property
    def missing(self) -> set[int]:
        return set() if self._owing is None else self._owing - self._struck - self.said.keys()

    def sent_to(self, numbers: Iterable[int]) -> None:
        self._owing = set(numbers)
        self._look()

    def hear(self, number: int, said: Said) -> None:
        self.said[number] = said
        self._look()

    def strike(self, number: int) -> None:
        self._struck.add(number)
        self._look()

    def _look(self) -> None:
        if self._owing is not None and not self.missing:
            self.done.set()


def _said(payload: bytes) -> Said:
    try:
        return _SAID.decode(payload)
    except msgspec.DecodeError:
        return Said()


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Question)
_SAID = msgspec.msgpack.Decoder(Said)
