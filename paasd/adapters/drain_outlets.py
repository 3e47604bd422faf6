"""Outlets on sockets and aiohttp: syslog over TCP and TLS, and Logplex's way over HTTPS. Addresses are checked and
pinned as `web_fetch` does."""

import asyncio
import base64
import fcntl
import socket
import ssl
import struct
import termios
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import cast

import aiohttp

from paasd.adapters.web_fetch import Pinned, WebFetch
from paasd.domain.drain import Drain, Entry, Target, frame_id, logplex_frame, parse_drain_url, syslog_frame
from paasd.domain.errors import WebUnavailable
from paasd.ports import Outlet, Refused

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 30.0
STALL_SECONDS = 30.0  # without a byte more being taken
DOUBT_SECONDS = 2.0  # what a receiver had for less than this when it broke off, it may not have read
LOOK_SECONDS = (0.001, 0.05)  # between two looks at what is on its way, at first and at most
IDLE_CONNECTION_SECONDS = 15.0
REFUSALS = frozenset((400, 413, 415, 422))  # of the lines, not of us: the same lines would be refused for ever


class DrainOutlets:
    """Outlets to public addresses, and to those the settings allow."""

    def __init__(self, web: WebFetch) -> None:
        self._web = web

    async def check(self, url: str) -> None:
        """InvalidParams unless it can be a drain."""
        await self._web.check_host(parse_drain_url(url).host)

    def open(self, drain: Drain, broken: Callable[[], None]) -> Outlet:
        """By the URL's scheme."""
        target = parse_drain_url(drain.url)
        made = LogplexOutlet if target.posts else SyslogOutlet
        return made(drain.token, target, self._web, broken)


