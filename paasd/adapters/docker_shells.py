"""Processes that are talked to: their bytes go both ways over one connection that the engine hands over whole."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from paasd.adapters.docker_api import Connection, DockerApi, Refused, translated
from paasd.adapters.docker_streams import frames
from paasd.adapters.tool_runs import said_by
from paasd.domain.dyno import Exit
from paasd.domain.errors import EngineUnavailable

HEAD_BYTES = 64 * 1024
CHUNK_BYTES = 64 * 1024
LOOK_SECONDS = 0.05
STDERR = 2
STDERR = 2  # of the engine's frames

Size = tuple[int, int]


def interactive(size: Size | None) -> dict[str, Any]:
    """What a container's or a command's body says beside the usual, to be talked to; with a terminal or without."""
    return {"AttachStdin": True, "AttachStdout": True, "AttachStderr": True, "Tty": size is not None}


def container_with_input(size: Size | None) -> dict[str, Any]:
    """For a container: its input ends when whoever talks to it goes away."""
    return {**interactive(size), "OpenStdin": True, "StdinOnce": True}


class DockerShell:
    """One process. `ended` tells how it ended, `remove` stops what still runs of it."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        tty: bool,
        url: str,
        resize: Callable[[Size], Awaitable[object]],
        ended: Callable[[], Awaitable[Exit]],
        remove: Callable[[], Awaitable[None]],
        errors: Callable[[bytes], None] | None = None,
    ) -> None:
        """With `errors` its stderr goes there, and is not among the output; without a terminal only."""
        self._reader = reader
        self._writer = writer
        self._tty = tty
        self._url = url
        self._resize = resize
        self._ended = ended
        self._remove = remove
        self._errors = errors

    async def output(self) -> AsyncIterator[bytes]:
        """Its stdout and stderr as they come, byte-exact, until it ends."""
        if self._tty:
            async for chunk in self._chunks():
                yield chunk
        else:
            async for stream, payload in frames(self._chunks()):
                if stream == STDERR and self._errors is not None:
                    self._errors(payload)
                else:
                    yield payload

    async def write(self, data: bytes) -> None:
        """To its stdin; waits while it does not read. One that has ended reads nothing."""
        with contextlib.suppress(ConnectionError, RuntimeError):
            self._writer.write(data)
            await self._writer.drain()

    async def end_input(self) -> None:
        """No more will come. May be repeated."""
        with contextlib.suppress(OSError, RuntimeError):
            if self._writer.can_write_eof():
                self._writer.write_eof()

    async def resize(self, size: Size) -> None:
        """Tell it the terminal's new size; one that has ended has none."""
        with contextlib.suppress(Refused):
            await self._resize(size)

    async def wait(self) -> Exit:
        """How it ended. EngineUnavailable if that can't be known."""
        return await self._ended()

    async def close(self) -> None:
        """Stop what still runs, and remove it. May be repeated."""
        try:
            await self._remove()
        finally:
            self._writer.close()
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()

    async def _chunks(self) -> AsyncIterator[bytes]:
        while True:
            with translated(self._url):
                chunk = await self._reader.read(CHUNK_BYTES)
            if not chunk:
                return
            yield chunk


async def take_over(
    api: DockerApi, path: str, body: Mapping[str, Any] | None = None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, str]:
    """POST, and the connection from there on; the engine's URL. Raises Refused, EngineUnavailable."""
    connection = await api.connect()
    url = connection.endpoint.url
    with translated(url):
        async with asyncio.timeout(api.call_timeout):
            reader, writer = await _open(connection)
            try:
                return (*await _ask(reader, writer, f"/v{connection.api_version}{path}", body), url)
            except BaseException:
                writer.close()
                raise


async def _open(connection: Connection) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    endpoint = connection.endpoint
    if endpoint.socket is not None:
        return await asyncio.open_unix_connection(endpoint.socket)
    parts = urlsplit(endpoint.base)
    return await asyncio.open_connection(parts.hostname, parts.port, ssl=endpoint.tls)


async def _ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, body: Mapping[str, Any] | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    payload = b"" if body is None else json.dumps(body).encode()
    lines = [f"POST {path} HTTP/1.1", "Host: docker", "Connection: Upgrade", "Upgrade: tcp"]
    lines += ["Content-Type: application/json", f"Content-Length: {len(payload)}"]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + payload)
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise ConnectionError("it hung up") from error
    status = int(head.split(b" ", 2)[1])
    if status not in (101, 200):
        words = (await reader.read(HEAD_BYTES)).decode(errors="replace")
        raise Refused(status, words.strip())
    return reader, writer


async def open_exec(
    api: DockerApi,
    container: str,
    argv: Sequence[str],
    env: Mapping[str, str],
    *,
    size: Size | None,
    user: str = "",
    errors: Callable[[bytes], None] | None = None,
) -> DockerShell:
    """A command in a running container. Closing hangs up on it. Raises Refused."""
    made = await api.call(
        *("exec_create", container, list(argv)),
        stdin=True,
        tty=size is not None,
        environment=[f"{name}={value}" for name, value in env.items()],
        user=user,
    )
    exec_id = str(made["Id"])
    reader, writer, url = await take_over(api, f"/exec/{exec_id}/start", {"Detach": False, "Tty": size is not None})
    shell = DockerShell(
        *(reader, writer),
        tty=size is not None,
        url=url,
        resize=lambda to: api.post(f"/exec/{exec_id}/resize", w=str(to[0]), h=str(to[1])),
        ended=lambda: exec_exit(api, exec_id),
        remove=lambda: hang_up(api, exec_id),
        errors=errors,
    )
    if size is not None:
        await shell.resize(size)
    return shell


async def run_exec(api: DockerApi, container: str, argv: Sequence[str], given: str, *, user: str) -> str:
    """What a command says that is given this on its stdin. ProviderFailed, with its last words, unless it exits 0."""
    shell = await open_exec(api, container, argv, {}, size=None, user=user)
    return await said_by(shell, given, f"{argv[0]} in {container}")


async def exec_exit(api: DockerApi, exec_id: str) -> Exit:
    """How a command in a container ended; the engine has no event for it, so it is asked until it tells."""
    while True:
        found = await api.get(f"/exec/{exec_id}/json")
        if not found["Running"]:
            code = found["ExitCode"]
            if code is None:
                raise EngineUnavailable("How the command ended is not known; run `paasd doctor`.")
            return Exit(int(code), int(code) - 128 if 128 < int(code) < 160 else None)
        await asyncio.sleep(LOOK_SECONDS)


async def hang_up(api: DockerApi, exec_id: str) -> None:
    """SIGHUP to a command that still runs, as when its terminal is closed; only an engine on this machine lets us."""
    with contextlib.suppress(Refused, OSError):
        found = await api.get(f"/exec/{exec_id}/json")
        if found["Running"] and found["Pid"] and (await api.connect()).endpoint.socket is not None:
            os.kill(int(found["Pid"]), signal.SIGHUP)
