"""Heroku's router contract: every code there is, provoked by its cause; its status, its answer, and exactly one line.

Each bites on its own: with a code's `raise` left out of the router, its request ends in another code, or in none. Of
Heroku's list H16 is out of use there, H31 and H32 are of TLS (421 is not given here: a certificate is chosen by the
name the client asks for), H82 and H83 are of its quotas.
"""

import asyncio
import json
import socket
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from router.codes import Code
from router.table import RouteTimeouts, Target
from tests.router.conftest import Start
from tests.router.process import Parsed, RouterProcess, answering, echo, length_of, read_head, route

Cause = Callable[[RouterProcess, Start, str], Awaitable[Parsed | None]]
HOLD = answering(then_hold=True)
QUICK = RouteTimeouts(connect=0.3, first_byte=0.3, idle=0.3, park=0.3)
UPGRADE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)


async def get(router: RouterProcess, name: str, *more: str) -> Parsed:
    return await router.get("shop.localhost", "/", "Accept: application/json", f"X-Request-Id: {name}", *more)


@asynccontextmanager
async def sent(router: RouterProcess, text: bytes) -> AsyncIterator[asyncio.StreamReader]:
    """A request that its client waits for, or does not finish, for the length of the block."""
    reader, writer = await asyncio.open_connection("127.0.0.1", router.port)
    writer.write(text)
    await writer.drain()
    try:
        yield reader
    finally:
        writer.close()


def head(name: str, method: str = "GET") -> bytes:
    return f"{method} / HTTP/1.1\r\nHost: shop.localhost\r\nX-Request-Id: {name}\r\n".encode()


def without_target(code: str) -> Cause:
    async def cause(router: RouterProcess, start: Start, name: str) -> Parsed:
        await router.publish(route("shop", code=code, timeouts=QUICK))
        return await get(router, name)

    return cause


def answered(*pieces: bytes, hold: bool = False, pause: float = 0.0) -> Cause:
    """The app answers so."""

    async def cause(router: RouterProcess, start: Start, name: str) -> Parsed:
        await router.publish(
            route("shop", await start(answering(*pieces, pause=pause, then_hold=hold)), timeouts=QUICK)
        )
        return await get(router, name)

    return cause


async def backlog(router: RouterProcess, start: Start, name: str) -> Parsed:
    await router.publish(route("shop", await start(HOLD), backlog=2))
    async with sent(router, head("a") + b"\r\n"), sent(router, head("b") + b"\r\n"):
        await in_flight(router, 2)
        return await get(router, name)


async def websockets(router: RouterProcess, start: Start, name: str) -> Parsed:
    switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    await router.publish(route("shop", await start(answering(switch, then_hold=True)), websockets=1))
    opening = head("a") + "".join(f"{line}\r\n" for line in UPGRADE).encode() + b"\r\n"
    async with sent(router, opening) as reader:
        await reader.readuntil(b"\r\n\r\n")
        lines = ["GET / HTTP/1.1", "Host: shop.localhost", "Accept: application/json", f"X-Request-Id: {name}"]
        async with sent(router, "\r\n".join([*lines, *UPGRADE, "", ""]).encode()) as other:
            answer = await other.readuntil(b"\r\n\r\n")
            return Parsed(answer + await other.readexactly(length_of(answer.decode())))


async def refused(router: RouterProcess, start: Start, name: str) -> Parsed:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        await router.publish(route("shop", closed.getsockname()[1]))
        return await get(router, name)


async def dropped(router: RouterProcess, start: Start, name: str) -> Parsed:
    with socket.socket() as full:  # a listener whose queue is full drops what comes
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        await router.publish(route("shop", full.getsockname()[1], timeouts=QUICK))
        got = await get(router, name)
        for each in waiting:
            each.close()
        return got


async def nowhere(router: RouterProcess, start: Start, name: str) -> Parsed:
    there = route("shop", 1)
    target = Target("id-shop", 2, "web.1", "-no-address-", 5000)
    await router.publish(type(there)(there.app, there.name, there.hosts, (target,)))
    return await get(router, name)


async def maintained(router: RouterProcess, start: Start, name: str) -> Parsed:
    await router.publish(route("shop", await start(echo()), maintenance=True))
    return await get(router, name)


async def malformed(router: RouterProcess, start: Start, name: str) -> Parsed:
    await router.publish(route("shop", await start(echo())))
    lines = head(name, "POST") + b"Accept: application/json\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
    return Parsed(await router.raw(lines))


async def client_gone(router: RouterProcess, start: Start, name: str) -> None:
    await router.publish(route("shop", await start(HOLD)))
    async with sent(router, head(name) + b"\r\n"):
        await in_flight(router, 1)


async def client_silent(router: RouterProcess, start: Start, name: str) -> None:
    await router.publish(route("shop", await start(HOLD), timeouts=QUICK))
    async with sent(router, head(name, "POST") + b"Content-Length: 9\r\n\r\nhalf") as reader:
        await reader.read()


