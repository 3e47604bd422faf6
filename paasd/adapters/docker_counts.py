"""How many lines a dyno has printed, counted as it prints them: its log is rotated, unread where somebody reads slowly.

The engine copies what is printed to who is attached, and waits for those who do not read: a protocol of the event
loop's own reads at once, and only counts.
"""

import asyncio
import ssl
from collections import OrderedDict
from urllib.parse import quote, urlsplit

import structlog

from paasd.adapters.docker_api import Connection, DockerApi
from paasd.domain.errors import EngineUnavailable
from paasd.ports import Tally

log = structlog.get_logger(__name__)

COUNTED = 1000  # ended dynos whose counts are kept
HEAD_BYTES = 16 * 1024
HEADER_BYTES = 8
ATTACH_SECONDS = 5.0


class Counter(asyncio.Protocol):
    """One attached container. `lines` grows; it is final once `ended`, when a line without an end counts, too."""

    def __init__(self) -> None:
        self.lines = 0
        self.given = 0  # of these, by the log
        self.ended = False
        self.attached: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.BaseTransport | None = None
        self._head: bytearray | None = bytearray()
        self._header = bytearray()
        self._left = 0  # of the frame's payload
        self._stream = 0
        self._open = {1: False, 2: False}  # whether the stream's last line has no end yet

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._head is not None:
            data = self._past_head(data)
        at, size = 0, len(data)
        while at < size:
            if not self._left:
                missing = HEADER_BYTES - len(self._header)
                self._header += data[at : at + missing]
                at += missing
                if len(self._header) < HEADER_BYTES:
                    return
                self._stream, self._left = self._header[0], int.from_bytes(self._header[4:], "big")
                self._header.clear()
                continue
            end = min(at + self._left, size)
            self.lines += data.count(b"\n", at, end)
            self._open[self._stream] = data[end - 1] != 10
            self._left -= end - at
            at = end

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - how it ended is told by the log's stream
        if not self.ended:
            self.ended = True
            self.lines += sum(self._open.values())
        if not self.attached.done():
            self.attached.set_result(False)

    def close(self) -> None:
        """May be repeated."""
        if self._transport is not None:
            self._transport.close()

    def _past_head(self, data: bytes) -> bytes:
        assert self._head is not None
        self._head += data
        head, end, rest = bytes(self._head).partition(b"\r\n\r\n")
        if not end and len(head) < HEAD_BYTES:
            return b""
        self._head = None
        if not self.attached.done():
            self.attached.set_result(bool(end) and head.split(b" ", 2)[1:2] in ([b"101"], [b"200"]))
        return rest


class Counts:
    """Counters by dyno id."""

    def __init__(self, api: DockerApi) -> None:
        self._api = api
        self._counters: OrderedDict[str, Counter] = OrderedDict()

    async def begin(self, dyno_id: str) -> None:
        """Count from now on: before its start, so that nothing is missed. What can't be counted is started all the
        same."""
        self.forget(dyno_id)
        counter = Counter()
        try:
            async with asyncio.timeout(ATTACH_SECONDS):
                await _attach(counter, await self._api.connect(), dyno_id)
                attached = await counter.attached
        except (OSError, EngineUnavailable) as error:
            log.warning("what a dyno prints is not counted", dyno=dyno_id, error=str(error))
            attached = False
        except BaseException:
            counter.close()
            raise
        if not attached:
            counter.close()
            return
        self._counters[dyno_id] = counter
        for name in [name for name, one in self._counters.items() if one.ended][: len(self._counters) - COUNTED]:
            del self._counters[name]

    def given(self, dyno_id: str) -> None:
        """The log has given one more of its lines."""
        if (counter := self._counters.get(dyno_id)) is not None:
            counter.given += 1

    def tally(self, dyno_id: str) -> Tally | None:
        """None when it is not known from its start."""
        counter = self._counters.get(dyno_id)
        return None if counter is None else Tally(counter.lines, counter.given, counter.ended)

    def forget(self, dyno_id: str) -> None:
        """As when its log broke off: what is given then is not known. Absent: fine."""
        if (counter := self._counters.pop(dyno_id, None)) is not None:
            counter.close()

    def close(self) -> None:
        """Let go of all."""
        for dyno_id in list(self._counters):
            self.forget(dyno_id)


async def _attach(counter: Counter, connection: Connection, dyno_id: str) -> None:
    loop, endpoint = asyncio.get_running_loop(), connection.endpoint
    if endpoint.socket is not None:
        transport, _ = await loop.create_unix_connection(lambda: counter, endpoint.socket)
    else:
        url = urlsplit(endpoint.base)
        assert url.hostname is not None and url.port is not None  # the SDK's base URLs have both
        tls = (endpoint.tls or ssl.create_default_context()) if url.scheme == "https" else None
        transport, _ = await loop.create_connection(lambda: counter, url.hostname, url.port, ssl=tls)
    path = f"/v{connection.api_version}/containers/{quote(dyno_id, safe='')}/attach?stream=1&stdout=1&stderr=1"
    head = f"POST {path} HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n"
    transport.write(head.encode())
