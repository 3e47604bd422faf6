"""The client's side: what it leans on in aiohttp is looked for at the start, and what it mends of it."""

import asyncio
import re
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
from tests.router.process import Parsed, RouterProcess, echo, route
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


async def test_a_client_quick_to_ask_again_takes_the_lane(tmp_path: Path, start: Start) -> None:
    """Its next request is there before aiohttp's loop is back at waiting. Bites: leave `_turning` out."""
    (tmp_path / "sitecustomize.py").write_text(
        "import asyncio\n"
        "from router.proxy import Proxy\n"
        "serve = Proxy.serve\n"
        "async def quickly(self, request):\n"
        "    sent = await serve(self, request)\n"
        "    if request.path == '/first':\n"
        "        for part in (b'GET /second HTTP/1.1\\r\\nHost: ', b'shop.localhost\\r\\n\\r\\n'):\n"
        "            asyncio.get_running_loop().call_soon(request.protocol.data_received, part)\n"
        "    return sent\n"
        "Proxy.serve = quickly\n"
    )
    router = RouterProcess(tmp_path / "router")
    router.environment["PYTHONPATH"] = str(tmp_path)
    router.start()
    try:
        await router.publish(route("shop", await start(echo())))
        reader, writer = await asyncio.open_connection("127.0.0.1", router.port)
        writer.write(b"GET /first HTTP/1.1\r\nHost: shop.localhost\r\n\r\n")
        async with asyncio.timeout(5):
            for path in ("first", "second"):
                length = re.search(rb"(?i)content-length: (\d+)", await reader.readuntil(b"\r\n\r\n"))
                assert length is not None
                assert f"GET /{path} HTTP/1.1".encode() in await reader.readexactly(int(length[1]))
        writer.close()
        assert "paasd_router_lane_hits_total 1" in await router.metrics()
    finally:
        router.stop()


async def test_a_body_that_breaks_before_its_request_is_begun_is_answered_at_once(tmp_path: Path, start: Start) -> None:
    """Two reads follow on each other with no turn for a handler in between, as "|" has it here.

    Bites: with `_end_body` looking at the request that is served alone, the request is sent on and its body never ends.
    """
    (tmp_path / "sitecustomize.py").write_text(
        "from router.client import ClientConnection as connection\n"
        "take = connection.data_received\n"
        "connection.data_received = lambda self, data: [take(self, part) for part in data.split(b'|')]\n"
    )
    router, recorder = RouterProcess(tmp_path / "router"), Recorder()
    router.environment["PYTHONPATH"] = str(tmp_path)
    router.start()
    try:
        await router.publish(route("shop", await start(recorder)))
        head = b"POST / HTTP/1.1\r\nHost: shop.localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert Parsed(await router.raw(head + b"|5;a\n|b\r\nhello\r\n0\r\n\r\n")).status == 400
        assert recorder.raw == b""
        assert len(await router.log_lines("code=H26 .* status=400 ")) == 1
    finally:
        router.stop()
