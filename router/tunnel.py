"""A websocket after its 101: bytes both ways, unread, until a side closes or both are silent for too long.

Only where frames end is followed, so that a router that goes can say so in between two. The two transports are given
protocols of their own, and all that served the request is let go: most websockets are many, and idle.
"""

import asyncio
from collections.abc import Callable

from router.frames import SERVICE_RESTART, SERVICE_RESTART_MASKED, FrameBoundary
from router.silence import Silences


class Tunnel:
    """Joins two transports; `ended` is told once, with the bytes sent to the client, and whether a side closed them.

    Where no side did, the tunnel was cut for silence.
    """

    __slots__ = ("_ended", "_loop", "_silences", "_to_app", "_to_client", "heard", "idle_timeout", "sent")

    def __init__(
        self, client: asyncio.Transport, app: asyncio.Transport, idle_timeout: float, silences: Silences,
        ended: Callable[[int, bool], None],
    ) -> None:  # fmt: skip
        self.idle_timeout = idle_timeout
        self._loop = asyncio.get_running_loop()
        self.heard = self._loop.time()
        self._ended: Callable[[int, bool], None] | None = ended
        self._to_client = _End(self, app, client)
        self._to_app = _End(self, client, app)
        self._silences = silences
        self.sent = 0
        silences.watch(self)

    def begin(self, from_client: bytes, from_app: bytes) -> None:
        """Carry what has come already, and then whatever comes."""
        for end, early in ((self._to_app, from_client), (self._to_client, from_app)):
            end.source.set_protocol(end)
            if early:
                end.data_received(early)
        for end, other in ((self._to_app, self._to_client), (self._to_client, self._to_app)):
            if end.source.is_closing():
                self.end()
            elif other.full:
                end.source.pause_reading()
            elif not end.source.is_reading():
                end.source.resume_reading()

    def carried(self, size: int, *, to_client: bool) -> None:
        self.heard = self._loop.time()
        if to_client:
            self.sent += size

    def go_away(self) -> None:
        """End it, with close code 1012 (service restart) to each side that is between two frames."""
        for end, word in ((self._to_client, SERVICE_RESTART), (self._to_app, SERVICE_RESTART_MASKED)):
            if end.reached and not end.sink.is_closing():
                end.sink.write(word)
        self.end()

    def end(self, closed: bool = True) -> None:
        ended, self._ended = self._ended, None
        if ended is None:
            return
        self._silences.forget(self)
        for end in (self._to_client, self._to_app):
            end.sink.close()
        ended(self.sent, closed)

    def is_to_client(self, end: "_End") -> bool:
        return end is self._to_client

    def fell_silent(self) -> None:
        self.end(closed=False)


class _End(FrameBoundary, asyncio.Protocol):
    """What reads one side (`source`) and writes to the other (`sink`), and follows the frames that pass."""

    __slots__ = ("_tunnel", "sink", "source")

    def __init__(self, tunnel: Tunnel, source: asyncio.Transport, sink: asyncio.Transport) -> None:
        super().__init__()
        self._tunnel = tunnel
        self.source = source
        self.sink = sink

    @property
    def full(self) -> bool:
        """Whether the side we read is not to be written to now."""
        return self.source.get_write_buffer_size() > self.source.get_write_buffer_limits()[1]

    def data_received(self, data: bytes) -> None:
        self._tunnel.carried(len(data), to_client=self._tunnel.is_to_client(self))
        if self.sink.is_closing():
            return
        self.sink.write(data)
        self.feed(data)

    def pause_writing(self) -> None:
        self.sink.pause_reading()

    def resume_writing(self) -> None:
        if not self.sink.is_closing():
            self.sink.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._tunnel.end()
