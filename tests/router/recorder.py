"""What tests of ambiguous bytes stand on: an app that keeps every byte it is sent, a reader of what came back."""

import asyncio
import http.client
import io
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

_LONGEST = 1 << 20


class Recorder:
    """A strict little app. `connections` holds the bytes of each connection as they came, whole requests or not.

    `heads` and `bodies` are what it read in them. GET /first and GET /last are answered
    with these words; every other request with the next of `answers` (the last of them again and again; with none, its
    own number). `closes`: after each of these answers.
    """

    def __init__(self, *answers: bytes, closes: bool = False) -> None:
        self._answers = answers
        self._closes = closes
        self._given = 0
        self.connections: list[bytearray] = []
        self.heads: list[bytes] = []
        self.bodies = b""

    @property
    def raw(self) -> bytes:
        """All bytes of all connections."""
        return b"".join(self.connections)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        recorded = bytearray()
        self.connections.append(recorded)
        source = _Tee(reader, recorded)
        while True:
            head = await source.until(b"\r\n\r\n")
            self.heads.append(head)
            number = b"%d" % len(self.heads)
            await self._body(source, head.lower())
            if head.startswith((b"GET /last ", b"GET /first ")):
                writer.write(plain(head.split()[1][1:]))
            elif not self._answers:
                writer.write(plain(number))
            else:
                self._given += 1
                writer.write(self._answers[min(self._given, len(self._answers)) - 1])
                await writer.drain()
                if self._closes:
                    return
            await writer.drain()

    async def _body(self, source: "_Tee", head: bytes) -> None:
        if b"\r\ntransfer-encoding: chunked\r\n" in head:
            while size := int((await source.until(b"\r\n")).strip(), 16):
                self.bodies += (await source.exactly(size + 2))[:-2]
            await source.until(b"\r\n")
        elif b"\r\ncontent-length: " in head:
            self.bodies += await source.exactly(int(head.partition(b"\r\ncontent-length: ")[2].split(b"\r\n")[0]))


def plain(body: bytes) -> bytes:
    """An answer no one can read in two ways."""
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


class _Tee:
    """Reads a connection, and keeps what it reads before anything is made of it."""

    def __init__(self, reader: asyncio.StreamReader, recorded: bytearray) -> None:
        self._reader = reader
        self._recorded = recorded
        self._at = 0

    async def until(self, end: bytes) -> bytes:
        while (found := self._recorded.find(end, self._at)) < 0:
            await self._more()
        return self._take(found + len(end))

    async def exactly(self, size: int) -> bytes:
        while len(self._recorded) - self._at < size:
            await self._more()
        return self._take(self._at + size)

    def _take(self, to: int) -> bytes:
        taken, self._at = bytes(self._recorded[self._at : to]), to
        return taken

    async def _more(self) -> None:
        data = await self._reader.read(_LONGEST)
        if not data:
            raise asyncio.IncompleteReadError(b"", None)
        self._recorded += data


@dataclass(frozen=True)
class Read:
    """One answer as the standard library's client reads it; `whole` says whether its body was all there."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    whole: bool

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)


@dataclass
class _Bytes:
    """As much of a socket as http.client reads answers from: several, one behind the other."""

    stream: io.BytesIO

    def makefile(self, *_: object) -> "_Bytes":
        return self

    def read(self, size: int = -1) -> bytes:
        return self.stream.read(size)

    def read1(self, size: int = -1) -> bytes:
        return self.stream.read1(size)

    def readinto(self, buffer: bytearray) -> int:
        return self.stream.readinto(buffer)

    def readline(self, size: int = -1) -> bytes:
        return self.stream.readline(size)

    def flush(self) -> None: ...

    def close(self) -> None: ...


def read_answers(data: bytes, methods: Sequence[str] = ()) -> list[Read]:
    """The answers to requests with these methods that `data` is, to its end; raises where it can't be read so."""
    stream = io.BytesIO(data)
    pending, found = list(methods), []
    while stream.tell() < len(data):
        method = pending[0] if pending else "GET"
        answer = http.client.HTTPResponse(cast(socket.socket, _Bytes(stream)), method=method)
        answer.begin()
        try:
            body, whole = answer.read(), True
        except http.client.IncompleteRead as error:
            body, whole = error.partial, False
        headers = tuple((name.lower(), value) for name, value in answer.getheaders())
        found.append(Read(answer.status, headers, body, whole))
        if answer.status >= 200 and pending:
            pending.pop(0)
    return found
