"""The apps' side: connections to targets, and the idle ones kept for the next request.

An app may close an idle connection at any moment, so only a request that can be sent again is ever given one.
"""

import asyncio
from collections.abc import Callable

from aiohttp.client_proto import ResponseHandler
from aiohttp.helpers import _EXC_SENTINEL

from router.codes import Code, Fault
from router.inflight import Address

_KEPT_PER_TARGET = 64
_KEPT_FOR = 15.0


class UpstreamConnection(ResponseHandler):
    """One connection to one target. `received` counts this request's bytes; `reset` says it was lost, not closed."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, address: Address, on_lost: "Callable[[UpstreamConnection], None]"
    ):
        super().__init__(loop)
        self.address = address
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

    def cut(self) -> None:
        """Drop the connection at once; whoever reads from it hears that it is lost."""
        if self.transport is not None:
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        self.reset = exc is not None
        super().connection_lost(exc)
        self._on_lost(self)

    def set_exception(self, exc: BaseException, exc_cause: BaseException = _EXC_SENTINEL) -> None:
        payload = self._payload
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
    """All idle connections, newest first out; `serves` says whether a target may be kept for."""

    def __init__(self, serves: Callable[[Address], bool], connect_timeout: float) -> None:
        self._serves = serves
        self._connect_timeout = connect_timeout
        self._idle: dict[Address, list[UpstreamConnection]] = {}
        self._sweep: asyncio.TimerHandle | None = None

    def kept(self, address: Address, *, fresh: bool) -> UpstreamConnection | None:
        """An idle connection, if there is one. Where a `fresh` one is needed, it takes the idle one's place: none."""
        idle = self._idle.get(address)
        if not idle:
            return None
        connection = idle.pop()
        if fresh or connection.should_close or not connection.is_connected():
            connection.close()
            return None
        connection.reused = True
        return connection

    async def connect(self, address: Address) -> UpstreamConnection:
        """A new connection. Raises Fault: H19 after the connect timeout, H21 when it can't be made."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_timeout):
                _, connection = await loop.create_connection(
                    lambda: UpstreamConnection(loop, address, self._lost), address[0], address[1]
                )
        except TimeoutError as error:
            raise Fault(Code.H19) from error
        except OSError as error:
            raise Fault(Code.H21) from error
        return connection

    def keep(self, connection: UpstreamConnection) -> None:
        """Keep a connection whose answer is complete for the next request, or close it."""
        idle = self._idle.setdefault(connection.address, [])
        reusable = connection.is_connected() and not connection.should_close
        if not reusable or not self._serves(connection.address) or len(idle) >= _KEPT_PER_TARGET:
            connection.close()
            return
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        idle.append(connection)
        if self._sweep is None:
            self._sweep = loop.call_later(_KEPT_FOR, self._close_old)

    def forget(self, addresses: frozenset[Address]) -> None:
        """Close what is kept for targets that are no longer routed to."""
        for address in addresses:
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
