"""Bad input and ambiguous input, over raw sockets, before a recording app: what is refused never reaches it."""

import asyncio

import pytest

from tests.router.conftest import Start
from tests.router.hazards import CARRIED, REFUSED
from tests.router.process import Parsed, RouterProcess, route


class Recorder:
    """A strict little app: it records each connection's heads and bodies, and answers every request with its number."""

    def __init__(self) -> None:
        self.heads: list[bytes] = []
        self.bodies = b""

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            self.heads.append(head)
            number = len(self.heads)
            await self._body(reader, head.lower())
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%d" % (len(str(number)), number))

    async def _body(self, reader: asyncio.StreamReader, head: bytes) -> None:
        if b"\r\ntransfer-encoding: chunked\r\n" in head:
            while size := int(await reader.readline() or b"0", 16):
                self.bodies += (await reader.readexactly(size + 2))[:-2]
            await reader.readline()
        elif b"\r\ncontent-length: " in head:
            length = int(head.partition(b"\r\ncontent-length: ")[2].split(b"\r\n")[0])
            self.bodies += await reader.readexactly(length)


async def send_slowly(router: RouterProcess, data: bytes, pieces: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", router.port)
    step = max(1, len(data) // pieces)
    try:
        for start in range(0, len(data), step):
            writer.write(data[start : start + step])
            await asyncio.sleep(0.002)
        async with asyncio.timeout(8):
            return await reader.read()
    finally:
        writer.close()


@pytest.mark.parametrize("pieces", [1, 7])
@pytest.mark.parametrize("name", REFUSED)
async def test_what_two_readers_could_read_differently_is_refused(
    router: RouterProcess, start: Start, name: str, pieces: int
) -> None:
    hazard, recorder = REFUSED[name], Recorder()
    await router.publish(route("shop", await start(recorder)))
    answers = await send_slowly(router, hazard.data, pieces)
    assert Parsed(answers).status == hazard.status
    assert answers.count(b"HTTP/1.1 ") == 1
    # A bad chunk can come when the head is under way already: never may a whole request, nor what hides in it.
    assert b"canary" not in b"".join(recorder.heads)
    assert len(recorder.heads) <= ("chunk " in name)
    assert len(await router.log_lines(f"code=H26 .* status={hazard.status} ")) == 1


@pytest.mark.parametrize("pieces", [1, 9])
@pytest.mark.parametrize("name", CARRIED)
async def test_what_is_carried_is_read_by_the_app_as_by_the_router(
    router: RouterProcess, start: Start, name: str, pieces: int
) -> None:
    hazard, recorder = CARRIED[name], Recorder()
    await router.publish(route("shop", await start(recorder)))
    answers = await send_slowly(router, hazard.data, pieces)
    assert answers.count(b"HTTP/1.1 200 OK") == len(hazard.lines)
    assert tuple(head.split(b"\r\n")[0] for head in recorder.heads) == hazard.lines
    assert recorder.bodies == hazard.bodies
    for word in hazard.never:
        assert word not in b"".join(recorder.heads).lower()


async def test_nothing_behind_a_refused_request_is_carried(router: RouterProcess, start: Start) -> None:
    recorder = Recorder()
    await router.publish(route("shop", await start(recorder)))
    good = b"GET /good HTTP/1.1\r\nHost: shop.localhost\r\n\r\n"
    bad = b"GET /bad HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"
    answers = await send_slowly(router, good + bad + good, 4)
    assert answers.count(b"HTTP/1.1 200 OK") <= 1 and answers.count(b"HTTP/1.1 400 Bad Request") == 1
    assert all(b"/bad" not in head for head in recorder.heads) and len(recorder.heads) <= 1


@pytest.mark.parametrize(
    "sent", [b"GET /", b"GET / HTTP/1.1\r\nHost: shop.localhost\r\n", b"GET / HTTP/1.1\r\nA: " + b"a" * 500]
)
@pytest.mark.parametrize("trickling", [False, True])
async def test_slowloris_is_told_and_cut(router: RouterProcess, start: Start, sent: bytes, trickling: bool) -> None:
    recorder = Recorder()
    await router.publish(route("shop", await start(recorder)))
    reader, writer = await asyncio.open_connection("127.0.0.1", router.port)
    writer.write(sent)
    reading = asyncio.create_task(reader.read())
    async with asyncio.timeout(3):
        while trickling and not reading.done():
            writer.write(b"a")
            await asyncio.sleep(0.05)
        assert Parsed(await reading).status == 408
    writer.close()
    assert len(await router.log_lines("code=H28 .* status=408 ")) == 1
    assert recorder.heads == []


async def test_a_connection_that_says_nothing_costs_nothing_and_is_no_request(router: RouterProcess) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", router.port)
    await asyncio.sleep(0.8)
    writer.close()
    await router.raw(b"nonsense\r\n\r\n")
    assert len(await router.log_lines("code=")) == 1
