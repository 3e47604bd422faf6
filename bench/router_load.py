"""The load that bench/router.py puts on each proxy, and what is read off meanwhile. It runs on the other core."""

import asyncio
import base64
import contextlib
import os
import re
import statistics
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from bench.router_contenders import HOST, LOAD_CORE, Contender

_HEADERS = (
    f"Host: {HOST}", "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Accept: text/html,application/xhtml+xml", "Accept-Language: en-US,en;q=0.5", "Accept-Encoding: gzip, deflate",
    "Cookie: session=0123456789abcdef0123456789abcdef", "Cache-Control: no-cache",
)  # fmt: skip
UPSTREAM = """
worker_processes 1; daemon off; error_log /dev/null; pid {folder}/pid; worker_rlimit_nofile 65536;
events {{ worker_connections 16384; }}
http {{
  access_log off; keepalive_requests 100000000; client_max_body_size 0; sendfile on;
  server {{ listen 127.0.0.1:{port} backlog=4096; root {folder}; location /post {{ return 200 "{small}"; }} }}
}}
"""


@dataclass(frozen=True)
class Rate:
    """One saturating run: requests a second, and microseconds of the proxy's processor time for each."""

    requests: float
    cpu: float
    failed: int


def saturate(contender: Contender, path: str, connections: int, seconds: float, post: int = 0) -> Rate:
    """Run wrk as fast as it goes."""
    command = ["taskset", "-c", str(LOAD_CORE), "wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s"]
    for header in _HEADERS[1:]:
        command += ["-H", header]
    command += ["-H", _HEADERS[0]]
    if post:
        script = contender.folder / f"post{post}.lua"
        script.write_text(f'wrk.method = "POST"\nwrk.body = string.rep("x", {post})\n')
        command += ["-s", str(script)]
    before = contender.cpu()
    said = subprocess.run([*command, f"http://127.0.0.1:{contender.port}{path}"], capture_output=True, text=True).stdout
    used = contender.cpu() - before
    found = re.search(r"(\d+) requests in ([\d.]+)(m?s)", said)
    assert found is not None, said
    count = max(1, int(found[1]))
    took = float(found[2]) / (1000 if found[3] == "ms" else 1)
    failures = sum(int(number) for number in re.findall(r"(?:connect|read|write|timeout|responses:) (\d+)", said))
    return Rate(count / took, used / count * 1e6, failures)


def latencies(contender: Contender, path: str, rate: int, seconds: float, connections: int = 16) -> list[float]:
    """Open loop: requests at fixed times, late ones counted from when they should have been sent. Seconds, sorted."""
    os.sched_setaffinity(0, {LOAD_CORE})
    try:
        return asyncio.run(_open_loop(contender.port, path, rate, seconds, connections))
    finally:
        os.sched_setaffinity(0, range(os.cpu_count() or 1))


async def _open_loop(port: int, path: str, rate: int, seconds: float, connections: int) -> list[float]:
    request = f"GET {path} HTTP/1.1\r\n".encode() + "\r\n".join(_HEADERS).encode() + b"\r\n\r\n"
    taken: list[float] = []
    idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(connections)]
    free = asyncio.Semaphore(connections)
    loop = asyncio.get_running_loop()

    async def one(due: float) -> None:
        async with free:
            reader, writer = idle.pop()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            await reader.readexactly(int(length[1]) if length else 0)
            taken.append(loop.time() - due)
            idle.append((reader, writer))

    began = loop.time() + 0.05
    async with asyncio.TaskGroup() as group:
        for number in range(int(rate * seconds)):
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - loop.time()))
            group.create_task(one(due))
    for _, writer in idle:
        writer.close()
    return sorted(taken)


def percentile(values: list[float], share: float) -> float:
    return values[min(len(values) - 1, int(len(values) * share))]


def idle_memory(contender: Contender, count: int, *, websockets: bool, path: str) -> float:
    """Megabytes for each 1,000 connections that have been used and now wait."""
    return asyncio.run(_idle_memory(contender, count, websockets, path))


async def _idle_memory(contender: Contender, count: int, websockets: bool, path: str) -> float:
    lines = [f"GET {path} HTTP/1.1", f"Host: {HOST}", "User-Agent: bench"]
    if websockets:
        key = base64.b64encode(os.urandom(16)).decode()
        lines += ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}"]
    request = "\r\n".join(lines).encode() + b"\r\n\r\n"

    async def use(number: int) -> list[asyncio.StreamWriter]:
        kept = []
        for _ in range(number):
            reader, writer = await asyncio.open_connection("127.0.0.1", contender.port)
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            assert (b" 101 " if websockets else b" 200 ") in head, head
            if not websockets:
                found = re.search(rb"(?i)content-length: (\d+)", head)
                await reader.readexactly(int(found[1]) if found else 0)
            kept.append(writer)
        return kept

    warm = await use(50)
    before = contender.memory()
    kept = await use(count)
    await asyncio.sleep(1.0)
    grown = contender.memory() - before
    for writer in warm + kept:
        writer.close()
    await asyncio.sleep(0.2)
    return grown * 1000 / count


async def _hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, EOFError):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
        writer.write(b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
        await reader.read()
    writer.close()


def holding_websockets(port: int) -> None:
    """An app that accepts every websocket and says nothing."""

    async def serve() -> None:
        server = await asyncio.start_server(_hold, "127.0.0.1", port, backlog=1024)
        await server.serve_forever()

    asyncio.run(serve())


def write_upstream(folder: Path, port: int) -> Path:
    """The app behind the proxies: nginx with two files and a place to post to."""
    folder.mkdir(mode=0o755)
    (folder / "small").write_bytes(b"x" * 1024)
    (folder / "large").write_bytes(b"x" * 1024 * 1024)
    config = folder / "nginx.conf"
    config.write_text(UPSTREAM.format(folder=folder, port=port, small="x" * 1024))
    return config


def median(values: list[float]) -> float:
    return statistics.median(values)


def settle(contender: Contender) -> None:
    """Let a proxy make its connections before it is measured."""
    saturate(contender, "/small", 64, 1)
    time.sleep(0.1)
