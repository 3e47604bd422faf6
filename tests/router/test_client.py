"""The client's side: what it leans on in aiohttp is looked for at the start."""

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
