"""What every Router must do, whatever it stands on: whole tables, one growing counter, drained targets, log lines."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from paasd.adapters.router_client import RouterClient
from paasd.domain.dyno import LogLine
from paasd.domain.errors import RouterUnavailable
from paasd.ports import Router
from router.table import Route, RoutingTable, Target
from tests.fake_router import DataPlane, FakeRouter
from tests.router.process import RouterProcess, Upstream, length_of, read_head

DEADLINE = 15.0
APP = "id-shop"


class Bench(ABC):
    """A router under test, and what a client of it can do."""

    def __init__(self, router: Router) -> None:
        self.router = router

    @abstractmethod
    def another(self) -> AbstractAsyncContextManager[Router]:
        """Another daemon's client of the same router."""

    @abstractmethod
    def target(self, release: int) -> Target:
        """A dyno of the app that answers only when `answer` is called."""

    @abstractmethod
    async def request(self) -> None:
        """Send a request to the app; returns once it is in flight."""

    @abstractmethod
    async def answer(self) -> None:
        """Have the requests in flight answered."""

    @abstractmethod
    async def stop(self) -> None: ...

    @abstractmethod
    async def start(self) -> None: ...


class FakeBench(Bench):
    def __init__(self) -> None:
        self.plane = DataPlane()
        super().__init__(FakeRouter(self.plane))

    @asynccontextmanager
    async def another(self) -> AsyncIterator[Router]:
        yield FakeRouter(self.plane)

    def target(self, release: int) -> Target:
        return Target(APP, release, "web.1", "127.0.0.1", 5000)

    async def request(self) -> None:
        target = self.plane.table.routes[0].targets[0]
        self.plane.serve(APP, (target.host, target.port), "method=GET status=200")

    async def answer(self) -> None:
        self.plane.end_request(("127.0.0.1", 5000))

    async def stop(self) -> None:
        self.plane.stop()

    async def start(self) -> None:
        self.plane.start()


class RealBench(Bench):
    def __init__(self, client: RouterClient, process: RouterProcess) -> None:
        super().__init__(client)
        self.process = process
        self.arrived, self.go = asyncio.Event(), asyncio.Event()
        self.upstream = Upstream(self._serve)
        self.requests: list[asyncio.Task[object]] = []

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await read_head(reader)
        await reader.readexactly(length_of(head))
        self.arrived.set()
        await self.go.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        await writer.drain()

    @asynccontextmanager
    async def another(self) -> AsyncIterator[Router]:
        async with RouterClient(self.process.directory / "control.sock") as client:
            yield client

    def target(self, release: int) -> Target:
        return Target(APP, release, "web.1", "127.0.0.1", self.upstream.port)

    async def request(self) -> None:
        self.arrived.clear()
        self.requests.append(asyncio.create_task(self.process.get("shop.localhost")))
        await asyncio.wait_for(self.arrived.wait(), DEADLINE)

    async def answer(self) -> None:
        self.go.set()
        await asyncio.gather(*self.requests)

    async def stop(self) -> None:
        await asyncio.to_thread(self.process.stop)

    async def start(self) -> None:
        await asyncio.to_thread(self.process.start)


@asynccontextmanager
async def fake(_: Path) -> AsyncIterator[Bench]:
    yield FakeBench()


@asynccontextmanager
async def real(directory: Path) -> AsyncIterator[Bench]:
    process = RouterProcess(directory / "router")
    async with AsyncExitStack() as stack:
        await asyncio.to_thread(process.start)
        client = await stack.enter_async_context(RouterClient(process.directory / "control.sock"))
        bench = RealBench(client, process)
        await bench.upstream.start()
        stack.push_async_callback(bench.upstream.stop)
        yield bench
        if process.process is not None and process.process.poll() is None:
            await bench.stop()


ROUTERS: dict[str, Callable[[Path], AbstractAsyncContextManager[Bench]]] = {"fake": fake, "real": real}


@pytest.fixture(params=ROUTERS)
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    async with ROUTERS[request.param](tmp_path) as opened:
        yield opened


