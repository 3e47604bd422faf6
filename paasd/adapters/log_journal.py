"""App logs as files, HOME/apps/<app id>/log/<number of the first line>.seg: one line a record, only ever appended to.

A segment begins with how far each dyno had been read before it: the last alone tells where to go on after a restart;
and with the leaps in the numbers, which no lines are missing from: each daemon begins with a number of its own.
Written without a buffer of ours: what was appended outlives a killed daemon. A torn last record is cut off.
"""

import asyncio
import os
import re
import shutil
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice, zip_longest
from pathlib import Path

import structlog

from paasd.domain.dyno import LogLine
from paasd.ports import Entry

log = structlog.get_logger(__name__)

SEGMENTS = 25  # of the size that is kept: what goes at once is a 25th
SMALLEST_SEGMENT = 4096
BATCH = 2000  # lines read at once
BATCH_CHARACTERS = 1_000_000
OPEN_FILES = 128
POSITIONS = 256  # dynos remembered an app: those that printed last
LEAPS = 256  # remembered an app: the newest
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


@dataclass(slots=True)
class _Log:
    """An app's segments: the newest's path, size and whether its end is whole; bytes of the others."""

    path: Path | None = None
    size: int = 0
    whole: bool = True
    older: dict[Path, int] = field(default_factory=dict)
    positions: OrderedDict[str, int] = field(default_factory=OrderedDict)  # microseconds, by dyno
    last: int = 0  # the number of the last line of the daemons before
    begun: bool = False  # whether this daemon has appended
    leaps: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=LEAPS))  # first and last unused number

    def begin(self, number: int) -> bytes:
        """Before the first line of this daemon: what leap its number is, as a record."""
        self.begun = True
        if number <= self.last + 1:
            return b""
        self.leaps.append((self.last + 1, number - 1))
        return b"~ %d %d\n" % self.leaps[-1]

    def read_to(self, dyno: str, at: int) -> None:
        self.positions[dyno] = at
        self.positions.move_to_end(dyno)
        if len(self.positions) > POSITIONS:
            self.positions.popitem(last=False)


