"""A real router process for the tests, and real upstreams to put behind it: nothing here is a fake."""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from router.table import Route, RoutingTable, Target, encode

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class RouterProcess:
    """`python -m router` on a free port, with its control socket; `publish` numbers the tables itself."""

    def __init__(self, directory: Path, *options: str) -> None:
        self.directory = directory
        self.log_file = directory.parent / "access.log"
        self.options = options
        self.version = 0
        self.port = 0
        self.errors = directory.parent / "errors.txt"
        self.process: subprocess.Popen[bytes] | None = None
        self._seen = 0
        self.environment = dict(os.environ)

    def start(self) -> None:
        """Start, and return once it answers; AssertionError with its words when it ends instead."""
        command = [sys.executable, "-m", "router", "--listen", f"127.0.0.1:{self.port}"]
        command += ["--router-dir", str(self.directory), "--log", str(self.log_file), *self.options]
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(command, stderr=errors, env=self.environment)
        deadline = time.monotonic() + 10
        while not self._listening():
            assert self.process.poll() is None, self.errors.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def _listening(self) -> bool:
        with socket.socket(socket.AF_UNIX) as control:
            try:
                control.connect(str(self.directory / "control.sock"))
                control.sendall(b"GET /health HTTP/1.0\r\n\r\n")
                answer = b"".join(iter(lambda: control.recv(4096), b""))
            except OSError:
                return False
        health = json.loads(answer.partition(b"\r\n\r\n")[2])
        self.port = int(health["listen"].rpartition(":")[2])
        return True

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send the signal and wait for the end; the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(35)

    def mark(self) -> None:
        """Forget the log lines there are so far."""
        self._seen = self.log_file.stat().st_size if self.log_file.exists() else 0

    async def control(self, method: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
        connector = aiohttp.UnixConnector(str(self.directory / "control.sock"))
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.request(method, f"http://router{path}", data=body) as response,
        ):
            return response.status, json.loads(await response.read())

    async def metrics(self) -> str:
        """What GET /metrics says."""
        connector = aiohttp.UnixConnector(str(self.directory / "control.sock"))
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.get("http://router/metrics") as response,
        ):
            assert response.status == 200
            return await response.text()

    async def workers(self) -> list[int]:
        """The pids of all that serve or finish."""
        return list((await self.control("GET", "/health"))[1]["workers"])

    async def publish(self, *routes: Route) -> None:
        self.version += 1
        status, answer = await self.control("PUT", "/table", encode(RoutingTable(self.version, routes)))
        assert (status, answer) == (200, {"version": self.version})

    async def raw(self, data: bytes) -> bytes:
        """Send bytes, and read until the router closes or is silent after a whole answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(data)
            async with asyncio.timeout(8):
                return await reader.read()
        finally:
            writer.close()

    async def get(self, host: str, path: str = "/", *headers: str, method: str = "GET") -> "Parsed":
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close", *headers]
        return Parsed(await self.raw("\r\n".join(lines).encode() + b"\r\n\r\n"))

    async def log_lines(self, pattern: str, count: int = 1) -> list[str]:
        """The log's lines that match, once there are `count`."""
        async with asyncio.timeout(5):
            while True:
                text = self.log_file.read_bytes()[self._seen :].decode() if self.log_file.exists() else ""
                found = [line for line in text.splitlines() if re.search(pattern, line)]
                if len(found) >= count:
                    return found
                await asyncio.sleep(0.02)


class Parsed:
    """An answer's bytes, taken apart."""

    def __init__(self, data: bytes) -> None:
        head, _, self.body = data.partition(b"\r\n\r\n")
        self.raw = data
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split()[1]) if data else 0
        self.headers = [(name.lower(), value) for name, _, value in (line.partition(": ") for line in lines[1:])]

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)


class Upstream:
    """A scripted app: `serve` gets each raw connection. `requests` keeps every byte it was sent, by connection."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self._server: asyncio.Server | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.writers: list[asyncio.StreamWriter] = []
        self.port = 0

    async def start(self) -> "Upstream":
        self._server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.append(task)
        try:
            await self._serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # cancelled by stop, which is all that cancels
        finally:
            writer.close()

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks)
        for writer in self.writers:
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


async def read_head(reader: asyncio.StreamReader) -> str:
    return (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")


def length_of(head: str) -> int:
    found = re.search(r"(?im)^content-length: (\d+)", head)
    return int(found[1]) if found else 0


def echo(name: str = "app", *, idle: float = 5.0, delay: float = 0.0) -> Serve:
    """A keep-alive app that answers with its name and what it was sent; closes after `idle` seconds of silence."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        patience = 5.0  # as servers do: a new connection is given longer than one that has been used
        while True:
            try:
                async with asyncio.timeout(patience):
                    head = await read_head(reader)
            except TimeoutError:
                return
            patience = idle
            body = await reader.readexactly(length_of(head))
            if delay:
                await asyncio.sleep(delay)
            text = json.dumps({"name": name, "head": head, "body": body.decode("latin-1")}).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n")
            writer.write(b"Content-Length: %d\r\n\r\n" % len(text))
            if not head.startswith("HEAD "):
                writer.write(text)
            await writer.drain()

    return serve


def answering(*pieces: bytes, pause: float = 0.0, then_hold: bool = False) -> Serve:
    """An app that reads a head, then writes `pieces`; afterwards it closes, or holds the connection silently."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            if pause:
                await asyncio.sleep(pause)
        if then_hold:
            await reader.read()

    return serve


def route(
    name: str, *upstreams: Upstream | int, maintenance: bool = False, code: Any = "H14", release: int = 2, **more: Any
) -> Route:
    """The route of app `name` at NAME.localhost."""
    ports = [upstream if isinstance(upstream, int) else upstream.port for upstream in upstreams]
    targets = tuple(
        Target(app=f"id-{name}", release=release, dyno=f"web.{number}", host="127.0.0.1", port=port)
        for number, port in enumerate(ports, 1)
    )
    return Route(f"id-{name}", name, (f"{name}.localhost",), targets, maintenance, code, **more)


@contextlib.asynccontextmanager
async def echoing_websockets() -> AsyncIterator[int]:
    """The port of an app whose /ws sends back what it gets."""

    async def handler(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_bytes(message.data)
        return socket

    app = web.Application()
    app.router.add_get("/ws", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
