"""A websocket after its 101: bytes both ways, unread, until a side closes or both are silent for too long.

Only where frames end is followed, so that a router that goes can say so in between two.
"""

import asyncio

from router.client import ClientConnection
from router.frames import SERVICE_RESTART, SERVICE_RESTART_MASKED, FrameBoundary
from router.upstream import UpstreamConnection


class Tunnel:
    """Joins the two connections. `sent` counts the bytes from the app to the client."""

    def __init__(self, client: ClientConnection, app: UpstreamConnection, idle_timeout: float) -> None:
        self._client = client
        self._app = app
        self._idle_timeout = idle_timeout
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()
        self._ended: asyncio.Future[bool] = self._loop.create_future()
        self._to_client, self._to_app = FrameBoundary(), FrameBoundary()
        self.sent = 0

    async def run(self) -> bool:
        """Carry bytes until the tunnel ends: True when a side closed, False when it was cut for silence."""
        self._client.feeder, self._app.feeder = self._app.transport, self._client.transport
        watch = self._loop.call_later(self._idle_timeout, self._look)
        self._watch = watch
        try:
            self._client.set_parser(_End(self, to_app=True))  # type: ignore[arg-type]
            self._app.set_parser(_End(self, to_app=False), None)
            if not self._app.is_connected() or self._client.transport is None:
                self.end()
            return await self._ended
        finally:
            self._watch.cancel()
            self._client.feeder = self._app.feeder = None
            for side in (self._app.transport, self._client.transport):
                if side is not None:
                    side.close()

    def carry(self, data: bytes, to_app: bool) -> None:
        self._last = self._loop.time()
        transport = self._app.transport if to_app else self._client.transport
        if transport is None or transport.is_closing():
            return
        transport.write(data)
        (self._to_app if to_app else self._to_client).feed(data)
        if not to_app:
            self.sent += len(data)

    def go_away(self) -> None:
        """End it, with close code 1012 (service restart) to each side that is between two frames."""
        ends = (self._client, self._to_client, SERVICE_RESTART), (self._app, self._to_app, SERVICE_RESTART_MASKED)
        for side, boundary, word in ends:
            transport = side.transport
            if boundary.reached and transport is not None and not transport.is_closing():
                transport.write(word)
        self.end()

    def end(self, closed: bool = True) -> None:
        if not self._ended.done():
            self._ended.set_result(closed)

    def _look(self) -> None:
        left = self._last + self._idle_timeout - self._loop.time()
        if left <= 0:
            self.end(closed=False)
        else:
            self._watch = self._loop.call_later(left, self._look)


class _End:
    """One end, in the shape of the parser that aiohttp gives an upgraded connection's bytes to."""

    def __init__(self, tunnel: Tunnel, *, to_app: bool) -> None:
        self._tunnel = tunnel
        self._to_app = to_app

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self._tunnel.carry(data, self._to_app)
        return False, b""

    def feed_eof(self) -> None:
        self._tunnel.end()
