"""The fast lane: plain requests without a body, sent on in the moment they come in over a connection that is kept.

Whatever is not plain is not for the lane, and `enter` says so by None: the careful path serves everything.
"""

import os
import time
from itertools import count

from router import grammar
from router.access_log import AccessLog
from router.call import Call
from router.fabric import Fabric
from router.inflight import Address
from router.passage import Client, Passage


class RequestIds:
    """Request ids in a UUID's shape: a random beginning for each process, and a count from a random start."""

    def __init__(self) -> None:
        random = os.urandom(16).hex()
        self._opening = f"{random[:8]}-{random[8:12]}-4{random[12:15]}-8{random[15:18]}-"
        self._count = count(int(random[18:28], 16))

    def next(self) -> str:
        return f"{self._opening}{next(self._count):012x}"


class Lane:
    """Lets requests in; `hits` counts them. Once `stopping` is set nothing enters."""

    def __init__(self, fabric: Fabric, log: AccessLog, port: int) -> None:
        self._fabric = fabric
        self._log = log
        self._port = port
        self._ids = RequestIds()
        self.reader = grammar.Reader()
        self.first_byte = fabric.limits.first_byte
        self.idle = fabric.limits.idle
        self.keep = fabric.upstreams.keep_clean
        self.hits = 0
        self.stopping = False

    def about(self, client: Client) -> bytes:
        """The lines that tell an app of a client, up to the host it asked for."""
        return (
            f"X-Forwarded-For: {client.address}\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: {self._port}\r\n"
            "Via: 1.1 paasd-router\r\nX-Forwarded-Host: "
        ).encode()

    def enter(self, client: Client, about: bytes, data: bytes) -> Passage | None:
        """Send the request that `data` is on to its app; None when it is not for the lane, and nothing was sent."""
        if self.stopping:
            return None
        request = self.reader.request(data)
        if request is None:
            return None
        method, uri, headers = request
        route = self._fabric.table.route(headers.host)
        if route is None or route.maintenance:
            return None
        target = self._fabric.choose(route.targets)
        if target is None:
            return None
        connection = self._fabric.upstreams.kept((target.host, target.port), once=False)
        if connection is None or connection.transport is None:
            return None
        self.hits += 1
        request_id, now = self._ids.next(), connection.now()
        passage = Passage(
            self, client, connection, route, target, method, uri, headers.host, data, request_id, now
        )  # fmt: skip
        connection.passage = passage
        self._fabric.in_flight.enter(connection.address)
        connection.transport.write(
            b"%b %b HTTP/1.1%b%b%b\r\nX-Request-Id: %b\r\nX-Request-Start: %d\r\n\r\n"
            % (method, uri, headers.lines, about, headers.authority, request_id.encode(), time.time() * 1000)
        )
        connection.expect_by(now + self.first_byte)
        return passage

    def leave(self, address: Address) -> None:
        """One request less in flight."""
        self._fabric.in_flight.leave(address)

    def ended(self, passage: Passage, now: float) -> None:
        """Log a request that has ended here."""
        if passage.code is not None:
            call: Call = passage.call()
            self._log.add(call.app, call.line(now))
            return
        # As Call.line has it; nothing in a head of the lane needs escaping.
        line = (
            f'at=info method={passage.method.decode()} path="{passage.uri.decode()}" host={passage.host}'
            f' request_id={passage.request_id} fwd="{passage.client.address}" dyno={passage.target.dyno} connect=0ms'
            f" service={(now - passage.started) * 1000:.0f}ms status={passage.status} bytes={passage.sent}"
            " protocol=http"
        )
        self._log.add(passage.route.app, line)
