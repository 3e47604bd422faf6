"""One request on the fast lane, from the head that was sent on to the last byte of its answer: no task, no parser.

What is not plain (an answer without a length, a broken connection, a time limit) is handed over to the careful path,
which goes on where this ends: bytes of the answer go to the client only once its whole head is understood.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from router import grammar
from router.call import Call
from router.codes import Code, Fault
from router.inflight import Address
from router.table import Route, Target
from router.upstream import UpstreamConnection

_VIA = b"Via: 1.1 paasd-router\r\n\r\n"
_NOT_MODIFIED = 304
_NO_CONTENT = 204


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

    @property
    def writing_paused(self) -> bool: ...
    def passed(self, now: float, *, whole: bool) -> None: ...
    def hand_over(self, handed: Handed, data: bytes) -> None: ...


class Lane(Protocol):
    """What all passages share."""

    stopping: bool
    first_byte: float
    idle: float
    reader: grammar.Reader

    def ended(self, passage: "Passage", now: float) -> None: ...
    def keep(self, connection: UpstreamConnection, now: float) -> None: ...
    def leave(self, address: Address) -> None: ...


class Passage:
    """The state of one request; `sent` counts the answer's body bytes given to the client."""

    __slots__ = (
        "_counted", "_keeps", "_lane", "_left", "client", "code", "connection", "data", "host", "method", "request_id",
        "route", "sent", "started", "status", "target", "uri",
    )  # fmt: skip

    def __init__(
        self, lane: Lane, client: Client, connection: UpstreamConnection, route: Route, target: Target,
        method: bytes, uri: bytes, host: str, data: bytes, request_id: str, started: float,
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
        self.request_id = request_id
        self.started = started
        self.status = 0
        self.sent = 0
        self.code: Code | None = None
        self._left = -1  # bytes of the body to come; the head is still awaited while it is negative
        self._keeps = True
        self._counted = True

    def call(self) -> Call:
        """The record of this request."""
        call = Call(self.started, self.method.decode(), self.uri.decode(), self.host)
        call.request_id, call.fwd, call.app, call.app_name = (
            self.request_id, self.client.address, self.route.app, self.route.name,
        )  # fmt: skip
        call.dyno, call.connect, call.status, call.sent, call.code = (
            self.target.dyno, 0.0, self.status, self.sent, self.code,
        )  # fmt: skip
        return call

    def received(self, data: bytes) -> None:
        """Bytes from the app."""
        if self._left < 0:
            self._begin(data)
            return
        transport = self.client.transport
        assert transport is not None
        size = len(data)
        if size > self._left:
            data, size, self._keeps = data[: self._left], self._left, False
        self.sent += size
        self._left -= size
        transport.write(data)
        if self._left:
            self.connection.expect_by(self.connection.now() + self._lane.idle)
        else:
            self._complete()

    def _begin(self, data: bytes) -> None:
        answer = self._lane.reader.answer(data)
        if answer is None:
            self._hand_over(data)
            return
        length = answer.length
        if self.method == b"HEAD" or answer.status == _NOT_MODIFIED:
            length = 0
        elif answer.status == _NO_CONTENT:
            length = 0 if length is None else None
        if length is None or len(data) - answer.size > length:
            self._hand_over(data)
            return
        transport = self.client.transport
        assert transport is not None
        here = len(data) - answer.size
        self.status, self._keeps, self.sent, self._left = answer.status, answer.keeps, here, length - here
        transport.write(answer.lines + _VIA + data[answer.size :] if here else answer.lines + _VIA)
        if self._left:
            self.client.feeder = self.connection.transport
            if self.client.writing_paused and self.connection.transport is not None:
                self.connection.transport.pause_reading()
            self.connection.expect_by(self.connection.now() + self._lane.idle)
        else:
            self._complete()

    def _complete(self) -> None:
        connection = self.connection
        connection.passage = None
        now = connection.now()
        transport = connection.transport
        if self._keeps and transport is not None:
            if self.client.feeder is not None:
                transport.resume_reading()
            self._lane.keep(connection, now)
        else:
            connection.close()
        self._end(now, whole=True)

    def _end(self, now: float, *, whole: bool) -> None:
        self.leave()
        self._lane.ended(self, now)
        self.client.passed(now, whole=whole)

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
        self.code = Code.H24 if self._lane.stopping else Code.H27
        self.status = self.code.status
        self.leave()
        self._lane.ended(self, self.connection.now())

    def _break_off(self, code: Code) -> None:
        """The answer can't be completed: its client learns that by the close."""
        self.code, self.status = code, code.status
        transport = self.client.transport
        if transport is not None and self.client.writing_paused:
            transport.abort()
        self._end(self.connection.now(), whole=False)

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
