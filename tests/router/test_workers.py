"""Parent and workers as real processes: who may die, be replaced or upgraded without a request being refused."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator, Set
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from router.table import RoutingTable, encode
from tests.router.conftest import Start
from tests.router.process import Parsed, RouterProcess, echo, read_head, route
from tests.router.test_tunnel import ASK, switching

Make = Callable[..., RouterProcess]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Routers with options of their own, ended with the test, whatever became of their parents."""
    made: list[RouterProcess] = []

    def begin(*options: str) -> RouterProcess:
        process = RouterProcess(tmp_path / "router", *options)
        process.start()
        made.append(process)
        return process

    yield begin
    for process in made:
        process.start() if process.process is not None and process.process.poll() is not None else None
        assert process.stop() == 0


class Load:
    """Requests at a fixed rate, each on a connection of its own or on one of eight kept ones; what failed, and how.

    The kept ones take turns: one that nobody used for a while is closed by a router that ends, and a client that asks
    on it in that moment has to ask again.
    """

    def __init__(self, router: RouterProcess, host: str) -> None:
        self._router = router
        self._host = host
        self._kept: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._running: set[asyncio.Task[None]] = set()
        self.refused: list[str] = []
        self.broken: list[str] = []
        self.answered = 0
        self.longest = 0.0

    @asynccontextmanager
    async def at(self, rate: float) -> AsyncIterator["Load"]:
        """Keep the rate up for the length of the block, then wait for the last answer."""
        driving = asyncio.create_task(self._drive(rate))
        try:
            yield self
        finally:
            driving.cancel()
            await asyncio.gather(driving, *self._running, return_exceptions=True)
            for _, writer in self._kept:
                writer.close()

    @property
    def exposed(self) -> int:
        """Requests and kept connections that a process which dies now may take with it."""
        return len(self._running) + len(self._kept)

    async def reach(self, count: int) -> None:
        """Return once `count` more requests were answered."""
        wanted = self.answered + count
        async with asyncio.timeout(20):
            while self.answered < wanted:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def _drive(self, rate: float) -> None:
        loop, number = asyncio.get_running_loop(), 0
        began = loop.time()
        while True:
            await asyncio.sleep(max(began + number / rate - loop.time(), 0))
            task = asyncio.create_task(self._request(number))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            number += 1

    async def _request(self, number: int) -> None:
        began = time.monotonic()
        try:
            async with asyncio.timeout(15):
                status = await self._exchange(keep=number % 2 == 0, post=number % 5 == 0)
        except ConnectionRefusedError as error:
            self.refused.append(repr(error))
            return
        except (OSError, EOFError, TimeoutError) as error:
            self.broken.append(repr(error))
            return
        self.longest = max(self.longest, time.monotonic() - began)
        if status == 200:
            self.answered += 1
        else:
            self.broken.append(str(status))

    async def _exchange(self, *, keep: bool, post: bool) -> int:
        if keep and self._kept:
            reader, writer = self._kept.pop(0)
        else:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._router.port)
        again = False
        try:
            method, body = ("POST", b"x" * 1000) if post else ("GET", b"")
            close = "" if keep else "Connection: close\r\n"
            head = f"{method} / HTTP/1.1\r\nHost: {self._host}\r\n{close}Content-Length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            parsed = Parsed(answer)
            await reader.readexactly(int(parsed.header("content-length") or 0))
            again = keep and parsed.header("connection") != "close"
            return parsed.status
        finally:
            if again and len(self._kept) < 8:
                self._kept.append((reader, writer))
            else:
                writer.close()


async def until_workers(router: RouterProcess, count: int, *, without: Set[int] = frozenset()) -> list[int]:
    """The workers, once there are `count` and none of `without` is among them."""
    async with asyncio.timeout(20):
        while True:
            pids = await router.workers()
            if len(pids) == count and without.isdisjoint(pids):
                return pids
            await asyncio.sleep(0.02)


