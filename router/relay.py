"""The parent's ear: every worker's channel, read and written without waiting for one; workers' words passed on.

Everything a worker is told goes through here in one order, so that a table dispatched before SERVE is taken before it.
"""

import contextlib
import selectors
import struct
from collections.abc import Callable, Iterable

from router.channel import Broken, Frame, Kind
from router.workers import State, Worker

_READ_BYTES = 256 * 1024
_LINES_BYTES = 4 * 1024 * 1024
_UNHEARD = 20


class Relay:
    """The living workers by number. `heard` gets each word meant for the parent, `lost` each worker that ended."""

    def __init__(self, heard: Callable[[Worker, Frame], None], lost: Callable[[Worker], None]) -> None:
        self._heard = heard
        self._lost = lost
        self._selector = selectors.DefaultSelector()
        self._unheard: list[bytes] = []
        self.workers: dict[int, Worker] = {}
        self.leader: int | None = None

    def watch(self, descriptor: int) -> None:
        """Have `wait` end when `descriptor` can be read."""
        self._selector.register(descriptor, selectors.EVENT_READ, None)

    def add(self, worker: Worker) -> None:
        self.workers[worker.number] = worker
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if worker.outbox else 0)
        self._selector.register(worker.channel, events, worker)

    def wait(self, timeout: float | None) -> None:
        """Move whatever can be moved, or return after `timeout` seconds."""
        for key, events in self._selector.select(timeout):
            worker = key.data
            if worker is None or worker.number not in self.workers:
                continue
            if events & selectors.EVENT_WRITE:
                self._flush(worker)
            if events & selectors.EVENT_READ:
                self._read(worker)

    def tell(
        self, worker: Worker, kind: Kind, payload: bytes = b"", *, worker_number: int = 0, ticket: int = 0
    ) -> None:
        """Send, or keep for when there is room; a dead one's end is heard when its channel is read."""
        worker.outbox += Frame(kind, worker_number, ticket, payload).encode()
        self._flush(worker)

    def release(self, workers: list[Worker]) -> None:
        """Let go of living workers, who serve on without us."""
        for worker in workers:
            self._selector.unregister(worker.channel)
            worker.channel.close()
            del self.workers[worker.number]

    def in_state(self, *states: State) -> list[Worker]:
        return [worker for worker in self.workers.values() if worker.state in states]

    @property
    def quiet(self) -> bool:
        """Whether no word is half said."""
        return not any(worker.outbox or worker.frames.partial for worker in self.workers.values())

    def _flush(self, worker: Worker) -> None:
        if worker.number not in self.workers:
            return
        with contextlib.suppress(BlockingIOError, ConnectionError):
            while worker.outbox:
                del worker.outbox[: worker.channel.send(worker.outbox)]
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if worker.outbox else 0)
        if self._selector.get_key(worker.channel).events != events:
            self._selector.modify(worker.channel, events, worker)

    def _read(self, worker: Worker) -> None:
        try:
            data = worker.channel.recv(_READ_BYTES)
            for frame in worker.frames.feed(data):
                self._take(worker, frame)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        except Broken:
            worker.kill()
            data = b""
        if not data:
            self._forget(worker)

    def _forget(self, worker: Worker) -> None:
        self._selector.unregister(worker.channel)
        worker.channel.close()
        del self.workers[worker.number]
        if self.leader == worker.number:
            self.leader = None
        for other in list(self.workers.values()):
            self.tell(other, Kind.GONE, worker_number=worker.number)
        self._lost(worker)

    def _take(self, worker: Worker, frame: Frame) -> None:
        match frame.kind:
            case Kind.ASK:
                self._dispatch(worker, frame)
            case Kind.ANSWER:
                self._pass(self.workers.get(frame.worker), worker, frame)
            case Kind.LINES:
                self._pass_lines(worker, frame.payload)
            case Kind.DISMISS:
                if frame.worker in self.workers:
                    self.workers[frame.worker].kill()
            case _:
                self._heard(worker, frame)

    def lines_to(self, leader: Worker) -> None:
        """Give a new leader the log entries that came while there was none."""
        for payload in self._unheard:
            self.tell(leader, Kind.LINES, payload)
        self._unheard.clear()

    def _pass_lines(self, worker: Worker, payload: bytes) -> None:
        leader = None if self.leader is None else self.workers.get(self.leader)
        if leader is None:
            self._unheard = [*self._unheard[-_UNHEARD:], payload]
        elif leader is not worker and len(leader.outbox) < _LINES_BYTES:
            self.tell(leader, Kind.LINES, payload)

    def _dispatch(self, asker: Worker, frame: Frame) -> None:
        """To all others; an answer is owed by those that serve. One that starts takes it in before it is let serve."""
        others = [worker for worker in self.workers.values() if worker is not asker]
        for worker in others:
            self._pass(worker, asker, frame)
        owing = [worker.number for worker in others if worker.state is not State.STARTING]
        self.tell(asker, Kind.DISPATCHED, _numbers(owing), ticket=frame.ticket)

    def _pass(self, to: Worker | None, sender: Worker, frame: Frame) -> None:
        if to is not None:
            self.tell(to, Kind(frame.kind), frame.payload, worker_number=sender.number, ticket=frame.ticket)


def _numbers(numbers: Iterable[int]) -> bytes:
    return b"".join(struct.pack("!I", number) for number in numbers)