class LogplexOutlet:
    """POSTs of octet-counted frames; the connection is kept between them."""

    def __init__(self, token: str, target: Target, web: WebFetch, _: Callable[[], None]) -> None:
        self._token, self._target, self._web = token, target, web
        self._session: aiohttp.ClientSession | None = None

    async def send(self, entries: Sequence[Entry]) -> None:
        """Until the receiver has answered."""
        host = self._target.host
        headers = {
            "Content-Type": "application/logplex-1",
            "Logplex-Msg-Count": str(len(entries)),
            "Logplex-Frame-Id": frame_id(self._token, entries[0][0], entries[-1][0]),
            "Logplex-Drain-Token": self._token,
            "User-Agent": "paasd-drains",
        }
        if self._target.user is not None:
            secret = f"{self._target.user}:{self._target.password or ''}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(secret).decode()}"
        body = b"".join(logplex_frame(line) for _, line in entries)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                session = await self._opened()
                async with session.post(
                    self._target.url, data=body, headers=headers, allow_redirects=False
                ) as response:
                    await response.content.read(64 * 1024)
                    status = response.status
        except TimeoutError as error:
            raise WebUnavailable(
                f"{host} did not answer within {ANSWER_SECONDS:g} seconds: see that it does."
            ) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _unreachable(host, error) from error
        if status in REFUSALS:
            raise Refused(status)
        if not 200 <= status < 300:
            raise WebUnavailable(f"{host} answered {status}: see why it does.")

    def lost_after(self) -> int | None:
        """What was answered is there."""
        return None

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            target = self._target
            addresses = await self._web.addresses(target.host)
            context = await asyncio.to_thread(ssl.create_default_context) if target.sealed else True
            connector = aiohttp.TCPConnector(
                ssl=context,
                resolver=Pinned(addresses),
                use_dns_cache=False,
                limit=1,
                keepalive_timeout=IDLE_CONNECTION_SECONDS,
            )
            timeout = aiohttp.ClientTimeout(sock_connect=CONNECT_SECONDS)
            self._session = aiohttp.ClientSession(
                connector=connector, trust_env=False, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session


class SyslogOutlet:
    """One connection. Lines count as delivered once the receiver's machine has acknowledged their last byte."""

    def __init__(self, token: str, target: Target, web: WebFetch, broken: Callable[[], None]) -> None:
        self._token, self._target, self._web, self._broken = token, target, web, broken
        self._wire: _Wire | None = None
        self._sent: deque[tuple[float, int]] = deque()  # when, and the number of the line before the first of it

    async def send(self, entries: Sequence[Entry]) -> None:
        """Until all of it is acknowledged."""
        wire = self._wire or await self._connected()
        now = time.monotonic()
        while self._sent and self._sent[0][0] < now - DOUBT_SECONDS:
            self._sent.popleft()
        self._sent.append((now, entries[0][0] - 1))
        wire.transport.write(b"".join(syslog_frame(line, self._token) for _, line in entries))
        await self._acknowledged(wire)
        self._sent[-1] = time.monotonic(), self._sent[-1][1]

    def lost_after(self) -> int | None:
        """Of a receiver that broke off: it may have had lines that it had not read."""
        wire = self._wire
        if wire is None or wire.lost_at is None:
            return None
        self._wire = None
        doubtful = [number for at, number in self._sent if at >= wire.lost_at - DOUBT_SECONDS]
        self._sent.clear()
        return doubtful[0] if doubtful and wire.broken_off else None

    async def close(self) -> None:
        if self._wire is not None:
            self._wire.transport.abort()
            self._wire = None

    async def _connected(self) -> "_Wire":
        target, context = self._target, None
        addresses = await self._web.addresses(target.host)
        if target.sealed:
            context = await asyncio.to_thread(ssl.create_default_context)
        failure: Exception | None = None
        for address in addresses:
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    _, wire = await asyncio.get_running_loop().create_connection(
                        lambda: _Wire(self._broken),
                        address,
                        target.port,
                        ssl=context,
                        server_hostname=target.host if context else None,
                    )
            except (OSError, TimeoutError, ssl.SSLError, ValueError) as error:
                failure = error
                continue
            self._sent.clear()
            self._wire = wire
            return wire
        raise _unreachable(target.host, failure or OSError())

    async def _acknowledged(self, wire: "_Wire") -> None:
        """WebUnavailable when the connection ends before, or stands still for too long."""
        pause, most = LOOK_SECONDS
        left, since = wire.left(), time.monotonic()
        while left and wire.lost_at is None:
            await asyncio.sleep(pause)
            pause = min(pause * 2, most)
            before, left = left, wire.left()
            now = time.monotonic()
            if left < before:
                since = now
            elif now - since > STALL_SECONDS:
                wire.transport.abort()
                raise WebUnavailable(f"{self._target.host} takes no more lines: see that it reads them.")
        if wire.lost_at is not None:
            raise WebUnavailable(f"{self._target.host} hung up: see that it takes what it is sent.")


class _Wire(asyncio.Protocol):
    """What a receiver sends is not read for anything; that it hangs up is noticed."""

    transport: asyncio.Transport

    def __init__(self, broken: Callable[[], None]) -> None:
        self._broken = broken
        self._socket: socket.socket | None = None
        self.lost_at: float | None = None
        self.broken_off = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's are no children of that class
        self._socket = transport.get_extra_info("socket")
        assert self._socket is not None
        # Else a receiver whose machine lost its power is believed in for a quarter of an hour.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, int(STALL_SECONDS))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(STALL_SECONDS * 1000))

    def connection_lost(self, error: Exception | None) -> None:
        self.lost_at = time.monotonic()
        self.broken_off = error is not None
        self._broken()

    def left(self) -> int:
        """Bytes that the receiver's machine has not acknowledged yet."""
        if self.lost_at is not None or self._socket is None or self._socket.fileno() < 0:
            return 0
        queued = fcntl.ioctl(self._socket.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")
        return self.transport.get_write_buffer_size() + int(struct.unpack("i", queued)[0])


def _unreachable(host: str, error: Exception) -> WebUnavailable:
    """With the reason, where it says no more of the URL than its host."""
    cause = getattr(error, "certificate_error", error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        why = f"its certificate is not good: {cause.verify_message}"
        return WebUnavailable(f"{host} can't be reached ({why}): give it a valid one.", resource="certificate")
    return WebUnavailable(f"{host} can't be reached ({type(error).__name__}): see that it answers.")
