"""The client's side: aiohttp's server protocol, which reads and checks every request, with our own writing of answers.

Bytes to a client leave through `send` only. aiohttp's private names used here are why its version is pinned.
"""

import asyncio
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import RequestHandler, RequestPayloadError, _ErrInfo
from aiohttp.web_request import BaseRequest

from router.certificates import Certificates
from router.codes import Code, Fault
from router.lane import Lane
from router.passage import Handed, Passage
from router.sealed import TLS_HANDSHAKE, Sealed

# Two limits a byte apart: it is by its limit that a line's error says which line was too long.
_LINE_LIMIT, _FIELD_LIMIT, _HEADERS_LIMIT = 8191, 8190, 128
_LINGER = 2.0
_BEHIND = 64 * 1024
# What of aiohttp's own the fast lane leans on: where any of it has moved, the lane stays closed.
_LEANT_ON = (
    "_close _current_request _force_close _keepalive_handle _keepalive_timeout _manager _message_tail _messages"
    " _next_keepalive_close_time"
    " _paused _payload_parser _process_keepalive _upgraded _waiter"
).split()


class Sent(web.StreamResponse):
    """What a handler returns once it has written its answer: aiohttp is left to keep the connection, or close it."""

    def __init__(self, *, keep_alive: bool) -> None:
        super().__init__()
        self._keep_alive = keep_alive

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:  # noqa: ARG002
        return None

    async def write_eof(self, data: bytes = b"") -> None:  # noqa: ARG002
        return None


class Handler(Protocol):
    """What serves requests: a good one, and one that could not even be read. `head_timeout` is in seconds."""

    head_timeout: float
    lane: Lane

    async def serve(self, request: BaseRequest) -> Sent: ...
    def refuse(self, client: "ClientConnection", fault: Fault) -> None: ...


class ClientConnection(RequestHandler):
    """One client's connection. `feeder`, while bytes just pass, is the transport to hold back when this one is full.

    A request takes the fast lane (`_passage` is set) or aiohttp's parser and a handler; what comes in behind it waits.
    The lane is tried only between two messages: `_boundary` says that aiohttp's parser holds no part of one.

    After one that a handler served, aiohttp's loop is back at waiting a turn later: a request that is here before it is
    held that long (`_turning`), or the connection of a client quick to ask again would never come to the lane.
    """

    def __init__(
        self, manager: web.Server, handler: Handler, lane: Lane | None, certificates: Certificates, **kwargs: Any
    ) -> None:
        super().__init__(manager, **kwargs)
        self._handler = handler
        self._lane = lane
        self.address = ""
        self.scheme = "http"
        self._certificates = certificates
        self._fresh = True
        self._about: bytes | None = None
        self._boundary = True
        self._turning = False
        self._passage: Passage | None = None
        self._handed: Handed | None = None
        self._behind = b""
        self._head_timer: asyncio.TimerHandle | None = None
        self._deaf = False
        self.lingering = False
        self.feeder: asyncio.Transport | None = None

    @property
    def busy(self) -> bool:
        return self._passage is not None or self._current_request is not None or bool(self._messages) or self._turning

    def send(self, data: bytes) -> None:
        """Write, or raise ConnectionResetError when the client has gone."""
        transport = self.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("The client has gone.")
        transport.write(data)

    async def drained(self) -> None:
        """Return when there is room to write more."""
        if self._paused:
            await self._drain_helper()

    def detach(self) -> tuple[asyncio.Transport, bytes]:
        """Give the transport away, with what came behind the request: aiohttp is to take the client for gone.

        Raises ConnectionResetError when it has.
        """
        transport = self.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("The client has gone.")
        early, self._message_tail, self._upgraded = self._message_tail, b"", False
        self.transport, self._force_close = None, True
        if self._keepalive_handle is not None:
            self._keepalive_handle.cancel()
        if self._manager is not None:
            self._manager.connection_lost(self)
        return transport, early

    def linger(self) -> None:
        """Nothing more is said, but read on for a while: closed with bytes unread, the answer would be reset away."""
        self._deaf = True
        if self.lingering or self.transport is None:
            return
        self.lingering = True
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._loop.call_later(_LINGER, self.force_close)

    def data_received(self, data: bytes) -> None:
        if self._passage is not None or self._turning:
            self._wait_behind(data)
        elif (
            self._boundary and self._lane is not None
            and not (self._messages or self._paused or self._force_close or self._close)
        ):  # fmt: skip
            if self._waiter is None and self._current_request is None:
                self._turning, self._behind = True, data
                self._loop.call_soon(self._turned, self._lane)
            elif not self._enter(self._lane, data):
                self._parse(data)
        else:
            self._parse(data)

    def _turned(self, lane: Lane) -> None:
        self._turning = False
        data, self._behind = self._behind, b""
        if self.transport is None:
            return
        if len(data) > _BEHIND:
            self._resume_transport_reading()
        if self._paused or self._force_close or self._close or not self._enter(lane, data):
            self._parse(data)

    def _enter(self, lane: Lane, data: bytes) -> bool:
        waiter = self._waiter
        if waiter is None or waiter.done():
            return False  # only while aiohttp waits for a message is none in the works
        if self._about is None:
            self._about = lane.about(self)
        self._passage = lane.enter(self, self._about, data)
        return self._passage is not None

    def passed(self, now: float) -> None:
        """The lane is free again."""
        self._passage = self.feeder = None
        self._next_keepalive_close_time = now + self._keepalive_timeout
        if self._behind:
            self._go_on()

    def broken_off(self) -> None:
        """The lane is free again, and the answer is not whole: cut the connection."""
        self._passage = self.feeder = None
        self.force_close()

    def hand_over(self, handed: Handed, data: bytes) -> None:
        """Have the careful path go on with the request that `data` is."""
        self._passage = self.feeder = None
        self._handed = handed
        self._parse(data)
        self._go_on()

    def take_handed(self) -> Handed | None:
        """What the lane has begun of the request that is served next."""
        handed, self._handed = self._handed, None
        return handed

    def _wait_behind(self, data: bytes) -> None:
        self._behind += data
        if len(self._behind) > _BEHIND:
            self._pause_transport_reading()

    def _go_on(self) -> None:
        behind, self._behind = self._behind, b""
        if not behind:
            return
        if len(behind) > _BEHIND:
            self._resume_transport_reading()
        self.data_received(behind)

    def _parse(self, data: bytes) -> None:
        if self._deaf:
            return
        if self._fresh:
            self._fresh = False
            if data[:1] == TLS_HANDSHAKE:
                self._seal(data)
                return
        super().data_received(data)
        messages = self._messages
        if messages and isinstance(messages[-1][0], _ErrInfo):
            self._deaf = True
            self._end_body()
        # Only what surely ends a message: else the next one, taken by the parser, will tell.
        self._boundary = (
            data.endswith(b"\r\n\r\n") and 0 < len(messages) < self._max_msg_queue_size
            and messages[-1][1].is_eof() and not self._upgraded
        )  # fmt: skip
        self._watch_head()

    def _seal(self, data: bytes) -> None:
        """The client speaks TLS: nothing of HTTP begins like that."""
        raw = self.transport
        assert raw is not None
        self.scheme, self._about = "https", None
        self.transport = sealed = Sealed(raw, self, self._certificates.context)
        sealed.data_received(data)

    def _process_keepalive(self) -> None:
        if self._passage is not None:
            self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        super()._process_keepalive()

    def force_close(self) -> None:
        self._leave_lane()
        super().force_close()

    def _leave_lane(self) -> None:
        passage, self._passage = self._passage, None
        if passage is not None:
            passage.client_lost()
        handed = self.take_handed()
        if handed is not None:
            handed.abandon()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        peer = self.peername
        self.address = str(peer[0]) if isinstance(peer, tuple) else ""

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
        self._leave_lane()
        super().connection_lost(exc)

    def _end_body(self) -> None:
        """The parser leaves a body it can't read on without an end: whoever reads it must hear of it.

        A request that nobody has begun to serve is not served at all: what is answered is the error behind it.
        """
        if len(self._messages) > 1:
            if not self._messages[-2][1].is_eof():
                del self._messages[-2]
        elif self._current_request is not None:
            content = self._current_request.content
            if not content.is_eof() and content.exception() is None:
                content.set_exception(RequestPayloadError("The request's body is not well-formed."))

    def _watch_head(self) -> None:
        """A head that has begun must be complete in time, however its bytes trickle in."""
        if self.busy:
            if self._head_timer is not None:
                self._head_timer.cancel()
                self._head_timer = None
        elif self._head_timer is None and not self._upgraded:
            self._head_timer = self._loop.call_later(
                self._handler.head_timeout, self._refuse, Fault(Code.H28, None, 408)
            )

    def handle_error(
        self,
        request: BaseRequest,  # noqa: ARG002
        status: int = 500,  # noqa: ARG002
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002
    ) -> web.StreamResponse:
        if not self.lingering:
            self._refuse(_fault_of(exc))
        return Sent(keep_alive=True)

    def _refuse(self, fault: Fault) -> None:
        with suppress(ConnectionError):
            self._handler.refuse(self, fault)
        self.linger()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self.feeder is not None:
            self.feeder.pause_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.feeder is not None and not self.feeder.is_closing():
            self.feeder.resume_reading()


