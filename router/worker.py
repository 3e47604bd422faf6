"""A worker: one process that serves. It accepts once its parent says so, and ends when it is told to, or by a signal.

It needs its parent for nothing that a request needs. Left without one it serves on, answers at the control socket if it
leads, and waits at a socket of its own for the next parent, to whom it hands the listening sockets.
"""

import asyncio
import ctypes
import gc
import json
import os
import resource
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress

import msgspec
import uvloop
from aiohttp import web
from aiohttp.http_parser import HttpRequestParser, HttpRequestParserPy

from router import held
from router.access_log import AccessLog, LogEntry, Record
from router.channel import Frame, Kind
from router.control import About, Control
from router.options import CannotStart, Options
from router.peers import GiveTable, Peers, TakeTable, Unreachable
from router.serving import Serving
from router.tasks import Tasks

_ENCODER = msgspec.msgpack.Encoder()
_ENTRIES = msgspec.msgpack.Decoder(tuple[LogEntry, ...])
_LOOK_FOR_DIRECTORY = 5.0
_GREETING_SECONDS = 1.0
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h


def run(options: Options, number: int, descriptors: Sequence[int]) -> None:
    """Serve until told to end. `descriptors`: channel to the parent, listening socket, control socket."""
    channel, listener, control = (socket.socket(fileno=descriptor) for descriptor in descriptors)
    for each in (channel, listener, control):
        each.set_inheritable(False)
    try:
        if HttpRequestParser is HttpRequestParserPy:
            raise CannotStart("aiohttp's compiled HTTP parser is missing: install an aiohttp wheel for this platform.")
        _allow_files()
        _keep_memory()
        uvloop.run(_Worker(options, number, listener, control).run(channel))
    except CannotStart as error:
        fail(channel, str(error))


def fail(channel: socket.socket, reason: str) -> None:
    """Tell the parent why this worker can't serve, and end."""
    with suppress(OSError):
        channel.setblocking(True)
        channel.sendall(Frame(Kind.FAILED, payload=reason.encode()).encode())
    sys.exit(1)


