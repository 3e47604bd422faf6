"""Processes that are listened and talked to: over pipes, or a terminal of their own."""

import asyncio
import contextlib
import fcntl
import os
import pty
import struct
import termios
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from paasd.adapters.process_launch import readable, writable
from paasd.domain.dyno import Exit
from paasd.ports import Size

CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Ends:
    """Both ends of a process's standard files: `ours` to write (-1: nothing) and to read, `theirs` to hand over."""

    write: int
    read: int
    theirs: tuple[int, int, int]
    errors: int = -1  # of its stderr alone; -1: it is with its stdout

    def close_theirs(self) -> None:
        """Once they were handed over."""
        for descriptor in set(self.theirs):
            os.close(descriptor)

    def close(self) -> None:
        """Ours."""
        for descriptor in {self.write, self.read, self.errors} - {-1}:
            os.close(descriptor)


def listening() -> Ends:
    """Output alone: stdout and stderr in one pipe, in the order they were written; an empty stdin."""
    read, write = os.pipe()
    os.set_blocking(read, False)
    return Ends(-1, read, (os.open(os.devnull, os.O_RDONLY), write, write))


def talking(size: Size | None, *, apart: bool = False) -> Ends:
    """On a terminal of that size, or on pipes; with `apart` stderr has one of its own."""
    if size is not None:
        ours, theirs = pty.openpty()
        os.set_blocking(ours, False)
        set_size(ours, size)
        return Ends(ours, ours, (theirs, theirs, theirs))
    taken, write = os.pipe()
    os.set_blocking(write, False)
    heard = listening()
    os.close(heard.theirs[0])
    if not apart:
        return Ends(write, heard.read, (taken, *heard.theirs[1:]))
    errors, said = os.pipe()
    os.set_blocking(errors, False)
    return Ends(write, heard.read, (taken, heard.theirs[1], said), errors)


def set_size(terminal: int, size: Size) -> None:
    """A terminal's columns and rows."""
    columns, rows = (min(max(number, 0), 0xFFFF) for number in size)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


class ProcessShell:
    """One process. `ended` tells how it ended, `remove` stops what still runs of it. A Terminal, too."""

    def __init__(
        self,
        ends: Ends,
        ended: Callable[[], Awaitable[Exit]],
        remove: Callable[[], Awaitable[None]],
        errors: Callable[[bytes], None] | None = None,
    ) -> None:
        self._ends = ends
        self._errors = errors
        self._tty = ends.write == ends.read
        self._ended = ended
        self._remove = remove
        self._closed = False
        self._input_ended = ends.write == -1
        self._turn = asyncio.Lock()
        self._errors_end = asyncio.Event()

    async def output(self) -> AsyncIterator[bytes]:
        """Its stdout and stderr as they come, byte-exact, until it ends; its stdout alone where `errors` is told."""
        if self._ends.errors != -1:
            asyncio.get_running_loop().add_reader(self._ends.errors, self._tell_errors)
        while not self._closed:
            try:
                chunk = os.read(self._ends.read, CHUNK_BYTES)
            except BlockingIOError:
                await readable(self._ends.read)
                continue
            except OSError:  # a terminal that nobody has open any more
                return
            if not chunk:
                break
            yield chunk
        if self._ends.errors != -1 and not self._closed:
            await self._errors_end.wait()

    def _tell_errors(self) -> None:
        """A piece of its stderr."""
        try:
            chunk = os.read(self._ends.errors, CHUNK_BYTES)
        except BlockingIOError:
            return
        if chunk and self._errors is not None:
            self._errors(chunk)
        if not chunk:
            self._end_errors()

    def _end_errors(self) -> None:
        if self._ends.errors != -1:
            asyncio.get_running_loop().remove_reader(self._ends.errors)
        self._errors_end.set()

    async def write(self, data: bytes) -> None:
        """To its stdin; waits while it does not read. One that has ended reads nothing."""
        async with self._turn:
            while data and not self._closed and not self._input_ended:
                try:
                    data = data[os.write(self._ends.write, data) :]
                except BlockingIOError:
                    await writable(self._ends.write)
                except OSError:
                    return

    async def end_input(self) -> None:
        """No more will come. May be repeated."""
        if self._tty:
            return await self.write(b"\x04")  # as who types Ctrl-D
        async with self._turn:
            if not self._input_ended and not self._closed:
                self._input_ended = True
                os.close(self._ends.write)
        return None

    async def resize(self, size: Size) -> None:
        """Tell it the terminal's new size; one that has ended has none."""
        if self._tty and not self._closed:
            with contextlib.suppress(OSError):
                set_size(self._ends.write, size)

    async def wait(self) -> Exit:
        """How it ended."""
        return await self._ended()

    async def close(self) -> None:
        """Stop what still runs, and remove it. May be repeated."""
        try:
            await self._remove()
        finally:
            if not self._closed:
                self._closed = True
                self._end_errors()
                if self._input_ended and self._ends.write != -1:
                    for descriptor in {self._ends.read, self._ends.errors} - {-1}:
                        os.close(descriptor)
                else:
                    self._ends.close()
