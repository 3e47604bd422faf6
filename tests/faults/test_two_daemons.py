"""K14: a second daemon on the home of one that runs, or is stopped and goes on: only one ever acts."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance.shop import Shop, open_shop
from tests.daemon import Daemon, running_alone, wait_until
from tests.faults.engine_events import recorded
from tests.faults.store_daemon import serve, store_daemon

Record = Callable[[str, object], None]
TITLE = "a second daemon on one home, beside the first, and while the first is stopped for a minute"
REFUSED_SECONDS = 2.0
STOPPED_SECONDS = 60.0


def refused(daemon: Daemon) -> float:
    """The seconds in which a second one ends, having named the holder: two at most, on a loaded machine too.

    Bites: hold the home in daemon.run, after all that it imports, and beside two busy processes it takes 3.4 (now 0.6).
    """
    assert daemon.process is not None
    began = time.monotonic()
    second = serve(daemon)
    took = time.monotonic() - began
    assert second.returncode == 1
    assert f"(process {daemon.process.pid}) holds the home" in second.stderr
    assert took < REFUSED_SECONDS, took
    return took


@pytest.mark.row("K14", TITLE)
def test_k14_a_second_daemon_is_refused_even_while_the_first_is_stopped() -> None:
    """Bites: leave out LOCK_EX in Home.held."""
    with store_daemon() as daemon:
        process = daemon.process
        assert process is not None
        refused(daemon)
        process.send_signal(signal.SIGSTOP)
        try:
            refused(daemon)
        finally:
            process.send_signal(signal.SIGCONT)
        assert daemon.call("GET", "/apps/shop")[0] == 200


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """An app with two dynos."""
    with running_alone({"deploy": {"wait": 5.0, "grace": 1.0, "drain": 1.0}}) as daemon:
        shop = open_shop(daemon, tmp_path / "shop", "twice")
        shop.deploy()
        assert shop.call("PATCH", "/formation", {"updates": [{"type": "web", "quantity": 2}]})[0] == 200
        wait_until(lambda: len(shop.containers(all=False)) == 2, 30, "not two dynos")
        yield shop


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.timeout(200)
@pytest.mark.row("K14", TITLE)
def test_k14_what_was_stopped_for_a_minute_acts_once(shop: Shop, tmp_path: Path, record_property: Record) -> None:
    """A dyno ends meanwhile: the engine tells of one container made for it, by whoever. Bites: as above."""
    process = shop.daemon.process
    assert process is not None
    record_property("refused_s", round(refused(shop.daemon), 2))
    doomed = next(name for name in shop.containers(all=False) if ".web.1." in name)
    with recorded(tmp_path, shop.call("GET")[1]["id"]) as recorder:
        process.send_signal(signal.SIGSTOP)
        try:
            until = time.monotonic() + STOPPED_SECONDS
            os.kill(int(shop.inspect(doomed, "{{.State.Pid}}")), signal.SIGKILL)
            took = refused(shop.daemon)
            assert shop.get()[0] == 200  # by the other one, without any daemon
            time.sleep(max(0.0, until - time.monotonic()))  # the minute is what is tested
        finally:
            process.send_signal(signal.SIGCONT)
        wait_until(lambda: len(shop.containers(all=False)) == 2, 20, "the dyno is not there again")
        wait_until(lambda: len(recorder.of("start", dyno="web.1")) == 1, 10, "its start is not told")
        shop.call("PATCH", "/formation", {"updates": [{"type": "web", "quantity": 2}]})  # one more look at it all
        made = recorder.of("create")
    record_property("refused_while_stopped_s", round(took, 2))
    assert [event.dyno for event in made] == ["web.1"], made
