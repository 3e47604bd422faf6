"""The access log: one line a request, to a file or stdout and to whoever follows. It never makes a request wait."""

import asyncio
import sys
from collections import deque
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

_FLUSH_AFTER = 0.2
_FLUSH_LINES = 512
_ROTATE_AT = 10 * 1024 * 1024
_OLD_FILES = 2
_REMEMBERED = 1500
_QUEUED = 1000


class LogEntry(msgspec.Struct, frozen=True):
    """One line of an app's requests, as followers get it; `at` is ISO 8601, UTC, to the microsecond."""

    app: str
    at: str
    line: str


class _Follower:
    def __init__(self) -> None:
        self.entries: deque[LogEntry] = deque(maxlen=_QUEUED)
        self.dropped = 0
        self.news = asyncio.Event()

    def offer(self, entry: LogEntry) -> None:
        if len(self.entries) == _QUEUED:
            self.dropped += 1
        self.entries.append(entry)
        self.news.set()


class AccessLog:
    """Buffers lines for at most a fifth of a second; a timer runs only while there is something to write."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._lines: list[str] = []
        self._flushing: asyncio.TimerHandle | None = None
        self._recent: deque[LogEntry] = deque(maxlen=_REMEMBERED)
        self._followers: list[_Follower] = []
        self._closed = False

    def add(self, app: str | None, line: str) -> None:
        """Take one line; `app` is None where no app is concerned."""
        at = datetime.now(UTC).isoformat(timespec="microseconds")
        self._lines.append(f"{at} heroku[router]: {line}\n")
        if len(self._lines) >= _FLUSH_LINES:
            self._flush()
        elif self._flushing is None:
            self._flushing = asyncio.get_running_loop().call_later(_FLUSH_AFTER, self._flush)
        if app is not None:
            entry = LogEntry(app, at, line)
            self._recent.append(entry)
            for follower in self._followers:
                follower.offer(entry)

    async def follow(self, since: str | None) -> AsyncGenerator[bytes, None]:
        """NDJSON: remembered lines newer than `since` (ISO), then each new one; {"dropped": n} says what was lost."""
        follower = _Follower()
        if since is not None:
            for entry in self._recent:
                if entry.at > since:
                    follower.offer(entry)
        self._followers.append(follower)
        try:
            while not self._closed:
                await follower.news.wait()
                follower.news.clear()
                batch: list[Any] = [{"dropped": follower.dropped}] if follower.dropped else []
                batch += follower.entries
                follower.dropped = 0
                follower.entries.clear()
                yield msgspec.json.Encoder().encode_lines(batch)
        finally:
            self._followers.remove(follower)

    def close(self) -> None:
        """Write what is buffered and let the followers go."""
        self._flush()
        self._closed = True
        for follower in self._followers:
            follower.news.set()

    def _flush(self) -> None:
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        lines, self._lines = "".join(self._lines), []
        if not lines:
            return
        try:
            self._write(lines)
        except OSError as error:
            sys.stderr.write(f"The access log could not be written ({error}): some lines are lost.\n")

    def _write(self, lines: str) -> None:
        if self._file is None:
            sys.stdout.write(lines)
            sys.stdout.flush()
            return
        with self._file.open("a", encoding="utf-8") as handle:
            handle.write(lines)
            size = handle.tell()
        if size > _ROTATE_AT:
            for number in range(_OLD_FILES, 0, -1):
                newer = self._file if number == 1 else self._file.with_name(f"{self._file.name}.{number - 1}")
                if newer.exists():
                    newer.replace(self._file.with_name(f"{self._file.name}.{number}"))