class ClientServer(web.Server):
    """Makes a ClientConnection for each accepted socket, and knows them all."""

    def __init__(self, handler: Handler, certificates: Certificates, connection: dict[str, Any]) -> None:
        async def serve(request: BaseRequest) -> web.StreamResponse:
            return await handler.serve(request)

        super().__init__(serve, handler_cancellation=True)
        limits = {"max_line_size": _LINE_LIMIT, "max_field_size": _FIELD_LIMIT, "max_headers": _HEADERS_LIMIT}
        self.lane: Lane | None = handler.lane
        if moved := [name for name in _LEANT_ON if not hasattr(RequestHandler, name)]:
            sys.stderr.write(
                f"router: this aiohttp has no {', '.join(moved)}: every request takes the slow path. "
                "Install the version that is pinned.\n"
            )
            self.lane = None
        self._make: Callable[[], ClientConnection] = lambda: ClientConnection(
            self, handler, self.lane, certificates, loop=asyncio.get_running_loop(), **limits, **connection
        )

    def __call__(self) -> RequestHandler:
        return self._make()

    def close_idle(self) -> None:
        """Close the connections that wait between two requests."""
        for connection in self.connections:
            if isinstance(connection, ClientConnection) and not connection.busy:
                connection.force_close()


def _fault_of(exc: BaseException | None) -> Fault:
    """How the parser's error is answered; by default as a request that is not well-formed."""
    if isinstance(exc, LineTooLong):
        if exc.args[1] == _LINE_LIMIT:
            return Fault(Code.H26, "The request's target is too long: send at most 8 kB.", 414)
        return Fault(Code.H26, "A header of the request is too long: send at most 8 kB in each.", 431)
    if getattr(exc, "message", "").startswith("Too many headers"):
        return Fault(Code.H26, f"The request has too many headers: send at most {_HEADERS_LIMIT}.", 431)
    return Fault(Code.H26)
