"""A process that is talked to, in memory: it says back what it is told, and ends with its input."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from paasd.domain.dyno import Exit
from paasd.ports import Size


class FakeShell:
    """Prints `first`, then echoes. "exit N" ends it with N, the end of its input with 0."""

    def __init__(self, first: bytes = b"", closed: Callable[[], Awaitable[object]] | None = None) -> None:
        self.sizes: list[Size] = []
        self.heard = b""
        self._said: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._ended = asyncio.Event()
        self._exit = Exit(0)
        self._closed = closed
        if first:
            self._said.put_nowait(first)

    async def output(self) -> AsyncIterator[bytes]:
        while (chunk := await self._said.get()) is not None:
            yield chunk

    async def write(self, data: bytes) -> None:
        self.heard += data
        if data.startswith(b"exit "):
            self.end(Exit(int(data[5:])))
        else:
            self._said.put_nowait(data)

    async def end_input(self) -> None:
        self.end(Exit(0))

    async def resize(self, size: Size) -> None:
        self.sizes.append(size)

    async def wait(self) -> Exit:
        await self._ended.wait()
        return self._exit

    async def close(self) -> None:
        self.end(Exit(129, signal=1))
        if self._closed is not None:
            closed, self._closed = self._closed, None
            await closed()

    def end(self, how: Exit) -> None:
        """It ends so, if it has not yet."""
        if not self._ended.is_set():
            self._exit = how
            self._ended.set()
            self._said.put_nowait(None)
