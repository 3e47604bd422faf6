"""A terminal of the fake engine, without one: what an attached dyno prints, and its end."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime

from paasd.domain.dyno import Exit
from tests.gates import Gates


class FakeTerminal:
    """An attached dyno: `chunks` are what it prints, and when; `close` ends and removes it."""

    def __init__(
        self,
        gates: Gates,
        chunks: AsyncIterator[tuple[datetime, bytes]],
        wait: Callable[[], Awaitable[Exit]],
        close: Callable[[], Awaitable[None]],
    ) -> None:
        self._gates = gates
        self._chunks = chunks
        self._wait = wait
        self._close = close

    async def output(self) -> AsyncIterator[bytes]:
        await self._gates.at("output")
        async for _, chunk in self._chunks:
            yield chunk

    async def wait(self) -> Exit:
        return await self._wait()

    async def close(self) -> None:
        await self._close()
