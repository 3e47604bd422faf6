"""What apps, clients and a machine that runs short can do to a router: rows R04-R07, R12 and R15 of the fault list."""
# ruff: noqa: F811 - fixtures are imported by their names

import asyncio
import contextlib
import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from router.table import Route
from tests.router.conftest import Start, start  # noqa: F401 - a fixture
from tests.router.process import RouterProcess, Upstream, answering, echo, length_of, read_head, route
from tests.router.test_tunnel import ASK, switching
from tests.router.test_workers import Load, Make, make  # noqa: F401 - a fixture

Record = Callable[[str, object], None]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"


@asynccontextmanager
async def app_process(file: Path) -> AsyncIterator[tuple["asyncio.subprocess.Process", int]]:
    command = [sys.executable, "-m", "tests.faults.recording_app", str(file)]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield process, int(await process.stdout.readline())
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.mark.row("R04", "one of two dynos killed under GETs and POSTs, nobody told")
async def test_r04_a_killed_dyno_costs_no_get_and_doubles_no_post(make: Make, tmp_path: Path) -> None:
    """Bites: with `_Silent` raised for kept connections only, GETs fail. Raised for POSTs as well, those that the
    killed dyno has begun are done again by the other."""
    router, files = make(), [tmp_path / "one", tmp_path / "two"]
    failed: list[str] = []
    sent, answered = 0, 0

    async def ask(number: int) -> None:
        nonlocal answered
        method = "POST" if number % 3 == 0 else "GET"
        lines = [f"{method} / HTTP/1.1", "Host: shop.localhost", f"X-Id: {number}", "Connection: close"]
        reader, writer = await asyncio.open_connection("127.0.0.1", router.port)
        writer.write(
            "\r\n".join([*lines, *(["Content-Length: 2", "", "hi"] if method == "POST" else ["", ""])]).encode()
        )
        status = (await reader.read())[9:12].decode()
        writer.close()
        answered += status == "200"
        if status != "200" and method == "GET":
            failed.append(status)

    async with app_process(files[0]) as (first, port), app_process(files[1]) as (_, other):
        await router.publish(route("shop", port, other))
        asking: list[asyncio.Task[None]] = []
        began = time.monotonic()
        while sent < 600:
            asking.append(asyncio.create_task(ask(sent)))
            sent += 1
            if sent == 300:
                first.kill()
            await asyncio.sleep(max(0.0, began + sent / 200 - time.monotonic()))
        await asyncio.gather(*asking)
    assert failed == []
    assert answered >= sent - 40  # POSTs in flight on the killed dyno are told that they failed
    posts = [line for file in files for line in file.read_text().splitlines()]
    assert len(posts) == len(set(posts))


@pytest.mark.slow
@pytest.mark.row("R05", "apps that refuse, hang, talk nonsense and break off, at the limits as they are shipped")
@pytest.mark.timeout(180)
async def test_r05_bad_apps_at_heroku_s_own_limits(make: Make, start: Start) -> None:
    """Bites: any limit of fabric.Limits changed. The same with every cause, quickly, is tests/router/test_codes.py."""
    router = make()
    apps: dict[str, tuple[Upstream | int, float]] = {
        "H12": (await start(answering(then_hold=True)), 30.0),
        "H13": (await start(answering()), 0.0),
        "H15": (await start(answering(OK + b"half", then_hold=True)), 55.0),
        "H17": (await start(answering(b"\x00\x01garbage\r\n\r\n")), 0.0),
        "H18": (await start(answering(OK + b"half", pause=0.1)), 0.0),
        "H21": (1, 0.0),
    }
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    storm = await start(answering(interim * 500 + OK + b"all of it"))
    await router.publish(*(route(code.lower(), app) for code, (app, _) in apps.items()), route("storm", storm))

    async def check(code: str, seconds: float) -> None:
        name, began = str(uuid.uuid4()), time.monotonic()
        reader, writer = await asyncio.open_connection("127.0.0.1", router.port)
        lines = ["GET / HTTP/1.1", f"Host: {code.lower()}.localhost", "Connection: close", f"X-Request-Id: {name}"]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        answer = await reader.read()
        took = time.monotonic() - began
        writer.close()
        assert seconds - 0.1 <= took <= seconds + 2, (code, took)
        assert b"all of it" not in answer
        logged = await router.log_lines(f"request_id={name} ")
        assert len(logged) == 1 and f"code={code} " in logged[0]

    await asyncio.gather(*(check(code, seconds) for code, (_, seconds) in apps.items()))
    assert (await router.get("storm.localhost")).raw.endswith(b"all of it")


