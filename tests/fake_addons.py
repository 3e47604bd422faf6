"""A provider of add-ons in memory: what it holds outlives a daemon, and its calls can be held or made to fail."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from paasd.domain.addon import Kind
from paasd.domain.addon_catalogue import Catalogue, built_in
from paasd.domain.errors import InvalidParams, NotFound
from paasd.ports import Access, AddonProvider, Condition, Order, Shell, Size
from tests.gates import Gates


@dataclass
class Held:
    """One add-on there: its password, who may reach it, and whether it runs."""

    secret: str
    links: set[str] = field(default_factory=set)
    up: bool = True
    rows: list[str] = field(default_factory=list)
    memory: int | None = None
    used: int | None = None
    away: Exception | None = None


class FakeProvider:
    """Gates by the methods' names."""

    name = "fake"

    def __init__(self) -> None:
        self.held: dict[str, Held] = {}
        self.gates = Gates()
        self.trouble: str | None = None
        self.brought_back: list[str] = []
        self.ended: asyncio.Queue[str | None] = asyncio.Queue()

    async def __aenter__(self) -> AddonProvider:
        return self

    async def __aexit__(self, *exc: object) -> None:
        return

    async def problem(self, kind: Kind) -> str | None:
        await self.gates.at("problem")
        return self.trouble

    async def provision(self, order: Order) -> None:
        await self.gates.at("provision")
        self.held.setdefault(order.addon_id, Held(order.secret, memory=order.plan.memory))
        await self.gates.at("provisioned")

    def _get(self, order: Order) -> Held:
        if order.addon_id not in self.held:
            raise NotFound("It is not there.")
        return self.held[order.addon_id]

    async def access(self, order: Order, app_id: str) -> Access:
        await self.gates.at("access")
        url = f"postgres://user:{order.secret}@{order.name}:5432/data"
        return Access(order.name, 5432, "user", "data", url)

    async def link(self, order: Order, app_id: str) -> None:
        await self.gates.at("link")
        self._get(order).links.add(app_id)

    async def unlink(self, order: Order, app_id: str) -> None:
        await self.gates.at("unlink")
        self._get(order).links.discard(app_id)

    async def resize(self, order: Order) -> None:
        await self.gates.at("resize")
        self._end(order.addon_id)
        self._get(order).memory = order.plan.memory
        await self.gates.at("resized")
        self._get(order).up = True

    async def rotate(self, order: Order) -> None:
        await self.gates.at("rotate")
        self._get(order).secret = order.secret
        await self.gates.at("rotated")

    async def hang_up(self, order: Order) -> None:
        self._get(order)

    async def reset(self, order: Order) -> None:
        self._get(order).rows.clear()

    async def condition(self, order: Order) -> Condition:
        held = self._get(order)
        if held.away is not None:
            raise held.away
        return Condition(held.up, used=held.used)

    async def mend(self, orders: Sequence[Order]) -> None:
        for order in orders:
            await self.gates.at("mend")
            if order.addon_id in self.held:
                self.held[order.addon_id].up = True

    async def endings(self) -> AsyncGenerator[str | None, None]:
        await self.gates.at("endings")
        yield None
        while True:
            yield await self.ended.get()

    def kill(self, addon_id: str) -> None:
        """Its server ends, and is heard of."""
        self._end(addon_id)

    def _end(self, addon_id: str) -> None:
        self.held[addon_id].up = False
        self.ended.put_nowait(addon_id)

    async def tool(
        self,
        order: Order,
        argv: Sequence[str],
        env: Mapping[str, str] = {},
        *,
        size: Size | None = None,
        errors: Callable[[bytes], None] | None = None,
    ) -> Shell:
        assert errors is None
        raise InvalidParams(f"There are no tools here: {order.name}, {argv}, {len(env)}, {size}.")

    async def set_aside(self, order: Order) -> None:
        await self.gates.at("set_aside")
        if order.addon_id in self.held:
            self._end(order.addon_id)

    async def bring_back(self, order: Order) -> None:
        await self.gates.at("bring_back")
        self._get(order).up = True
        self.brought_back.append(order.addon_id)

    async def purge(self, order: Order) -> None:
        await self.gates.at("purge")
        self.held.pop(order.addon_id, None)

    async def kept(self) -> Sequence[str]:
        await self.gates.at("kept")
        return list(self.held)


def fake_catalogue() -> Catalogue:
    """The built-in services, had from the fake."""
    return Catalogue(replace(service, provider=FakeProvider.name) for service in built_in())
