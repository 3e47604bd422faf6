"""A worker as its parent sees it: started by executing the code now installed, or found alive without a parent."""

import contextlib
import json
import os
import signal
import socket
import sys
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from router.channel import Broken, Frames, Kind

_HELLO_SECONDS = 2.0


class State(StrEnum):
    """STARTING until it is told to accept, OPENING until it does, DRAINING once it is told to accept no more."""

    STARTING = "starting"
    OPENING = "opening"
    SERVING = "serving"
    DRAINING = "draining"


@dataclass(slots=True)
class Worker:
    """One process that serves. `generation` counts upgrades; `outbox` is what its channel could not take yet."""

    number: int
    pid: int
    channel: socket.socket
    generation: int
    state: State = State.STARTING
    ready: bool = False
    complaint: str = ""
    frames: Frames = field(default_factory=Frames)
    outbox: bytearray = field(default_factory=bytearray)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class Found:
    """Workers that outlived their parent, and the listening sockets they keep open."""

    workers: list[Worker]
    leader: int | None
    listener: socket.socket | None
    control: socket.socket | None
    highest: int


def spawn(
    number: int, generation: int, listener: socket.socket, control: socket.socket, arguments: list[str]
) -> Worker:
    """Start a worker with a fresh interpreter. One that can't be executed is seen by its channel's end."""
    ours, theirs = socket.socketpair()
    kept = (theirs.fileno(), listener.fileno(), control.fileno())
    command = [sys.executable, "-m", "router", *arguments, "--worker", ",".join(map(str, (number, *kept)))]
    pid = os.fork()
    if pid == 0:
        try:
            signal.set_wakeup_fd(-1)
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            for descriptor in kept:
                os.set_inheritable(descriptor, True)
            os.execv(sys.executable, command)  # noqa: S606 - an argument list, no shell
        finally:
            os._exit(127)
    theirs.close()
    ours.setblocking(False)
    return Worker(number, pid, ours, generation)


def adopt(directory: Path) -> Found:
    """Every living worker of a dead parent's: connecting makes us its parent. Sockets of dead ones are removed."""
    workers: list[Worker] = []
    leader: int | None = None
    listener: socket.socket | None = None
    control: socket.socket | None = None
    highest = 0
    for path in sorted(directory.glob("w*.sock")):
        highest = max(highest, int(path.stem[1:]) if path.stem[1:].isdigit() else 0)
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        channel.settimeout(_HELLO_SECONDS)
        try:
            channel.connect(str(path))
            worker, leads, sockets = _hello(channel)
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            channel.close()
        except (OSError, Broken, ValueError, KeyError):
            channel.close()
        else:
            workers.append(worker)
            if leads:
                leader = worker.number
            if listener is None:
                listener, control = sockets
            else:
                for each in sockets:
                    each.close()
    return Found(workers, leader, listener, control, highest)


def _hello(channel: socket.socket) -> tuple[Worker, bool, tuple[socket.socket, socket.socket]]:
    data, descriptors, _, _ = socket.recv_fds(channel, 4096, 2)
    sockets = [socket.socket(fileno=descriptor) for descriptor in descriptors]
    frames = list(Frames().feed(data))
    if len(sockets) != 2 or len(frames) != 1 or frames[0].kind != Kind.HELLO:
        for each in sockets:
            each.close()
        raise Broken("No greeting came.")
    said = json.loads(frames[0].payload)
    channel.setblocking(False)
    worker = Worker(int(said["number"]), int(said["pid"]), channel, generation=0, state=State.SERVING)
    return worker, bool(said["leads"]), (sockets[0], sockets[1])