ABORTS = pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.slow)])


@ABORTS
@pytest.mark.row("R06", "clients that go away at ten points of a request and its answer")
async def test_r06_clients_that_go_away_leave_nothing(make: Make, start: Start, count: int) -> None:
    """Bites: with `connection.cut()` left out of Exchange._talk, the app's connections stay."""
    router = make()
    open_now = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal open_now
        open_now += 1
        try:
            while True:
                head = await read_head(reader)
                await reader.readexactly(length_of(head))
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 400000\r\n\r\n")
                for _ in range(20):
                    writer.write(b"a" * 20_000)
                    await writer.drain()
                    await asyncio.sleep(0.002)
        finally:
            open_now -= 1

    await router.publish(route("shop", await start(serve)))
    worker = (await router.workers())[0]
    whole = b"POST / HTTP/1.1\r\nHost: shop.localhost\r\nContent-Length: 3000\r\n\r\n" + b"b" * 3000
    chance = random.Random(6)

    async def abort(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", router.port)
        point = number % 10
        writer.write(whole[: [1, 20, 60, 66, 70, 1500, 3065, 5000, 5000, 5000][point]])
        with contextlib.suppress(OSError, EOFError):
            await writer.drain()
            if point >= 7:
                await reader.readexactly([1, 3000, 200_000][point - 7])
            await asyncio.sleep(chance.uniform(0, 0.02))
        if chance.random() < 0.5:
            writer.transport.abort()
        else:
            writer.close()

    async def round_of(number: int) -> tuple[int, int]:
        for begin in range(0, number, 20):
            await asyncio.gather(*(abort(begin + each) for each in range(20)))
        async with asyncio.timeout(5):
            while open_now or (await router.control("GET", "/health"))[1].get("in_flight"):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.2)
        return descriptors_of(worker), rss(worker)

    descriptors, memory = await round_of(count)
    for _ in range(2):
        after = await round_of(count)
    assert after[0] <= descriptors + 2
    assert after[1] <= memory * 1.05 + (1 << 20)
    told = await router.log_lines("code=H27 .* status=499 ")
    assert told
    assert {line.split(" code=")[1][:3] for line in await router.log_lines(" code=")} <= {"H27"}


