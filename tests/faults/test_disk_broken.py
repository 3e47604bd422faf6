"""D06, D07: a disk that takes nothing any more, or loses what was not synced: a write is refused with reason, or kept.

No engine is needed: the daemon runs without one here. chmod says nothing to root, whom the tests of disks need.
"""

import random
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.shop import sentence
from tests.daemon import Daemon, running, stop_router, wait_until
from tests.faults.disks import DiskDaemon, SmallDisk, needs_mounts, run, small_disk, unmount

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), needs_mounts]

Record = Callable[[str, object], None]

CONFIG = {"docker": {"host": "unix:///nonexistent/docker.sock"}, "disk": {"high": 98, "full": 99}}
SNAPSHOTS = 200
READS = ("/apps", "/apps/shop", "/apps/shop/config-vars", "/apps/shop/releases", "/apps/shop/formation")
WRITES: tuple[tuple[str, str, Any], ...] = (
    ("PATCH", "/apps/shop/config-vars", {"N": "refused"}),
    ("PATCH", "/apps/shop", {"maintenance": True}),
    ("POST", "/apps", {"name": "another"}),
)


@pytest.fixture
def root() -> Iterator[Path]:
    root = Path(tempfile.mkdtemp(prefix="paasd-"))
    yield root
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def disk(root: Path) -> Iterator[SmallDisk]:
    with small_disk(root, 32) as disk:
        yield disk


@pytest.fixture
def daemon(disk: SmallDisk) -> Iterator[Daemon]:
    """An app of two releases, on the small disk."""
    daemon = DiskDaemon(disk.where.parent, config=CONFIG, disk=disk.where)
    try:
        daemon.start()
        assert daemon.call("POST", "/apps", {"name": "shop"})[0] == 201
        assert daemon.call("PATCH", "/apps/shop/config-vars", {"N": "kept"})[0] == 200
        yield daemon
    finally:
        daemon.clear_away()


@contextmanager
def injected(daemon: Daemon, call: str, error: str) -> Iterator[None]:
    """Every such system call of the daemon fails within the block."""
    assert daemon.process is not None
    command = ["strace", "-f", "-qq", "-o", "/dev/null", "-p", str(daemon.process.pid)]
    with subprocess.Popen([*command, "-e", f"trace={call}", "-e", f"inject={call}:error={error}"]) as tracing:
        try:
            wait_until(lambda: is_traced(daemon), 20, "strace did not attach", tracing)
            yield
        finally:
            tracing.send_signal(signal.SIGINT)  # it lets go of the daemon
            tracing.wait(20)


def is_traced(daemon: Daemon) -> bool:
    """Whether each of its threads is."""
    assert daemon.process is not None
    found = list(Path(f"/proc/{daemon.process.pid}/task").glob("*/status"))
    return all("TracerPid:\t0\n" not in status.read_text() for status in found)


@contextmanager
def immutable(daemon: Daemon) -> Iterator[None]:
    """The database's files within the block, as by chattr +i."""
    files = [str(file) for file in daemon.home.glob("store.db*") if not file.name.endswith("-shm")]
    run("chattr", "+i", *files)
    try:
        yield
    finally:
        run("chattr", "-i", *files)


BREAKS: dict[str, Callable[[Daemon], Any]] = {
    "immutable": immutable,
    **{
        f"{call} {error}": partial(injected, call=call, error=error)
        for call, error in [
            ("fdatasync", "EIO"),
            ("fdatasync", "ENOSPC"),
            ("pwrite64", "EIO"),
            ("pwrite64", "ENOSPC"),
            ("pwrite64", "EROFS"),
        ]
    },
}


def reads(daemon: Daemon) -> list[Any]:
    """All of them, which have to answer."""
    answers = [daemon.call("GET", path) for path in READS]
    assert [status for status, _ in answers] == [200] * len(READS), answers
    return [body for _, body in answers]


def refuses_writes(daemon: Daemon) -> None:
    """Each with 503, and a sentence that says what to do."""
    for method, path, body in WRITES:
        status, answer = daemon.call(method, path, body)
        assert (status, answer["id"]) == (503, "service_unavailable"), (path, status, answer)
        assert any(word in sentence(answer["message"]) for word in ("disk", "mend", "free")), answer


