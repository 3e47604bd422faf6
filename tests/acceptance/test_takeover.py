"""`paasd serve --takeover`: another daemon in the place of the one that runs, and nobody notices."""

import json
import os
import socket
import sqlite3
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bench.load import Aim, under_load
from tests.acceptance.shop import PROCFILE, Shop, open_shop
from tests.daemon import BIN, Daemon, running_alone, wait_until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(150)]


@pytest.fixture(scope="module")
def own() -> Iterator[Daemon]:
    """A daemon that no other module shares."""
    with running_alone({"deploy": {"wait": 5.0, "grace": 5.0}}) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def shop(own: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """An app with one web dyno."""
    shop = open_shop(own, tmp_path_factory.mktemp("takeover"), "takeover")
    shop.deploy()
    return shop


class Callers(threading.Thread):
    """Calls the API all the time, each on a connection of its own, and keeps what went wrong."""

    def __init__(self, daemon: Daemon) -> None:
        super().__init__()
        self.platform = daemon
        self.failed: list[str] = []
        self.answered = 0
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.005):
            try:
                status, _ = self.platform.call("GET", "/apps")
            except Exception as error:
                self.failed.append(f"{type(error).__name__}: {error}")
                continue
            self.answered += 1
            if status != 200:
                self.failed.append(str(status))

    def __enter__(self) -> "Callers":
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.over.set()
        self.join()


def test_apps_router_and_api_notice_nothing(shop: Shop, tmp_path: Path) -> None:
    """Bites: with the sockets not passed on (the newcomer binds again) calls are refused; without `_arriving` waited
    for in Port.stop, some are reset."""
    daemon = shop.daemon
    containers = {name: shop.inspect(name) for name in shop.containers()}
    router = daemon.call("GET", "/paasd/router")[1]["pid"]
    with under_load(Aim(daemon.router_port, shop.name, 100.0), tmp_path) as load:
        with Callers(daemon) as one, Callers(daemon) as other:
            for _ in range(3):
                before = daemon.process
                assert before is not None
                daemon.take_over()
                assert daemon.process is not None and daemon.process.pid != before.pid
        report = load.stop()
    assert one.failed + other.failed == []
    assert one.answered > 50
    assert report.failed == [] and len(report.samples) > 100
    assert {name: shop.inspect(name) for name in shop.containers()} == containers
    assert daemon.call("GET", "/paasd/router")[1]["pid"] == router
    wait_until(lambda: shop.call("GET", "/dynos")[1][0]["state"] == "up", 20, "the dyno is not adopted")
    shop.deploy()


@pytest.mark.slow
def test_a_deploy_under_way_is_undone_and_its_pusher_told(shop: Shop) -> None:
    """Bites: with `hook.close` not called after the port is closed, the push ends without a word."""
    wait_until(lambda: len(shop.containers()) == 1, 30, "the dyno before it is not retired")
    before = shop.standing()
    version = before.releases[-1][0] + 1
    shop.shell.commit("Slow", {"Procfile": f"release: echo begun; sleep 600\n{PROCFILE}"})
    with shop.pushing() as push:
        wait_until(lambda: shop.call("GET", f"/releases/{version}")[0] == 200, 60, "the release did not begin")
        wait_until(lambda: "release phase" in {entry["stage"] for entry in shop.stages(version)}, 30, "not its phase")
        shop.daemon.take_over()
        said, _ = push.communicate(timeout=30)
    assert push.returncode != 0
    assert "remote:  !     paasd is being stopped and this push was undone; push again when it runs." in said, said
    assert shop.released(version)["status"] == "failed"
    after = shop.standing()
    assert (after.containers, after.page, after.branch) == (before.containers, before.page, before.branch)
    shop.deploy({"Procfile": PROCFILE})


@pytest.mark.slow
def test_a_newcomer_that_dies_or_is_too_old_changes_nothing(shop: Shop) -> None:
    """Bites: with `let_go` called when the sockets are sent, the first ends the daemon; with the version looked at
    only once the home is held, the second does."""
    process = shop.daemon.process
    assert process is not None
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as newcomer:
        newcomer.connect(str(shop.daemon.home / "takeover.sock"))
        word, sockets, _, _ = socket.recv_fds(newcomer, 4096, 4)
        assert json.loads(word)["process"] == process.pid
        for each in sockets:
            os.close(each)
    with closing(sqlite3.connect(shop.daemon.home / "store.db")) as store, store:
        version = store.execute("SELECT version_num FROM alembic_version").fetchone()[0]
        store.execute("UPDATE alembic_version SET version_num = '9999'")
    try:
        command = [str(BIN / "paasd"), "serve", "--takeover", "--home", str(shop.daemon.home)]
        command += ["--api", f"127.0.0.1:{shop.daemon.api_port}", "--router", f"127.0.0.1:{shop.daemon.router_port}"]
        refused = subprocess.run(command, capture_output=True, text=True, timeout=30)
    finally:
        with closing(sqlite3.connect(shop.daemon.home / "store.db")) as store, store:
            store.execute("UPDATE alembic_version SET version_num = ?", (version,))
    assert refused.returncode == 1 and "was written by a newer paasd" in refused.stderr
    deadline = time.monotonic() + 1.0
    while time.monotonic() < deadline:  # nothing is to happen, so there is nothing to wait for
        assert process.poll() is None
        with urllib.request.urlopen(f"{shop.daemon.url}/health", timeout=5) as answer:
            assert answer.status == 200


@pytest.mark.slow
def test_with_nobody_there_it_is_a_plain_start(shop: Shop) -> None:
    shop.daemon.kill()
    shop.daemon.start("--takeover")
    assert shop.get()[0] == 200
