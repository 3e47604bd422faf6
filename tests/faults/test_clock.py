"""T01: the wall clock jumps a day ahead, a day back, ten years ahead. Deadlines, turns and repairs go by the other one.

Only the daemon is led astray (libfaketime reads the offset from a file): router, engine and clients keep the time.
"""

import functools
import re
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bench.load import Aim, under_load
from tests.acceptance.shop import PROCFILE, Shop, open_shop
from tests.conftest import LIBFAKETIME
from tests.daemon import Daemon, wait_until

pytestmark = [pytest.mark.docker, pytest.mark.faketime, pytest.mark.slow, pytest.mark.timeout(240)]

JUMPS = [timedelta(days=1), timedelta(days=-1), timedelta(days=3653)]
IDS = ["a day ahead", "a day back", "ten years ahead"]


class Clock:
    """The daemon's wall clock: the machine's and an offset."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.offset = timedelta()
        self.jump(self.offset)

    def jump(self, offset: timedelta) -> None:
        """At once, whole: the daemon reads the file whenever it asks for the time."""
        self.offset = offset
        aside = self._file.with_suffix(".new")
        aside.write_text(f"{offset.total_seconds():+.0f}\n")
        aside.replace(self._file)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset


def sleeps(directory: Path) -> Path:
    """For PYTHONPATH: a sleep that libfaketime leaves alone. Under 0.9.10 each time.sleep of Python fails (EINVAL)."""
    text = "import select, time\ntime.sleep = lambda seconds: select.select([], [], [], seconds) and None\n"
    (directory / "sitecustomize.py").write_text(text)
    return directory


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path / "offset")


@pytest.fixture
def shop(clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """An app of a daemon that goes by that clock."""
    root = Path(tempfile.mkdtemp(prefix="paasd-"))
    daemon = Daemon(root, config={"deploy": {"wait": 20.0, "grace": 2.0, "drain": 2.0}})
    try:
        with monkeypatch.context() as environment:
            environment.setenv("LD_PRELOAD", str(LIBFAKETIME))
            environment.setenv("FAKETIME_TIMESTAMP_FILE", str(tmp_path / "offset"))
            environment.setenv("FAKETIME_NO_CACHE", "1")
            environment.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            environment.setenv("PYTHONPATH", str(sleeps(tmp_path)))
            daemon.start()
        shop = open_shop(daemon, tmp_path / "shop", "clock")
        shop.deploy()
        yield shop
    finally:
        daemon.clear_away()
        shutil.rmtree(root, ignore_errors=True)


@pytest.mark.row("T01", "the wall clock jumps a day ahead, a day back, ten years ahead")
@pytest.mark.parametrize("jump", JUMPS, ids=IDS)
def test_the_wall_clock_jumps(
    shop: Shop, clock: Clock, jump: timedelta, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Bites: with the periodic work planned by the wall clock (APScheduler's intervals, as it was) maintenance is not
    ended for a day after the jump back, and ten years ahead the daemon counts missed rounds until the push times out.
    """
    with under_load(Aim(shop.daemon.router_port, shop.name, 50.0), tmp_path) as load:
        jump_in_a_deploy(shop, clock, jump)
        shop.deploy({"Procfile": PROCFILE})  # and one that is wholly after it
        report = load.stop()
    assert report.failed == []
    record_property("requests", len(report.samples))
    versions = [(entry["version"], entry["status"]) for entry in shop.call("GET", "/releases")[1]]
    assert sorted(versions) == [(1, "succeeded"), (2, "succeeded"), (3, "succeeded"), (4, "succeeded")]
    assert next(entry["version"] for entry in shop.call("GET", "/releases")[1] if entry["current"]) == 4
    assert shop.served() == "v4"  # the newest by its number, though others may be younger by the clock
    a_killed_dyno_comes_back(shop)
    a_jump_while_one_is_waited_for(shop, clock, jump)
    what_is_periodic_still_is(shop, clock)
    tokens_end_by_the_clock(shop, clock)


