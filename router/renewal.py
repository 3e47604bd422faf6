"""How a parent renews itself: the installed code is executed in its own place, and finds all that the old one held.

The state is read by another version than wrote it: keys are only added, and each has a default where it came later.
"""

import json
import os
import signal
import socket
import sys
from dataclasses import dataclass

from router.wakeups import SIGNALS
from router.workers import State, Worker


@dataclass(frozen=True, slots=True)
class Holdings:
    """What outlives every process: the lock, the listening sockets; and the user all run as."""

    lock: int
    listener: socket.socket
    control: socket.socket
    user: str


@dataclass(frozen=True, slots=True)
class Reign:
    """Where a parent's work stands: the generation in force since `began`, the leader, the highest number given."""

    generation: int
    began: str
    leader: int | None
    highest: int
    workers: tuple[Worker, ...]


def execute_anew(arguments: list[str], holdings: Holdings, reign: Reign) -> None:
    """Replace this process's image; it returns only by OSError, with all as before."""
    state = {
        "lock": holdings.lock,
        "listener": holdings.listener.fileno(),
        "control": holdings.control.fileno(),
        "user": holdings.user,
        "generation": reign.generation,
        "began": reign.began,
        "leader": reign.leader,
        "highest": reign.highest,
        "workers": [
            {"number": w.number, "pid": w.pid, "channel": w.channel.fileno(), "generation": w.generation, "is": w.state}
            for w in reign.workers
        ],
    }
    reader, writer = os.pipe()
    os.write(writer, json.dumps(state).encode())
    os.close(writer)
    kept = [reader, holdings.lock, holdings.listener.fileno(), holdings.control.fileno()]
    kept += [worker.channel.fileno() for worker in reign.workers]
    _inherit(kept, True)
    # A signal that comes in between must find a handler: it waits for the new image's.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        os.execv(sys.executable, [sys.executable, "-m", "router", *arguments, "--resume", str(reader)])  # noqa: S606
    finally:
        _inherit(kept, False)
        os.close(reader)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def take_up(reader: int) -> tuple[Holdings, Reign]:
    """What the image before us held."""
    with os.fdopen(reader, "rb") as pipe:
        state = json.load(pipe)
    workers = tuple(
        Worker(
            each["number"], each["pid"], socket.socket(fileno=each["channel"]), each["generation"], State(each["is"])
        )
        for each in state["workers"]
    )
    for worker in workers:
        worker.channel.setblocking(False)
    listener, control = socket.socket(fileno=state["listener"]), socket.socket(fileno=state["control"])
    _inherit([state["lock"], listener.fileno(), control.fileno(), *(w.channel.fileno() for w in workers)], False)
    holdings = Holdings(state["lock"], listener, control, state["user"])
    return holdings, Reign(state["generation"], state["began"], state["leader"], state["highest"], workers)


def _inherit(descriptors: list[int], inheritable: bool) -> None:
    for descriptor in descriptors:
        os.set_inheritable(descriptor, inheritable)
