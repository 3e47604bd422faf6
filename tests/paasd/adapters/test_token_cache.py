"""What is known of tokens is never older than the last write."""

import asyncio
from datetime import UTC, datetime

from paasd.adapters.token_cache import KNOWN_MAX, TokenCache
from paasd.domain.access import Account, Token

NOW = datetime.now(UTC)
ANN = Account("1", "ann@example.org", None, NOW)


def token(name: str) -> tuple[Account, Token]:
    return ANN, Token(name, ANN.id, name, name, NOW)


class Reader:
    """A store that is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer: tuple[Account, Token] | None = token("ci")
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self) -> tuple[Account, Token] | None:
        self.asked += 1
        found = self.answer
        await self.gate.wait()
        return found


async def test_it_asks_once_and_again_after_a_write() -> None:
    cache, read = TokenCache(), Reader()
    assert [await cache.find("ci", read) for _ in range(3)] == [token("ci")] * 3
    assert read.asked == 1
    read.answer = None
    cache.forget()
    assert [await cache.find("ci", read) for _ in range(2)] == [None, None]
    assert read.asked == 3  # nobody's token is asked for each time: it may be somebody's any moment


async def test_what_was_read_beside_a_write_is_not_kept() -> None:
    """Bites: keep it whatever was written meanwhile, and a revoked token goes on being good."""
    cache, read = TokenCache(), Reader()
    read.gate.clear()
    asking = asyncio.create_task(cache.find("ci", read))
    await asyncio.sleep(0)
    cache.forget()
    read.answer = None
    read.gate.set()
    assert await asking == token("ci")
    assert await cache.find("ci", read) is None


async def test_it_is_bounded() -> None:
    cache, read = TokenCache(), Reader()
    for number in range(KNOWN_MAX + 1):
        await cache.find(str(number), read)
    asked = read.asked
    await cache.find("1", read)
    assert read.asked == asked
    await cache.find("0", read)
    assert read.asked == asked + 1
