"""The store's rows of the faults: a newer or copied database.

No engine is needed: the daemon runs without one here.
"""

import os
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.daemon import BIN, Daemon, stop_router
from tests.faults.store_daemon import answers, paasd, serve, store_daemon


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    with store_daemon() as daemon:
        yield daemon


UPGRADES = "killed at each statement of an upgrade from each former schema; an older daemon on a newer one"
BACKUP = "a backup of a running daemon, killed on the way, and put back on an empty host"


@pytest.mark.row("D08", BACKUP)
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
@pytest.mark.row("D08", BACKUP)
def test_d08_a_backup_that_is_killed_leaves_the_former_one(daemon: Daemon) -> None:
    file = daemon.root / "b.tar"
    assert paasd("backup", str(file), "--home", str(daemon.home)).returncode == 0
    before = file.read_bytes()
    (daemon.home / "apps" / "large").write_bytes(os.urandom(64 * 1024 * 1024))
    for pause in (0.2, 0.3, 0.4):
        with subprocess.Popen([str(BIN / "paasd"), "backup", str(file), "--home", str(daemon.home)]) as child:
            time.sleep(pause)  # wherever it is by then
            child.kill()
        if file.read_bytes() != before:  # it was done with it
            assert paasd("restore", str(file), "--home", str(daemon.root / f"after {pause} s")).returncode == 0


@pytest.mark.row("K15", UPGRADES)
def test_k15_an_older_daemon_refuses_a_newer_schema(daemon: Daemon) -> None:
    daemon.stop()
    with closing(sqlite3.connect(daemon.home / "store.db")) as raw, raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    refused = serve(daemon)
    assert refused.returncode == 1
    assert "was written by a newer paasd (schema 9999" in refused.stderr
    stop_router(daemon.root / "home-router")
