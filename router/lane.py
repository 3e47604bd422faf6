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
from router.passage import Client, Passage


class Lane:
    """Lets requests in; `hits` counts them. Once `stopping` is set nothing enters; once `ending` is, what is cut is
    cut by us.

    Request ids are in a UUID's shape: a random beginning for each process, and a count from a random start.
    """

    def __init__(self, fabric: Fabric, log: AccessLog, port: int) -> None:
        self._table = fabric.table
        self._log = log
        self._port = port
        random = os.urandom(16).hex()
        self.ids = f"{random[:8]}-{random[8:12]}-4{random[12:15]}-8{random[15:18]}-"
        self._ids = self.ids.encode()
        self._count = count(0x1000_0000_0000 + int(random[18:28], 16))  # twelve digits, without being told to fill up
        # Bound once: each is called for every request.
        self._choose = fabric.choose
        self._kept = fabric.upstreams.kept
        self._entered = fabric.in_flight.enter
        self._too_few = fabric.upstreams.too_few
        self._on = fabric.in_flight.on
        self.leave = fabric.in_flight.leave
        self.note = log.note
        self.reader = grammar.Reader()
        self.first_byte = fabric.limits.first_byte
        self.idle = fabric.limits.idle
        self.keep = fabric.upstreams.keep_clean
        self.hits = 0
        self.stopping = False
        self.ending = False

    def about(self, client: Client) -> bytes:
        """The lines that tell an app of a client, up to the host it asked for."""
        return (
            f"X-Forwarded-For: {client.address}\r\nX-Forwarded-Proto: {client.scheme}\r\n"
            f"X-Forwarded-Port: {self._port}\r\nVia: 1.1 paasd-router\r\nX-Forwarded-Host: "
        ).encode()

    def enter(self, client: Client, about: bytes, data: bytes) -> Passage | None:
        """Send the request that `data` is on to its app; None when it is not for the lane, and nothing was sent."""
        if self.stopping:
            return None
        request = self.reader.request(data)
        if request is None:
            return None
        method, uri, headers = request
        route = self._table.by_host.get(headers.host)
        if route is None or route.maintenance or route.hold is not None:
            return None
        targets = route.targets
        target = targets[0] if len(targets) == 1 else self._choose(targets)
        if target is None:
            return None
        connection = self._kept((target.host, target.port), once=False)
        if connection is None or connection.transport is None:
            if self._on((target.host, target.port)):
                self._too_few.add((target.host, target.port))
            return None
        self.hits += 1
        number, now = next(self._count), connection.now()
        passage = Passage(
            self, client, connection, route, target, method, uri, headers.host, data, number, now
        )  # fmt: skip
        connection.passage = passage
        self._entered(connection.address)
        connection.transport.write(
            b"%b %b HTTP/1.1%b%b%b\r\nX-Request-Id: %b%x\r\nX-Request-Start: %d\r\n\r\n"
            % (method, uri, headers.lines, about, headers.authority, self._ids, number, time.time_ns() // 1_000_000)
        )
        timeouts = route.timeouts
        connection.expect_by(now + (self.first_byte if timeouts is None else timeouts.first_byte))
        return passage

    def failed(self, call: Call, now: float) -> None:
        """Log a request that has ended here with a code."""
        self._log.add(call.app, call.line(now))
