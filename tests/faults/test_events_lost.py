"""E04: the line of the engine's events is dropped a hundred times, and then is one that says nothing any more."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance.shop import Shop, open_shop
from tests.daemon import running, wait_until
from tests.faults.docker_proxy import Fault, Proxy, proxy

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(600)]

Record = Callable[[str, object], None]
TITLE = "the line of the engine's events dropped 100 times, and one that tells nothing of a dyno's end"
ENGINE = Path("/var/run/docker.sock")
EVENTS = r"GET .*/events\?"
DROPS = 100
KILLS = (20, 50, 80)  # the drops that a dyno ends at the same moment as
MENDED_SECONDS = 10.0
MISSED_SECONDS = 30.0 + MENDED_SECONDS  # the round that finds what nobody told of, and the start


@pytest.fixture
def root() -> Iterator[Path]:
    root = Path(tempfile.mkdtemp(prefix="paasd-"))
    yield root
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def between(root: Path) -> Iterator[Proxy]:
    with proxy(root / "proxy.sock", ENGINE) as between:
        yield between


@pytest.fixture
def shop(root: Path, between: Proxy, tmp_path: Path) -> Iterator[Shop]:
    """One web dyno, of an engine behind the proxy."""
    config = {"deploy": {"wait": 5.0, "grace": 1.0, "drain": 1.0}, "docker": {"host": f"unix://{root}/proxy.sock"}}
    with running(root, config=config) as daemon:
        shop = open_shop(daemon, tmp_path / "shop", "events")
        shop.deploy()
        wait_until(lambda: len(shop.containers()) == 1, 20, "not one container")
        yield shop
        between.fault = None


def kill_its_dyno(shop: Shop) -> str:
    """The container's id."""
    [(name, identity)] = shop.containers().items()
    subprocess.run(["docker", "kill", name], capture_output=True, check=True)
    return identity


def mended(shop: Shop, before: str) -> bool:
    found = shop.containers()
    return len(found) == 1 and before not in found.values() and shop.get()[0] == 200


@pytest.mark.row("E04", TITLE)
def test_e04_the_line_is_dropped(shop: Shop, between: Proxy, record_property: Record) -> None:
    """Bites: `_broken_off` left out of `follow`: what ended while nobody listened is found by the next round only."""
    slowest = 0.0
    for number in range(DROPS):
        asked = between.asked(EVENTS)
        if number in KILLS:
            between.fault = Fault("hang", EVENTS)  # so that it ends while nobody listens
            between.drop(EVENTS)
            before, began = kill_its_dyno(shop), time.monotonic()
            between.fault = None
            between.drop(EVENTS)
            wait_until(lambda gone=before: mended(shop, gone), MENDED_SECONDS, f"not mended after drop {number}")
            slowest = max(slowest, time.monotonic() - began)
        else:
            between.drop(EVENTS)
        wait_until(lambda least=asked: between.asked(EVENTS) > least, 10, "it does not ask for events again")
    record_property("drops", DROPS)
    record_property("mended_s", round(slowest, 1))
    assert shop.daemon.process is not None and shop.daemon.process.poll() is None


@pytest.mark.row("E04", TITLE)
def test_e04_the_line_tells_nothing(shop: Shop, between: Proxy, record_property: Record) -> None:
    """Bites: `reconcile` left out of the periodic work: it is never found."""
    between.fault = Fault("hush", EVENTS)
    between.drop(EVENTS)
    wait_until(lambda: between.hits > 0, 10, "it does not ask for events again")
    before, began = kill_its_dyno(shop), time.monotonic()
    wait_until(lambda: mended(shop, before), MISSED_SECONDS, "not mended though nobody told")
    record_property("missed_s", round(time.monotonic() - began, 1))
