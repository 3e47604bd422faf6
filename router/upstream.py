"""The apps' side: connections to targets, and the idle ones kept for the next request.

An app may close an idle connection at any moment, so a request that can't be sent again is given only one that was used
a moment ago, by an app that has been seen to keep idle connections for much longer; else one of its own.
"""

import asyncio
import errno
import re
import socket
from collections.abc import Callable
from typing import Protocol

from aiohttp.client_proto import ResponseHandler
from aiohttp.helpers import _EXC_SENTINEL

from router.codes import Code, Fault
from router.inflight import Address

_KEPT_PER_TARGET = 128
_KEPT_FOR = 15.0
_ASIDE_FOR = 5.0
_YOUNG = 0.1
_EXHAUSTED = frozenset((errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL))  # files, ports of our own
_LONG = 1.0
_FINAL_HEAD = re.compile(
    rb"(?:HTTP/1\.1 1[^\r\n]*\r\n(?:[^\r\n]+\r\n)*+\r\n)*+HTTP/1\.[01] [2-5][^\r\n]*\r\n(?:[^\r\n]+\r\n)*+\r\n"
)


class Passing(Protocol):
    """What reads a connection in place of aiohttp's parser, while a request is on the fast lane."""

    def received(self, data: bytes) -> None: ...
    def lost(self) -> None: ...
    def overdue(self) -> None: ...