async def in_flight(router: RouterProcess, count: int) -> None:
    """Until the app has so many requests under way."""
    async with asyncio.timeout(5):
        while f"}} {count}\n" not in _of_targets(await router.metrics()):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)


def _of_targets(metrics: str) -> str:
    return "".join(f"{line}\n" for line in metrics.splitlines() if line.startswith("paasd_router_in_flight"))


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n"
LONG = answered(OK + b"X-Long: " + b"a" * 100_000 + b"\r\n\r\n")
CAUSES: dict[Code, Cause] = {
    Code.H10: without_target("H10"),
    Code.H11: backlog,
    Code.H12: answered(hold=True),
    Code.H13: answered(),
    Code.H14: without_target("H14"),
    Code.H15: answered(OK + b"\r\nhalf", hold=True),
    Code.H17: answered(b"hello\r\n\r\n"),
    Code.H18: answered(OK + b"\r\nhalf", pause=0.1),
    Code.H19: dropped,
    Code.H20: without_target("H20"),
    Code.H21: refused,
    Code.H22: websockets,
    Code.H23: nowhere,
    Code.H25: LONG,
    Code.H26: malformed,
    Code.H27: client_gone,
    Code.H28: client_silent,
    Code.H80: maintained,
    Code.H81: without_target("H81"),
}
STATUSES = {Code.H25: 502, Code.H26: 400, Code.H27: 499, Code.H28: 499, Code.H81: 502}  # of the others: 503
BEGUN = {Code.H15, Code.H18}  # the client has the beginning of the app's own answer, which is cut
OF_THE_ROUTER = {Code.H24, Code.H99}  # provoked below, in routers of their own


def test_every_code_is_provoked() -> None:
    assert CAUSES.keys() | OF_THE_ROUTER == set(Code)
    assert not CAUSES.keys() & OF_THE_ROUTER


@pytest.mark.parametrize("code", CAUSES, ids=lambda code: code.name)
async def test_its_cause_gives_its_status_and_one_line(router: RouterProcess, start: Start, code: Code) -> None:
    name = str(uuid.uuid4())
    got = await CAUSES[code](router, start, name)
    await check(router, code, name, got)


async def check(router: RouterProcess, code: Code, name: str, got: Parsed | None) -> None:
    status = STATUSES.get(code, 503)
    if got is not None and code in BEGUN:
        assert (got.status, got.body) == (200, b"half")
    elif got is not None:
        assert got.status == status
        assert (got.header("retry-after") is not None) is (status == 503)
        if code is not Code.H26:  # what can't be read as a request has not said what it accepts
            said = json.loads(got.body)
            assert (said["code"], said["id"], said["message"]) == (code.name, code.value.error_id, code.value.message)
    logged = await router.log_lines(f"request_id={name} |code={code.name} ")
    assert len(logged) == 1
    assert f' code={code.name} desc="{code.desc}" ' in logged[0]
    assert f" status={status} " in logged[0]


async def test_h24_at_the_end_of_a_router_s_patience(tmp_path: Path, start: Start) -> None:
    router = RouterProcess(tmp_path / "router", "--drain-seconds", "0.3")
    router.start()
    name = str(uuid.uuid4())
    await router.publish(route("shop", await start(HOLD)))
    async with sent(router, head(name) + b"\r\n") as reader:
        await in_flight(router, 1)
        await asyncio.to_thread(router.stop)
        assert await reader.read() == b""
    await check(router, Code.H24, name, None)


async def test_h99_for_a_fault_of_the_router_itself(tmp_path: Path, start: Start) -> None:
    """Its code is sabotaged from outside: a path that it can't serve."""
    (tmp_path / "sitecustomize.py").write_text(
        "import router.headers as headers\n"
        "read = headers.read_request\n"
        "def broken(method, path, *more):\n"
        "    return read(method, path, *more) if path == '/' else 1 / 0\n"
        "headers.read_request = broken\n"
    )
    router = RouterProcess(tmp_path / "router")
    router.environment["PYTHONPATH"] = str(tmp_path)
    router.start()
    try:
        await router.publish(route("shop", await start(echo())))
        got = await router.get("shop.localhost", "/broken", "Accept: application/json")
        assert (got.status, json.loads(got.body)["code"]) == (503, "H99")
        assert len(await router.log_lines("at=error code=H99 .* status=503 ")) == 1
        assert "ZeroDivisionError" in router.errors.read_text()
        assert (await router.get("shop.localhost")).status == 200
    finally:
        router.stop()


async def test_a_full_backlog_is_the_dyno_s_and_another_takes_more(router: RouterProcess, start: Start) -> None:
    held = asyncio.Queue[str]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.put_nowait(await read_head(reader))
        await reader.read()

    one, other = await start(serve), await start(serve)
    await router.publish(route("shop", one, other, backlog=1))
    async with sent(router, head("a") + b"\r\n"):
        await in_flight(router, 1)
        async with sent(router, head("b") + b"\r\n"):
            async with asyncio.timeout(5):
                await held.get(), await held.get()
            assert json.loads((await get(router, "c")).body)["code"] == "H11"