def route(*targets: Target, name: str = "shop", maintenance: bool = False) -> Route:
    return Route(f"id-{name}", name, (f"{name}.localhost",), targets, maintenance)


async def test_a_fresh_router_has_an_empty_table(bench: Bench) -> None:
    assert await bench.router.table() == RoutingTable(0)


async def test_what_is_published_is_in_force_when_the_call_returns(bench: Bench) -> None:
    routes = (route(bench.target(2)), route(name="blog", maintenance=True))
    version = await bench.router.publish(routes)
    assert await bench.router.table() == RoutingTable(version, routes)


async def test_tables_are_whole_and_their_counter_only_grows(bench: Bench) -> None:
    """Also when an older release's routes come back: the counter is no release's number."""
    versions = [await bench.router.publish([route(bench.target(release))]) for release in (2, 3, 2, 2)]
    assert versions == sorted(set(versions))
    (found,) = (await bench.router.table()).routes
    assert found.targets[0].release == 2
    await bench.router.publish([])
    assert (await bench.router.table()).routes == ()


async def test_two_clients_share_the_routers_counter(bench: Bench) -> None:
    first = await bench.router.publish([route()])
    async with bench.another() as other:
        second = await other.publish([route(name="blog")])
        third = await bench.router.publish([route(name="third")])
    assert first < second < third
    assert [found.name for found in (await bench.router.table()).routes] == ["third"]


async def test_a_restarted_router_has_its_table_and_its_counter(bench: Bench) -> None:
    routes = (route(bench.target(2), maintenance=True),)
    before = await bench.router.publish(routes)
    await bench.stop()
    await bench.start()
    assert await bench.router.table() == RoutingTable(before, routes)
    assert await bench.router.publish(routes) > before


async def test_targets_without_requests_are_drained_at_once(bench: Bench) -> None:
    await bench.router.publish([route(bench.target(2))])
    assert await bench.router.drain([bench.target(2)], timeout=0.0)
    assert await bench.router.drain([], timeout=0.0)


async def test_drain_waits_for_requests_in_flight_until_its_deadline(bench: Bench) -> None:
    await bench.router.publish([route(bench.target(2))])
    await bench.request()
    await bench.router.publish([])  # a request keeps the route it began with
    assert not await bench.router.drain([bench.target(2)], timeout=0.05)
    draining = asyncio.create_task(bench.router.drain([bench.target(2)], timeout=DEADLINE))
    await asyncio.sleep(0)
    assert not draining.done()
    await bench.answer()
    assert await draining


async def next_of(lines: AsyncIterator[tuple[str, LogLine]]) -> tuple[str, LogLine]:
    return await anext(lines)


async def test_each_request_is_a_line_of_its_apps_log(bench: Bench) -> None:
    await bench.router.publish([route(bench.target(2))])
    lines = bench.router.log_lines()
    first = asyncio.create_task(next_of(lines))
    await asyncio.sleep(0.2)  # until it is subscribed: the port has no word for that
    await bench.request()
    await bench.answer()
    app, line = await asyncio.wait_for(first, DEADLINE)
    assert (app, line.source, line.process) == (APP, "heroku", "router")
    assert "method=GET" in line.text
    await lines.aclose()  # type: ignore[attr-defined]
    await bench.request()  # while nobody listens: remembered for whoever comes
    await bench.answer()
    lines = bench.router.log_lines()
    _, missed = await asyncio.wait_for(anext(lines), DEADLINE)
    assert missed.at > line.at
    await bench.stop()
    with pytest.raises((StopAsyncIteration, RouterUnavailable)):
        await asyncio.wait_for(anext(lines), DEADLINE)


async def test_a_router_that_is_away_is_unavailable(bench: Bench) -> None:
    await bench.stop()
    for call in (
        bench.router.publish([]),
        bench.router.table(),
        bench.router.drain([bench.target(2)], timeout=0.1),
        anext(bench.router.log_lines()),
    ):
        with pytest.raises(RouterUnavailable):
            await call
    await bench.start()
    await bench.router.publish([route()])