async def test_every_worker_has_the_table_before_it_is_acknowledged(make: Make, start: Start) -> None:
    """Seen to fail with `_spread` of the control API made empty."""
    router = make("--workers", "3")
    apps = [await start(echo(str(number))) for number in range(2)]
    for number in range(12):
        await router.publish(route("shop", apps[number % 2]))
        names = {(await router.get("shop.localhost")).body[10:11] for _ in range(8)}
        assert names == {b"%d" % (number % 2)}
    assert len(await router.workers()) == 3


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_killed_worker_is_replaced_and_nobody_is_refused(make: Make, start: Start, workers: int) -> None:
    """Seen to fail with `_fill()` left out of Parent._lost: nobody accepts any more, and requests time out."""
    router = make("--workers", str(workers))
    await router.publish(route("shop", await start(echo())))
    exposed = 0
    async with Load(router, "shop.localhost").at(60) as load:
        for _ in range(2):
            await load.reach(20)
            before = await until_workers(router, workers)
            exposed += load.exposed
            os.kill(before[0], signal.SIGKILL)
            await until_workers(router, workers, without={before[0]})
        await load.reach(20)
    assert load.refused == [] and len(load.broken) <= exposed, load.broken


async def test_a_new_worker_has_the_table_though_the_disk_was_wiped(make: Make, start: Start) -> None:
    """Seen to fail without the GiveTable question of a worker that starts."""
    router = make("--workers", "2")
    await router.publish(route("shop", await start(echo())))
    (router.directory / "table.json").unlink()
    before = await router.workers()
    os.kill(before[1], signal.SIGKILL)  # not the leader: a new one would tell all anyway
    await until_workers(router, 2, without={before[1]})
    for _ in range(16):
        assert (await router.get("shop.localhost")).status == 200


async def test_upgrades_lose_no_request(make: Make, start: Start) -> None:
    """Seen to fail with idle connections closed at once by draining workers, and with the old killed, not drained."""
    router = make()
    app = await start(echo())
    await router.publish(route("shop", app))
    assert router.process is not None
    async with Load(router, "shop.localhost").at(60) as load:
        for number in range(3):
            before = await router.workers()
            if number == 1:
                router.process.send_signal(signal.SIGHUP)
            else:
                assert await router.control("POST", "/upgrade") == (200, {"status": "upgraded"})
            await load.reach(20)
            after = await until_workers(router, 1, without=set(before))
            await router.publish(route("shop", app))
            assert (await router.control("GET", "/health"))[1]["pid"] == router.process.pid
            assert after != before
    assert (load.refused, load.broken) == ([], [])


async def test_an_upgrade_asked_for_during_another_is_answered(make: Make, tmp_path: Path) -> None:
    """It comes after that one, which ends the worker that was asked.

    Bites: with `_control.settled()` left out of the worker's end, it is cut with that worker, and with `_upgrade` left
    out of Parent._may_renew nobody ever answers.
    """
    router = make()
    router.environment["PYTHONPATH"] = str(tmp_path)
    router.stop()
    router.start()
    # Longer than aiohttp lets a handler go on in a worker that ends: its shutdown_timeout, twice.
    (tmp_path / "sitecustomize.py").write_text("import sys, time\nif '--worker' in sys.argv: time.sleep(2.5)\n")
    before = await router.workers()
    first = asyncio.create_task(router.control("POST", "/upgrade"))
    second = asyncio.create_task(router.control("POST", "/upgrade"))
    done = (200, {"status": "upgraded"})
    assert [await first, await second] == [done, done]
    assert set(await router.workers()).isdisjoint(before)


async def test_an_upgrade_that_does_not_come_up_changes_nothing(make: Make, start: Start, tmp_path: Path) -> None:
    router = make()
    await router.publish(route("shop", await start(echo())))
    before = await router.workers()
    (router.directory / "w2.sock").mkdir()  # where the next worker's own socket should be
    status, answer = await router.control("POST", "/upgrade")
    assert status == 500 and "old workers serve on" in answer["message"]
    assert await router.workers() == before
    assert (await router.get("shop.localhost")).status == 200
    assert await router.control("POST", "/upgrade") == (200, {"status": "upgraded"})


