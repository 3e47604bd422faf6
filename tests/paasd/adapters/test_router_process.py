"""RouterProcess: a real router, started once, found again, restarted when it died, left alone when it was stopped."""
# ruff: noqa: F811 - fixtures are imported by their names

import asyncio
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from paasd.adapters.router_client import RouterClient
from paasd.adapters.router_process import RouterProcess, last_words
from paasd.domain.errors import RouterUnavailable
from router.frames import SERVICE_RESTART
from tests.daemon import free_port, stop_router, wait_until
from tests.router.conftest import Start, start  # noqa: F401 - a fixture
from tests.router.process import route
from tests.router.test_tunnel import ASK, switching

Make = Callable[..., RouterProcess]

# that it outlives whoever started it is the point
pytestmark = pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")


@pytest.fixture
def directory() -> Iterator[Path]:
    root = Path(tempfile.mkdtemp(prefix="paasd-"))
    yield root / "router"
    stop_router(root / "router")
    shutil.rmtree(root)


@pytest.fixture
async def client(directory: Path) -> AsyncIterator[RouterClient]:
    async with RouterClient(directory / "control.sock") as client:
        yield client


@pytest.fixture
def make(directory: Path, client: RouterClient) -> Make:
    """Hosts for one router's folder; each is a daemon's whole knowledge of it."""

    def host(*, listen: str | None = None, supervised: bool = False, **more: Any) -> RouterProcess:
        address = listen or f"127.0.0.1:{free_port()}"
        path = os.environ["PATH"]
        return RouterProcess(client, listen=address, directory=directory, path=path, supervised=supervised, **more)

    return host


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def environment_of(pid: int) -> dict[bytes, bytes]:
    lines = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return dict(line.split(b"=", 1) for line in lines if line)


def children_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def ended(pid: int) -> bool:
    """Gone, or dead and not yet reaped by us."""
    stat_file = Path(f"/proc/{pid}/stat")
    return not stat_file.exists() or stat_file.read_text().rpartition(") ")[2].startswith("Z")


async def test_started_once_and_found_again(make: Make, directory: Path) -> None:
    first = make()
    await first.ensure()
    health = await first.health()
    await first.ensure()
    await make().ensure()  # as the next daemon does
    assert (await first.health()).pid == health.pid
    assert (mode(directory), mode(directory / "control.sock")) == (0o700, 0o600)
    assert os.getsid(health.pid) == health.pid  # a session of its own: no signal to the daemon's group reaches it


async def test_it_is_given_nothing_of_the_daemons_environment(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY_SECRET", "hunter2")
    host = make()
    await host.ensure()
    assert environment_of((await host.health()).pid).keys() == {b"PATH", b"LC_ALL"}


async def test_one_that_was_killed_is_started_anew(make: Make, client: RouterClient) -> None:
    host = make()
    await host.ensure()
    before = await host.health()
    os.kill(before.pid, signal.SIGKILL)
    wait_until(lambda: ended(before.pid), 10, "it survived SIGKILL")
    async with asyncio.timeout(5):
        while not await client.orphaned():  # noqa: ASYNC110 - its worker serves on, and notices
            await asyncio.sleep(0.02)
    assert (await host.health()).listen == before.listen
    await host.ensure()
    after = await host.health()
    assert after.pid != before.pid
    assert after.listen == before.listen


async def test_an_upgrade_keeps_the_process_and_its_table(make: Make, client: RouterClient) -> None:
    host = make()
    await host.ensure()
    version, before = await client.publish([]), await host.health()
    await host.upgrade()
    after = await host.health()
    assert (after.pid, after.table, after.listen) == (before.pid, version, before.listen)
    assert await client.publish([]) == version + 1


@pytest.mark.parametrize("workers", [1, 2])
async def test_as_many_processes_serve_as_are_asked_for(make: Make, workers: int) -> None:
    host = make(workers=workers)
    await host.ensure()
    pid = (await host.health()).pid
    assert len(children_of(pid)) == workers


async def test_asked_for_twice_at_once_it_is_started_once(make: Make) -> None:
    host = make()
    await asyncio.gather(host.ensure(), host.ensure(), host.ensure())
    assert (await host.health()).table == 0


async def test_a_port_that_is_taken_is_a_sentence(make: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(RouterUnavailable) as refused:
            await make(listen=address).ensure()
    said = str(refused.value)
    assert said.startswith("The router did not start: ")
    assert f"{address} can't be listened on (Address already in use)" in said
    assert "\n" not in said
    assert "Traceback" not in said


async def test_stopped_by_request_it_stays_stopped(make: Make) -> None:
    host = make()
    await host.ensure()
    pid = (await host.health()).pid
    await host.stop()
    wait_until(lambda: ended(pid), 10, "it still runs")
    await host.ensure()
    with pytest.raises(RouterUnavailable):
        await host.health()
    await host.stop()  # absent: fine
    await host.upgrade()  # asked for again
    assert (await host.health()).pid != pid


async def test_one_that_takes_long_to_stop_is_told_in_a_sentence(
    make: Make, client: RouterClient, start: Start
) -> None:
    """A websocket holds it: with nothing in flight it may be gone before it is asked again."""
    listen = free_port()
    host = make(listen=f"127.0.0.1:{listen}", stop_seconds=0.3)
    await host.ensure()
    await client.publish([route("shop", await start(switching()))])
    reader, writer = await asyncio.open_connection("127.0.0.1", listen)
    writer.write(ASK)
    await reader.readuntil(b"\r\n\r\n")
    with pytest.raises(RouterUnavailable, match=r"after 0\.3 seconds and goes on with them; ask again"):
        await host.stop()
    writer.close()


async def test_the_daemon_s_patience_is_its_own(make: Make, client: RouterClient, start: Start) -> None:
    """After an upgrade, too. Bites: without the drains' options in the command, it stays for half a minute."""
    listen = free_port()
    host = make(listen=f"127.0.0.1:{listen}", drain=20.0, websocket_drain=0.1)
    await host.ensure()
    await client.publish([route("shop", await start(switching()))])
    for end in (host.upgrade, host.stop):
        reader, writer = await asyncio.open_connection("127.0.0.1", listen)
        writer.write(ASK)
        await reader.readuntil(b"\r\n\r\n")
        await end()
        async with asyncio.timeout(10):
            assert await reader.read() == SERVICE_RESTART
        writer.close()


async def test_one_that_somebody_else_runs_is_not_ours_to_start(make: Make, directory: Path) -> None:
    host = make(supervised=True)
    with pytest.raises(RouterUnavailable, match="it is not ours to start; start its unit or container"):
        await host.ensure()
    command = [sys.executable, "-m", "router", "--listen", "127.0.0.1:0", "--router-dir", str(directory)]
    unit = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL)
    async with asyncio.timeout(15):
        while not await answers(host):  # noqa: ASYNC110 - another process's start: there is no event to await
            await asyncio.sleep(0.02)
    await host.ensure()
    assert (await host.health()).pid == unit.pid
    unit.terminate()
    assert await unit.wait() == 0


async def answers(host: RouterProcess) -> bool:
    try:
        await host.health()
    except RouterUnavailable:
        return False
    return True


def test_last_words(tmp_path: Path) -> None:
    (tmp_path / "err").write_text("Traceback\n  somewhere\nrouter: the reason.\n\n")
    assert last_words(tmp_path / "err") == "router: the reason."
    (tmp_path / "err").write_text("")
    assert last_words(tmp_path / "err").startswith("it said nothing")