class _Worker:
    """One worker's life, as words of its parent."""

    def __init__(self, options: Options, number: int, listener: socket.socket, control: socket.socket) -> None:
        self._options = options
        self._number = number
        self._listener = listener
        self._door = control
        self._tasks = Tasks()
        self._log = AccessLog(options.log, self._written)
        self._log.leads = False
        self._serving = Serving(options, self._log, listener.getsockname()[1])
        self._peers = Peers(self._serving, self._tasks, self._heard, self._left_alone)
        listen = held.address_of(listener)
        self._control = Control(
            self._serving.table,
            self._serving.certificates,
            self._log,
            self._serving,
            self._peers,
            listen,
            self._shut_down,
        )
        self._runner = web.AppRunner(
            self._control.app(), access_log=None, shutdown_timeout=1.0, handler_cancellation=True
        )
        self._site: asyncio.Server | None = None
        self._name = f"w{number}.sock"
        self._found = held.private_socket(options.directory / self._name)
        self._ended = asyncio.Event()
        self._stopping = False

    async def run(self, channel: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, lambda: None)  # a terminal's, meant for the parent
        loop.add_signal_handler(signal.SIGTERM, self._terminated)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._tasks)
            await self._peers.join(channel)
            await self._take_newest_table()
            await self._runner.setup()
            loop.add_reader(self._found, self._be_found)
            gc.collect()
            gc.freeze()
            self._peers.tell(Kind.READY)
            await self._ended.wait()
            self._leave(loop)
            await self._serving.finish(self._options.patience, at_once=self._stopping)
            if not self._stopping:
                await self._control.settled()
            self._log.close()
            if self._site is not None:
                self._site.close()
            await self._runner.cleanup()

    def _leave(self, loop: asyncio.AbstractEventLoop) -> None:
        """From now on there is nothing here for another parent to take over."""
        loop.remove_reader(self._found)
        for each in (self._found, self._listener, self._door):
            each.close()
        (self._options.directory / self._name).unlink(missing_ok=True)

    async def _take_newest_table(self) -> None:
        """From the disk, or from a worker that serves: its table may be newer than a disk that was wiped."""
        if (complaint := self._serving.table.restore()) is not None:
            sys.stderr.write(f"router: {complaint}\n")
        for said in await self._peers.ask(GiveTable()):
            if said.table is not None:
                self._serving.table.take(said.table)

    # The parent's words.

    def _heard(self, frame: Frame) -> None:
        match frame.kind:
            case Kind.SERVE:
                self._tasks.spawn(self._serve())
            case Kind.LEAD:
                self._tasks.spawn(self._lead(msgspec.json.decode(frame.payload, type=About)))
            case Kind.RESIGN:
                self._tasks.spawn(self._resign())
            case Kind.DRAIN:
                self._end()
            case Kind.STOP:
                self._stop()
            case Kind.LINES:
                with suppress(msgspec.DecodeError):
                    self._log.take(_ENTRIES.decode(frame.payload))
            case _:
                pass  # a newer parent's word, for a newer worker

    async def _serve(self) -> None:
        if self._ended.is_set():
            return
        await self._serving.accept(self._listener)
        self._peers.tell(Kind.SERVES)

    async def _lead(self, about: About) -> None:
        """Answer at the control socket; what the last leader saved but could spread no more is spread first."""
        self._peers.expected = about.workers
        self._control.lead(about)
        self._log.lead()
        with suppress(Unreachable):
            await self._peers.ask(TakeTable(self._serving.table.table))
        if self._site is None:
            assert self._runner.server is not None
            door = self._door.dup()
            self._site = await asyncio.get_running_loop().create_unix_server(self._runner.server, sock=door)
        self._peers.tell(Kind.LEADS)

    async def _resign(self) -> None:
        """Leave the control socket; a table that is being published is published first."""
        if self._site is not None:
            self._site.close()
            self._site = None
        await self._serving.table.settled()
        self._log.resign()
        self._peers.tell(Kind.RESIGNED)

    def _end(self) -> None:
        self._ended.set()

    def _stop(self) -> None:
        self._stopping = True
        self._ended.set()

    # Without a parent, and with another one.

    def _terminated(self) -> None:
        """SIGTERM is the parent's to obey, for all workers; one that has no parent obeys it itself."""
        if self._peers.orphaned:
            self._stop()

    def _shut_down(self) -> None:
        """The whole router ends, by word of the control API."""
        if not self._peers.orphaned:
            self._peers.tell(Kind.SHUTDOWN)
            return
        for path in self._options.directory.glob("w*.sock"):
            if path.name != self._name:
                with suppress(OSError), socket.socket(socket.AF_UNIX) as other:
                    other.settimeout(_GREETING_SECONDS)
                    other.connect(str(path))
                    other.sendall(Frame(Kind.STOP).encode())
                    other.recv(1)  # its greeting: it has taken us for its parent
        self._stop()

    def _left_alone(self) -> None:
        self._control.without_parent()
        if not self._serving.accepting:
            self._stop()
        elif not self._ended.is_set():
            self._tasks.spawn(self._await_parent())

    async def _await_parent(self) -> None:
        """Serve on for as long as another parent could find us: until our socket was removed with its directory."""
        with suppress(OSError):
            sys.stderr.write(f"router: The parent process ended: worker {os.getpid()} serves on without one.\n")
            sys.stderr.flush()
        while self._peers.orphaned and not self._ended.is_set():
            if not (self._options.directory / self._name).exists():
                self._stop()
            await asyncio.sleep(_LOOK_FOR_DIRECTORY)

    def _be_found(self) -> None:
        """A new parent has come: whoever holds the directory's lock and may open our socket is one."""
        with suppress(OSError):
            channel, _ = self._found.accept()
            about = {"number": self._number, "pid": os.getpid(), "leads": self._site is not None}
            hello = Frame(Kind.HELLO, payload=json.dumps(about).encode()).encode()
            socket.send_fds(channel, [hello], [self._listener.fileno(), self._door.fileno()])
            self._tasks.spawn(self._peers.join(channel))

    def _written(self, records: Sequence[Record], entries: list[LogEntry]) -> None:
        self._serving.counted.count(records)
        if not self._log.leads:
            self._peers.tell(Kind.LINES, _ENCODER.encode([entry for entry in entries if entry.app]))


def _keep_memory() -> None:
    """Have glibc keep what pieces of an answer were read into for the next ones.

    By its own rules each piece of up to 250 kB is asked of the kernel and given back to it, its pages cleared every
    time: a third of what passing a large answer on costs.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # not every C library has it
        mallopt(_M_MMAP_THRESHOLD, 1024**2)
        mallopt(_M_TRIM_THRESHOLD, 4 * 1024**2)


def _allow_files() -> None:
    """As many open files as we may have: each client and each app's connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
