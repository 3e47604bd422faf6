"""One port for everything: http and https told apart by a connection's first byte, and a session's by its first.

Inside TLS a request's first byte is a capital letter; a rendezvous begins with its secret, in small hexadecimal digits.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, cast

TLS_HANDSHAKE = b"\x16"  # the type of a TLS record that begins a session
SECRET_DIGITS = b"0123456789abcdef"
SILENT_SECONDS = 60.0
HANDSHAKE_SECONDS = 30.0
BACKLOG = 1024
PAUSE_SECONDS = 0.5
ARRIVING_SECONDS = 0.5
READ_SECONDS = 0.05  # what was handed over is read in a later turn of the loop; until then it looks idle

Make = Callable[[], asyncio.Protocol]
Spawn = Callable[[str, Coroutine[Any, Any, None]], asyncio.Task[None]]


class Port:
    """Accepts, looks, and hands over: to `http`, and within TLS to `rendezvous` where that is its first word."""

    def __init__(self, http: Make, context: ssl.SSLContext, spawn: Spawn, rendezvous: Make | None = None) -> None:
        self._http = http
        self._context = context
        self._spawn = spawn
        self._rendezvous = rendezvous
        self._listeners: list[socket.socket] = []
        self._arriving: set[asyncio.Task[None]] = set()

    async def listen(self, host: str, port: int) -> None:
        """Accept at every address that `host` has from now on. Raises OSError."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        try:
            for family, _, _, _, address in dict.fromkeys(found):
                listener = socket.socket(family, socket.SOCK_STREAM)
                self._listeners.append(listener)
                listener.setblocking(False)
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                listener.bind(address)
                listener.listen(BACKLOG)
        except OSError:
            self._close_listeners()
            raise
        for listener in self._listeners:
            loop.add_reader(listener, self._accept, listener)

    def adopt(self, listeners: Sequence[socket.socket]) -> None:
        """Accept on sockets that already listen; who waits in their queues is let in."""
        for listener in listeners:
            listener.setblocking(False)
            self._listeners.append(listener)
            asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    @property
    def listeners(self) -> Sequence[socket.socket]:
        """What it accepts on, to hand on."""
        return tuple(self._listeners)

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where it listens."""
        return [listener.getsockname()[:2] for listener in self._listeners]

    async def stop(self) -> None:
        """Accept no more. Whoever has just come may still say what they want; who says nothing is let go."""
        self._close_listeners()
        if self._arriving:
            await asyncio.wait(self._arriving, timeout=ARRIVING_SECONDS)
            await asyncio.sleep(READ_SECONDS)
        for task in list(self._arriving):
            task.cancel()
        await asyncio.gather(*self._arriving, return_exceptions=True)

    def _close_listeners(self) -> None:
        loop = asyncio.get_running_loop()
        for listener in self._listeners:
            loop.remove_reader(listener)
            listener.close()
        self._listeners.clear()

    def _accept(self, listener: socket.socket) -> None:
        try:
            client, _ = listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError:  # no descriptor is left: look again when some client may have gone
            loop = asyncio.get_running_loop()
            loop.remove_reader(listener)
            loop.call_later(PAUSE_SECONDS, self._look_again, listener)
            return
        client.setblocking(False)
        task = self._spawn("client", self._admit(client))
        self._arriving.add(task)
        task.add_done_callback(self._arriving.discard)

    def _look_again(self, listener: socket.socket) -> None:
        if listener in self._listeners:
            asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    async def _admit(self, client: socket.socket) -> None:
        """Wait for the first byte, leave it where it is, and give the connection to whom it concerns."""
        try:
            async with asyncio.timeout(SILENT_SECONDS):
                await _readable(client)
            secure = client.recv(1, socket.MSG_PEEK) == TLS_HANDSHAKE
            loop = asyncio.get_running_loop()
            with contextlib.suppress(OSError):  # a handshake that fails is the client's to tell of: ssl's errors too
                if secure:
                    await loop.connect_accepted_socket(
                        self._welcome, client, ssl=self._context, ssl_handshake_timeout=HANDSHAKE_SECONDS
                    )
                else:
                    await loop.connect_accepted_socket(self._http, client)
        except BaseException as error:
            client.close()
            if not isinstance(error, OSError | TimeoutError):
                raise

    def _welcome(self) -> asyncio.Protocol:
        return self._http() if self._rendezvous is None else _Doorway(self._http, self._rendezvous)


class _Doorway(asyncio.Protocol):
    """Holds a TLS session until its first byte says whose it is."""

    def __init__(self, http: Make, rendezvous: Make) -> None:
        self._http = http
        self._rendezvous = rendezvous
        self._transport: asyncio.Transport | None = None
        self._silent: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are none by their class
        self._silent = asyncio.get_running_loop().call_later(SILENT_SECONDS, self._transport.abort)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None and self._silent is not None
        self._silent.cancel()
        protocol = self._rendezvous() if data[0] in SECRET_DIGITS else self._http()
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        protocol.data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        if self._silent is not None:
            self._silent.cancel()


async def _readable(client: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_reader(client, lambda: None if ready.done() else ready.set_result(None))
    try:
        await ready
    finally:
        loop.remove_reader(client)
