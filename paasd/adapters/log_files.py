"""Outputs as files, HOME/apps/<app id>/{releases/<version>.out,builds/<id>.log}: one writer each, readers follow live.

A file whose writer is gone (the daemon was restarted) simply ends where it was left. One that grew beyond the most that
is kept is a ring: byte n lies at n modulo that, and behind the ring stands how many there have been.
"""

import asyncio
import os
import re
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from paasd.adapters.disk_faults import disk_errors
from paasd.domain.errors import NotFound, Unavailable
from paasd.ports import OutputFile

log = structlog.get_logger(__name__)

MAX_BYTES = 300 * 1000**2
CHUNK_BYTES = 256 * 1024
COUNT_BYTES = 20  # decimal digits behind a ring
AHEAD = 16  # a reader that the writer overtook is put so much of the ring before it, so as not to be at once again
LEFT_OUT = b"%b !     Output too long: %d bytes were left out here; byte %d follows.\n"
LOST = b"\n !     The disk was full: %d more bytes were left out.\n"
SUFFIXES = {"releases": ".out", "builds": ".log"}
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")


class LogFiles:
    """Outputs below the daemon's `home`; `max_bytes` is the most that is kept of one output."""

    def __init__(self, home: Path, *, max_bytes: int = MAX_BYTES) -> None:
        self._apps = home / "apps"
        self._max_bytes = max_bytes
        self._growing: dict[Path, _Growing] = {}

    async def open(self, app_id: str, key: tuple[str, str]) -> OutputFile:
        """Begin it, empty. Begun before: that one is closed, and its readers keep what they follow."""
        path = self._path(app_id, key)
        before = self._growing.get(path)
        if before is not None:
            await before.close()
        with disk_errors(f"The output of {key[0]} {key[1]}"):
            descriptor = _create(path)
        growing = self._growing[path] = _Growing(path, descriptor, self._max_bytes, self._growing)
        return growing

    async def reach(self, app_id: str, key: tuple[str, str], offset: int) -> int:
        """The first byte from `offset` on that can still be read. NotFound when there is none."""
        descriptor, extent = self._opened(self._path(app_id, key))
        os.close(descriptor)
        return extent.ahead if offset < extent.first else offset

    async def read(
        self, app_id: str, key: tuple[str, str], *, offset: int = 0, unbroken: bool = False
    ) -> AsyncIterator[bytes]:
        """What is kept from `offset` on, then live until the writer closes. NotFound when there is none; Unavailable
        where an `unbroken` one is broken."""
        descriptor, extent = self._opened(self._path(app_id, key))
        try:
            while True:
                # asked before reading, so that what is written while we read is not missed
                ended, grown = extent.ended, extent.grown
                if offset < extent.first:
                    if unbroken:
                        raise Unavailable(
                            f"Bytes from {offset} to {extent.first - 1} are no more; ask for those after."
                        )
                    left_out, offset = (b"\n" if offset else b"", extent.ahead - offset), extent.ahead
                    yield LEFT_OUT % (*left_out, offset)
                count, place = extent.piece(offset)
                chunk = await asyncio.to_thread(os.pread, descriptor, count, place) if count > 0 else b""
                if offset < extent.first:
                    continue  # written over while we read
                if chunk:
                    offset += len(chunk)
                    yield chunk
                elif ended:
                    return
                else:
                    await grown.wait()
        finally:
            os.close(descriptor)

    def _opened(self, path: Path) -> "tuple[int, _Extent]":
        growing = self._growing.get(path)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise NotFound("There is no output of that; it was never made, or its app is gone.") from error
        return descriptor, growing or _ended(descriptor, self._max_bytes)

    def exists(self, app_id: str, key: tuple[str, str]) -> bool:
        """Whether there is one, growing or ended."""
        return self._path(app_id, key).is_file()

    async def size(self, app_id: str) -> int:
        """Bytes kept of an app."""
        return sum(size for _, size, _ in await asyncio.to_thread(_kept, self._apps / _checked(app_id)))

    async def prune(self, app_id: str, days: float) -> int:
        """Delete what ended longer ago than that; how many bytes that freed."""
        freed, before = 0, time.time() - days * 86400
        for path, size, at in await asyncio.to_thread(_kept, self._apps / _checked(app_id)):
            if at < before and path not in self._growing:
                path.unlink(missing_ok=True)
                freed += size
        return freed

    async def delete_app(self, app_id: str) -> None:
        """All outputs of an app; those still being written are ended. Absent: fine."""
        app = self._apps / _checked(app_id)
        for growing in [found for path, found in self._growing.items() if path.is_relative_to(app)]:
            await growing.close()
        for directory in SUFFIXES:
            await asyncio.to_thread(shutil.rmtree, app / directory, ignore_errors=True)
        with suppress(OSError):
            app.rmdir()  # only when nothing else of the app is left

    def _path(self, app_id: str, key: tuple[str, str]) -> Path:
        return self._apps / _checked(app_id) / key[0] / (_checked(key[1]) + SUFFIXES[key[0]])


