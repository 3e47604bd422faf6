"""How many requests each target has in flight (websockets included), and waiting for there to be none."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

Address = tuple[str, int]
_NOWHERE: Address = ("", 0)


class Tunnel(Protocol):
    """A websocket under way."""

    def go_away(self) -> None: ...


class InFlight:
    """Counts by address. Waiting is told by the count itself: nothing polls."""

    def __init__(self) -> None:
        self._counts: dict[Address, int] = {}
        self._tunnels: dict[Tunnel, Address] = {}
        self._tunnels_on: Counter[Address] = Counter()
        self._waiting: dict[asyncio.Future[None], frozenset[Address] | None] = {}

    @contextmanager
    def hold(self, address: Address) -> Iterator[None]:
        """Count one request on `address` for the length of the block."""
        self.enter(address)
        try:
            yield
        finally:
            self.leave(address)

    @contextmanager
    def parked(self) -> Iterator[None]:
        """Count one request that has no target yet for the length of the block."""
        with self.hold(_NOWHERE):
            yield

    def enter(self, address: Address) -> None:
        """Count one request more; each is to `leave` once."""
        self._counts[address] = self._counts.get(address, 0) + 1

    def leave(self, address: Address) -> None:
        """Count one request less."""
        left = self._counts[address] - 1
        if left:
            self._counts[address] = left
        else:
            del self._counts[address]
            if self._waiting:
                self._wake()

    def on(self, address: Address) -> int:
        """Requests in flight on one address."""
        return self._counts.get(address, 0)

    def count(self, addresses: Iterable[Address] | None = None) -> int:
        """Requests in flight on `addresses`, or on all."""
        if addresses is None:
            return sum(self._counts.values())
        return sum(self._counts.get(address, 0) for address in addresses)

    def requests_on(self, address: Address) -> int:
        """Those of `on` that are no websockets."""
        return self.on(address) - self._tunnels_on[address]

    def tunnels_on(self, addresses: Iterable[Address]) -> int:
        """Websockets on these addresses."""
        return sum(self._tunnels_on[address] for address in addresses)

    @property
    def tunnels(self) -> int:
        """How many websockets there are."""
        return len(self._tunnels)

    def enter_tunnel(self, address: Address, tunnel: Tunnel) -> None:
        """Count a websocket on `address`, and know it; it is to `leave_tunnel` once."""
        self.enter(address)
        self._tunnels[tunnel] = address
        self._tunnels_on[address] += 1

    def leave_tunnel(self, address: Address, tunnel: Tunnel) -> None:
        """Count it no more."""
        if self._tunnels.pop(tunnel, None) is not None:
            self._tunnels_on[address] -= 1
            if not self._tunnels_on[address]:
                del self._tunnels_on[address]
        self.leave(address)

    def end_tunnels(self, addresses: Iterable[Address] | None = None) -> None:
        """End the websockets on `addresses`, or all."""
        wanted = None if addresses is None else frozenset(addresses)
        for tunnel, address in list(self._tunnels.items()):
            if wanted is None or address in wanted:
                tunnel.go_away()

    def counts(self) -> dict[Address, int]:
        """Requests in flight now, by address; what waits for one is not among them."""
        return {address: count for address, count in self._counts.items() if address != _NOWHERE}

    async def idle(self, addresses: Iterable[Address] | None, timeout: float) -> bool:
        """True as soon as `addresses` (None: all) have no request in flight; False after `timeout` seconds."""
        wanted = None if addresses is None else frozenset(addresses)
        if not self.count(wanted):
            return True
        future = asyncio.get_running_loop().create_future()
        self._waiting[future] = wanted
        try:
            async with asyncio.timeout(timeout):
                await future
        except TimeoutError:
            return not self.count(wanted)
        finally:
            del self._waiting[future]
        return True

    def _wake(self) -> None:
        for future, wanted in self._waiting.items():
            if not future.done() and not self.count(wanted):
                future.set_result(None)
