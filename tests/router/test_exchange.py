"""Carrying a request: streaming both ways, what is tried again and what never is, and each code an app can cause."""

import asyncio
import json
import socket
import struct
import uuid

import msgspec
import pytest

from router.table import RouteTimeouts
from tests.router.conftest import Start
from tests.router.process import Parsed, RouterProcess, Upstream, answering, echo, length_of, read_head, route

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
POST = b"POST / HTTP/1.1\r\nHost: shop.localhost\r\nConnection: close\r\n"


async def fault(router: RouterProcess, code: str, upstream: Upstream | int, status: int = 503) -> Parsed:
    """GET the app; its answer must be our page with `code`, and leave exactly one line that says so."""
    await router.publish(route("shop", upstream))
    name = str(uuid.uuid4())
    got = await router.get("shop.localhost", "/", "Accept: application/json", f"X-Request-Id: {name}")
    assert (got.status, json.loads(got.body)["code"]) == (status, code)
    await router.log_lines(f"at=error code={code} .* dyno=web.1 .* status={status} ")
    assert len(await router.log_lines(f"request_id={name} ")) == 1
    return got


async def test_h12_no_first_byte(router: RouterProcess, start: Start) -> None:
    got = await fault(router, "H12", await start(answering(then_hold=True)))
    assert got.header("retry-after") == "30"


async def test_h13_closed_without_response(router: RouterProcess, start: Start) -> None:
    await fault(router, "H13", await start(answering()))


async def test_h13_closed_in_the_head(router: RouterProcess, start: Start) -> None:
    await fault(router, "H13", await start(answering(b"HTTP/1.1 200 O")))


