"""Kept connections: used again, given up when the target goes, and never a reason for a request to fail."""

import asyncio
import socket
import time
from pathlib import Path

import aiohttp

from router.table import RouteTimeouts
from tests.router.conftest import Start
from tests.router.process import Parsed, RouterProcess, Upstream, echo, length_of, read_head, route

POST = b"POST / HTTP/1.1\r\nHost: shop.localhost\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi"


async def one_answer_then_close_unread(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers once as if it kept the connection, and closes on the next request's first bytes."""
    await reader.readexactly(length_of(await read_head(reader)))
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    await reader.read(1)


async def test_connections_are_kept(router: RouterProcess, start: Start) -> None:
    app = await start(echo())
    await router.publish(route("shop", app))
    for _ in range(5):
        assert (await router.get("shop.localhost")).status == 200
    assert len(app.writers) == 1


async def test_a_kept_connection_closed_under_a_get_is_tried_again(router: RouterProcess, start: Start) -> None:
    await router.publish(route("shop", await start(one_answer_then_close_unread)))
    for _ in range(6):
        assert (await router.get("shop.localhost")).status == 200


async def test_a_post_takes_no_kept_connection(router: RouterProcess, start: Start) -> None:
    await router.publish(route("shop", await start(one_answer_then_close_unread)))
    for _ in range(6):
        assert Parsed(await router.raw(POST)).status == 200


async def test_a_post_follows_closely_on_an_app_s_kept_connection(router: RouterProcess, start: Start) -> None:
    app = await start(echo())
    await router.publish(route("shop", app))
    get = b"GET / HTTP/1.1\r\nHost: shop.localhost\r\nConnection: close\r\n\r\n"
    await router.raw(get)
    await asyncio.sleep(1.05)  # the app is seen to keep what is idle
    await router.raw(get)
    for _ in range(3):
        assert Parsed(await router.raw(POST)).status == 200
    assert len(app.writers) == 1
    await asyncio.sleep(0.15)
    assert Parsed(await router.raw(POST)).status == 200
    assert len(app.writers) == 2


async def test_what_is_kept_for_a_removed_target_is_closed(router: RouterProcess, start: Start) -> None:
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        assert await reader.read() == b""
        ended.set()

    await router.publish(route("shop", await start(serve)))
    await router.get("shop.localhost")
    assert not ended.is_set()
    await router.publish(route("shop"))
    async with asyncio.timeout(1):
        await ended.wait()


async def test_no_request_is_lost_while_targets_swap(router: RouterProcess, start: Start) -> None:
    """Two releases that close idle connections at once, swapped 25 times and drained under mixed load."""
    url = f"http://127.0.0.1:{router.port}/"
    outcomes: list[int] = []
    stop = asyncio.Event()

    async def load(session: aiohttp.ClientSession, method: str) -> None:
        while not stop.is_set():
            body = b"hello" if method == "POST" else None
            async with session.request(method, url, headers={"Host": "shop.localhost"}, data=body) as response:
                await response.read()
                outcomes.append(response.status)
            await asyncio.sleep(0.02)

    async def swap() -> None:
        old: Upstream | None = None
        for number in range(25):
            new = await start(echo(str(number), idle=0.03, delay=0.005))
            await router.publish(route("shop", new, release=number))
            if old is not None:
                order = f'{{"targets":[{{"host":"127.0.0.1","port":{old.port}}}],"timeout":5}}'
                assert await router.control("POST", "/drain", order.encode()) == (
                    200,
                    {"drained": True, "in_flight": 0},
                )
                await old.stop()
            old = new
            await asyncio.sleep(0.04)
        stop.set()

    await router.publish(route("shop", await start(echo(idle=0.03))))
    keeping, fresh = aiohttp.TCPConnector(), aiohttp.TCPConnector(force_close=True)
    async with (
        aiohttp.ClientSession(connector=keeping) as one,
        aiohttp.ClientSession(connector=fresh) as two,
        asyncio.TaskGroup() as group,
    ):
        for session in (one, two):
            for method in ("GET", "POST") * 4:
                group.create_task(load(session, method))
        group.create_task(swap())
    assert len(outcomes) > 300
    assert set(outcomes) == {200}, await router.log_lines("at=error")


async def test_maintenance_is_served_at_once(router: RouterProcess, start: Start) -> None:
    app = await start(echo())
    for on in (True, False, True):
        await router.publish(route("shop", app, maintenance=on))
        acknowledged = time.monotonic()
        got = await router.get("shop.localhost")
        assert got.status == (503 if on else 200)
        assert time.monotonic() - acknowledged < 0.05


async def test_nobody_waits_for_a_connection_to_what_is_routed_to_no_more(router: RouterProcess, start: Start) -> None:
    """A dead dyno's address answers nothing, until another of its app is given it, routed to or not.

    Bites: without the loop over `_connecting` in `Upstreams.forget` each waits for its timeout.
    """
    app = await start(echo())
    get = b"GET / HTTP/1.1\r\nHost: shop.localhost\r\nConnection: close\r\n\r\n"
    for then, status in ((route("shop", app), 200), (route("shop", code="H10"), 503)):
        with socket.socket() as full, socket.socket() as queued:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            queued.connect(full.getsockname())
            patient = RouteTimeouts(connect=20.0)
            await router.publish(route("shop", full.getsockname()[1], timeouts=patient))
            asked = [asyncio.create_task(router.raw(request)) for request in (get, POST)]
            await connecting(full.getsockname()[1], len(asked))
            began = time.monotonic()
            await router.publish(then)
            assert [Parsed(answer).status for answer in await asyncio.gather(*asked)] == [status, status]
            assert time.monotonic() - began < 2


async def connecting(port: int, count: int) -> None:
    """Until so many connections to the port are being made."""
    async with asyncio.timeout(5):
        while in_the_making(port) < count:  # noqa: ASYNC110 - another process's sockets: there is no event to await
            await asyncio.sleep(0.02)


def in_the_making(port: int) -> int:
    """By the kernel's own table, where state 2 is SYN-SENT."""
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[2].endswith(f":{port:04X}") and row[3] == "02" for row in rows)
