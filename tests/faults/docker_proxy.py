"""Between paasd and its Docker Engine: passes everything on, but for what it is told to spoil."""

import asyncio
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

REQUEST = re.compile(rb"(?:GET|POST|PUT|DELETE|HEAD) \S+ HTTP/1\.1\r\n")

Kind = Literal["status", "hang", "lose", "cut", "drip", "nonsense", "hush"]


@dataclass(frozen=True)
class Fault:
    """What happens to requests whose "POST /v1.41/containers/create?name=x" has `pattern` in it.

    status: refused with `number`, and not passed on. hang: not passed on, and never answered. lose: passed on and
    carried out, the answer lost. cut: the answer breaks off after `number` bytes. drip: it comes `number` bytes at a
    time. nonsense: it is complete, and JSON that ends in the middle. hush: it begins, and no more of it ever comes.
    """

    kind: Kind
    pattern: str
    number: int = 0


class Proxy:
    """Listens on a unix socket of its own; `fault` may be set from any thread. `hits` counts what it spoiled."""

    def __init__(self, upstream: Path, loop: asyncio.AbstractEventLoop) -> None:
        self.fault: Fault | None = None
        self.hits = 0
        self._upstream = upstream
        self._loop = loop
        self._requests: list[str] = []
        self._lines: set[Line] = set()

    def asked(self, pattern: str) -> int:
        """How many requests had the pattern in them."""
        return sum(re.search(pattern, request) is not None for request in list(self._requests))

    def drop(self, pattern: str) -> None:
        """End the lines whose last request has the pattern in it, now. From any thread."""
        done = threading.Event()

        def end() -> None:
            for line in list(self._lines):
                if re.search(pattern, line.request):
                    line.end()
            done.set()

        self._loop.call_soon_threadsafe(end)
        assert done.wait(10)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One line of a client's."""
        there, here = await asyncio.open_unix_connection(str(self._upstream))
        line = Line(self, reader, writer, there, here)
        self._lines.add(line)
        try:
            await asyncio.gather(line.forth(), line.back())
        finally:
            self._lines.discard(line)
            line.end()
            await line.ended()

    def meets(self, request: str) -> Fault | None:
        """The fault for a request, which is counted."""
        self._requests.append(request)
        fault = self.fault
        if fault is None or not re.search(fault.pattern, request):
            return None
        self.hits += 1
        return fault


class Line:
    """A client's connection, and the one to the engine that belongs to it."""

    def __init__(
        self,
        proxy: Proxy,
        client_in: asyncio.StreamReader,
        client_out: asyncio.StreamWriter,
        engine_in: asyncio.StreamReader,
        engine_out: asyncio.StreamWriter,
    ) -> None:
        self._proxy = proxy
        self._client_in, self._client_out = client_in, client_out
        self._engine_in, self._engine_out = engine_in, engine_out
        self.request = ""  # the last
        self._fault: Fault | None = None  # of the request that is answered now
        self._passed = 0

    def end(self) -> None:
        """Both connections."""
        self._client_out.close()
        self._engine_out.close()

    async def ended(self) -> None:
        """Once nothing of them is left to the loop, which may be at its end."""
        for writer in (self._client_out, self._engine_out):
            with suppress(OSError):
                await writer.wait_closed()

    async def forth(self) -> None:
        """What the client says. Each request begins with a chunk of its own, as clients send them."""
        with suppress(OSError):
            while data := await self._client_in.read(65536):
                if found := REQUEST.match(data):
                    self.request = found[0].decode("latin-1")
                    self._fault, self._passed = self._proxy.meets(self.request), 0
                    if self._fault is not None and not await self._passes(self._fault):
                        break
                self._engine_out.write(data)
                await self._engine_out.drain()
            if self._engine_out.can_write_eof():
                self._engine_out.write_eof()

    async def _passes(self, fault: Fault) -> bool:
        """Whether the engine is to hear of it."""
        if fault.kind == "hang":
            while await self._client_in.read(65536):
                pass
        elif fault.kind == "status":
            self._answer(fault.number, b'{"message": "spoiled"}')
        elif fault.kind == "nonsense":
            self._answer(200, b'[{"Id": "7", "Names": ["/a')
        else:
            return True
        return False

    def _answer(self, status: int, body: bytes) -> None:
        head = f"HTTP/1.1 {status} So\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        self._client_out.write(f"{head}Connection: close\r\n\r\n".encode() + body)
        self._client_out.write_eof()

    async def back(self) -> None:
        """What the engine answers."""
        with suppress(OSError):
            while data := await self._engine_in.read(65536):
                fault = self._fault
                if fault is not None and fault.kind == "lose":
                    break
                if fault is not None and fault.kind == "hush" and self._passed:
                    continue
                if fault is not None and fault.kind == "cut":
                    data = data[: max(0, fault.number - self._passed)]
                await self._pass_on(data, fault.number if fault is not None and fault.kind == "drip" else len(data))
                if fault is not None and fault.kind == "cut" and self._passed >= fault.number:
                    break
        self._client_out.close()  # which ends the other way, too

    async def _pass_on(self, data: bytes, piece: int) -> None:
        for start in range(0, len(data), max(1, piece)):
            self._client_out.write(data[start : start + piece])
            self._passed += len(data[start : start + piece])
            await self._client_out.drain()
            if piece < len(data):
                await asyncio.sleep(0.01)


@contextmanager
def proxy(where: Path, upstream: Path) -> Iterator[Proxy]:
    """One that listens at `where` within the block."""
    loop = asyncio.new_event_loop()
    made = Proxy(upstream, loop)
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def listen() -> asyncio.Server:
        return await asyncio.start_unix_server(made.serve, str(where))

    server = asyncio.run_coroutine_threadsafe(listen(), loop).result(10)
    try:
        yield made
    finally:
        asyncio.run_coroutine_threadsafe(_end(server), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _end(server: asyncio.Server) -> None:
    server.close()
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.wait(others, timeout=5) if others else None
