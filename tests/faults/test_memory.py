"""A04: an app that takes more memory than its dyno has: the kernel ends it, the log says so, nobody else notices."""

import functools
import re
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest

from bench.load import Aim, under_load
from tests.acceptance.shop import HELLO, Shop, open_shop
from tests.daemon import Daemon, running_alone, wait_until
from tests.faults.engine_events import Recorder, gaps, recorded

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(200)]

Record = Callable[[str, object], None]
RATE = 50.0
SAID_SECONDS = 5.0
CRASHES = 4
BACKOFF = (0.0, 1.0, 2.0)
START_SECONDS = 2.0  # that the engine may need to remove a container and start another, on a busy machine
ALLOCATES = """
        elif path == "/alloc":
            SELF["held"] = len([b"x" * 1_000_000 for _ in range(1000)])
        elif path == "/child":
            import subprocess
            code = subprocess.run(["python3", "-c", "[b'x' * 1_000_000 for _ in range(1000)]"]).returncode
            return self.answer(200, {**SELF, "code": code})
"""


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """With 64 MB a dyno."""
    with running_alone({"dynos": {"memory_mb": 64}, "deploy": {"wait": 20.0, "grace": 2.0, "drain": 2.0}}) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def eater(daemon: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Allocates a GB when it is asked to, itself or in a child."""
    shop = open_shop(daemon, tmp_path_factory.mktemp("eater"), "eater")
    server = (HELLO / "server.py").read_text()
    shop.deploy(
        {"server.py": server.replace('        elif path not in ("/"', f'{ALLOCATES}        elif path not in ("/"')}
    )
    return shop


@pytest.fixture(scope="module")
def sibling(daemon: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Somebody else's."""
    shop = open_shop(daemon, tmp_path_factory.mktemp("sibling"), "sibling")
    shop.deploy()
    return shop


@pytest.mark.row("A04", "an app that allocates without end, in 64 MB, beside one under load")
def test_a_dyno_that_takes_too_much_memory(eater: Shop, sibling: Shop, tmp_path: Path, record_property: Record) -> None:
    """Bites: with `oom` left out of `read_exit` the log lacks R15."""
    aim = Aim(eater.daemon.router_port, sibling.name, RATE)
    with under_load(aim, tmp_path) as load:
        time.sleep(5)
        alone = load.stop()
    available = lowest = memory_available()
    with recorded(tmp_path, eater.call("GET")[1]["id"]) as recorder, under_load(aim, tmp_path) as load:
        for crashes in range(1, CRASHES + 1):
            wait_until(lambda: eater.get()[0] == 200, 60, "it is not served again")
            assert eater.get("/alloc")[0] == 503
            lowest = min(lowest, memory_available())
            wait_until(functools.partial(ended, recorder, crashes), 30, "it was not killed")
        wait_until(lambda: state(eater) == "crashed", 30, "it is not seen as crashed")
        wait_until(lambda: eater.get()[0] == 503, 3, "it is asked though it is crashed")
        wait_until(lambda: eater.get()[0] == 200, 60, "it is not served again")
        beside = load.stop()
    killed = recorder.of("die")
    assert [event.code for event in killed] == [137] * CRASHES
    assert len(recorder.of("oom")) >= CRASHES
    log = eater.log("--source", "heroku", "--dyno", "web.1")
    assert log.count("Error R14 (Memory quota exceeded)") >= 1
    told = stamps(log, "Error R15 (Memory quota vastly exceeded)")
    assert len(told) == CRASHES, log
    late = [said - event.at for said, event in zip(told, killed, strict=True)]
    assert max(late) <= SAID_SECONDS, late
    assert log.count("Process was killed for using more memory than its limit (R15)") == CRASHES
    assert "code=H10" in eater.log("--dyno", "router")
    waited = gaps(recorder.of("die", "start"))
    for least, gap in zip(BACKOFF, waited, strict=False):
        assert 0.8 * least <= gap <= 1.2 * least + START_SECONDS, waited
    assert [sample for sample in beside.samples if sample.failure] == []
    assert lowest >= 0.8 * available
    record_property("requests", len(beside.samples))
    record_property("failed", len(beside.failed))
    record_property("said_after_s", round(max(late), 2))
    for name, report in (("p99_before_s", alone), ("p99_beside_s", beside)):
        latencies = report.latencies()
        record_property(name, round(latencies[int(len(latencies) * 0.99)], 4))


@pytest.mark.row("A04", "an app that allocates without end, in 64 MB, beside one under load")
def test_a_child_that_takes_too_much_memory(eater: Shop) -> None:
    """The dyno goes on, and is told. Bites: with `oom` left out of the events' NAMES."""
    wait_until(lambda: eater.get()[0] == 200, 60, "it is not served")
    [before] = eater.containers(all=False)
    ended = eater.log().count("Error R15")
    time.sleep(20)  # a dyno is told once in 20 seconds
    told = eater.log().count("Error R14")
    status, page = eater.get("/child")
    assert (status, page["code"]) == (200, -9)
    wait_until(lambda: eater.log().count("Error R14") == told + 1, SAID_SECONDS + 5, "the log does not say so")
    assert eater.log().count("Error R15") == ended
    assert list(eater.containers(all=False)) == [before]


def ended(recorder: Recorder, times: int) -> bool:
    """Whether dynos have, so often."""
    return len(recorder.of("die")) == times


def state(shop: Shop) -> str:
    """That of web.1, "" when there is none."""
    return next((str(dyno["state"]) for dyno in shop.call("GET", "/dynos")[1] if dyno["name"] == "web.1"), "")


def stamps(log: str, words: str) -> list[float]:
    """When the lines with these words were written."""
    found = re.findall(rf"^(\S+) .*{re.escape(words)}", log, re.MULTILINE)
    return [datetime.fromisoformat(stamp).timestamp() for stamp in found]


def memory_available() -> int:
    """Bytes of this machine."""
    found = re.search(r"^MemAvailable: +(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024
