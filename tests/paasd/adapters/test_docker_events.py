"""The engine's events, from an engine that drops the line: each is told once, whenever the line is dropped (E04)."""

import asyncio
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest
from aiohttp import web

from paasd.adapters.docker_api import DockerApi, DockerSettings
from paasd.adapters.docker_events import Events

DROPS = 100
START = 4_000_000_000  # seconds; later than now, so that none is before the first call


class Engine:
    """Ten events for each line, then it is dropped: in the middle of a word each third time."""

    def __init__(self) -> None:
        self.asked: list[Decimal] = []

    async def version(self, _: web.Request) -> web.Response:
        return web.json_response({"ApiVersion": "1.41"})

    async def events(self, request: web.Request) -> web.StreamResponse:
        since = Decimal(request.query["since"])
        self.asked.append(since)
        response = web.StreamResponse()
        await response.prepare(request)
        later = [number for number in range(DROPS * 10) if self.at(number) >= since]
        for number in later[:10]:
            await response.write(json.dumps(self.event(number)).encode() + b"\n")
        if len(self.asked) % 3 == 0:
            await response.write(b'{"Type": "cont')
        assert request.transport is not None
        request.transport.abort() if len(self.asked) % 2 else await response.write_eof()
        return response

    def at(self, number: int) -> Decimal:
        return START + Decimal(number) / 1000

    def event(self, number: int) -> dict[str, object]:
        marks = {"paasd.home": "home", "paasd.app": f"app-{number}", "paasd.dyno": "web.1"}
        return {"Type": "container", "timeNano": int(self.at(number) * 10**9), "Actor": {"Attributes": marks}}


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    engine = Engine()
    app = web.Application()
    app.add_routes([web.get("/version", engine.version), web.get("/v1.41/events", engine.events)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(tmp_path / "docker.sock")).start()
    yield engine
    await runner.cleanup()


async def test_a_line_dropped_a_hundred_times_loses_no_event_and_tells_none_twice(
    engine: Engine, tmp_path: Path
) -> None:
    """Bites: `self._broken_off or` left out of follow; or the `+ 1` of after."""
    api = DockerApi(DockerSettings(host=f"unix://{tmp_path}/docker.sock"))
    events = Events(api, "home", lambda _: asyncio.sleep(0))
    told: list[str] = []
    async with asyncio.timeout(60):
        while len(told) < DROPS * 10:
            told += [change.app_id async for change in events.follow()]
    assert told == [f"app-{number}" for number in range(DROPS * 10)]
    assert len(engine.asked) >= DROPS
    await api.close()