class UpstreamConnection(ResponseHandler):
    """One connection to one target. `received` counts this request's bytes; `reset` says it was lost, not closed.

    An `idle` one is kept for the next request. While there is a `passage`, it is told all that happens. Its time limits
    cost a timer a connection, not one a limit:
    a timer that runs out too early is set again.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        address: Address,
        on_lost: "Callable[[UpstreamConnection], None]",
    ):
        super().__init__(loop)
        self.address = address
        self.passage: Passing | None = None
        self.now = loop.time
        self.idle = False
        self._limit = 0.0
        self._watch: asyncio.TimerHandle | None = None
        self._watch_at = 0.0
        self.feeder: asyncio.Transport | None = None
        self.received = 0
        self.reset = False
        self.reused = False
        self.idle_since = 0.0
        self._on_lost = on_lost

    def begin(self, *, bodyless: bool) -> None:
        """Expect one answer, without a body where `bodyless` (HEAD)."""
        self.received = 0
        self.set_response_params(skip_payload=bodyless, read_until_eof=True, auto_decompress=False)

    def send(self, data: bytes) -> bool:
        """Write; False when the app has closed, which its answer (or want of one) will tell more about."""
        transport = self.transport
        if transport is None or transport.is_closing():
            return False
        transport.write(data)
        return True

    async def drained(self) -> None:
        """Return when there is room to write more, or no one to write to."""
        if self._paused and self.transport is not None:
            await self._drain_helper()

    def detach(self) -> tuple[asyncio.Transport | None, bytes]:
        """Give the transport away, where the app has not closed it, with what came behind its 101."""
        transport, self.transport = self.transport, None
        early, self._tail = self._tail, b""
        if self._watch is not None:
            self._watch.cancel()
        self._drop_timeout()
        return transport, early

    def cut(self) -> None:
        """Drop the connection at once; whoever reads from it hears that it is lost."""
        if self.transport is not None:
            self.transport.abort()

    def expect_by(self, limit: float) -> None:
        """The passage is overdue at `limit`, unless it has said otherwise by then."""
        self._limit = limit
        if self._watch is None or limit < self._watch_at:
            self._set_timer(limit)

    def _set_timer(self, at: float) -> None:
        if self._watch is not None:
            self._watch.cancel()
        self._watch_at = at
        self._watch = self._loop.call_at(at, self._look)

    def _look(self) -> None:
        self._watch = None
        if self.passage is None:
            return
        if self.now() < self._limit - 0.001:
            self._set_timer(self._limit)
        else:
            self.passage.overdue()

    def data_received(self, data: bytes) -> None:
        passage = self.passage
        if passage is not None:
            passage.received(data)
            return
        if self.idle:  # nothing was asked: what comes could be taken for the next request's answer
            self.close()
            return
        if self._skip_payload and self.received == 0:
            data = self._head_alone(data)
        self.received += len(data)
        super().data_received(data)

    def _head_alone(self, data: bytes) -> bytes:
        """To HEAD there is no body, though some apps send one: it is no answer to anything, and ends the connection."""
        head = _FINAL_HEAD.match(data)
        if head is None or head.end() == len(data):
            return data
        self._should_close = True
        return head[0]

    def connection_lost(self, exc: BaseException | None) -> None:
        self.reset = exc is not None
        if self._watch is not None:
            self._watch.cancel()
        super().connection_lost(exc)
        self._on_lost(self)
        if self.passage is not None:
            self.passage.lost()

    def set_exception(self, exc: BaseException, exc_cause: BaseException = _EXC_SENTINEL) -> None:
        payload = self._payload
        if exc_cause is not _EXC_SENTINEL:  # aiohttp tells it only to who waits already
            exc.__cause__ = exc_cause
        super().set_exception(exc, exc_cause)
        # A body that can't be read on must end for its reader too, not only for the next head's.
        if payload is not None and not payload.is_eof() and payload.exception() is None:
            payload.set_exception(exc, exc_cause)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self.feeder is not None:
            self.feeder.pause_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.feeder is not None and not self.feeder.is_closing():
            self.feeder.resume_reading()


class Upstreams:
    """All idle connections, newest first out; `serves` says whether a target may be kept for.

    `too_few`: targets whose connections were all at work when the fast lane wanted one: the next request makes
    one more. What that lane can't take costs many times more, so that there are to be as many as are wanted at once.
    """

    def __init__(self, serves: Callable[[Address], bool], connect_timeout: float) -> None:
        self._serves = serves
        self._connect_timeout = connect_timeout
        self._idle: dict[Address, list[UpstreamConnection]] = {}
        self._aside: dict[Address, float] = {}
        self._patient: set[Address] = set()
        self._connecting: dict[Address, set[asyncio.Timeout]] = {}
        self.too_few: set[Address] = set()
        self._sweep: asyncio.TimerHandle | None = None

    @property
    def any_aside(self) -> bool:
        return bool(self._aside)

    def aside(self, address: Address) -> bool:
        """Whether `address` could not be reached a moment ago."""
        until = self._aside.get(address)
        if until is None:
            return False
        if asyncio.get_running_loop().time() < until:
            return True
        del self._aside[address]
        return False

    def kept(self, address: Address, *, once: bool) -> UpstreamConnection | None:
        """An idle connection, if there is one that will do; `once`: for a request that must not be sent again."""
        idle = self._idle.get(address)
        if not idle:
            return None
        connection = idle.pop()
        transport = connection.transport
        if transport is None or transport.is_closing():
            connection.close()
            return None
        age = connection.now() - connection.idle_since
        if age >= _LONG:
            self._patient.add(address)
        if once and (age >= _YOUNG or address not in self._patient):
            connection.close()  # the one made instead takes its place
            return None
        connection.idle = False
        connection.reused = True
        return connection

    def doubt(self, address: Address) -> None:
        """The app has closed a connection under a request: it is not known to keep any."""
        self._patient.discard(address)

    async def connect(self, address: Address, seconds: float | None = None) -> UpstreamConnection:
        """A new connection. Raises Fault: H19 after the connect timeout, H21 when it can't be made or nothing is routed
        there any more, H22 when it is we who have no more to give, H23 for an address that is none."""
        loop = asyncio.get_running_loop()
        limit = asyncio.timeout(self._connect_timeout if seconds is None else seconds)
        under_way = self._connecting.setdefault(address, set())
        under_way.add(limit)
        try:
            async with limit:
                _, connection = await loop.create_connection(
                    lambda: UpstreamConnection(loop, address, self._lost), address[0], address[1]
                )
        except TimeoutError as error:
            if limit not in under_way:
                raise Fault(Code.H21) from error
            self._aside[address] = loop.time() + _ASIDE_FOR
            raise Fault(Code.H19) from error
        except OSError as error:
            if error.errno in _EXHAUSTED:
                raise Fault(Code.H22) from error
            self._aside[address] = loop.time() + _ASIDE_FOR
            raise Fault(Code.H23 if isinstance(error, socket.gaierror) else Code.H21) from error
        finally:
            under_way.discard(limit)
            if not under_way and self._connecting.get(address) is under_way:
                del self._connecting[address]
        if self._aside:
            self._aside.pop(address, None)
        return connection

    def keep(self, connection: UpstreamConnection) -> None:
        """Keep a connection whose answer is complete for the next request, or close it."""
        if connection.should_close:
            connection.close()
        else:
            self.keep_clean(connection, connection.now())

    def keep_clean(self, connection: UpstreamConnection, now: float) -> None:
        """The same, where aiohttp's parser has no say in it: it saw nothing since the connection was last kept."""
        idle = self._idle.get(connection.address)
        if idle is None:  # `forget` left none where nothing is routed any more
            if not self._serves(connection.address):
                connection.close()
                return
            idle = self._idle[connection.address] = []
        transport = connection.transport
        if transport is None or transport.is_closing() or len(idle) >= _KEPT_PER_TARGET:
            connection.close()
            return
        connection.idle_since = now
        connection.idle = True
        idle.append(connection)
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(_KEPT_FOR, self._close_old)

    def forget(self, addresses: frozenset[Address]) -> None:
        """Close what is kept for targets that are no longer routed to, and wait for none of them: a dead dyno's address
        answers nothing, until another of its app is given it."""
        now = asyncio.get_running_loop().time()
        for address in addresses:
            under_way = self._connecting.pop(address, set())
            for limit in list(under_way):
                if not limit.expired():
                    under_way.discard(limit)
                    limit.reschedule(now)
            self._aside.pop(address, None)
            self.too_few.discard(address)
            self._patient.discard(address)
            for connection in self._idle.pop(address, []):
                connection.close()

    def close(self) -> None:
        """Close all that is kept."""
        self.forget(frozenset(self._idle))
        if self._sweep is not None:
            self._sweep.cancel()

    def _lost(self, connection: UpstreamConnection) -> None:
        idle = self._idle.get(connection.address, [])
        if connection in idle:
            idle.remove(connection)
            if connection.now() - connection.idle_since < _LONG:
                self._patient.discard(connection.address)

    def _close_old(self) -> None:
        loop = asyncio.get_running_loop()
        oldest = loop.time() - _KEPT_FOR
        for address, idle in list(self._idle.items()):
            young = [connection for connection in idle if connection.idle_since > oldest]
            for connection in idle:
                if connection.idle_since <= oldest:
                    connection.close()
            if young:
                self._idle[address] = young
            else:
                del self._idle[address]
        self._sweep = loop.call_later(_KEPT_FOR, self._close_old) if self._idle else None