@dataclass(slots=True)
class _Extent:
    """What there is of an output: of the `total` bytes that were printed, the newest `most`, as a ring if need be."""

    most: int
    total: int = 0
    ended: bool = False
    grown: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def first(self) -> int:
        """The first byte that is kept."""
        return max(0, self.total - self.most)

    @property
    def ahead(self) -> int:
        """Where a reader goes on that was overtaken."""
        return self.first + (0 if self.ended else self.most // AHEAD)

    def piece(self, offset: int) -> tuple[int, int]:
        """How many bytes can be read at once from there (none when 0 or less), and where in the file."""
        place = offset % self.most
        return min(CHUNK_BYTES, self.total - offset, self.most - place), place


class _Growing(_Extent):
    """An output being written. Its readers wait for `grown`, which is replaced each time it is set."""

    def __init__(self, path: Path, descriptor: int, max_bytes: int, siblings: "dict[Path, _Growing]") -> None:
        super().__init__(max_bytes)
        self._path = path
        self._descriptor = descriptor
        self._lost = 0  # to a disk that is full
        self._siblings = siblings

    async def write(self, data: bytes) -> None:
        """Append. Never raises: what a full disk does not take is counted and said at the end."""
        if not self.ended:
            written = 0 if self._lost else self._append(data)
            self._lost += len(data) - written

    async def close(self) -> None:
        """The end, on the disk when it returns. May be repeated."""
        if self.ended:
            return
        if self._lost:
            self._append(LOST % self._lost)
        self.ended = True
        self._wake()
        if self._siblings.get(self._path) is self:
            del self._siblings[self._path]
        await asyncio.shield(asyncio.to_thread(_finish, self._descriptor))

    def _append(self, data: bytes) -> int:
        """How many bytes of it were kept. Into the page cache, so no thread is worth its hand-over."""
        view = memoryview(data)
        try:
            while view:
                place = self.total % self.most
                written = os.pwrite(self._descriptor, view[: self.most - place], place)
                view = view[written:]
                self.total += written
            if self.total > self.most:
                os.pwrite(self._descriptor, b"%0*d" % (COUNT_BYTES, self.total), self.most)
        except OSError as error:
            if not self._lost:
                log.error("an output can't be kept", path=str(self._path), error=str(error))
        self._wake()
        return len(data) - len(view)

    def _wake(self) -> None:
        self.grown.set()
        self.grown = asyncio.Event()


def _ended(descriptor: int, most: int) -> _Extent:
    """Of an output whose writer is gone."""
    size = os.fstat(descriptor).st_size
    count = os.pread(descriptor, COUNT_BYTES, most) if size == most + COUNT_BYTES else b""
    if count.isdigit():
        return _Extent(most, int(count), ended=True)
    return _Extent(max(most, size), size, ended=True)


def _create(path: Path) -> int:
    for directory in (path.parent.parent, path.parent):  # the mode does not count for parents made on the way
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # a new file: whoever reads the old one keeps it
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)


def _kept(app: Path) -> list[tuple[Path, int, float]]:
    found = []
    for path in (path for name, suffix in SUFFIXES.items() for path in (app / name).glob(f"*{suffix}")):
        with suppress(FileNotFoundError):
            status = path.stat()
            found.append((path, status.st_size, status.st_mtime))
    return found


def _finish(descriptor: int) -> None:
    try:
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _checked(name: str) -> str:
    if NAME.fullmatch(name) is None:
        raise ValueError(f"not a name that paasd gave: {name!r}")
    return name
