"""The fast lane: a connection's second request takes it, and must come out as it would on the careful path."""

import asyncio
import json
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.router.conftest import Start
from tests.router.process import Parsed, RouterProcess, Serve, echo, read_head, route

WARM = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwarm"
GET = b"GET /lane HTTP/1.1\r\nHost: shop.localhost\r\nAccept: application/json\r\n\r\n"
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def then(talk: Talk) -> Serve:
    """An app that answers a connection's first request plainly, and the next as `talk` has it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await read_head(reader)
        if "/lane" in head:
            await talk(reader, writer)
            return
        writer.write(WARM)
        await read_head(reader)
        await talk(reader, writer)

    return serve


def writing(*pieces: bytes, hold: bool = True) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0.02)
        if hold:
            await reader.read()

    return talk


class Browser:
    """A client that keeps its connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, data: bytes) -> Parsed:
        self.writer.write(data)
        return await self.answer(to_head=data.startswith(b"HEAD"))

    async def answer(self, *, to_head: bool = False) -> Parsed:
        async with asyncio.timeout(5):
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            bodyless = to_head or b" 304 " in head
            return Parsed(head + (await self.reader.readexactly(int(length[1])) if length and not bodyless else b""))


@pytest.fixture
async def browser(router: RouterProcess) -> AsyncIterator[Browser]:
    reader, writer = await asyncio.open_connection("127.0.0.1", router.port)
    yield Browser(reader, writer)
    writer.close()


async def warmed(router: RouterProcess, browser: Browser, start: Start, serve: Serve) -> None:
    await router.publish(route("shop", await start(serve)))
    assert (await browser.ask(b"GET /warm HTTP/1.1\r\nHost: shop.localhost\r\n\r\n")).status == 200
    router.mark()


async def test_both_paths_say_the_same(router: RouterProcess, browser: Browser, start: Start) -> None:
    await router.publish(route("shop", await start(echo())))
    plain = b"GET /x?y=1 HTTP/1.1\r\nHost: shop.localhost:99\r\nConnection: keep-alive\r\nVia: 1.1 a\r\nA: b\r\n\r\n"
    seen = []
    for _ in range(3):
        got = await browser.ask(plain)
        lines = json.loads(got.body)["head"].split("\r\n")
        assert lines.pop(0) == "GET /x?y=1 HTTP/1.1"
        changing = [line for line in lines if line.startswith(("X-Request-Id: ", "X-Request-Start: "))]
        assert len(changing) == 2
        same = sorted(line for line in lines if line not in changing)
        headers = sorted(header for header in got.headers if header[0] != "content-length")
        seen.append((same, headers))
    assert seen[0] == seen[1] == seen[2]
    shapes = {
        re.sub(r"^\S+|request_id=[0-9a-f-]{36}|(connect|service)=\d+ms|bytes=\d+", "", line)
        for line in await router.log_lines('path="/x.y=1"', 3)
    }
    assert len(shapes) == 1


@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok"),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", 200, b"ok"),
        (
            b"HTTP/1.1 500 Oh\r\nKeep-Alive: timeout=5\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
            500,
            b"ok",
        ),
        (b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n", 304, b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 304, b""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", 204, b""),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok"),
    ],
)
@pytest.mark.parametrize("cut", [0, 9, -1])
async def test_answers(
    router: RouterProcess, browser: Browser, start: Start, answer: bytes, status: int, body: bytes, cut: int
) -> None:
    pieces = (answer[:cut], answer[cut:]) if cut else (answer,)
    await warmed(router, browser, start, then(writing(*pieces)))
    got = await browser.ask(GET)
    assert (got.status, got.body) == (status, body)
    assert got.header("connection") is None and got.header("keep-alive") is None
    assert await router.log_lines(f"at=info .* status={status} bytes={len(body)} ")


async def test_chunks_pass(router: RouterProcess, browser: Browser, start: Start) -> None:
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    await warmed(router, browser, start, then(writing(answer)))
    browser.writer.write(GET)
    async with asyncio.timeout(2):
        assert (await browser.reader.readuntil(b"0\r\n\r\n")).endswith(b"\r\n\r\n2\r\nok\r\n0\r\n\r\n")


