"""Calls an hour: by token, told truthfully, refused beyond, and no more remembered than there is room for."""

import pytest

from paasd.api.rates import RATES, Rates
from paasd.api.replies import Refusal
from tests.paasd.api.world import ACCEPT, World


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_empties_by_call_and_fills_by_time() -> None:
    """Bites: without the refill, the last calls are refused."""
    clock = Clock()
    rates = Rates(60, clock=clock)
    assert [rates.use("a") for _ in range(60)] == list(range(59, -1, -1))
    with pytest.raises(Refusal) as refused:
        rates.use("a")
    assert (refused.value.status, refused.value.id) == (429, "rate_limit")
    assert 60 <= int(refused.value.headers["Retry-After"]) <= 61
    assert rates.use("b") == 59  # another token's own
    clock.now += 60.5
    assert rates.remaining("a") == 1
    assert rates.use("a") == 0
    clock.now += 24 * 3600
    assert rates.remaining("a") == 60


def test_memory_is_bounded_and_who_is_active_is_kept() -> None:
    """Bites: without the bound, the dict grows by every token; by age of creation, the busy one gets a fresh bucket."""
    rates = Rates(100, clock=Clock(), tokens=10)
    for number in range(1000):
        rates.use(f"token {number}")
        if number < 99:
            rates.use("busy")
    assert len(rates._left) == 10
    rates = Rates(1000, clock=Clock(), tokens=10)
    for number in range(500):
        rates.use("busy")
        rates.use(f"token {number}")
    assert rates.remaining("busy") == 500


async def test_every_answer_says_what_is_left(world: World) -> None:
    await world.create()
    before = int((await world.call("GET", "/account/rate-limits")).json["remaining"])
    for left, path in ((before - 1, "/apps"), (before - 2, "/apps/nobody"), (before - 3, "/apps/shop")):
        assert (await world.call("GET", path)).header("RateLimit-Remaining") == str(left)
    asked = await world.call("GET", "/account/rate-limits")
    assert (asked.json["remaining"], asked.header("RateLimit-Remaining")) == (before - 3, str(before - 3))
    stranger = await world.ask("GET", "/apps", headers={"Accept": ACCEPT, "Authorization": "Bearer no"})
    assert stranger.status == 401 and stranger.header("RateLimit-Remaining") is None


async def test_beyond_the_limit_comes_429(world: World) -> None:
    """Bites: without `count`, the daemon answers for ever."""
    await world.create()
    rates = world.api[RATES]
    token = next(iter(rates._left))
    rates._left[token] = (2.0, rates._clock())
    assert (await world.call("GET", "/apps")).status == 200
    assert (await world.call("PATCH", "/apps/shop", {"maintenance": True})).header("RateLimit-Remaining") == "0"
    refused = await world.call("PATCH", "/apps/shop", {"maintenance": False})
    assert (refused.status, refused.json["id"]) == (429, "rate_limit")
    assert refused.header("RateLimit-Remaining") == "0" and int(refused.header("Retry-After") or 0) >= 1
    assert (await world.store.app("shop")).maintenance
    assert (await world.call("GET", "/account/rate-limits")).json == {"remaining": 0}
    assert (await world.ask("GET", "/health")).status == 200