async def test_what_began_is_finished_by_the_old_worker(make: Make, start: Start) -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        begun.set()
        await go.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    router = make()
    app = await start(serve)
    await router.publish(route("shop", app))
    getting = asyncio.create_task(router.get("shop.localhost"))
    await begun.wait()
    await router.control("POST", "/upgrade")
    assert len(await router.workers()) == 2
    order = b'{"targets":[{"host":"127.0.0.1","port":%d}],"timeout":%b}'
    assert (await router.control("POST", "/drain", order % (app.port, b"0")))[1] == {"drained": False, "in_flight": 1}
    assert f'in_flight{{target="127.0.0.1:{app.port}"}} 1' in await router.metrics()
    draining = asyncio.create_task(router.control("POST", "/drain", order % (app.port, b"5")))
    go.set()
    assert (await draining)[1] == {"drained": True, "in_flight": 0}
    assert (await getting).body == b"ok"
    await until_workers(router, 1)


async def test_websockets_have_their_own_deadline(make: Make, start: Start) -> None:
    router = make("--websocket-drain-seconds", "0.3")
    await router.publish(route("shop", await start(switching())))
    reader, writer = await asyncio.open_connection("127.0.0.1", router.port)
    writer.write(ASK)
    await reader.readuntil(b"\r\n\r\n")
    await router.control("POST", "/upgrade")
    async with asyncio.timeout(10):
        assert await reader.read() == b"\x88\x02\x03\xf4"  # 1012: service restart
    writer.close()


async def test_without_a_parent_it_serves_on_until_the_next_takes_over(make: Make, start: Start) -> None:
    """Seen to fail when a worker ends with its parent (`_left_alone` made to stop it)."""
    router = make()
    app = await start(echo())
    await router.publish(route("shop", app))
    assert router.process is not None
    async with Load(router, "shop.localhost").at(60) as load:
        await load.reach(10)
        before = await router.workers()
        router.process.kill()
        router.process.wait()
        await load.reach(20)
        health = (await router.control("GET", "/health"))[1]
        assert (health["status"], health["pid"]) == ("orphaned", before[0])
        await router.publish(route("shop", app))
        assert (await router.control("POST", "/upgrade"))[0] == 503
        await asyncio.to_thread(router.start)
        await until_workers(router, 1, without=set(before))
        assert (await router.control("GET", "/health"))[1]["status"] == "ok"
        await load.reach(20)
    assert (load.refused, load.broken) == ([], [])


async def test_orphans_can_be_stopped(make: Make) -> None:
    router = make("--workers", "2")
    before = await router.workers()
    assert router.process is not None
    router.process.kill()
    router.process.wait()
    status, _ = await router.control("PUT", "/table", encode(RoutingTable(1)))
    assert status == 503  # the other worker can't be told
    assert (await router.control("POST", "/shutdown"))[0] == 202
    async with asyncio.timeout(10):
        while any(Path(f"/proc/{pid}").exists() and not _is_zombie(pid) for pid in before):  # noqa: ASYNC110, ASYNC240
            await asyncio.sleep(0.02)


async def test_the_log_of_all_workers_is_followed_at_one(make: Make, start: Start) -> None:
    router = make("--workers", "2")
    await router.publish(route("shop", await start(echo())))
    _, writer = connection = await asyncio.open_unix_connection(str(router.directory / "control.sock"))
    writer.write(b"GET /log HTTP/1.1\r\nHost: x\r\n\r\n")
    await connection[0].readuntil(b"\r\n\r\n")
    for number in range(20):
        await router.get("shop.localhost", f"/n{number}")
    seen = b""
    async with asyncio.timeout(5):
        while not all(b'path=\\"/n%d\\"' % number in seen for number in range(20)):
            batch = await connection[0].read(65536)
            assert batch, "the follower was let go"
            seen += batch
    writer.close()


@pytest.mark.parametrize("boot", range(3))
async def test_who_follows_the_log_while_workers_still_start_is_not_let_go(make: Make, boot: int) -> None:
    """Bites: let `Parent._appoint` choose among all serving workers, and the first of them leads, then resigns."""
    router = make("--workers", "4")
    reader, writer = await asyncio.open_unix_connection(str(router.directory / "control.sock"))
    writer.write(b"GET /log HTTP/1.1\r\nHost: x\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    await until_workers(router, 4)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            assert await reader.read(1), "the follower was let go"
    writer.close()


def _is_zombie(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
