"""RouterClient against a real router process: tables, drains, log lines, and a router that is away or replaced."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from paasd.adapters.router_client import RouterClient
from paasd.domain.errors import RouterUnavailable
from router.table import RoutingTable, encode
from tests.router.conftest import own_router  # noqa: F401 - a fixture
from tests.router.process import RouterProcess, Upstream, echo, route


@pytest.fixture
async def client(own_router: RouterProcess) -> AsyncIterator[RouterClient]:  # noqa: F811
    async with RouterClient(own_router.directory / "control.sock") as client:
        yield client


async def test_a_whole_table_is_in_force_when_publish_returns(client: RouterClient) -> None:
    one, two = route("one", 5001), route("two", 5002)
    first = await client.publish([one, two])
    assert (await client.table()).routes == (one, two)
    second = await client.publish([two])
    assert second > first
    assert await client.table() == RoutingTable(second, (two,))


async def test_the_router_counts_further_than_we_knew(client: RouterClient, own_router: RouterProcess) -> None:  # noqa: F811
    mine = await client.publish([])
    status, _ = await own_router.control("PUT", "/table", encode(RoutingTable(mine + 40)))
    assert status == 200
    assert await client.publish([route("shop", 5001)]) == mine + 41


async def test_a_fresh_client_follows_the_counter(client: RouterClient, own_router: RouterProcess) -> None:  # noqa: F811
    before = await client.publish([])
    async with RouterClient(own_router.directory / "control.sock") as other:
        assert await other.publish([route("shop", 5001)]) == before + 1
    assert await client.publish([]) == before + 2


async def test_a_table_the_router_refuses_is_a_sentence(client: RouterClient) -> None:
    doubled = [route("shop", 5001), route("shop", 5002)]
    with pytest.raises(RouterUnavailable, match=r"^The router refused the routing table: .+"):
        await client.publish(doubled)
    assert (await client.table()).routes == ()


async def test_draining_waits_for_what_is_in_flight(client: RouterClient, own_router: RouterProcess) -> None:  # noqa: F811
    asked, answer = asyncio.Event(), asyncio.Event()
    replying = echo()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await answer.wait()
        await replying(reader, writer)

    upstream = await Upstream(serve).start()
    shop = route("shop", upstream)
    await client.publish([shop])
    request = asyncio.ensure_future(own_router.get("shop.localhost"))
    await asked.wait()
    assert await client.drain(shop.targets, timeout=0.05) is False
    answer.set()
    assert await client.drain(shop.targets, timeout=10) is True
    assert (await request).status == 200
    await upstream.stop()


async def test_log_lines_carry_the_app(client: RouterClient, own_router: RouterProcess) -> None:  # noqa: F811
    upstream = await Upstream(echo()).start()
    await client.publish([route("shop", upstream)])
    lines = client.log_lines()
    following = asyncio.ensure_future(anext(lines))
    while not following.done():  # followed from some moment on: ask until it is
        await own_router.get("shop.localhost", "/seen")
    app, line = await following
    assert app == "id-shop"
    assert (line.source, line.process) == ("heroku", "router")
    assert 'at=info method=GET path="/seen"' in line.text
    assert line.at.tzinfo is not None
    await lines.aclose()  # type: ignore[attr-defined]
    await upstream.stop()


async def test_health(client: RouterClient, own_router: RouterProcess) -> None:  # noqa: F811
    health = await client.health()
    assert own_router.process is not None
    assert (health.pid, health.listen) == (own_router.process.pid, f"127.0.0.1:{own_router.port}")
    assert health.table == 0


async def test_a_router_that_was_replaced_is_found_again(client: RouterClient, own_router: RouterProcess) -> None:  # noqa: F811
    version = await client.publish([route("shop", 5001)])
    own_router.stop()
    with pytest.raises(RouterUnavailable, match=r"does not answer at .+; see `paas router status`"):
        await client.publish([])
    own_router.start()
    assert (await client.table()).version == version
    assert await client.publish([]) == version + 1


async def test_told_to_end_it_ends(client: RouterClient, own_router: RouterProcess) -> None:  # noqa: F811
    await client.shutdown()
    assert own_router.process is not None
    assert await asyncio.to_thread(own_router.process.wait, 20) == 0


async def test_no_router_at_all(tmp_path: Path) -> None:
    async with RouterClient(tmp_path / "control.sock") as client:
        for call in (client.health(), client.table(), client.publish([]), client.drain([], timeout=0.1)):
            with pytest.raises(RouterUnavailable, match=r"^The router does not answer at "):
                await call
        with pytest.raises(RouterUnavailable):
            await anext(client.log_lines())


async def test_something_else_at_the_socket(tmp_path: Path) -> None:
    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nnot json!")
        await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(talk, tmp_path / "control.sock")
    async with server, RouterClient(tmp_path / "control.sock") as client:
        for call in (client.health(), client.table()):
            with pytest.raises(RouterUnavailable):
                await call
