"""How long the API takes to answer while something is done to it."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.daemon import Daemon


@contextmanager
def asked(daemon: Daemon, path: str, every: float) -> Iterator[list[float]]:
    """Seconds that each answer to a GET took, asked again so many seconds after the one before; each has to be 200."""
    took: list[float] = []
    statuses: list[int] = []
    over = threading.Event()

    def ask() -> None:
        while not over.wait(every):
            began = time.monotonic()
            statuses.append(daemon.call("GET", path)[0])
            took.append(time.monotonic() - began)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield took
    finally:
        over.set()
        thread.join()
    assert len(took) == len(statuses) and set(statuses) == {200}, "it ended with an error, or without an answer"


def p99(values: Sequence[float]) -> float:
    """What 99 of 100 are below."""
    return sorted(values)[int(len(values) * 0.99)]
