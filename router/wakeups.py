"""What wakes the parent besides its workers: signals, noted by a handler and acted on in turn, and timers."""

import heapq
import os
import signal
import socket
import time
from collections.abc import Callable

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


class Wakeups:
    """`descriptor` can be read once a signal came; `stop` and `hang_up` say which."""

    def __init__(self) -> None:
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._counter = 0
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self.descriptor = self._reader.fileno()
        self.stop = False
        self.hang_up = False

    def listen(self) -> None:
        """Hear the signals from now on, those held back since before too."""
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in SIGNALS:
            signal.signal(number, self._note)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    def after(self, seconds: float, then: Callable[[], None]) -> None:
        self._counter += 1
        heapq.heappush(self._timers, (time.monotonic() + seconds, self._counter, then))

    def until_timer(self) -> float | None:
        """Seconds to the next timer."""
        return max(self._timers[0][0] - time.monotonic(), 0.0) if self._timers else None

    def run_due(self) -> None:
        """Run the timers that are due, and bury the children that a signal told of."""
        while self._timers and self._timers[0][0] <= time.monotonic():
            heapq.heappop(self._timers)[2]()
        try:
            self._reader.recv(4096)
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except (BlockingIOError, ChildProcessError):
            return  # no signal, or no child of our own

    def _note(self, number: int, _frame: object) -> None:
        if number in (signal.SIGTERM, signal.SIGINT):
            self.stop = True
        elif number == signal.SIGHUP:
            self.hang_up = True