class LogJournal:
    """App logs below the daemon's `home`: `max_bytes` of each app are kept, for so many days."""

    def __init__(self, home: Path, *, max_bytes: int, days: float) -> None:
        self._apps = home / "apps"
        self._max_bytes = max_bytes
        self._seconds = days * 86400
        self._segment = max(SMALLEST_SEGMENT, max_bytes // SEGMENTS)
        self._logs: dict[str, _Log] = {}
        self._open: OrderedDict[Path, int] = OrderedDict()
        self._gone: set[str] = set()
        self._failing = False

    def append(self, app_id: str, number: int, line: LogLine) -> None:
        """Add a line, its text without line breaks. Never raises: what a full disk refuses is not kept, and logged."""
        if app_id in self._gone:
            return
        try:
            known, data = self._log(app_id), _record(number, line)
            if not known.begun:
                data = known.begin(number) + data
            if known.path is None or known.size + len(data) > self._segment:
                self._begin(app_id, known, number)
            if not known.whole:
                data = b"\n" + data
            self._write(known, data)
        except OSError as error:
            if not self._failing:
                log.error("app logs can't be kept on the disk", app=app_id, error=str(error))
            self._failing = True
            return
        self._failing = False
        if line.dyno:
            known.read_to(line.dyno, _micros(line.at))

    def newest(self, app_id: str, count: int) -> Sequence[Entry]:
        """The last lines, the oldest of them first."""
        found: deque[Entry] = deque()
        for path in reversed(self._segments(app_id)):
            found.extendleft(reversed(deque(_entries(path), maxlen=count - len(found))))
            if len(found) >= count:
                break
        return list(found)

    async def read(
        self, app_id: str, *, after: int = 0, since: datetime | None = None
    ) -> AsyncIterator[Sequence[Entry]]:
        """Batches of the lines with greater numbers, the oldest first; none of long before `since`."""
        wanted = _since(self._segments(app_id), after, since)
        for path in wanted:
            entries = (entry for entry in _entries(path) if entry[0] > after)
            while batch := await asyncio.to_thread(_take, entries):
                yield batch

    def position(self, app_id: str, dyno_id: str) -> datetime | None:
        """The time of the last line that was appended of a dyno; None when none is known."""
        at = self._log(app_id).positions.get(dyno_id)
        return None if at is None else EPOCH + timedelta(microseconds=at)

    def missing(self, app_id: str, after: int, before: int) -> int:
        """How many lines there were between two numbers, both left out."""
        count = before - after - 1
        for first, last in self._log(app_id).leaps:
            count -= max(0, min(last, before - 1) - max(first, after + 1) + 1)
        return max(0, count)

    async def prune(self) -> None:
        """Delete what is too old."""
        before = time.time() - self._seconds
        for directory in sorted(self._apps.glob("*/log")):
            known = self._log(directory.parent.name)
            for path in [path for path in known.older if _modified(path) < before]:
                known.older.pop(path)
                path.unlink(missing_ok=True)
            if known.path is not None and _modified(known.path) < before:
                self._close(known.path)
                known.path.unlink(missing_ok=True)
                known.path, known.size, known.whole = None, 0, True
            await asyncio.sleep(0)

    async def delete_app(self, app_id: str) -> None:
        """All lines of an app, and those to come. Absent: fine."""
        self._gone.add(app_id)
        if (known := self._logs.pop(app_id, None)) is not None and known.path is not None:
            self._close(known.path)
        await asyncio.to_thread(shutil.rmtree, self._directory(app_id), ignore_errors=True)
        with suppress(OSError):
            self._directory(app_id).parent.rmdir()  # only when nothing else of the app is left

    def close(self) -> None:
        """Close all files."""
        for path in list(self._open):
            self._close(path)

    # --- files ------------------------------------------------------------------------------------------------------

    def _directory(self, app_id: str) -> Path:
        if NAME.fullmatch(app_id) is None:
            raise ValueError(f"not a name that paasd gave: {app_id!r}")
        return self._apps / app_id / "log"

    def _segments(self, app_id: str) -> list[Path]:
        return sorted(self._directory(app_id).glob("*.seg"))  # the names have leading zeros

    def _log(self, app_id: str) -> _Log:
        if (known := self._logs.get(app_id)) is not None:
            return known
        known = _Log()
        segments = self._segments(app_id)
        if segments:
            known.path = segments[-1]
            known.size = _mend(known.path)
            known.older = {path: path.stat().st_size for path in segments[:-1]}
            _recall(known.path, known)
            if not known.last:
                known.last = next((number for number, _ in self.newest(app_id, 1)), 0)
        self._logs[app_id] = known
        return known

    def _begin(self, app_id: str, known: _Log, number: int) -> None:
        """The next segment, and room for it."""
        directory = self._directory(app_id)
        for each in (directory.parent, directory):  # the mode does not count for parents made on the way
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = directory / f"{number:020}.seg"
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        if known.path is not None:
            self._close(known.path)
            known.older[known.path] = known.size
        known.path, known.size, known.whole = path, 0, True
        while known.older and sum(known.older.values()) + self._segment > self._max_bytes:
            oldest = next(iter(known.older))
            del known.older[oldest]
            oldest.unlink(missing_ok=True)
        head = [b"~ %d %d\n" % leap for leap in known.leaps]
        self._write(known, b"".join([*head, *(f"@ {at} {dyno}\n".encode() for dyno, at in known.positions.items())]))

    def _write(self, known: _Log, data: bytes) -> None:
        assert known.path is not None
        view = memoryview(data)
        while view:
            written = os.write(self._descriptor(known.path), view)
            known.size += written
            view = view[written:]
            known.whole = not view
        known.whole = True

    def _descriptor(self, path: Path) -> int:
        if (found := self._open.get(path)) is not None:
            self._open.move_to_end(path)
            return found
        if len(self._open) >= OPEN_FILES:
            os.close(self._open.popitem(last=False)[1])
        found = self._open[path] = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        return found

    def _close(self, path: Path) -> None:
        if (descriptor := self._open.pop(path, None)) is not None:
            os.close(descriptor)


def _micros(at: datetime) -> int:
    return (at - EPOCH) // MICROSECOND


def _record(number: int, line: LogLine) -> bytes:
    head = f"{number} {_micros(line.at)} {line.source} {line.process} {line.release or ''} {line.dyno} "
    return (head + line.text).encode(errors="replace") + b"\n"


def _parsed(record: bytes) -> Entry | None:
    """None for what stands at a segment's head, and for what a crash of the machine left of a record."""
    parts = record[:-1].split(b" ", 6)
    if len(parts) != 7 or not record.endswith(b"\n") or not (parts[0].isdigit() and parts[1].lstrip(b"-").isdigit()):
        return None
    number, at, source, process, release, dyno, text = (part.decode(errors="replace") for part in parts)
    when = EPOCH + timedelta(microseconds=int(at))
    version = int(release) if release.isdecimal() else None
    return int(number), LogLine(when, source, process, text, version, dyno)


def _entries(path: Path) -> Iterator[Entry]:
    """A segment's lines; it may be gone meanwhile."""
    with suppress(FileNotFoundError), path.open("rb") as file:
        for record in file:
            if (entry := _parsed(record)) is not None:
                yield entry


def _recall(path: Path, known: _Log) -> None:
    """What the newest segment tells of the daemons before."""
    with path.open("rb") as file:
        for record in file:
            parts = record.split()
            if len(parts) == 3 and parts[0] == b"@" and parts[1].isdigit():
                known.read_to(parts[2].decode(errors="replace"), int(parts[1]))
            elif len(parts) == 3 and parts[0] == b"~" and parts[1].isdigit() and parts[2].isdigit():
                known.leaps.append((int(parts[1]), int(parts[2])))
            elif (entry := _parsed(record)) is not None:
                known.last = entry[0]
                if entry[1].dyno:
                    known.read_to(entry[1].dyno, _micros(entry[1].at))


def _take(entries: Iterator[Entry]) -> list[Entry]:
    """So many that neither they nor what they hold is much."""
    taken: list[Entry] = []
    room = BATCH_CHARACTERS
    for entry in islice(entries, BATCH):
        taken.append(entry)
        room -= len(entry[1].text)
        if room < 0:
            break
    return taken


def _since(segments: Sequence[Path], after: int, since: datetime | None) -> list[Path]:
    """Without those that end before the number, or were written to their end before the time."""
    wanted = []
    for path, following in zip_longest(segments, segments[1:]):
        if following is not None and int(following.stem) <= after + 1:
            continue
        if since is None or _modified(path) >= since.timestamp():
            wanted.append(path)
    return wanted


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")


def _mend(path: Path) -> int:
    """Cut a torn last record off; the size then."""
    with path.open("rb+") as file:
        size = file.seek(0, os.SEEK_END)
        end = size
        while end:
            begin = max(0, end - 65536)
            file.seek(begin)
            found = file.read(end - begin).rfind(b"\n")
            if found >= 0:
                end = begin + found + 1
                break
            end = begin
        if end != size:
            file.truncate(end)
        return end
