"""D04: another process holds the database for a minute: reads answer, writes are refused soon, nothing is half done."""

import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from tests.acceptance.shop import PROCFILE, Shop, open_shop, sentence
from tests.daemon import running_alone, wait_until
from tests.faults.asked import asked, p99
from tests.faults.test_repeats import ask

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(240)]

Record = Callable[[str, object], None]
HELD_SECONDS = 60.0
REFUSED_SECONDS = 5.0
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


def refusal(shop: Shop, method: str, path: str, body: object) -> float:
    """Seconds until the write was refused, asked for with a number, as the CLI does."""
    began = time.monotonic()
    status, answer = ask(shop, method, path, body, str(uuid.uuid4()))
    assert (status, answer["id"]) == (503, "service_unavailable"), (path, answer)
    sentence(answer["message"])
    return time.monotonic() - began


@pytest.mark.row("D04", "another process holds the database for a minute, under API writes and a push")
def test_d04_a_lock_held_by_another_process_stops_writes_alone(shop: Shop, record_property: Record) -> None:
    """Four writes at a time. Bites: a busy timeout for each of them in turn, or for what is written besides; `sqlite3`
    called on the loop itself."""
    before, pushed = shop.standing(), list[tuple[int, str]]()
    refused: list[float] = []
    with closing(sqlite3.connect(shop.daemon.home / "store.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        until = time.monotonic() + HELD_SECONDS
        with asked(shop.daemon, "/health", 0.05) as took:
            push = threading.Thread(target=lambda: pushed.append(shop.push({"Procfile": f"{PROCFILE}# again\n"})))
            push.start()
            while time.monotonic() < until:
                with ThreadPoolExecutor(len(WRITES)) as writers:
                    writes = [writers.submit(refusal, shop, *write) for write in WRITES]
                    for read in READS:
                        assert shop.call("GET", read)[0] == 200, read
                    refused += [write.result() for write in writes]
            push.join(60)
            assert shop.get()[0] == 200
        other.execute("ROLLBACK")
    [(code, said)] = pushed
    assert code != 0 and " !  " in said and "Something broke" not in said, said
    assert max(refused) < REFUSED_SECONDS, refused
    assert shop.standing() == before
    assert p99(took) < LAG_SECONDS, sorted(took)[-10:]
    record_property("refused_s", round(max(refused), 2))
    record_property("lag_s", round(max(took), 3))
    wait_until(lambda: not [build for build in shop.builds().values() if build["status"] == "pending"], 40, "pending")
    assert shop.call("PATCH", "/config-vars", {"N": "free"})[0] == 200
    shop.deploy({"Procfile": f"{PROCFILE}# and again\n"})
    assert shop.served() == "v4"
