"""The client's side: what it leans on in aiohttp is looked for at the start, and what it mends of it."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp.web_protocol import RequestHandler

from router.access_log import AccessLog
from router.certificates import Certificates
from router.client import ClientServer
from router.fabric import Fabric, Limits
from router.inflight import InFlight
from router.proxy import Proxy
from router.state import TableInForce
from router.upstream import Upstreams
from tests.router.conftest import Start
from tests.router.process import Parsed, RouterProcess, route
from tests.router.recorder import Recorder


def serving(directory: Path) -> ClientServer:
    table = TableInForce(directory)
    fabric = Fabric(table, Upstreams(table.serves, 1.0), InFlight(), Limits())
    return ClientServer(Proxy(fabric, AccessLog(directory / "log"), 80), Certificates(directory), {})


async def test_the_lane_is_open_with_the_aiohttp_that_is_pinned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert serving(tmp_path).lane is not None
    assert capsys.readouterr().err == ""


async def test_another_aiohttp_closes_the_lane_loudly(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(RequestHandler, "_process_keepalive")
    assert serving(tmp_path).lane is None
    assert "has no _process_keepalive: every request takes the slow path" in capsys.readouterr().err


@asynccontextmanager
async def patched(directory: Path, program: str) -> AsyncIterator[RouterProcess]:
    """A router that runs `program` first."""
    (directory / "sitecustomize.py").write_text(program)
    router = RouterProcess(directory / "router")
    router.environment["PYTHONPATH"] = str(directory)
    router.start()
    try:
        yield router
    finally:
        router.stop()


async def answers(router: RouterProcess, *requests: bytes, awaited: int) -> list[bytes]:
    """The bodies of so many answers on one connection, on which each request is sent after the answer before it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", router.port)
    bodies = []
    async with asyncio.timeout(5):
        for request in [*requests, *[b""] * (awaited - len(requests))]:
            writer.write(request)
            length = re.search(rb"(?i)content-length: (\d+)", await reader.readuntil(b"\r\n\r\n"))
            assert length is not None
            bodies.append(await reader.readexactly(int(length[1])))
    writer.close()
    return bodies


FIRST, SECOND, THIRD = (
    b"GET /%b HTTP/1.1\r\nHost: shop.localhost\r\n\r\n" % path for path in (b"first", b"second", b"third")
)
QUICKLY = """
import asyncio
from router.proxy import Proxy
serve = Proxy.serve
async def quickly(self, request):
    sent = await serve(self, request)
    if request.path == "/first":
        for part in (b"GET /second HTTP/1.1\\r\\nHost: ", b"shop.localhost\\r\\n\\r\\n"):
            asyncio.get_running_loop().call_soon(request.protocol.data_received, part)
    return sent
Proxy.serve = quickly
"""
AT_WORK = """
from router.lane import Lane
from router.upstream import Upstreams
enter = Lane.enter
def at_work(self, client, about, data):
    if b"/second" not in data:
        return enter(self, client, about, data)
    upstreams = self._kept.__self__
    idle, upstreams._idle = upstreams._idle, {}
    self._on = lambda address: 1
    try:
        return enter(self, client, about, data)
    finally:
        upstreams._idle = idle  # answers that are read before the request is looked at again
Lane.enter = at_work
"""


async def test_a_client_quick_to_ask_again_takes_the_lane(tmp_path: Path, start: Start) -> None:
    """Its next request is there before aiohttp's loop is back at waiting. Bites: leave `_turning` out."""
    async with patched(tmp_path, QUICKLY) as router:
        await router.publish(route("shop", await start(Recorder())))
        assert await answers(router, FIRST, awaited=2) == [b"first", b"2"]
        assert "paasd_router_lane_hits_total 1" in await router.metrics()


async def test_there_come_to_be_as_many_connections_as_are_wanted_at_once(tmp_path: Path, start: Start) -> None:
    """Bites: leave `too_few` out of Exchange, and the careful path takes the one that the lane needs."""
    recorder = Recorder()
    async with patched(tmp_path, AT_WORK) as router:
        await router.publish(route("shop", await start(recorder)))
        assert await answers(router, FIRST, SECOND, THIRD, awaited=3) == [b"first", b"2", b"3"]
        assert len(recorder.connections) == 2
        assert "paasd_router_lane_hits_total 1" in await router.metrics()


async def test_a_body_that_breaks_before_its_request_is_begun_is_answered_at_once(tmp_path: Path, start: Start) -> None:
    """Two reads follow on each other with no turn for a handler in between, as "|" has it here.

    Bites: with `_end_body` looking at the request that is served alone, the request is sent on and its body never ends.
    """
    program = (
        "from router.client import ClientConnection as connection\n"
        "take = connection.data_received\n"
        "connection.data_received = lambda self, data: [take(self, part) for part in data.split(b'|')]\n"
    )
    recorder = Recorder()
    async with patched(tmp_path, program) as router:
        await router.publish(route("shop", await start(recorder)))
        head = b"POST / HTTP/1.1\r\nHost: shop.localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert Parsed(await router.raw(head + b"|5;a\n|b\r\nhello\r\n0\r\n\r\n")).status == 400
        assert recorder.raw == b""
        assert len(await router.log_lines("code=H26 .* status=400 ")) == 1
