"""The access log: one line a request, to a file or stdout and to whoever follows. It never makes a request wait.

What ends on the fast lane is noted, and written as a line with the batch it is in: the hot path pays for no formatting.

Several workers write one file: each batch, and a file's rotation, is done under the file's lock. Followers are served
by the worker that leads, which is given the others' entries.
"""

import asyncio
import fcntl
import os
import sys
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import msgspec

_FLUSH_AFTER = 0.2
_FLUSH_LINES = 512
_BATCH = 64
_ROTATE_AT = 10 * 1024 * 1024
_OLD_FILES = 2
_REMEMBERED = 1500
_QUEUED = 1000


class LogEntry(msgspec.Struct, frozen=True, gc=False):
    """One line of an app's requests ("" where none is concerned); `at` is ISO 8601, UTC, to the microsecond."""

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


class Noted(Protocol):
    """A request that has ended without a fault at `ended`, by the loop's clock; its line is asked for later."""

    ended: float
    started: float
    status: int
    sent: int

    @property
    def app(self) -> str: ...
    def line(self) -> str: ...


Record = LogEntry | Noted


class _Clock:
    """ISO 8601 in UTC, to the microsecond; all of it but the fraction is made once a second."""

    def __init__(self) -> None:
        self._second = 0
        self._opening = ""

    def at(self, now: float) -> str:
        second = int(now)
        if second != self._second:
            self._second = second
            self._opening = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S.")
        return f"{self._opening}{int((now - second) * 1_000_000):06d}+00:00"


class AccessLog:
    """Buffers lines for at most a fifth of a second; a timer runs only while there is something to write.

    `heard` gets every batch that was written here, as it was taken and as entries. `leads`: whether followers are ours
    to serve.
    """

    def __init__(
        self, file: Path | None, heard: Callable[[Sequence[Record], list[LogEntry]], None] | None = None
    ) -> None:
        self._file = file
        self._heard = heard
        self._records: list[Record] = []
        self._entries: list[LogEntry] = []
        self._flushing: asyncio.TimerHandle | None = None
        self._recent: deque[LogEntry] = deque(maxlen=_REMEMBERED)
        self._followers: list[_Follower] = []
        self._closed = False
        self._clock = _Clock()
        self.leads = True

    def add(self, app: str | None, line: str) -> None:
        """Take one line; `app` is None where no app is concerned."""
        self.note(LogEntry(app or "", self._clock.at(time.time()), line))

    def note(self, record: Record) -> None:
        """Take what is written as a line later."""
        records = self._records
        records.append(record)
        if len(records) >= _BATCH:
            self._settle()
            if len(self._entries) >= _FLUSH_LINES:
                self._flush()
        elif self._flushing is None:
            self._flushing = asyncio.get_running_loop().call_later(_FLUSH_AFTER, self._flush)

    def take(self, entries: Iterable[LogEntry]) -> None:
        """Entries of apps, this worker's or another's, for whoever follows."""
        taken = list(entries)
        self._recent += taken
        for follower in self._followers:
            for entry in taken:
                follower.offer(entry)

    async def follow(self, since: str | None) -> AsyncGenerator[bytes, None]:
        """NDJSON: remembered lines newer than `since` (ISO), then each new one; {"dropped": n} says what was lost."""
        self._flush()
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

    def lead(self) -> None:
        """Serve followers from now on."""
        self.leads, self._closed = True, False

    def resign(self) -> None:
        """Let the followers go: another worker has what they want to hear."""
        self.leads, self._closed = False, True
        for follower in self._followers:
            follower.news.set()

    def close(self) -> None:
        """Write what is buffered and let the followers go."""
        self._flush()
        self.resign()

    def _flush(self) -> None:
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        self._settle()
        entries, self._entries = self._entries, []
        if not entries:
            return
        try:
            self._write("".join([f"{entry.at} heroku[router]: {entry.line}\n" for entry in entries]))
        except OSError as error:
            sys.stderr.write(f"The access log could not be written ({error}): some lines are lost.\n")

    def _settle(self) -> None:
        """Make lines of what was noted: a few at once, so that not much is held meanwhile."""
        records, self._records = self._records, []
        if not records:
            return
        at, since = self._clock.at, time.time() - asyncio.get_running_loop().time()
        entries = [
            record if isinstance(record, LogEntry) else LogEntry(record.app, at(since + record.ended), record.line())
            for record in records
        ]
        self._entries += entries
        if self.leads:
            self.take([entry for entry in entries if entry.app])
        if self._heard is not None:
            self._heard(records, entries)

    def _write(self, lines: str) -> None:
        if self._file is None:
            sys.stdout.write(lines)
            sys.stdout.flush()
            return
        descriptor = _open_locked(self._file)
        try:
            with os.fdopen(descriptor, "a", encoding="utf-8", closefd=False) as handle:
                handle.write(lines)
            if os.fstat(descriptor).st_size > _ROTATE_AT:
                _rotate(self._file)
        finally:
            os.close(descriptor)


def _open_locked(file: Path) -> int:
    """The file that has this name once it is ours alone: another worker may have rotated it while we waited."""
    while True:
        descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(descriptor), file.stat()):
                return descriptor
        except FileNotFoundError:
            pass  # rotated, and no new one yet: this makes it
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _rotate(file: Path) -> None:
    for number in range(_OLD_FILES, 0, -1):
        newer = file if number == 1 else file.with_name(f"{file.name}.{number - 1}")
        if newer.exists():
            newer.replace(file.with_name(f"{file.name}.{number}"))
