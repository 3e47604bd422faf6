"""What a worker serves with: the table, the connections of both sides, the counts; from first accept to last end."""

import asyncio
import logging
import os
import socket

from router.access_log import AccessLog
from router.certificates import Certificates
from router.client import ClientConnection, ClientServer
from router.exchange import Fabric, Limits
from router.inflight import InFlight
from router.metrics import Counted, Figures
from router.options import Options, Patience, Timeouts
from router.peers import Drain, GiveTable, Question, Said, TakeTable, Tell
from router.proxy import Proxy
from router.state import TableInForce
from router.upstream import Upstreams

_CLIENT_IDLE = 90.0
_GRACE = 3.0
_LOOK = 0.05
_LAST_WORDS = 0.5


class Serving:
    """One worker's share of the traffic, and its answers to the others' questions."""

    def __init__(self, options: Options, log: AccessLog, port: int) -> None:
        limits = _limits(options.timeouts)
        self.table = TableInForce(options.directory)
        self.certificates = Certificates(options.directory)
        self.counted = Counted()
        self._in_flight = InFlight()
        self._upstreams = Upstreams(self.table.serves, limits.connect)
        self.table.when_removed(self._upstreams.forget)
        self._proxy = Proxy(Fabric(self.table, self._upstreams, self._in_flight, limits), log, port)
        self._clients: ClientServer | None = None
        self._server: asyncio.Server | None = None

    @property
    def accepting(self) -> bool:
        return self._server is not None

    async def accept(self, listener: socket.socket) -> None:
        """Accept clients at `listener`, which stays open when we end."""
        self._clients = ClientServer(self._proxy, self.certificates, _connection_options())
        self._server = await asyncio.get_running_loop().create_server(self._clients, sock=listener.dup(), backlog=4096)

    async def finish(self, patience: Patience, *, at_once: bool) -> None:
        """Accept no more and let what began end. `at_once`: connections that wait between requests are closed now."""
        if self._server is None or self._clients is None:
            return
        loop = asyncio.get_running_loop()
        began = loop.time()
        self._server.close()
        self._proxy.stopping = True
        ending = loop.call_later(patience.websockets, self._in_flight.end_tunnels)
        if not at_once:
            await self._until_idle_clients_asked()
        self._close_idle()
        if not await self._in_flight.idle(None, began + patience.requests - loop.time()):
            self._proxy.ending = True
            await self._clients.shutdown(_LAST_WORDS)
            await self._in_flight.idle(None, began + patience.websockets + _LAST_WORDS - loop.time())
        ending.cancel()
        await self._clients.shutdown(_LAST_WORDS)
        self._upstreams.close()

    def said(self, question: Question) -> Said:
        """Our answer; a table is in force when this returns."""
        match question:
            case TakeTable():
                self.table.take(question.table)
                return Said(os.getpid())
            case GiveTable():
                return Said(os.getpid(), table=self.table.table)
            case Tell():
                self.counted.keep(frozenset(route.app for route in self.table.table.routes))
                targets = {f"{host}:{port}": count for (host, port), count in self._in_flight.counts().items()}
                clients = 0 if self._clients is None else len(self._clients.connections) + self._in_flight.tunnels
                figures = Figures(self.counted.apps, targets, clients, getattr(self._proxy, "lane_hits", None))
                return Said(os.getpid(), self._in_flight.count(), figures=figures)
            case Drain():
                return Said(os.getpid(), self._in_flight.count(question.addresses))

    async def drained(self, question: Drain) -> Said:
        """Our answer once the addresses have nothing in flight here, or time is up; websockets have their own."""
        in_flight, addresses, loop = self._in_flight, question.addresses, asyncio.get_running_loop()
        patience = question.seconds if question.websockets is None else question.websockets
        until = loop.time() + patience
        ending = loop.call_at(until, in_flight.end_tunnels, addresses)
        try:
            if not await in_flight.idle(addresses, question.seconds) and in_flight.tunnels_on(addresses):
                await in_flight.idle(addresses, until - loop.time())
                in_flight.end_tunnels(addresses)
        finally:
            ending.cancel()
        return Said(os.getpid(), in_flight.count(addresses))

    async def _until_idle_clients_asked(self) -> None:
        """Wait a little for clients between two requests to send the next: its answer asks them to close.

        Closed by us, a connection could meet a request that is on its way already, and that request would be lost.
        """
        assert self._clients is not None
        loop = asyncio.get_running_loop()
        until = loop.time() + _GRACE
        while self._clients.connections and loop.time() < until:  # noqa: ASYNC110 - many ends, each only a moment off
            await asyncio.sleep(_LOOK)

    def _close_idle(self) -> None:
        assert self._clients is not None
        for connection in self._clients.connections:
            if isinstance(connection, ClientConnection) and not connection.busy and not _unread(connection):
                connection.force_close()


def _unread(connection: ClientConnection) -> bool:
    """Whether bytes of a request wait in the socket."""
    transport = connection.transport
    sock = None if transport is None else transport.get_extra_info("socket")
    if sock is None:
        return False
    try:
        with socket.socket(fileno=os.dup(sock.fileno())) as same:
            return bool(same.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except OSError:
        return False


def _limits(timeouts: Timeouts) -> Limits:
    plain = Limits()
    return Limits(
        connect=plain.connect if timeouts.connect is None else timeouts.connect,
        first_byte=plain.first_byte if timeouts.first_byte is None else timeouts.first_byte,
        idle=plain.idle if timeouts.idle is None else timeouts.idle,
        park=plain.park if timeouts.park is None else timeouts.park,
    )


def _connection_options() -> dict[str, object]:
    quiet = logging.getLogger("router.client")
    quiet.addHandler(logging.NullHandler())
    quiet.propagate = False
    return {
        "keepalive_timeout": _CLIENT_IDLE,
        "access_log": None,
        "auto_decompress": False,
        "lingering_time": 5.0,
        "logger": quiet,
    }
