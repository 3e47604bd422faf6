"""Reading what supervisors keep of their dynos' output: from the files, then live as they grow."""

import asyncio
import os
import socket
from collections import deque
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from paasd.adapters.process_journal import LOG_FILES
from paasd.adapters.process_launch import readable

LAST_LINES = 1500  # what Heroku keeps of a log
CHUNK_BYTES = 1024 * 1024
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NAMES = (*(f"log.{number}" for number in range(LOG_FILES - 1, 0, -1)), "log")  # the oldest first

Line = tuple[datetime, str]


async def read_log(folder: Path, since: datetime | None) -> AsyncIterator[Line]:
    """(time, text) of each line after `since` (None: of the last ones), then live until the dyno ends."""
    bell = _connect(folder)  # before the first look, so that nothing falls in between
    reader = LogReader(folder)
    try:
        for line in await asyncio.to_thread(_first, reader, since):
            yield line
        while bell is not None:
            await readable(bell.fileno())
            if _has_ended(bell):
                bell.close()
                bell = None
            for at, text in await asyncio.to_thread(list, reader.lines()):
                if since is None or at > since:
                    yield at, text
    finally:
        reader.close()
        if bell is not None:
            bell.close()


def _first(reader: "LogReader", since: datetime | None) -> list[Line]:
    if since is None:
        return list(deque(reader.lines(), maxlen=LAST_LINES))
    return [(at, text) for at, text in reader.lines() if at > since]


def _connect(folder: Path) -> socket.socket | None:
    """To where a supervisor tells of new lines; None when it has ended, or keeps none."""
    bell = socket.socket(socket.AF_UNIX)
    directory = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        bell.connect(f"/proc/self/fd/{directory}/wake")  # the path itself may be too long for a socket's
    except OSError:
        bell.close()
        return None
    finally:
        os.close(directory)
    bell.setblocking(False)
    return bell


def _has_ended(bell: socket.socket) -> bool:
    try:
        return not bell.recv(4096)
    except BlockingIOError:
        return False
    except OSError:
        return True


class LogReader:
    """Goes on where it stopped, from file to file as they are turned over."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = -1
        self._tail = b""

    def lines(self) -> Iterator[Line]:
        """Whatever is there and was not given before."""
        while True:
            yield from self._rest()
            following = self._next()
            if following == -1:
                return
            yield from self._rest()  # what was written to the one before while we looked for the next
            self.close()
            self._file = following

    def close(self) -> None:
        """May be repeated."""
        if self._file != -1:
            os.close(self._file)
            self._file = -1

    def _rest(self) -> Iterator[Line]:
        while self._file != -1 and (chunk := os.read(self._file, CHUNK_BYTES)):
            *lines, self._tail = (self._tail + chunk).split(b"\n")
            for line in lines:
                stamp, _, text = line.partition(b" ")
                at = EPOCH + timedelta(microseconds=int(stamp))
                yield at, text.removesuffix(b"\r").decode(errors="replace")

    def _next(self) -> int:
        """The file after the one we read, opened; -1 when that is the newest."""
        found = []
        for name in NAMES:
            try:
                found.append(os.open(self._folder / name, os.O_RDONLY | os.O_CLOEXEC))
            except FileNotFoundError:
                continue
        ours = -1 if self._file == -1 else os.fstat(self._file).st_ino
        inodes = [os.fstat(descriptor).st_ino for descriptor in found]
        after = inodes.index(ours) + 1 if ours in inodes else 0
        chosen = found[after] if after < len(found) else -1
        for descriptor in found:
            if descriptor != chosen:
                os.close(descriptor)
        return chosen
