"""What the tests of the process engine share: a home whose dynos are gone at the end, and looks at real processes."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable
from datetime import datetime
from pathlib import Path

import pytest

from paasd.adapters.process_engine import ProcessEngine, ProcessSettings
from paasd.adapters.process_slugs import MACHINE
from paasd.domain.dyno import Dyno, DynoSpec
from tests.contracts.engines import PROCESS, Bench, make_home


@pytest.fixture(params=[PROCESS, "bare"])
def settings(request: pytest.FixtureRequest) -> ProcessSettings:
    return ProcessSettings(os.environ["PATH"], bwrap=request.param == "process")


@pytest.fixture
async def home() -> AsyncIterator[Path]:
    """A home whose dynos are gone at the end."""
    with tempfile.TemporaryDirectory(prefix="paasd-", ignore_cleanup_errors=True) as name:
        made = await asyncio.to_thread(make_home, name)
        yield made
        async with ProcessEngine("7e57ab1e", made) as engine:
            await asyncio.gather(*(engine.stop(dyno.id, grace=0) for dyno in await engine.dynos()))


def bench(engine: ProcessEngine, app_id: str = "3f0c7a52-5f0d-4d39-9f3c-0d3f7a52bbbb") -> Bench:
    async def make(spec: DynoSpec) -> None:
        engine.create(spec)

    return Bench(engine, MACHINE, app_id, "process", make)


async def running(words: bytes) -> list[int]:
    """Processes with these words in their command."""

    def look() -> list[int]:
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                if words in (path / "cmdline").read_bytes():
                    found.append(int(path.name))
            except OSError:
                continue
        return found

    return await asyncio.to_thread(look)


async def lines(engine: ProcessEngine, dyno: Dyno, since: datetime | None = None) -> list[str]:
    return [text async for _, text in engine.logs(dyno.id, since=since)]


async def none(found: Awaitable[list[int]]) -> bool:
    return not await found


async def many(found: Awaitable[list[int]]) -> bool:
    return len(await found) > 20