def descriptors_of(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def rss(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


@pytest.mark.slow
@pytest.mark.row("R07", "4,000 slow clients (slowhttptest: headers, bodies, reads, ranges)")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["-H", "-B", "-X", "-R"])
async def test_r07_slow_clients_slow_nobody_else(make: Make, start: Start, kind: str, record_property: Record) -> None:
    """A head has 30 s. A body that trickles is a slow upload: it may, as long as it is not silent for 55 s.

    Bites: with the head's time limit left out of ClientConnection, slow heads stay open to the end; with a dyno's
    backlog at 1,000, slow bodies keep everybody else out.
    """
    if shutil.which("slowhttptest") is None:
        pytest.skip("slowhttptest is not installed (apt-get install slowhttptest)")
    router = make()
    worker = (await router.workers())[0]
    resource.prlimit(worker, resource.RLIMIT_NOFILE, (16384, 16384))
    plain = route("shop", await start(echo()))
    await router.publish(Route(plain.app, plain.name, (*plain.hosts, "127.0.0.1"), plain.targets))
    target = f"http://127.0.0.1:{router.port}/"
    command = [
        "slowhttptest",
        kind,
        "-c",
        "4000",
        "-r",
        "500",
        "-i",
        "5",
        "-x",
        "10",
        "-l",
        "60",
        "-p",
        "2",
        "-u",
        target,
    ]
    attack = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    async with Load(router, "shop.localhost").at(50) as load:
        await attack.wait()
    assert (load.refused, load.broken) == ([], [])
    record_property("answered", load.answered)
    record_property("longest_s", round(load.longest, 3))
    if kind == "-H":
        assert await router.log_lines("code=H28 ")


@pytest.mark.slow
@pytest.mark.row("R12", "10,000 idle websockets, and one whose client reads nothing")
@pytest.mark.timeout(300)
async def test_r12_ten_thousand_websockets(make: Make, start: Start, record_property: Record) -> None:
    """Bites: with backpressure taken from the tunnel, memory grows by what the silent client does not read."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(10_000, (hard - 400) // 2)  # of the router, and of us, who are both ends: two descriptors each
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    router = make()
    worker = (await router.workers())[0]
    resource.prlimit(worker, resource.RLIMIT_NOFILE, (hard, hard))
    try:
        chat, plain, flood = await start(switching()), await start(echo()), await start(flooding)
        await router.publish(route("chat", chat, websockets=count), route("shop", plain), route("flood", flood))
        before = await latency(router)
        empty = rss(worker)
        sockets = []
        for _ in range(0, count, 50):
            sockets += await asyncio.gather(*(websocket(router, b"chat.") for _ in range(50)))
        each = (rss(worker) - empty) / count
        assert each < 64 * 1024
        refused = await websocket(router, b"chat.")
        assert refused[2].startswith(b"HTTP/1.1 503")
        assert await router.log_lines("code=H22 .* status=503 ")
        unread = await websocket(router, b"flood.", limit=1 << 14)
        await asyncio.sleep(5)
        settled = rss(worker)
        await asyncio.sleep(20)
        assert rss(worker) - settled < 8 << 20
        after = await latency(router)
        record_property("websockets", count)
        record_property("bytes_each", int(each))
        record_property("p99_before_s", round(before, 4))
        record_property("p99_beside_s", round(after, 4))
        for _, writer, _ in [*sockets, refused, unread]:
            writer.transport.abort()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def websocket(
    router: RouterProcess, name: bytes, limit: int = 1 << 12
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", router.port, limit=limit)
    writer.write(ASK.replace(b"shop.", name))
    return reader, writer, await reader.readuntil(b"\r\n\r\n")


async def flooding(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accepts a websocket, and sends 1 MB a second for as long as it is taken."""
    await read_head(reader)
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    while True:
        writer.write(b"\x82\x7e\xff\xff" + b"x" * 65535)
        await writer.drain()
        await asyncio.sleep(1 / 16)


async def latency(router: RouterProcess) -> float:
    """p99 of 400 requests, one after the other, in seconds."""
    took = []
    for _ in range(400):
        began = time.monotonic()
        assert (await router.get("shop.localhost")).status == 200
        took.append(time.monotonic() - began)
    return statistics.quantiles(took, n=100)[98]


@pytest.mark.row("R15", "51 ports for the router's own connections")
async def test_r15_running_out_of_ports_is_said_and_passes(tmp_path: Path) -> None:
    """Bites: with EADDRNOTAVAIL taken for H21, the dyno is set aside for what it has not done."""
    if os.geteuid() != 0:
        pytest.skip("a network namespace of one's own takes root")
    command = ["unshare", "--net", sys.executable, "-m", "tests.faults.few_ports", str(tmp_path)]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    said = json.loads(out)
    assert said["kept"] == {"200": 400}
    assert set(said["held"]) == {"200", "503 H22"}
    assert sum(said["held"].values()) == 90
    assert said["held"]["200"] <= 51
    assert said["still"] == {"200": 50}


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("chunked", [False, True])
async def test_an_upload_of_a_gigabyte_takes_no_memory(make: Make, start: Start, chunked: bool) -> None:
    """Bites: with `await connection.drained()` left out of Exchange._upload, the router keeps what the app is slow to
    take."""
    router, size, piece = make(), 1 << 30, b"u" * (1 << 20)
    taken = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal taken
        await read_head(reader)
        while taken < size:
            data = await reader.read(1 << 20)
            if not data:
                return
            taken += len(data)  # chunks' own lines among them, which only end it a little early
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")

    await router.publish(route("shop", await start(serve)))
    worker = (await router.workers())[0]
    reader, writer = await asyncio.open_connection("127.0.0.1", router.port)
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % size
    writer.write(b"POST / HTTP/1.1\r\nHost: shop.localhost\r\n" + framing + b"\r\n\r\n")
    before, most = rss(worker), 0
    with contextlib.suppress(ConnectionError):  # the app has answered before the last chunk's end
        for number in range(size // len(piece)):
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
            await writer.drain()
            if number % 16 == 0:
                most = max(most, rss(worker))
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
    writer.close()
    assert most - before < 16 << 20
