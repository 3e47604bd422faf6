"""Fixtures: router processes, quick to time out, and upstreams that are stopped with their test."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from tests.router.process import RouterProcess, Serve, Upstream

Start = Callable[[Serve], Awaitable[Upstream]]
_QUICK = ("--connect-timeout", "0.4", "--first-byte-timeout", "0.6", "--idle-timeout", "0.8", "--park-timeout", "0.5")


@pytest.fixture(scope="session")
def _shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RouterProcess]:
    process = RouterProcess(tmp_path_factory.mktemp("shared") / "router", *_QUICK)
    process.start()
    yield process
    process.stop()


@pytest.fixture
def router(_shared: RouterProcess) -> RouterProcess:
    """A router that is there already: each test publishes its own table and sees its own log lines."""
    _shared.mark()
    return _shared


@pytest.fixture
def own_router(tmp_path: Path) -> Iterator[RouterProcess]:
    """A router to stop, kill and start again."""
    process = RouterProcess(tmp_path / "router", *_QUICK)
    process.start()
    yield process
    if process.process is not None and process.process.poll() is None:
        process.stop()


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    running: list[Upstream] = []

    async def begin(serve: Serve) -> Upstream:
        running.append(await Upstream(serve).start())
        return running[-1]

    yield begin
    for upstream in running:
        await upstream.stop()
