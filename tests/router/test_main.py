"""The process: what survives a restart, what a second one is told, how it stops, what it does without its daemon."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.router.conftest import Start
from tests.router.process import RouterProcess, echo, read_head, route


async def test_a_killed_router_comes_back_with_its_table(own_router: RouterProcess, start: Start) -> None:
    await own_router.publish(route("shop", await start(echo())), route("shut", maintenance=True))
    own_router.stop(signal.SIGKILL)
    own_router.start()
    assert (await own_router.get("shop.localhost")).status == 200
    assert (await own_router.get("shut.localhost")).status == 503


async def test_its_files_are_its_own(router: RouterProcess) -> None:
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in router.directory.iterdir()}
    assert modes["control.sock"] == 0o600
    assert stat.S_IMODE(router.directory.stat().st_mode) == 0o700


async def test_a_damaged_table_is_set_aside_and_mended_by_the_next(own_router: RouterProcess, start: Start) -> None:
    own_router.stop()
    saved = own_router.directory / "table.json"
    saved.write_bytes(b'{"version": 3, "rou')
    own_router.start()
    assert "damaged" in own_router.errors.read_text()
    assert (own_router.directory / "table.json.damaged").read_bytes() == b'{"version": 3, "rou'
    await own_router.publish(route("shop", await start(echo())))
    assert (await own_router.get("shop.localhost")).status == 200


async def test_a_second_router_is_told_who_holds_the_directory(router: RouterProcess) -> None:
    command = [sys.executable, "-m", "router", "--listen", "127.0.0.1:0", "--router-dir", str(router.directory)]
    second = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=10)
    assert router.process is not None
    assert second.returncode == 1 and f"pid {router.process.pid}" in second.stderr
    assert (await router.control("GET", "/health"))[0] == 200


async def test_a_taken_port_is_said_in_one_sentence(router: RouterProcess) -> None:
    other = router.directory.parent / "other"
    command = [sys.executable, "-m", "router", "--listen", f"127.0.0.1:{router.port}", "--router-dir", str(other)]
    second = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=10)
    assert second.returncode == 1 and "can't be listened on" in second.stderr and "Traceback" not in second.stderr


async def test_without_the_compiled_parser_it_refuses(router: RouterProcess) -> None:
    command = [sys.executable, "-m", "router", "--router-dir", str(router.directory.parent / "other")]
    environment = {**os.environ, "AIOHTTP_NO_EXTENSIONS": "1"}
    plain = await asyncio.to_thread(
        subprocess.run, command, env=environment, capture_output=True, text=True, timeout=10
    )
    assert plain.returncode == 1 and "compiled HTTP parser" in plain.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
async def test_a_user_that_is_not_there_is_said(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "router", "--listen", "127.0.0.1:0", "--router-dir", str(tmp_path / "r")]
    command += ["--user", "no-such-user"]
    said = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=10)
    assert said.returncode == 1 and "no user 'no-such-user'" in said.stderr and "Traceback" not in said.stderr


async def test_it_finishes_what_it_began(own_router: RouterProcess, start: Start) -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        begun.set()
        await go.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    await own_router.publish(route("shop", await start(serve)))
    getting = asyncio.create_task(own_router.get("shop.localhost"))
    await begun.wait()
    stopping = asyncio.create_task(asyncio.to_thread(own_router.stop))
    async with asyncio.timeout(2):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", own_router.port)
            except ConnectionError:
                break
            writer.close()
    go.set()
    assert (await getting).body == b"ok"
    assert await stopping == 0
    assert "status=200" in own_router.log_file.read_text()


async def test_shutdown_by_control(own_router: RouterProcess) -> None:
    assert await own_router.control("POST", "/shutdown") == (202, {"status": "stopping"})
    assert own_router.process is not None
    assert await asyncio.to_thread(own_router.process.wait, 5) == 0


async def test_idle_it_is_small_and_still(own_router: RouterProcess, start: Start) -> None:
    await own_router.publish(route("shop", await start(echo())))
    for _ in range(20):
        await own_router.get("shop.localhost")
    assert own_router.process is not None
    _, health = await own_router.control("GET", "/health")
    pids = [own_router.process.pid, *health["workers"]]
    assert len(pids) == 2 and sum(_resident(pid) for pid in pids) < 60 * 1024
    before, began = sum(map(_cpu, pids)), time.monotonic()
    await asyncio.sleep(1.0)
    assert sum(map(_cpu, pids)) - before <= 0.02 * (time.monotonic() - began)


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/status").read_text().partition("VmRSS:")[2].split()[0])


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