async def test_early_hints_pass(router: RouterProcess, browser: Browser, start: Start) -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    await warmed(router, browser, start, then(writing(hints, WARM)))
    assert (await browser.ask(GET)).status == 103
    assert (await browser.answer()).body == b"warm"


async def test_head_then_get(router: RouterProcess, browser: Browser, start: Start) -> None:
    await router.publish(route("shop", await start(echo())))
    for _ in range(3):
        assert (await browser.ask(GET.replace(b"GET", b"HEAD"))).body == b""
        assert (await browser.ask(GET)).body.startswith(b"{")


@pytest.mark.parametrize(
    ("pieces", "code"),
    [
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok plus what was not announced",), "H17"),
        ((b"hello\r\n\r\n",), "H17"),
        ((b"HTTP/1.1 200 OK\r\nX: a\x01b\r\nContent-Length: 2\r\n\r\nok",), "H17"),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",), "H17"),
        ((b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",), "H17"),
        ((), "H12"),
        ((b"HTTP/1.1 200 O",), "H12"),
    ],
)
async def test_faults(
    router: RouterProcess, browser: Browser, start: Start, pieces: tuple[bytes, ...], code: str
) -> None:
    await warmed(router, browser, start, then(writing(*pieces)))
    name = str(uuid.uuid4())
    got = await browser.ask(GET.replace(b"/lane", b"/lane/" + name.encode()))
    assert (got.status, json.loads(got.body)["code"]) == (503, code)
    assert len(await router.log_lines(f"at=error code={code} .* dyno=web.1 connect=0ms .* status=503 ")) == 1
    assert len(await router.log_lines(name)) == 1


async def test_h13_closed_in_the_head(router: RouterProcess, browser: Browser, start: Start) -> None:
    await warmed(router, browser, start, then(writing(b"HTTP/1.1 200 O", hold=False)))
    assert json.loads((await browser.ask(GET)).body)["code"] == "H13"


@pytest.mark.parametrize(("hold", "code"), [(True, "H15"), (False, "H18")])
async def test_a_broken_off_answer_never_looks_whole(
    router: RouterProcess, browser: Browser, start: Start, hold: bool, code: str
) -> None:
    begun = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nha"
    await warmed(router, browser, start, then(writing(begun, b"lf", hold=hold)))
    browser.writer.write(GET)
    async with asyncio.timeout(3):
        assert (await browser.reader.read()).endswith(b"\r\n\r\nhalf")
    assert len(await router.log_lines(f"at=error code={code} .* status=503 bytes=4 ")) == 1


async def test_a_kept_connection_that_was_closed_is_no_fault(
    router: RouterProcess, browser: Browser, start: Start
) -> None:
    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(app.writers) > 1:
            writer.write(WARM)

    app = await start(then(close))
    await router.publish(route("shop", app))
    await browser.ask(b"GET / HTTP/1.1\r\nHost: shop.localhost\r\n\r\n")
    assert (await browser.ask(GET)).body == b"warm"
    assert len(app.writers) == 2


async def test_a_client_that_goes_takes_the_app_s_connection_along(
    router: RouterProcess, browser: Browser, start: Start
) -> None:
    gone = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        browser.writer.close()
        assert await reader.read() == b""
        gone.set()

    await warmed(router, browser, start, then(talk))
    browser.writer.write(GET)
    async with asyncio.timeout(0.5):
        await gone.wait()
    assert len(await router.log_lines("at=warning code=H27 .* status=499 ")) == 1


async def test_what_comes_behind_waits_its_turn(router: RouterProcess, browser: Browser, start: Start) -> None:
    go = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await read_head(reader)
            if "/slow" in head:
                await go.wait()
            path = head.split()[1].encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(path), path))

    await warmed(router, browser, start, serve)
    requests = [b"GET /%b HTTP/1.1\r\nHost: shop.localhost\r\n\r\n" % path for path in (b"slow", b"a", b"b", b"c")]
    for request in requests:
        browser.writer.write(request)
        await asyncio.sleep(0.01)
    go.set()
    assert [(await browser.answer()).body for _ in requests] == [b"/slow", b"/a", b"/b", b"/c"]
    bad = await browser.ask(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
    assert bad.status == 400 and await browser.reader.read() == b""


async def test_a_slow_client_holds_the_app_back(router: RouterProcess, browser: Browser, start: Start) -> None:
    written = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 80000000\r\n\r\n")
        for _ in range(800):
            writer.write(b"x" * 100_000)
            await writer.drain()
            written += 100_000

    await warmed(router, browser, start, then(talk))
    browser.reader._transport.pause_reading()  # type: ignore[attr-defined]
    browser.writer.write(GET)
    assert await router.log_lines("code=H15 ")
    assert written < 40_000_000


async def test_a_large_answer_is_whole(router: RouterProcess, browser: Browser, start: Start) -> None:
    body = bytes(range(256)) * 40_000
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await read_head(reader):
            writer.write(answer)
            await writer.drain()

    await warmed(router, browser, start, serve)
    for _ in range(3):
        assert (await browser.ask(GET)).body == body


async def test_the_table_in_force_decides(router: RouterProcess, browser: Browser, start: Start) -> None:
    app = await start(echo("old"))
    await router.publish(route("shop", app))
    for _ in range(2):
        assert (await browser.ask(GET)).status == 200
    await router.publish(route("shop", app, maintenance=True))
    assert json.loads((await browser.ask(GET)).body)["code"] == "H80"
    await router.publish(route("shop", await start(echo("new"))))
    for _ in range(3):
        assert json.loads((await browser.ask(GET)).body)["name"] == "new"
    await router.publish(route("shop"))
    assert json.loads((await browser.ask(GET)).body)["code"] == "H14"


async def test_it_counts_as_in_flight_until_it_ends(router: RouterProcess, browser: Browser, start: Start) -> None:
    go = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await go.wait()
        writer.write(WARM)

    app = await start(then(talk))
    await router.publish(route("shop", app))
    await browser.ask(b"GET / HTTP/1.1\r\nHost: shop.localhost\r\n\r\n")
    browser.writer.write(GET)
    order = b'{"targets":[{"host":"127.0.0.1","port":%d}],"timeout":%b}'
    async with asyncio.timeout(2):
        while (await router.control("POST", "/drain", order % (app.port, b"0")))[1]["drained"]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await router.publish(route("shop"))
    draining = asyncio.create_task(router.control("POST", "/drain", order % (app.port, b"5")))
    go.set()
    assert (await browser.answer()).body == b"warm"
    assert (await draining)[1] == {"drained": True, "in_flight": 0}


async def test_plain_requests_on_a_kept_connection_take_the_lane(
    router: RouterProcess, browser: Browser, start: Start
) -> None:
    """All the above would pass on the careful path too. Bites: let `Lane.enter` return None."""
    await router.publish(route("shop", await start(echo())))
    hits = [await lane_hits(router)]
    for _ in range(5):
        assert (await browser.ask(GET)).status == 200
        hits.append(await lane_hits(router))
    assert hits[-1] - hits[1] == 4


@pytest.mark.parametrize(("line", "status"), [(b"A: " + b"x" * 20_000, 431), (b"\r\n".join([b"A: b"] * 200), 431)])
async def test_the_lane_s_limits_are_the_careful_path_s(
    router: RouterProcess, browser: Browser, start: Start, line: bytes, status: int
) -> None:
    """Bites: raise grammar.LONGEST and its hundred lines, and it answers 200."""
    await warmed(router, browser, start, echo())
    assert (await browser.ask(GET)).status == 200
    assert (await browser.ask(GET[:-2] + line + b"\r\n\r\n")).status == status


async def lane_hits(router: RouterProcess) -> int:
    found = re.search(r"paasd_router_lane_hits_total (\d+)", await router.metrics())
    assert found is not None
    return int(found[1])