def jump_in_a_deploy(shop: Shop, clock: Clock, jump: timedelta) -> None:
    """While the release command runs: it and the health checks after it still have their time."""
    shop.shell.commit("Slow", {"Procfile": f"release: sleep 4\n{PROCFILE}"})
    with shop.pushing() as push:
        wait_until(lambda: shop.call("GET", "/releases/3")[0] == 200, 60, "the release did not begin")
        wait_until(lambda: "release phase" in {entry["stage"] for entry in shop.stages(3)}, 30, "nor its phase")
        clock.jump(jump)
        said, _ = push.communicate(timeout=60)
    assert push.returncode == 0, said
    live = re.search(r"v3 is live \((\d+\.\d) s\)", said)
    assert live is not None and float(live[1]) < 60, said


def a_killed_dyno_comes_back(shop: Shop) -> None:
    """Three times: the later restarts wait a second or two, by the clock that does not jump."""
    for _ in range(3):
        wait_until(lambda: shop.get()[0] == 200, 20, "no dyno came back")
        wait_until(lambda: len(shop.containers(all=False)) == 1, 20, "not one dyno")
        [(name, identity)] = shop.containers(all=False).items()
        subprocess.run(["docker", "kill", name], check=True, capture_output=True)
        wait_until(functools.partial(another, shop, identity), 20, "it was not started again")
    wait_until(lambda: shop.get()[0] == 200, 20, "the last one did not come back")


def a_jump_while_one_is_waited_for(shop: Shop, clock: Clock, jump: timedelta) -> None:
    """The fourth one waits four seconds, in which the clock jumps there and back: neither sooner nor much later.

    How many were seen to crash is taken from the log: the wait is 1, 2, 4 … seconds from the second on.
    """
    [(name, identity)] = shop.containers(all=False).items()
    subprocess.run(["docker", "kill", name], check=True, capture_output=True)
    began = time.monotonic()
    for offset in (clock.offset + jump, clock.offset):
        time.sleep(1.1)  # within the wait
        clock.jump(offset)
    wait_until(functools.partial(another, shop, identity), 20, "it was not started again")
    took, crashes = time.monotonic() - began, shop.log("--dyno", "web.1").count("State changed from up to crashed")
    assert crashes >= 3 and took > 0.8 * 2 ** (crashes - 2), (took, crashes)
    wait_until(lambda: shop.get()[0] == 200, 20, "it did not come back")


def another(shop: Shop, identity: str) -> bool:
    """Whether a dyno runs that is not that one."""
    return bool(set(shop.containers(all=False).values()) - {identity})


def what_is_periodic_still_is(shop: Shop, clock: Clock) -> None:
    """A maintenance's end, which is looked for every few seconds and by nothing else."""
    until = (clock.now() + timedelta(seconds=3)).isoformat()
    status, answer = shop.call("PATCH", "/maintenance", {"maintenance": True, "until": until})
    assert status == 200, answer
    wait_until(lambda: shop.call("GET")[1]["maintenance"] is False, 20, "maintenance is not ended any more")


def tokens_end_by_the_clock(shop: Shop, clock: Clock) -> None:
    """One that is good for an hour is good now, not in two, and is so again when the clock is put right."""
    status, made = shop.daemon.call("POST", "/oauth/authorizations", {"scope": ["global"], "expires_in": 3600})
    assert status == 201, made
    token, here = made["access_token"]["token"], clock.offset
    assert asked(shop.daemon, token) == 200
    clock.jump(here + timedelta(hours=2))
    wait_until(lambda: asked(shop.daemon, token) == 401, 5, "it is good for longer than an hour")
    clock.jump(here)
    wait_until(lambda: asked(shop.daemon, token) == 200, 5, "it is no longer good")


def asked(daemon: Daemon, token: str) -> int:
    headers = {"Accept": "application/vnd.heroku+json; version=3", "Authorization": f"Bearer {token}"}
    try:
        with urllib.request.urlopen(urllib.request.Request(f"{daemon.url}/account", headers=headers)) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
