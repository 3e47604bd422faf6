"""What a container prints, read from the engine's multiplexed streams. Bytes stay as they were; lines are whole."""

import json
import re
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

from paasd.domain.dyno import Exit
from paasd.domain.errors import EngineUnavailable

SEEN_LINES = 64
LINE_BYTES = 256 * 1024  # a line is joined from the engine's 16 KiB pieces up to here
STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")


async def frames(chunks: AsyncIterator[bytes]) -> AsyncIterator[tuple[int, bytes]]:
    """(1 for stdout or 2 for stderr, payload) of each frame. One that the end cuts off is given as far as it goes."""
    buffer = bytearray()
    async for chunk in chunks:
        buffer += chunk
        at = 0
        while len(buffer) - at >= 8:
            end = at + 8 + int.from_bytes(buffer[at + 4 : at + 8], "big")
            if len(buffer) < end:
                break
            stream, payload, at = buffer[at], bytes(buffer[at + 8 : end]), end
            yield stream, payload
        del buffer[:at]  # once a chunk: it moves all that is left
    if len(buffer) > 8:
        yield buffer[0], bytes(buffer[8:])


async def log_lines(
    chunks: AsyncIterator[bytes], whole: Callable[[], None] = lambda: None
) -> AsyncIterator[tuple[datetime, str]]:
    """(time, text) of each line of a log read with timestamps. The engine's 16 KiB pieces are joined again.

    `whole` is called before each that is a line's end: one too long is given in parts.
    """
    begun: dict[int, tuple[datetime, bytearray]] = {}
    async for stream, payload in frames(chunks):
        stamp, _, text = payload.partition(b" ")
        if stream in begun:
            at, line = begun.pop(stream)
            line += text
        else:
            at, line = parse_time(stamp.decode(errors="replace")), bytearray(text)
        if line.endswith(b"\n"):
            whole()
            yield at, _decode(line[:-1])
        elif len(line) >= LINE_BYTES:
            yield at, _decode(line)
        else:
            begun[stream] = at, line
    for at, line in begun.values():
        whole()
        yield at, _decode(line)


class Seen:
    """The last lines that were given of a log, for reading on after the end of what was followed."""

    def __init__(self) -> None:
        self._lines: deque[tuple[datetime, str]] = deque(maxlen=SEEN_LINES)

    def add(self, at: datetime, text: str) -> None:
        self._lines.append((at, text))

    def since(self) -> dict[str, str]:
        """The engine's parameter to read all of these again; empty when there is none."""
        return {"since": f"{min(at for at, _ in self._lines).timestamp():.6f}"} if self._lines else {}

    async def missed(self, lines: AsyncIterator[tuple[datetime, str]]) -> AsyncIterator[tuple[datetime, str]]:
        """Of what is read with `since`, all that was not given before."""
        given = Counter(self._lines)
        whole = len(self._lines) < SEEN_LINES  # nothing was given before the first of these
        first = self._lines[0][0] if self._lines else datetime.min.replace(tzinfo=UTC)
        async for line in lines:
            if given[line] > 0:
                given[line] -= 1
            elif whole or line[0] > first:
                yield line


async def json_lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[dict[str, Any]]:
    """Each JSON object of a stream that has one a line. EngineUnavailable for what is none, as when it was cut off."""
    buffer = b""
    async for chunk in chunks:
        *lines, buffer = (buffer + chunk).split(b"\n")
        for line in lines:
            if line.strip():
                yield _object(line)
    if buffer.strip():
        yield _object(buffer)


def _object(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise EngineUnavailable("Docker gave an answer that can't be read; run `paasd doctor` to see what is wrong.")
    return found


def parse_time(stamp: str) -> datetime:
    """The engine's times have nanoseconds; ours end at microseconds. Raises ValueError."""
    match = STAMP.fullmatch(stamp)
    if match is None:
        raise ValueError(f"not a time: {stamp[:40]!r}")
    whole, fraction, zone = match.groups()
    offset = "+00:00" if zone == "Z" else zone
    return datetime.fromisoformat(f"{whole}.{(fraction or '0')[:6]:0<6}{offset}").astimezone(UTC)


def _decode(line: bytearray) -> str:
    return line.removesuffix(b"\r").decode(errors="replace")


class DockerTerminal:
    """An attached container. `stream` holds its connection open until the terminal is closed."""

    def __init__(
        self,
        chunks: AsyncIterator[bytes],
        stream: AsyncExitStack,
        wait: Callable[[], Awaitable[Exit]],
        remove: Callable[[], Awaitable[None]],
    ) -> None:
        self._chunks = chunks
        self._stream = stream
        self._wait = wait
        self._remove = remove

    async def output(self) -> AsyncIterator[bytes]:
        """Its stdout and stderr as they come, byte-exact, until it ends."""
        async for _, payload in frames(self._chunks):
            yield payload

    async def wait(self) -> Exit:
        """How it ended. EngineUnavailable if that can't be known."""
        return await self._wait()

    async def close(self) -> None:
        """Stop it if it still runs, and remove it. May be repeated."""
        try:
            await self._remove()
        finally:
            await self._stream.aclose()