@pytest.mark.row("D06", "the disk of the home breaks: immutable files, EIO, ENOSPC, EROFS at a write and at a sync")
@pytest.mark.parametrize("how", BREAKS)
def test_d06_nothing_is_acknowledged_that_is_not_kept(daemon: Daemon, how: str, record_property: Record) -> None:
    """Bites: vendor errors of database.py not made StoreUnavailable: writes are answered with 500."""
    process, before = daemon.process, reads(daemon)
    assert process is not None
    with BREAKS[how](daemon):
        refuses_writes(daemon)
        assert reads(daemon) == before
    began = time.monotonic()
    wait_until(lambda: daemon.call("PATCH", "/apps/shop/config-vars", {"N": "again"})[0] == 200, 10, "still refused")
    record_property("resumed_s", round(time.monotonic() - began, 2))
    assert process.poll() is None and daemon.process is process
    daemon.kill()
    daemon.start()
    assert daemon.call("GET", "/apps/shop/config-vars")[1] == {"N": "again"}
    assert [app["name"] for app in daemon.call("GET", "/apps")[1]] == ["shop"]
    integrity(daemon.home / "store.db")


@pytest.mark.row("D06", "the disk of the home breaks: immutable files, EIO, ENOSPC, EROFS at a write and at a sync")
def test_d06_a_filesystem_that_gave_up(daemon: Daemon, disk: SmallDisk) -> None:
    """As after an error with errors=remount-ro; it is mended while nobody runs. Bites: as above."""
    process, before = daemon.process, reads(daemon)
    disk.abort()
    refuses_writes(daemon)
    assert reads(daemon) == before
    assert process is not None and process.poll() is None
    daemon.kill()
    stop_router(disk.where / "home-router")
    disk.mend()
    daemon.start()
    assert daemon.call("GET", "/apps/shop/config-vars")[1] == {"N": "kept"}
    integrity(daemon.home / "store.db")


def integrity(file: Path) -> None:
    with closing(sqlite3.connect(file)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


class Writer:
    """Sends one config change after the other; `acknowledged` is the newest version that it was told of."""

    def __init__(self, daemon: Daemon) -> None:
        self.acknowledged = 2
        self._daemon = daemon
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> "Writer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(60)

    def _work(self) -> None:
        while not self._over.is_set():
            version = self.acknowledged + 1
            if self._daemon.call("PATCH", "/apps/shop/config-vars", {"N": str(version)})[0] == 200:
                self.acknowledged = version


def power_cut(daemon: Daemon, image: Path, copy: Path) -> None:
    """What the disk would have, were the power gone now: whatever nobody synced is in memory only, and not in this."""
    assert daemon.process is not None
    daemon.process.send_signal(signal.SIGSTOP)
    try:
        before = b""
        while (found := image.read_bytes()) != before:  # till the kernel writes nothing back meanwhile
            before = found
        copy.write_bytes(found)
    finally:
        daemon.process.send_signal(signal.SIGCONT)


@pytest.mark.timeout(900)
@pytest.mark.row("D07", "the power goes at 200 random instants while writes are acknowledged")
def test_d07_what_was_acknowledged_outlives_the_power(
    daemon: Daemon, disk: SmallDisk, root: Path, record_property: Record
) -> None:
    """Bites: PRAGMA synchronous NORMAL in database.py: releases that were acknowledged are missing."""
    assert disk.image is not None
    instants, lives = random.Random(7), root / "cut"
    lives.mkdir()
    with Writer(daemon) as writer:
        for number in range(SNAPSHOTS):
            copy = root / f"cut-{number}.img"  # a loop device of before may still have the pages of a file of that name
            target, pause = writer.acknowledged + instants.randint(0, 2), instants.random() / 50
            wait_until(lambda least=target: writer.acknowledged >= least, 30, "no write is acknowledged")
            time.sleep(pause)  # wherever the next one is by then
            known = writer.acknowledged
            power_cut(daemon, disk.image, copy)
            run("mount", "-o", "loop", str(copy), str(lives))  # which replays the journal
            try:
                kept = releases(lives / "home" / "store.db")
            finally:
                unmount(lives)
            assert kept >= known, f"v{known} was acknowledged, and v{kept} is the newest on the disk (cut {number})"
            if number < SNAPSHOTS - 1:
                copy.unlink()
    record_property("acknowledged", writer.acknowledged)
    record_property("cuts", SNAPSHOTS)
    run("mount", "-o", "loop", str(copy), str(lives))
    try:
        shutil.copytree(lives / "home", root / "next" / "home", ignore=shutil.ignore_patterns("*.sock"))
    finally:
        unmount(lives)
    with running(root / "next", config=CONFIG) as following:
        assert following.call("GET", f"/apps/shop/releases/{kept}")[1]["current"] is True
        assert int(following.call("GET", "/apps/shop/config-vars")[1]["N"]) == kept


def releases(file: Path) -> int:
    """The newest version there is, none missing below it, in a whole database."""
    integrity(file)
    with closing(sqlite3.connect(file)) as database:
        versions = [version for (version,) in database.execute("SELECT version FROM releases ORDER BY version")]
    assert versions == list(range(1, len(versions) + 1))
    return len(versions)
