"""The words between the parent and a worker, over one socket pair: a kind, a worker's number, a ticket, a payload.

A router may be upgraded under its own feet, so that an old worker hears a new parent and the other way round: kinds are
only ever added, never given another meaning. Payloads between workers are passed on unread.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

_HEAD = struct.Struct("!BIII")
_LARGEST = 256 * 1024 * 1024


class Kind(IntEnum):
    """Who says it, and what it means."""

    READY = 1  # worker: I have a table and can accept
    SERVE = 2  # parent: accept
    SERVES = 3  # worker: I do
    LEAD = 4  # parent: the control socket is yours
    LEADS = 5  # worker: I answer there
    RESIGN = 6  # parent: leave the control socket to another
    RESIGNED = 7  # worker: no table is being published by me any more
    DRAIN = 8  # parent: accept no more, finish, end
    STOP = 9  # parent: the same, and nobody comes after you
    FAILED = 10  # worker: I can't serve, for this reason (text)
    HELLO = 11  # worker, to a parent that found it: who I am (JSON), with the listening sockets
    ASK = 20  # worker: to all other workers; parent: from worker `worker`
    DISPATCHED = 21  # parent: it went to these serving workers (numbers, 4 bytes each)
    ANSWER = 22  # worker: to worker `worker`; parent: from worker `worker`
    GONE = 23  # parent: worker `worker` has ended
    LINES = 24  # worker, and parent to the leader: log entries
    DISMISS = 25  # worker: worker `worker` does not answer, replace it
    UPGRADE = 30  # worker: replace all workers
    UPGRADED = 31  # parent: done, or why not (text)
    SHUTDOWN = 32  # worker: stop the router


@dataclass(frozen=True, slots=True)
class Frame:
    """One word. `ticket` joins a question to its answers."""

    kind: int
    worker: int = 0
    ticket: int = 0
    payload: bytes = b""

    def encode(self) -> bytes:
        return _HEAD.pack(self.kind, self.worker, self.ticket, len(self.payload)) + self.payload


class Broken(Exception):
    """What came is no frame: whoever sent it can't be understood any more."""


class Frames:
    """Bytes as they come, to whole frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def partial(self) -> bool:
        return bool(self._buffer)

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are whole with `data`. Raises Broken."""
        self._buffer += data
        while len(self._buffer) >= _HEAD.size:
            kind, worker, ticket, length = _HEAD.unpack_from(self._buffer)
            if length > _LARGEST:
                raise Broken(f"A frame of {length} bytes was announced.")
            end = _HEAD.size + length
            if len(self._buffer) < end:
                return
            frame = Frame(kind, worker, ticket, bytes(self._buffer[_HEAD.size : end]))
            del self._buffer[:end]
            yield frame