@pytest.mark.parametrize(
    "answer",
    [
        b"hello\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX: a\x01b\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    ],
)
async def test_h17_not_http(router: RouterProcess, start: Start, answer: bytes) -> None:
    await fault(router, "H17", await start(answering(answer, then_hold=True)))


async def test_h19_connect_timeout(router: RouterProcess) -> None:
    with socket.socket() as full:  # a listener whose queue is full drops what comes
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        await fault(router, "H19", full.getsockname()[1])
        for each in waiting:
            each.close()


async def test_h21_refused(router: RouterProcess) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        await fault(router, "H21", closed.getsockname()[1])


async def test_a_refusing_target_is_stepped_over_even_for_a_post(router: RouterProcess, start: Start) -> None:
    app = await start(echo())
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        await router.publish(route("shop", closed.getsockname()[1], app))
        for _ in range(12):
            assert Parsed(await router.raw(POST + b"Content-Length: 2\r\n\r\nhi")).status == 200


async def test_h15_silence_in_the_body_is_cut(router: RouterProcess, start: Start) -> None:
    begun = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"
    await router.publish(route("shop", await start(answering(begun, then_hold=True))))
    assert (await router.get("shop.localhost")).body == b"half"
    assert await router.log_lines("code=H15 ")


@pytest.mark.parametrize(
    ("framing", "begun", "then"),
    [
        (b"Content-Length: 10", b"half", b""),
        (b"Transfer-Encoding: chunked", b"4\r\nhalf\r\n", b""),
        (b"Transfer-Encoding: chunked", b"4\r\nhalf\r\n", b"zz\r\n"),
    ],
)
async def test_h18_a_broken_off_answer_never_looks_whole(
    router: RouterProcess, start: Start, framing: bytes, begun: bytes, then: bytes
) -> None:
    head = b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n"
    await router.publish(route("shop", await start(answering(head + begun, then, pause=0.05))))
    got = await router.get("shop.localhost")
    assert got.status == 200 and not got.raw.endswith(b"0\r\n\r\n") and b"zz" not in got.body
    assert await router.log_lines("code=H18 ")


async def test_h18_a_reset_is_not_taken_for_an_end(router: RouterProcess, start: Start) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        await asyncio.sleep(0.05)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    await router.publish(route("shop", await start(serve)))
    assert not (await router.get("shop.localhost")).raw.endswith(b"0\r\n\r\n")
    assert await router.log_lines("code=H18 ")


async def test_h18_broken_off_at_once(router: RouterProcess, start: Start) -> None:
    begun = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"
    await router.publish(route("shop", await start(answering(begun))))
    assert len((await router.get("shop.localhost", "/", "Accept: image/png")).body) != 10
    assert await router.log_lines("code=H18 .* status=503 ")


async def test_h26_a_bad_chunk_in_an_upload(router: RouterProcess, start: Start) -> None:
    await router.publish(route("shop", await start(answering(then_hold=True))))
    reader, writer = await asyncio.open_connection("127.0.0.1", router.port)
    writer.write(POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n")
    await asyncio.sleep(0.05)
    writer.write(b"nonsense\r\n")
    assert Parsed(await reader.read()).status == 400
    writer.close()
    assert await router.log_lines("code=H26 .* dyno=web.1 ")


async def test_h27_a_client_that_goes_takes_the_app_s_connection_along(router: RouterProcess, start: Start) -> None:
    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        client.close()
        assert await reader.read() == b""
        gone.set()

    await router.publish(route("shop", await start(serve)))
    _, client = await asyncio.open_connection("127.0.0.1", router.port)
    client.write(b"GET / HTTP/1.1\r\nHost: shop.localhost\r\n\r\n")
    async with asyncio.timeout(0.5):
        await gone.wait()
    assert await router.log_lines("at=warning code=H27 .* status=499 ")


async def test_h28_a_client_that_stops_in_its_upload(router: RouterProcess, start: Start) -> None:
    await router.publish(route("shop", await start(answering(then_hold=True))))
    assert await router.raw(POST + b"Content-Length: 9\r\n\r\nhi") == b""
    assert await router.log_lines("code=H28 .* status=499 ")


async def test_server_sent_events_are_not_held_back(router: RouterProcess, start: Start) -> None:
    go = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        for number in range(3):
            writer.write(b"data: %d\n\n" % number)
            await go.wait()
            go.clear()

    await router.publish(route("shop", await start(serve)))
    reader, writer = await asyncio.open_connection("127.0.0.1", router.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: shop.localhost\r\n\r\n")
    async with asyncio.timeout(2):
        for number in range(3):
            await reader.readuntil(b"data: %d\n\n" % number)
            go.set()
        await reader.readuntil(b"\r\n0\r\n\r\n")
    writer.close()


async def test_http_1_0_gets_no_chunks(router: RouterProcess, start: Start) -> None:
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    await router.publish(route("shop", await start(answering(answer))))
    got = Parsed(await router.raw(b"GET / HTTP/1.0\r\nHost: shop.localhost\r\n\r\n"))
    assert got.body == b"ok" and got.header("transfer-encoding") is None and got.header("connection") == "close"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x00",
    ],
)
async def test_answers_pass_as_they_are(router: RouterProcess, start: Start, answer: bytes) -> None:
    await router.publish(route("shop", await start(answering(answer, then_hold=True))))
    got = await router.get("shop.localhost")
    wanted = Parsed(answer)
    assert (got.status, got.body) == (wanted.status, wanted.body)
    assert set(wanted.headers) <= set(got.headers)


async def test_head_then_get_on_one_connection(router: RouterProcess, start: Start) -> None:
    await router.publish(route("shop", await start(echo())))
    head = b"HEAD / HTTP/1.1\r\nHost: shop.localhost\r\n\r\n"
    get = b"GET /after HTTP/1.1\r\nHost: shop.localhost\r\nConnection: close\r\n\r\n"
    answers = await router.raw(head + get)
    first, _, second = answers.partition(b"\r\n\r\n")
    assert b"Content-Length: " in first
    assert json.loads(Parsed(second).body)["head"].startswith("GET /after ")


async def test_continue_is_the_app_s_to_say(router: RouterProcess, start: Start) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await read_head(reader)
        assert "Expect: 100-continue" in head
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await reader.readexactly(length_of(head))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    await router.publish(route("shop", await start(serve)))
    reader, writer = await asyncio.open_connection("127.0.0.1", router.port)
    writer.write(POST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
    async with asyncio.timeout(2):
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
        writer.write(b"hello")
        assert Parsed(await reader.read()).body == b"hello"
    writer.close()


async def test_an_early_refusal_of_an_upload_reaches_the_client(router: RouterProcess, start: Start) -> None:
    answer = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig"
    await router.publish(route("shop", await start(answering(answer, then_hold=True))))
    reader, writer = await asyncio.open_connection("127.0.0.1", router.port)
    writer.write(b"POST / HTTP/1.1\r\nHost: shop.localhost\r\nContent-Length: 1000\r\n\r\nsome")
    async with asyncio.timeout(2):
        assert b" 413 " in await reader.readuntil(b"big")
    writer.close()


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_20_mb_upload_streams_through(router: RouterProcess, start: Start, chunked: bool) -> None:
    size, piece = 20 * 1024 * 1024, b"x" * 65536

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, got = await read_head(reader), 0
        assert ("chunked" in head) is chunked
        while got < size:
            if chunked:
                length = int((await reader.readline()).strip(), 16)
                got += len((await reader.readexactly(length + 2))[:-2])
            else:
                got += len(await reader.read(1 << 18))
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n%d" % got)

    await router.publish(route("shop", await start(serve)))
    reader, writer = await asyncio.open_connection("127.0.0.1", router.port)
    writer.write(POST + (b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"Content-Length: %d\r\n\r\n" % size))
    for _ in range(size // len(piece)):
        writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        await writer.drain()
    writer.write(b"0\r\n\r\n" if chunked else b"")
    async with asyncio.timeout(8):
        assert str(size).encode() in await reader.read()
    writer.close()


async def test_a_slow_client_holds_the_app_back(router: RouterProcess, start: Start) -> None:
    written = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 80000000\r\n\r\n")
        for _ in range(800):
            writer.write(b"x" * 100_000)
            written += 100_000
            await writer.drain()

    await router.publish(route("shop", await start(serve)))
    _, writer = await asyncio.open_connection("127.0.0.1", router.port, limit=1024)
    writer.write(b"GET / HTTP/1.1\r\nHost: shop.localhost\r\n\r\n")
    assert await router.log_lines("code=H15 ")
    assert written < 40_000_000
    writer.close()


async def test_pipelined_requests_are_answered_in_order(router: RouterProcess, start: Start) -> None:
    await router.publish(route("shop", await start(echo())))
    requests = b"".join(b"GET /%d HTTP/1.1\r\nHost: shop.localhost\r\n\r\n" % number for number in range(5))
    last = b"GET /5 HTTP/1.1\r\nHost: shop.localhost\r\nConnection: close\r\n\r\n"
    answers = (await router.raw(requests + last)).decode()
    places = [answers.index(f"GET /{number} HTTP/1.1") for number in range(6)]
    assert places == sorted(places)


@pytest.mark.parametrize("kept", [False, True])
async def test_an_app_s_own_timeouts_are_its_own(router: RouterProcess, start: Start, kept: bool) -> None:
    """The router's own first byte is due within 0.6 s. Bites: with the route's timeouts not looked at, on each path."""
    patient = RouteTimeouts(first_byte=20.0)
    hasty = RouteTimeouts(first_byte=0.1)
    slow = await start(echo(delay=0.9))
    connection = b"Connection: keep-alive\r\n" if kept else b""
    ask = b"GET / HTTP/1.1\r\nHost: shop.localhost\r\n" + connection + b"\r\n"
    for timeouts, opening in ((patient, b"HTTP/1.1 200"), (hasty, b"HTTP/1.1 503")):
        await router.publish(msgspec.structs.replace(route("shop", slow), timeouts=timeouts))
        reader, writer = await asyncio.open_connection("127.0.0.1", router.port)
        for _ in range(2 if kept else 1):
            writer.write(ask)
            async with asyncio.timeout(8):
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(length_of(head.decode("latin-1")))
            assert head.startswith(opening), (timeouts, head)
        writer.close()
    await router.log_lines("at=error code=H12 .* status=503 ")
