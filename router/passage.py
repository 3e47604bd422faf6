"""One request on the fast lane, from the head that was sent on to the last byte of its answer: no task, no parser.

What is not plain (an answer without a length, a broken connection, a time limit) is handed over to the careful path,
which goes on where this ends: bytes of the answer go to the client only once its whole head is understood.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from router import grammar
from router.access_log import Noted
from router.call import Call
from router.codes import Code, Fault
from router.inflight import Address
from router.table import Route, Target
from router.upstream import UpstreamConnection


@dataclass(slots=True)
class Handed:
    """A request the lane began and the careful path goes on with.

    `connection` has the request already and reads the answer; where it is None the request is to be ended with `fault`,
    or without one to be sent again, to a connection of its own. `release` ends the lane's count of it, once it is
    counted elsewhere; `abandon` ends it altogether, its client being gone.
    """

    route: Route
    target: Target
    request_id: str
    started: float
    connection: UpstreamConnection | None
    fault: Fault | None
    release: Callable[[], None]
    abandon: Callable[[], None]


class Client(Protocol):
    """The client's side of a passage."""

    transport: asyncio.Transport | None
    feeder: asyncio.Transport | None
    address: str
    scheme: str

    @property
    def writing_paused(self) -> bool: ...
    def passed(self, now: float) -> None: ...
    def broken_off(self) -> None: ...
    def hand_over(self, handed: Handed, data: bytes) -> None: ...


class Lane(Protocol):
    """What all passages share."""

    ending: bool
    first_byte: float
    idle: float
    ids: str
    reader: grammar.Reader

    def keep(self, connection: UpstreamConnection, now: float, /) -> None: ...
    def leave(self, address: Address, /) -> None: ...
    def note(self, record: Noted, /) -> None: ...
    def failed(self, call: Call, now: float) -> None: ...


class Passage:
    """One request; `sent` counts the answer's body bytes given to the client. Its log line is made later."""

    __slots__ = (
        "_counted", "_keeps", "_lane", "_left", "_number", "client", "code", "connection", "data", "ended", "host",
        "method", "route", "sent", "started", "status", "target", "uri",
    )  # fmt: skip

    def __init__(
        self, lane: Lane, client: Client, connection: UpstreamConnection, route: Route, target: Target,
        method: bytes, uri: bytes, host: str, data: bytes, number: int, started: float,
    ) -> None:  # fmt: skip
        self._lane = lane
        self.client = client
        self.connection = connection
        self.route = route
        self.target = target
        self.method = method
        self.uri = uri
        self.host = host
        self.data = data
        self._number = number
        self.started = self.ended = started
        self.status = 0
        self.sent = 0
        self.code: Code | None = None
        self._left = -1  # bytes of the body to come; the head is still awaited while it is negative
        self._keeps = True
        self._counted = True

    @property
    def app(self) -> str:
        return self.route.app

    @property
    def request_id(self) -> str:
        return f"{self._lane.ids}{self._number:x}"

    def line(self) -> str:
        """The log line, as Call.line has it; nothing in a head of the lane needs escaping."""
        return (
            f'at=info method={self.method.decode()} path="{self.uri.decode()}" host={self.host}'
            f' request_id={self._lane.ids}{self._number:x} fwd="{self.client.address}" dyno={self.target.dyno}'
            f" connect=0ms service={round((self.ended - self.started) * 1000)}ms status={self.status} bytes={self.sent}"
            f" protocol={self.client.scheme}"
        )

    def _call(self) -> Call:
        call = Call(self.started, self.method.decode(), self.uri.decode(), self.host)
        call.request_id, call.fwd, call.app, call.app_name = (
            self.request_id, self.client.address, self.route.app, self.route.name,
        )  # fmt: skip
        call.dyno, call.connect, call.status, call.sent, call.code = (
            self.target.dyno, 0.0, self.status, self.sent, self.code,
        )  # fmt: skip
        call.protocol = self.client.scheme
        return call

    def received(self, data: bytes) -> None:
        """Bytes from the app."""
        if self._left >= 0:
            self._more(data)
            return
        answer = self._lane.reader.answer(data)
        if answer is None:
            self._hand_over(data)
            return
        length = 0 if self.method == b"HEAD" else answer.length
        here = len(data) - answer.size
        if length is None or here > length:
            self._hand_over(data)
            return
        transport = self.client.transport
        assert transport is not None
        self.status, self._keeps, self.sent, self._left = answer.status, answer.keeps, here, length - here
        transport.write(answer.lines + data[answer.size :] if here else answer.lines)
        if here == length:
            self._complete()
            return
        self.client.feeder = self.connection.transport
        if self.client.writing_paused and self.connection.transport is not None:
            self.connection.transport.pause_reading()
        self.connection.expect_by(self.connection.now() + (self.route.timeouts or self._lane).idle)

    def _more(self, data: bytes) -> None:
        transport = self.client.transport
        assert transport is not None
        size = len(data)
        if size > self._left:
            data, size, self._keeps = data[: self._left], self._left, False
        self.sent += size
        self._left -= size
        transport.write(data)
        if self._left:
            self.connection.expect_by(self.connection.now() + (self.route.timeouts or self._lane).idle)
        else:
            self._complete()

    def _complete(self) -> None:
        connection, client, lane = self.connection, self.client, self._lane
        connection.passage = None
        self.ended = now = connection.now()
        transport = connection.transport
        if self._keeps and transport is not None:
            if client.feeder is not None:
                transport.resume_reading()
            lane.keep(connection, now)
        else:
            connection.close()
        self._counted = False
        lane.leave(connection.address)
        self.data = b""  # the log's batch holds us for a while
        lane.note(self)
        client.passed(now)

    def leave(self) -> None:
        """Count as in flight no more."""
        if self._counted:
            self._counted = False
            self._lane.leave(self.connection.address)

    def lost(self) -> None:
        """The app's connection is gone."""
        self.connection.passage = None
        if self._left < 0:
            self._pass_on(None, None)
        else:
            self._break_off(Code.H18)

    def overdue(self) -> None:
        """The app has said nothing for as long as it may, or the client has taken nothing."""
        self.connection.passage = None
        self.connection.cut()
        if self._left < 0:
            self._pass_on(None, Fault(Code.H12))
        else:
            self._break_off(Code.H15)

    def client_lost(self) -> None:
        """The client's connection is gone, and the app's goes with it."""
        self.connection.passage = None
        self.connection.cut()
        self.code = Code.H24 if self._lane.ending else Code.H27
        self.status = self.code.status
        self.leave()
        self._lane.failed(self._call(), self.connection.now())

    def _break_off(self, code: Code) -> None:
        """The answer can't be completed: its client learns that by the close."""
        self.code, self.status = code, code.status
        transport = self.client.transport
        if transport is not None and self.client.writing_paused:
            transport.abort()
        self.leave()
        self._lane.failed(self._call(), self.connection.now())
        self.client.broken_off()

    def _hand_over(self, data: bytes) -> None:
        connection = self.connection
        connection.passage = None
        connection.begin(bodyless=self.method == b"HEAD")
        connection.data_received(data)
        self._pass_on(connection, None)

    def _pass_on(self, connection: UpstreamConnection | None, fault: Fault | None) -> None:
        handed = Handed(
            self.route, self.target, self.request_id, self.started, connection, fault, self.leave, self.client_lost
        )
        self.client.hand_over(handed, self.data)
