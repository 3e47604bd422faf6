"""Starting supervisors, and knowing of their end: each is a process of its own session that we may find again."""

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import paasd
from paasd.adapters.process_sandbox import interpreter
from paasd.adapters.process_tree import start_ticks
from paasd.domain.errors import EngineUnavailable

LOWEST = 16  # above the descriptors that a child gets, so that none is overwritten before it is handed on
REPORT_BYTES = 64 * 1024
START_SECONDS = 60.0
END_SECONDS = 5.0
FORK_SECONDS = 10.0
CANT_START = "A process can't be started ({}); see `paasd doctor`."
NAME = "process_supervisor"  # in the command of each, by which it is told from a process that got its number
CODE = "import sys; sys.path.insert(0, sys.argv[1]); from paasd.adapters.process_zygote import serve; sys.exit(serve())"


class Child:
    """A supervisor that runs. `ended` is set at its end, and `hear` called, in that order; its number is never reused
    under us, since we hold it by a descriptor."""

    def __init__(self, pid: int, descriptor: int, hear: Callable[[], None] = lambda: None) -> None:
        self.pid = pid
        self.ended = asyncio.Event()
        self.hear = hear
        self._descriptor = descriptor
        asyncio.get_running_loop().add_reader(descriptor, self._end)

    @classmethod
    def find(cls, pid: int, ticks: int) -> "Child | None":
        """The process of that number that began at that moment; None if it is gone."""
        try:
            descriptor = os.pidfd_open(pid)
        except OSError:
            return None
        try:
            if start_ticks(pid) == ticks:
                return cls(pid, descriptor)
        except OSError:
            pass
        os.close(descriptor)
        return None

    def send(self, number: int) -> None:
        """A signal; one that has ended gets none."""
        if not self.ended.is_set():
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, number)

    def kill(self) -> None:
        """All of the command: its supervisor sees to it."""
        self.send(signal.SIGUSR1)

    def let_go(self) -> None:
        """No longer told of its end; it goes on."""
        if not self.ended.is_set():
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self.ended.set()

    def _end(self) -> None:
        self.let_go()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)  # it has ended: this only takes it off the kernel's list, where it is ours
        self.hear()


class Launcher:
    """Starts supervisors: by a zygote (process_zygote), which is started before the first is wanted."""

    def __init__(self) -> None:
        self._control: socket.socket | None = None
        self._zygote: Child | None = None
        self._ready = False
        self._turn = asyncio.Lock()

    def begin(self) -> None:
        """The zygote, if there is none. EngineUnavailable when it can't be started."""
        if self._control is not None and self._zygote is not None and not self._zygote.ended.is_set():
            return
        self._drop()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        python, place = str(interpreter()), str(Path(paasd.__file__).parent.parent)
        with theirs:
            try:
                high = fcntl.fcntl(theirs.fileno(), fcntl.F_DUPFD_CLOEXEC, LOWEST)  # 0 itself may be ours
                pid = os.posix_spawn(
                    python,
                    [python, "-I", "-S", "-c", CODE, place, NAME],
                    {"LC_ALL": "C.UTF-8"},
                    file_actions=[(os.POSIX_SPAWN_DUP2, high, 0)],
                    setsid=True,
                )
                os.close(high)
            except OSError as error:
                ours.close()
                raise EngineUnavailable(CANT_START.format(error.strerror)) from error
        self._ready = False
        self._control, self._zygote = ours, Child(pid, os.pidfd_open(pid))

    async def end(self) -> None:
        """The zygote ends; its supervisors go on."""
        zygote = self._zygote
        self._drop()
        if zygote is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(END_SECONDS):
                    await zygote.ended.wait()
            zygote.send(signal.SIGKILL)

    async def launch(self, wanted: Mapping[str, Any], stdio: Sequence[int] = ()) -> tuple[Child, dict[str, Any]]:
        """A supervisor whose command runs, and what it reports of it. `stdio` are the command's, unless it keeps a log.

        EngineUnavailable when it can't be started. A cancelled call leaves nothing running.
        """
        report, child = await self._spawn(wanted, stdio)
        try:
            async with asyncio.timeout(START_SECONDS):
                said = await _read_end(report)
            ran = json.loads(said) if said else {"error": _last_words(Path(wanted["directory"]))}
            if "error" in ran:
                raise EngineUnavailable(CANT_START.format(ran["error"]))
        except BaseException:
            child.kill()
            await child.ended.wait()  # a moment, in which it puts nothing more into its folder
            raise
        finally:
            os.close(report)
        return child, dict(ran)

    async def _spawn(self, wanted: Mapping[str, Any], stdio: Sequence[int]) -> tuple[int, Child]:
        memory = os.memfd_create("launch")
        report, reporter = os.pipe()
        errors = os.open(f"{wanted['directory']}/supervisor.err", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            content = json.dumps(wanted).encode()
            while content:
                content = content[os.write(memory, content) :]
            return report, await self._fork([memory, reporter, errors, *stdio])
        except BaseException:
            os.close(report)
            raise
        finally:
            for descriptor in (memory, reporter, errors):
                os.close(descriptor)

    async def _fork(self, files: Sequence[int]) -> Child:
        """A zygote that was killed is replaced once.

        Its answer, a fork later, is waited for as it is: to be cancelled in between would leave what nobody knows of.
        """
        for last in (False, True):
            self.begin()
            control = self._control
            assert control is not None
            try:
                await self._is_ready(control)
                socket.send_fds(control, [b"fork"], files)
                said, (held,), _, _ = socket.recv_fds(control, 16, 1)
                return Child(int(said), held)
            except (OSError, ValueError) as error:  # also the timeout's
                self._drop()
                if last:
                    raise EngineUnavailable(CANT_START.format(error)) from error
        raise AssertionError

    async def _is_ready(self, control: socket.socket) -> None:
        """Once: it has a moment's work before its first fork."""
        async with self._turn, asyncio.timeout(START_SECONDS):
            if not self._ready and control is self._control:
                control.setblocking(False)
                await readable(control.fileno())
                control.recv(16)
                control.settimeout(FORK_SECONDS)
                self._ready = True

    def _drop(self) -> None:
        """Whatever was asked of it is not waited for; it ends by itself."""
        if self._control is not None:
            self._control.close()
        self._control = None


def _last_words(directory: Path) -> str:
    try:
        return (directory / "supervisor.err").read_text(errors="replace").strip().rpartition("\n")[2][:200]
    except OSError:
        return "it said nothing"


async def readable(descriptor: int) -> None:
    """Until something can be read there, or its other end is closed."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)


async def writable(descriptor: int) -> None:
    """Until something can be written there."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_writer(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_writer(descriptor)


async def _read_end(descriptor: int) -> bytes:
    """One report: short, and written at once."""
    await readable(descriptor)
    return os.read(descriptor, REPORT_BYTES)
