"""A world for each test: fakes for the dear ports, a real database copied from one that was migrated once."""

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from tests.gates import Gates
from tests.paasd.services.world import GatedStore, Outside, World, make_outside, wire


@pytest.fixture(autouse=True)
def said() -> Iterator[list[EventDict]]:
    """What the services log: kept, and not rendered, which costs more than most tests."""
    with capture_logs() as entries:
        yield entries


@pytest.fixture
async def store(migrated: Path, tmp_path: Path) -> AsyncIterator[GatedStore]:
    """An open store, empty."""
    shutil.copy(migrated, tmp_path / "store.db")
    opened = GatedStore(tmp_path / "store.db", tmp_path / "key")
    opened.gates = Gates()
    async with opened:
        yield opened


@pytest.fixture
async def outside(store: GatedStore, tmp_path: Path) -> Outside:
    """What outlives a daemon."""
    return await make_outside(tmp_path, store)


@pytest.fixture
async def world(outside: Outside) -> AsyncIterator[World]:
    """A daemon's services; at the end it is stopped, and no request may have met a dyno being stopped."""
    world = wire(outside)
    yield world
    cut_off = list(outside.cut_off)
    outside.engine.down = False
    routers = [daemon.router.gates for daemon in outside.daemons]
    for gates in (outside.store.gates, outside.engine.gates, outside.sources.gates, outside.provider.gates, *routers):
        gates.errors.clear()
        gates.open_all()
    for daemon in outside.daemons:
        await daemon.background.close()
    assert not cut_off
