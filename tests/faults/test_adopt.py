"""K13: the daemon is killed, and the next one adopts what runs: the same containers, never restarted, no request lost.

Bites: with the adopted dynos marked as booting they are out of the table for a probe; with `follow` from the beginning
and again from the end of the last stream, a line stands twice.
"""

import re
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.load import Aim, under_load
from tests.acceptance.shop import Shop, open_shop
from tests.daemon import Daemon, running_alone, wait_until

pytestmark = pytest.mark.docker

TICKS = "web: (while :; do echo tick $((i=i+1)); sleep 0.5; done) & exec python3 -I -S server.py\n"
ANSWERS_SECONDS = 3.0
RECONCILED_SECONDS = 10.0


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    """One to kill."""
    with running_alone({"deploy": {"grace": 1.0, "drain": 2.0}}) as daemon:
        yield daemon


def containers(daemon: Daemon) -> dict[str, str]:
    """Name -> id and StartedAt of each that runs."""
    home = (daemon.home / "id").read_text().strip()
    command = ["docker", "ps", "-q", "--filter", f"label=paasd.home={home}"]
    ids = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    form = "{{.Name}} {{.Id}} {{.State.StartedAt}}"
    done = subprocess.run(["docker", "inspect", "--format", form, *ids], capture_output=True, text=True, check=True)
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


def ticks(shop: Shop, dyno: str) -> list[int]:
    """The numbers that a dyno printed, as the app's log has them."""
    said = shop.shell.run("paas", "logs", "-n", "1500", "-d", dyno)
    return [int(found) for found in re.findall(r"tick (\d+)", said)]


def adopt(daemon: Daemon, shops: list[Shop], away: float, tmp_path: Path, tell: Callable[[str, object], None]) -> None:
    shop = shops[0]
    before = containers(daemon)
    assert len(before) == 2 * len(shops)
    with under_load(Aim(daemon.router_port, shop.name, 200.0), tmp_path) as load:
        daemon.kill()
        time.sleep(away)  # the time without a daemon is what is tested
        seen = shop.get("/?while-away")[0]
        began = time.monotonic()
        daemon.start()
        tell("answers_s", round(time.monotonic() - began, 2))
        wait_until(lambda: all(up(other) == 2 for other in shops), RECONCILED_SECONDS, "not all are adopted")
        tell("reconciled_s", round(time.monotonic() - began, 2))
        wait_until(lambda: len(ticks(shop, "web.1")) > 2 * away, 20, "the log of the time without it is not there")
        report = load.stop()
    assert seen == 200
    assert containers(daemon) == before
    assert report.failed == []
    tell("requests", len(report.samples))
    tell("failed", len(report.failed))
    for dyno in ("web.1", "web.2"):
        numbers = ticks(shop, dyno)
        assert max(Counter(numbers).values()) == 1, "a line stands twice"
        assert numbers == list(range(numbers[0], numbers[-1] + 1)), "a line is missing"
        assert len(numbers) > 2 * away * 0.8  # two a second, on a busy machine


def up(shop: Shop) -> int:
    return sum(entry["state"] == "up" for entry in shop.call("GET", "/dynos")[1])


def opened(daemon: Daemon, directory: Path, count: int) -> list[Shop]:
    """So many apps with two dynos each; the first is the one that is looked at."""
    shops = []
    for number in range(count):
        shop = open_shop(daemon, directory / str(number), f"adopt{number}")
        shop.deploy({"Procfile": TICKS})
        assert shop.call("PATCH", "/formation", {"updates": [{"type": "web", "quantity": 2}]})[0] == 200
        shops.append(shop)
    wait_until(lambda: all(up(shop) == 2 for shop in shops), 60, "not all run")
    return shops


@pytest.mark.timeout(150)
def test_a_small_platform_is_adopted(
    daemon: Daemon, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    adopt(daemon, opened(daemon, tmp_path, 1), 2.0, tmp_path, record_property)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.row("K13", "20 apps with 2 dynos, a minute without a daemon")
def test_twenty_apps_are_adopted(
    daemon: Daemon, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    adopt(daemon, opened(daemon, tmp_path, 20), 60.0, tmp_path, record_property)
