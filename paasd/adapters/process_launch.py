"""Starting supervisors, and knowing of their end: each is a process of its own session that we may find again."""

import asyncio
import contextlib
import fcntl
import json
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import paasd
from paasd.adapters.process_sandbox import interpreter
from paasd.adapters.process_tree import start_ticks
from paasd.domain.errors import EngineUnavailable

LOWEST = 16  # above the descriptors that a supervisor gets, so that none is overwritten before it is handed on
REPORT_BYTES = 64 * 1024
START_SECONDS = 60.0
CODE = (
    "import sys; sys.path.insert(0, sys.argv[1]); from paasd.adapters.process_supervisor import main; sys.exit(main())"
)


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


async def launch(wanted: Mapping[str, Any], stdio: Sequence[int] = ()) -> tuple[Child, dict[str, Any]]:
    """A supervisor whose command runs, and what it reports of it. `stdio` are the command's, unless it keeps a log.

    EngineUnavailable when it can't be started. A cancelled call leaves nothing running.
    """
    report, child = _spawn(wanted, stdio)
    try:
        async with asyncio.timeout(START_SECONDS):
            said = await _read_end(report)
        ran = json.loads(said) if said else {"error": _last_words(Path(wanted["directory"]))}
        if "error" in ran:
            raise EngineUnavailable(f"A process can't be started ({ran['error']}); see `paasd doctor`.")
    except BaseException:
        child.kill()
        await child.ended.wait()  # a moment, in which it puts nothing more into its folder
        raise
    finally:
        os.close(report)
    return child, dict(ran)


def _spawn(wanted: Mapping[str, Any], stdio: Sequence[int]) -> tuple[int, Child]:
    memory = os.memfd_create("launch")
    report, reporter = os.pipe()
    errors = os.open(f"{wanted['directory']}/supervisor.err", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    given = [memory, reporter, errors, *stdio]
    high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, LOWEST) for descriptor in given]
    python = str(interpreter())
    try:
        content = json.dumps(wanted).encode()
        while content:
            content = content[os.write(memory, content) :]
        pid = os.posix_spawn(
            python,
            [python, "-I", "-S", "-c", CODE, str(Path(paasd.__file__).parent.parent)],
            {"LC_ALL": "C.UTF-8"},
            file_actions=[(os.POSIX_SPAWN_DUP2, descriptor, number) for number, descriptor in enumerate(high)],
            setsid=True,
        )
    except OSError as error:
        os.close(report)
        raise EngineUnavailable(f"A process can't be started ({error.strerror}); see `paasd doctor`.") from error
    finally:
        for descriptor in (memory, reporter, errors, *high):
            os.close(descriptor)
    return report, Child(pid, os.pidfd_open(pid))


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
