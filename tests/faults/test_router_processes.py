"""What a router's processes must survive, with no daemon at all: rows R01-R03, R13, R14 and R16 of the fault list."""
# ruff: noqa: F811 - fixtures are imported by their names

import asyncio
import contextlib
import hashlib
import os
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from router.table import Route, Target
from tests.router.conftest import Start, _shared, own_router, start  # noqa: F401 - fixtures
from tests.router.process import RouterProcess, echo, read_head, route
from tests.router.test_tunnel import ASK, switching
from tests.router.test_workers import Load, Make, make, until_workers  # noqa: F401 - a fixture

Record = Callable[[str, object], None]
DOWNLOAD = os.urandom(1 << 16) * 100
RATE, WEBSOCKETS, UPGRADES = 500, 50, 100


async def slow_download(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """6.5 MB over ten seconds."""
    await read_head(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(DOWNLOAD))
    for offset in range(0, len(DOWNLOAD), 1 << 16):
        writer.write(DOWNLOAD[offset : offset + (1 << 16)])
        await writer.drain()
        await asyncio.sleep(0.1)


async def downloaded(router: RouterProcess) -> str:
    """The SHA-256 of what a patient client gets."""
    reader, writer = await asyncio.open_connection("127.0.0.1", router.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: big.localhost\r\n\r\n")
    async with asyncio.timeout(60):
        await reader.readuntil(b"\r\n\r\n")
        body = await reader.readexactly(len(DOWNLOAD))
    writer.close()
    return hashlib.sha256(body).hexdigest()


async def websockets(router: RouterProcess) -> list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """So many, to the app "chat"."""
    opened = []
    for _ in range(WEBSOCKETS):
        reader, writer = await asyncio.open_connection("127.0.0.1", router.port)
        writer.write(ASK.replace(b"shop.", b"chat."))
        await reader.readuntil(b"\r\n\r\n")
        opened.append((reader, writer))
    return opened


@pytest.mark.row("R01", "100 upgrades at 500 requests/s, with downloads and 50 websockets")
@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_r01_upgrades_under_load(make: Make, start: Start, record_property: Record) -> None:
    """Bites: without the grace for idle clients in Serving.finish, kept connections are reset."""
    router = make("--websocket-drain-seconds", "1")
    app, big, chat = await start(echo()), await start(slow_download), await start(switching())
    await router.publish(route("shop", app), route("big", big), route("chat", chat))
    sockets, downloading = await websockets(router), []
    async with Load(router, "shop.localhost").at(RATE) as load:
        for number in range(UPGRADES):
            if number % 10 == 0:
                downloading.append(asyncio.create_task(downloaded(router)))
            if number % 2:
                assert router.process is not None
                before = set(await router.workers())
                router.process.send_signal(signal.SIGHUP)
                async with asyncio.timeout(20):
                    while set(await router.workers()) <= before:  # noqa: ASYNC110
                        await asyncio.sleep(0.02)
            else:
                assert (await router.control("POST", "/upgrade"))[0] == 200
    assert (load.refused, load.broken) == ([], []) and load.answered > UPGRADES
    record_property("requests", load.answered)
    record_property("failed", 0)
    assert set(await asyncio.gather(*downloading)) == {hashlib.sha256(DOWNLOAD).hexdigest()}
    record_property("downloads", len(downloading))
    for reader, writer in sockets:
        assert await asyncio.wait_for(reader.read(), 10) == b"\x88\x02\x03\xf4"  # 1012
        writer.close()


@pytest.mark.row("R02", "the serving process killed 20 times at 500 requests/s, with 50 websockets")
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("workers", ["1", "2"])
async def test_r02_kill_9_twenty_times(make: Make, start: Start, workers: str, record_property: Record) -> None:
    """There is no daemon. Bites: with `_fill()` left out of Parent._lost, nobody serves after the first."""
    router = make("--workers", workers)
    await router.publish(route("shop", await start(echo())), route("chat", await start(switching())))
    table = (await router.control("GET", "/health"))[1]["table"]
    sockets = await websockets(router)
    exposed = 0
    async with Load(router, "shop.localhost").at(RATE) as load:
        for _ in range(20):
            victim = (await until_workers(router, int(workers)))[0]
            exposed += load.exposed
            os.kill(victim, signal.SIGKILL)
            await until_workers(router, int(workers), without={victim})
            await load.reach(100)
    assert load.refused == []
    assert len(load.broken) <= exposed, load.broken
    assert (await router.control("GET", "/health"))[1]["table"] == table
    for _, writer in sockets:
        writer.close()
    record_property("requests", load.answered)
    record_property("refused", 0)
    record_property("cut_in_flight", len(load.broken))
    record_property("longest_s", round(load.longest, 3))


@pytest.mark.row("R03", "a restart with no daemon and no database")
async def test_r03_a_restart_needs_nobody(own_router: RouterProcess, start: Start) -> None:
    """Nothing of a daemon exists here at all. Bites: with `restore()` left out of a worker's start."""
    await own_router.publish(route("shop", await start(echo())))
    own_router.stop()
    own_router.start()
    assert (await own_router.get("shop.localhost")).status == 200
    assert (await own_router.control("GET", "/health"))[1]["table"] == own_router.version


@pytest.mark.row("R13", "1,000 apps in the table, and a restart")
async def test_r13_a_thousand_apps(own_router: RouterProcess, start: Start, record_property: Record) -> None:
    """In force when the publisher is answered, and after a restart. Bites: with `_save` left out of publish."""
    app = await start(echo())
    target = (Target("id", 1, "web.1", "127.0.0.1", app.port),)
    routes = [Route("id", f"a{n}", (f"a{n}.localhost",), target) for n in range(1000)]
    began = time.monotonic()
    await own_router.publish(*routes)
    record_property("published_s", round(time.monotonic() - began, 3))
    assert (await own_router.get("a999.localhost")).status == 200
    own_router.stop()
    began = time.monotonic()
    own_router.start()
    assert (await own_router.get("a0.localhost")).status == 200
    record_property("restarted_s", round(time.monotonic() - began, 3))


@pytest.mark.row("R14", "300 clients at a limit of 128 descriptors")
async def test_r14_few_descriptors(make: Make, start: Start, record_property: Record) -> None:
    """300 clients at a limit of 128 descriptors: no crash, no busy loop, and all is well once they went.

    Bites: with an accept loop of our own that only passes over EMFILE, it spins.
    """
    router = make()
    await router.publish(route("shop", await start(echo())))
    worker = (await router.workers())[0]
    resource.prlimit(worker, resource.RLIMIT_NOFILE, (128, 128))
    clients = []
    for _ in range(300):
        with contextlib.suppress(OSError):
            clients.append(await asyncio.open_connection("127.0.0.1", router.port))
    before, began = _cpu(worker), time.monotonic()
    await asyncio.sleep(1.0)
    took = _cpu(worker) - before
    assert took < 0.3 * (time.monotonic() - began)
    record_property("processor_s", round(took, 2))
    for _, writer in clients:
        writer.close()
    async with asyncio.timeout(5):
        while not await _served(router):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert await router.workers() == [worker]


@pytest.mark.row("R16", "1,000 toggles of maintenance under load")
@pytest.mark.slow
async def test_r16_maintenance_toggled_under_load(make: Make, start: Start, record_property: Record) -> None:
    """Every answer is the app's or a whole maintenance page. Bites: with the old table taken away a moment before the
    new one is in force, there are 404s."""
    router = make()
    app, longest = await start(echo()), 0.0
    await router.publish(route("shop", app))
    async with Load(router, "shop.localhost").at(100) as load:
        for number in range(1000):
            began = time.monotonic()
            await router.publish(route("shop", app, maintenance=bool(number % 2)))
            longest = max(longest, time.monotonic() - began)
    assert load.refused == [] and set(load.broken) == {"503"} and load.answered > 0
    record_property("requests", load.answered + len(load.broken))
    record_property("switched_s", round(longest, 3))
    assert " code=H" in router.log_file.read_text()
    assert {line.split(" code=")[1][:3] for line in await router.log_lines(" code=")} == {"H80"}


async def _served(router: RouterProcess) -> bool:
    try:
        return (await router.get("shop.localhost")).status == 200
    except OSError:
        return False


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
