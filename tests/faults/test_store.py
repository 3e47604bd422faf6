"""The store's rows of the faults: a locked, damaged, newer or copied database, and two daemons on one home.

No engine is needed: the daemon runs without one here.
"""

import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.daemon import BIN, Daemon, running, stop_router

NO_ENGINE = {"docker": {"host": "unix:///nonexistent/docker.sock"}}


@pytest.fixture
def root() -> Iterator[Path]:
    root = Path(tempfile.mkdtemp(prefix="paasd-"))
    yield root
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def daemon(root: Path) -> Iterator[Daemon]:
    """With an app of three releases."""
    with running(root, config=NO_ENGINE) as daemon:
        assert daemon.call("POST", "/apps", {"name": "shop"})[0] == 201
        for number in range(2):
            assert daemon.call("PATCH", "/apps/shop/config-vars", {"N": str(number)})[0] == 200
        yield daemon


def answers(daemon: Daemon) -> list[Any]:
    """All that the API tells of the app; dynos belong to the engine."""
    paths = ["/account", "/apps", "/apps/shop", "/apps/shop/config-vars", "/apps/shop/releases", "/apps/shop/builds"]
    paths += [f"/apps/shop/releases/{version}" for version in (1, 2, 3)]
    return [daemon.call("GET", path) for path in paths]


def paasd(*arguments: str, seconds: float = 60) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([str(BIN / "paasd"), *arguments], capture_output=True, text=True, timeout=seconds)


def serve(daemon: Daemon) -> "subprocess.CompletedProcess[str]":
    """A second or doomed start, which has to end by itself."""
    config = str(daemon.root / "paasd.yaml")
    addresses = ["--api", f"127.0.0.1:{daemon.api_port}", "--router", f"127.0.0.1:{daemon.router_port}"]
    return paasd("serve", "--home", str(daemon.home), "--config", config, *addresses)


def test_d05_a_damaged_database_stops_the_start_and_repair_brings_it_back(daemon: Daemon) -> None:
    """Bites: drop check_store from daemon.run: with the file gone, an empty ledger is made and served."""
    before, page = answers(daemon), daemon.get("shop")[0]
    kept = daemon.home / "backups" / "paasd-20260101T000000Z.tar"
    kept.parent.mkdir(exist_ok=True)
    assert paasd("backup", str(kept), "--home", str(daemon.home)).returncode == 0
    daemon.stop()
    store = daemon.home / "store.db"
    store.write_bytes(store.read_bytes()[:4096] + b"\xff" * 40960)
    ruined = store.read_bytes()
    refused = serve(daemon)
    assert refused.returncode == 1
    assert str(kept) in refused.stderr and "paasd doctor --repair" in refused.stderr
    assert store.read_bytes() == ruined
    assert daemon.get("shop")[0] == page  # the router serves on
    said = paasd("doctor", "--repair", "--home", str(daemon.home)).stderr
    assert f"Took the ledger from {kept}" in said
    assert next(daemon.home.glob("damaged-*")).joinpath("store.db").read_bytes() == ruined
    daemon.start()
    assert answers(daemon) == before


def test_d05_wal_cut_and_shm_gone_start_without_an_empty_ledger(daemon: Daemon) -> None:
    before = answers(daemon)
    daemon.kill()
    (daemon.home / "store.db-shm").unlink()
    daemon.start()
    assert answers(daemon) == before
    daemon.kill()
    wal = daemon.home / "store.db-wal"
    os.truncate(wal, wal.stat().st_size // 2)
    daemon.start()
    assert daemon.call("GET", "/apps")[1][0]["name"] == "shop"


def test_d08_a_backup_of_a_running_daemon_restores_to_equal_answers(daemon: Daemon) -> None:
    """Bites: leave `url-secret`, `token` or `key` out of the backup, and answers differ or the start is refused."""
    file = daemon.root / "b.tar"
    done = paasd("backup", str(file), "--home", str(daemon.home))
    assert done.returncode == 0, done.stderr
    before = answers(daemon)
    refused = paasd("restore", str(file), "--home", str(daemon.home))
    assert refused.returncode == 1 and "is not empty" in refused.stderr
    refused = paasd("restore", str(file), "--home", str(daemon.home), "--force")
    assert refused.returncode == 1 and "Another paasd" in refused.stderr
    daemon.kill()
    daemon.home.rename(daemon.root / "lost")
    begun = time.monotonic()
    assert paasd("restore", str(file), "--home", str(daemon.home)).returncode == 0
    assert time.monotonic() - begun < 60
    daemon.start()
    assert answers(daemon) == before


@pytest.mark.slow
def test_d08_a_backup_that_is_killed_leaves_the_former_one(daemon: Daemon) -> None:
    file = daemon.root / "b.tar"
    assert paasd("backup", str(file), "--home", str(daemon.home)).returncode == 0
    before = file.read_bytes()
    (daemon.home / "apps" / "large").write_bytes(os.urandom(64 * 1024 * 1024))
    for pause in (0.2, 0.3, 0.4):
        with subprocess.Popen([str(BIN / "paasd"), "backup", str(file), "--home", str(daemon.home)]) as child:
            time.sleep(pause)  # wherever it is by then
            child.kill()
        assert (
            file.read_bytes() == before or paasd("restore", str(file), "--home", str(daemon.root / "x")).returncode == 0
        )


@pytest.mark.slow
def test_d04_a_lock_held_by_another_process_stops_writes_alone(daemon: Daemon) -> None:
    """Bites: raise the busy timeout of Database to 60 s."""
    with closing(sqlite3.connect(daemon.home / "store.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        begun = time.monotonic()
        status, answer = daemon.call("PATCH", "/apps/shop/config-vars", {"N": "locked"})
        took = time.monotonic() - begun
        assert (status, answer["id"]) == (503, "service_unavailable")
        assert took < 20, took  # 5 s in each of the two transactions at most, and a loaded machine
        assert daemon.call("GET", "/apps/shop/releases")[0] == 200
        other.execute("ROLLBACK")
    assert daemon.call("GET", "/apps/shop/config-vars")[1] == {"N": "1"}
    assert daemon.call("PATCH", "/apps/shop/config-vars", {"N": "free"})[0] == 200


def test_k14_a_second_daemon_is_refused_even_while_the_first_is_stopped(daemon: Daemon) -> None:
    """Bites: leave out LOCK_EX in Home.held."""
    process = daemon.process
    assert process is not None
    assert f"(process {process.pid}) holds the home" in serve(daemon).stderr
    process.send_signal(signal.SIGSTOP)
    try:
        second = serve(daemon)
    finally:
        process.send_signal(signal.SIGCONT)
    assert second.returncode == 1
    assert f"(process {process.pid}) holds the home" in second.stderr
    assert daemon.call("GET", "/apps/shop")[0] == 200


def test_k15_an_older_daemon_refuses_a_newer_schema(daemon: Daemon) -> None:
    daemon.stop()
    with closing(sqlite3.connect(daemon.home / "store.db")) as raw, raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    refused = serve(daemon)
    assert refused.returncode == 1
    assert "was written by a newer paasd (schema 9999" in refused.stderr
    stop_router(daemon.root / "home-router")
