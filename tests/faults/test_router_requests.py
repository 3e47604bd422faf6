"""What clients may send a router, at its worst: rows R08 and R09 of the fault list."""
# ruff: noqa: F811 - fixtures are imported by their names

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.router import trials
from tests.router.conftest import Start, _shared, own_router, start  # noqa: F401 - fixtures
from tests.router.hazards import CARRIED, HOST, REFUSED
from tests.router.process import Parsed, RouterProcess, route
from tests.router.recorder import Recorder
from tests.router.test_workers import Make, make  # noqa: F401 - a fixture

Record = Callable[[str, object], None]
MB = 1024**2
ROUNDS = 20
GROWTH = 10 * MB
# Beside the hazards, what is only too much of something.
LARGE = {
    "64 kB in one header": b"GET / HTTP/1.1\r\n" + HOST + b"X-A: " + b"a" * 65536 + b"\r\n\r\n",
    "200 headers": b"GET / HTTP/1.1\r\n" + HOST + b"".join(b"X-%d: a\r\n" % n for n in range(200)) + b"\r\n",
    "1 MB of target": b"GET /" + b"a" * MB + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "1 MB of cookie": b"GET / HTTP/1.1\r\n" + HOST + b"Cookie: a=" + b"a" * MB + b"\r\n\r\n",
}
MALFORMED = LARGE | {name: refused.data for name, refused in REFUSED.items() if not name.startswith("chunk ")}


def memory(pid: int) -> int:
    """Bytes resident."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


async def answer_to(router: RouterProcess, data: bytes) -> Parsed:
    """What a client gets that sends all it has, to the end of the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", router.port)
    try:
        writer.write(data)
        async with asyncio.timeout(20):
            return Parsed(await reader.read())
    finally:
        writer.close()


@pytest.mark.row("R08", "requests too long, or not well-formed, 20 times over")
async def test_r08_malformed_requests(make: Make, start: Start, record_property: Record) -> None:
    """Refused, the connection closed, nothing forwarded, and nothing of it kept in memory.

    Bites: with `_LINE_LIMIT` raised in router/client.py a megabyte is carried; with a list kept of what was refused in
    ClientConnection._refuse, the memory grows.
    """
    router, app = make(), Recorder()
    await router.publish(route("shop", await start(app)))
    [worker] = await router.workers()
    resident, longest, asked = 0, 0.0, 0
    for number in range(ROUNDS + 1):
        for name, data in MALFORMED.items():
            began = time.monotonic()
            answer = await answer_to(router, data)
            longest = max(longest, time.monotonic() - began)
            assert answer.status in (400, 405, 408, 414, 417, 431), (name, answer.raw[:200])
            asked += 1
        if number == 0:  # what a first time loads stays
            resident = memory(worker)
    grown = memory(worker) - resident
    assert app.raw == b"" and app.heads == []
    assert grown < GROWTH
    assert await router.workers() == [worker]
    record_property("requests", asked)
    record_property("longest_s", round(longest, 3))
    record_property("grown_mb", round(grown / MB, 1))


async def witness(router: RouterProcess, ended: asyncio.Event) -> int:
    """Another client of the app, who knows what each of its answers must be; how many it had."""
    answers = 0
    while not ended.is_set() or answers < 100:
        reader, writer = await asyncio.open_connection("127.0.0.1", router.port)
        requests = [trials.FIRST] * 9 + [trials.LAST]
        bodies = [got.rpartition(b"\r\n\r\n")[2] for got in await trials.dialogue(reader, writer, requests)]
        assert bodies == [b"first"] * 9 + [b"last"]
        answers += len(bodies)
        writer.close()
    return answers


@pytest.mark.row("R09", "requests two readers could take differently, beside another client's on the same connections")
async def test_r09_no_request_is_smuggled(own_router: RouterProcess, start: Start, record_property: Record) -> None:
    """The app reads as many requests as the router says it sent, no other's path, and each client gets its own answers.

    Bites: with Content-Length left out of request_to_app, the app takes a body for requests.
    """
    app, ended = Recorder(), asyncio.Event()
    await own_router.publish(route("shop", await start(app)))
    witnesses = [asyncio.create_task(witness(own_router, ended)) for _ in range(2)]
    corpus = {name: case.data for name, case in (REFUSED | CARRIED).items()}
    for way in trials.WAYS.values():
        for data in corpus.values():
            reader, writer = await asyncio.open_connection("127.0.0.1", own_router.port)
            async with asyncio.timeout(20):
                await way(reader, writer, data, b"shop.localhost")
            writer.close()
    ended.set()
    others = sum(await asyncio.gather(*witnesses))
    sent = await own_router.log_lines(r" dyno=web\.1 ", len(app.heads))
    assert len(sent) == len(app.heads)
    assert not [head for head in app.heads if b"canary" in head.partition(b"\r\n")[0]]
    record_property("requests", len(corpus) * len(trials.WAYS))
    record_property("of_others", others)
    record_property("carried", len(app.heads))
