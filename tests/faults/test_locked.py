"""D04: another process holds the database for a minute: reads answer, writes are refused soon, nothing is half done."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.acceptance.shop import PROCFILE, Shop, open_shop, sentence
from tests.daemon import Daemon, running_alone, wait_until

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(240)]

Record = Callable[[str, object], None]
HELD_SECONDS = 60.0
REFUSED_SECONDS = 12.0  # 5 s in each of the two transactions of a write at most, and a loaded machine
LAG_SECONDS = 0.1
WRITES = (
    ("PATCH", "/config-vars", {"N": "locked"}),
    ("PATCH", "", {"maintenance": True}),
    ("PATCH", "/formation", {"updates": [{"type": "web", "quantity": 2}]}),
    ("POST", "/domains", {"hostname": "locked.example.org"}),
)
READS = ("", "/releases", "/config-vars", "/formation", "/dynos", "/builds")


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """An app that serves."""
    with running_alone({"deploy": {"wait": 5.0, "grace": 1.0, "drain": 1.0}}) as daemon:
        shop = open_shop(daemon, tmp_path / "shop", "locked")
        shop.deploy()
        yield shop


@contextmanager
def looked_at(daemon: Daemon) -> Iterator[list[float]]:
    """How long /health took, asked twenty times a second meanwhile: what holds the event loop up holds it up."""
    took: list[float] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.05):
            began = time.monotonic()
            assert daemon.call("GET", "/health")[0] == 200
            took.append(time.monotonic() - began)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield took
    finally:
        over.set()
        thread.join()


@pytest.mark.row("D04", "another process holds the database for a minute, under API writes and a push")
def test_d04_a_lock_held_by_another_process_stops_writes_alone(shop: Shop, record_property: Record) -> None:
    """Bites: the busy timeout of Database raised to 60 s; `sqlite3` called on the loop itself."""
    before, pushed = shop.standing(), list[tuple[int, str]]()
    refused: list[float] = []
    with closing(sqlite3.connect(shop.daemon.home / "store.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        until = time.monotonic() + HELD_SECONDS
        with looked_at(shop.daemon) as took:
            push = threading.Thread(target=lambda: pushed.append(shop.push({"Procfile": f"{PROCFILE}# again\n"})))
            push.start()
            while time.monotonic() < until:
                for method, path, body in WRITES:
                    began = time.monotonic()
                    status, answer = shop.call(method, path, body)
                    refused.append(time.monotonic() - began)
                    assert (status, answer["id"]) == (503, "service_unavailable"), (path, answer)
                    sentence(answer["message"])
                    for read in READS:
                        assert shop.call("GET", read)[0] == 200, read
            push.join(60)
            assert shop.get()[0] == 200
        other.execute("ROLLBACK")
    [(code, said)] = pushed
    assert code != 0 and " !  " in said and "Something broke" not in said, said
    assert max(refused) < REFUSED_SECONDS, refused
    assert shop.standing() == before
    late = sorted(took)
    assert late[int(len(late) * 0.99)] < LAG_SECONDS, late[-10:]
    record_property("refused_s", round(max(refused), 2))
    record_property("lag_s", round(late[-1], 3))
    wait_until(lambda: not [build for build in shop.builds().values() if build["status"] == "pending"], 40, "pending")
    assert shop.call("PATCH", "/config-vars", {"N": "free"})[0] == 200
    shop.deploy({"Procfile": f"{PROCFILE}# and again\n"})
    assert shop.served() == "v4"
