"""D01, D02: no room, or no inodes, where the daemon keeps everything: apps serve, reads answer, writes are refused in a
sentence, and go on within ten seconds of there being room again, without a restart."""

import re
import secrets
import shutil
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bench.load import Aim, under_load
from tests.acceptance.shop import PROCFILE, Shop, open_shop, sentence
from tests.daemon import wait_until
from tests.faults.disks import DiskDaemon, SmallDisk, needs_mounts, small_disk

D01_TITLE = (
    "no byte free on the disk of the home: "
    "while idle, while git receives, while a release is under way, while logs are written"
)
D02_TITLE = "no inode free on the disk of the home, and the last ones gone while git receives"
pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(240), needs_mounts]

Record = Callable[[str, object], None]

RATE = 50.0
RESUMED_SECONDS = 10.0
TICKS = "web: (while :; do echo tick $((i=i+1)); sleep 0.1; done) & exec python3 -I -S server.py\n"
RULES = {"build_mb": 8, "build_inodes": 60, "high": 90, "full": 97}


@pytest.fixture
def disk() -> Iterator[SmallDisk]:
    root = Path(tempfile.mkdtemp(prefix="paasd-"))
    try:
        with small_disk(root, 48, ["-N", "1024"]) as disk:
            yield disk
    finally:
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def shop(disk: SmallDisk, tmp_path: Path) -> Iterator[Shop]:
    """An app that serves, with two releases to go back to."""
    config = {"deploy": {"wait": 5.0, "grace": 1.0, "drain": 1.0}, "disk": RULES}
    daemon = DiskDaemon(disk.where.parent, config=config, disk=disk.where)
    try:
        daemon.start()
        shop = open_shop(daemon, tmp_path / "shop", "full")
        shop.deploy()
        assert shop.call("PATCH", "/config-vars", {"N": "1"})[0] == 200
        shop.released(3)
        wait_until(lambda: len(shop.containers()) == 1, 30, "the dyno of v2 stays")
        yield shop
    finally:
        disk.free()
        daemon.clear_away()


WRITES: tuple[tuple[str, str, Any], ...] = (
    ("PATCH", "/apps/full/config-vars", {"N": "refused"}),
    ("POST", "/apps", {"name": "another"}),
    ("PATCH", "/apps/full/formation", {"updates": [{"type": "web", "quantity": 2}]}),
    ("POST", "/apps/full/releases", {"release": "2"}),
    ("PATCH", "/apps/full", {"maintenance": True}),
)
READS = ("", "/releases", "/config-vars", "/dynos", "/formation", "/builds", "/releases/2")


def refused(answer: tuple[int, Any]) -> None:
    """503, with an id and a sentence that says what to do."""
    status, body = answer
    assert (status, body["id"]) == (503, "service_unavailable"), answer
    assert "free some" in sentence(body["message"]), body


def reads(shop: Shop) -> list[Any]:
    """All of them, which have to answer."""
    answers = [shop.call("GET", path) for path in READS]
    assert [status for status, _ in answers] == [200] * len(READS), answers
    return [body for _, body in answers]


def whole(shop: Shop) -> None:
    with closing(sqlite3.connect(shop.daemon.home / "store.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def resumed(shop: Shop, value: str) -> float:
    """Seconds from now until a write is taken; AssertionError when that takes too long."""
    began = time.monotonic()
    wait_until(
        lambda: shop.call("PATCH", "/config-vars", {"N": value})[0] == 200, RESUMED_SECONDS, "writes are still refused"
    )
    return round(time.monotonic() - began, 2)


@pytest.mark.row("D01", D01_TITLE)
def test_d01_full_while_idle(shop: Shop, disk: SmallDisk, tmp_path: Path, record_property: Record) -> None:
    """Bites: without disk_errors around GitRepos.create's mkdir, POST /apps is answered with 500."""
    process, before = shop.daemon.process, reads(shop)
    with under_load(Aim(shop.daemon.router_port, shop.name, RATE), tmp_path) as load:
        disk.fill()
        for method, path, body in WRITES:
            refused(shop.daemon.call(method, path, body))
        code, said = shop.push()
        assert code != 0
        assert "There is not enough disk space to build" in said, said
        assert "MB are needed" in said and "`paas disk` shows" in said
        assert reads(shop) == before
        assert "disk" in shop.shell.run("paas", "disk")
        assert "app[web.1]" in shop.shell.run("paas", "logs", "-n", "1500", "-d", "web.1")
        disk.free()
        record_property("resumed_s", resumed(shop, "2"))
        shop.deploy({"Procfile": PROCFILE + "# room again\n"})
        report = load.stop()
    assert report.failed == []
    record_property("requests", len(report.samples))
    record_property("failed", len(report.failed))
    assert process is not None and process.poll() is None and shop.daemon.process is process
    whole(shop)


@pytest.mark.row("D01", D01_TITLE)
def test_d01_full_while_git_receives(shop: Shop, disk: SmallDisk, record_property: Record) -> None:
    """Bites: without Advice in GitHttp.receive_pack only git's own words are there, which name no remedy."""
    before = shop.standing()
    with disk.ballast.open("wb") as file:
        file.truncate(0)
        while disk.left() > 10_000_000:
            file.write(bytes(1024 * 1024))
            file.flush()
    code, said = shop.push({"bulk.bin": secrets.token_hex(12_000_000)})
    assert code != 0
    assert "free some disk space, or inodes" in said, said
    assert shop.standing() == before
    disk.free()
    record_property("resumed_s", resumed(shop, "2"))
    shop.shell.run("git", "reset", "--quiet", "--hard", "HEAD~1")
    shop.deploy({"Procfile": PROCFILE + "# smaller\n"})
    whole(shop)


@pytest.mark.row("D01", D01_TITLE)
def test_d01_full_while_releasing(shop: Shop, disk: SmallDisk, tmp_path: Path, record_property: Record) -> None:
    """Bites: without keep_failing the release stays pending until the next round, up to 30 s, and so does the app."""
    before, page = reads(shop), shop.get()[1]["release"]
    told: list[tuple[int, str]] = []
    procfile = f"release: echo begun; sleep 4; echo done\n{PROCFILE}"
    with under_load(Aim(shop.daemon.router_port, shop.name, RATE), tmp_path) as load:
        push = threading.Thread(target=lambda: told.append(shop.push({"Procfile": procfile})))
        push.start()
        wait_until(lambda: at_stage(shop, 4, "release phase"), 60, "it did not come to its release phase")
        disk.fill()
        push.join(90)
        [(code, said)] = told
        assert code != 0
        assert "free some" in said, said
        assert shop.get()[1]["release"] == page
        assert reads(shop)[2:5] == before[2:5]
        disk.free()
        record_property("resumed_s", resumed(shop, "2"))
        assert shop.released(4)["status"] == "failed"
        reason = next(entry["detail"] for entry in shop.stages(4) if entry["stage"] == "failed")
        assert "free some" in reason, reason
        shop.deploy({"Procfile": PROCFILE + "# room again\n"})
        report = load.stop()
    assert report.failed == []
    record_property("requests", len(report.samples))
    wait_until(lambda: len(shop.containers()) == 1, 30, "a dyno of the failed release stayed")
    whole(shop)


@pytest.mark.row("D01", D01_TITLE)
def test_d01_full_while_logs_are_written(shop: Shop, disk: SmallDisk, record_property: Record) -> None:
    """The app is not held up, and its newest lines are there, each once, without a restart.

    Bites: OSError not caught in LogJournal.append: the app's log ends at the first line that has no room.
    """
    shop.deploy({"Procfile": TICKS})
    process = shop.daemon.process
    wait_until(lambda: ticks(shop), 20, "it prints nothing")
    disk.fill()
    full = max(ticks(shop))
    wait_until(lambda: max(ticks(shop)) > full + 20, 30, "what it prints meanwhile is not seen")
    assert shop.get()[0] == 200
    disk.free()
    freed, began = max(ticks(shop)), time.monotonic()
    wait_until(lambda: shop.call("PATCH", "", {"maintenance": False})[0] == 200, RESUMED_SECONDS, "still refused")
    record_property("resumed_s", round(time.monotonic() - began, 2))
    wait_until(lambda: max(ticks(shop)) > freed + 20, 30, "what it prints afterwards is not seen")
    assert process is not None and process.poll() is None and shop.daemon.process is process
    shop.daemon.kill()
    shop.daemon.start()
    wait_until(lambda: max(ticks(shop), default=0) > freed + 30, 30, "the next daemon does not have it")
    numbers = [number for number in ticks(shop) if number > freed]
    assert len(numbers) == len(set(numbers)), "a line stands twice"
    whole(shop)


def ticks(shop: Shop) -> list[int]:
    """The numbers that its first dyno printed, as the app's log has them."""
    return [int(found) for found in re.findall(r"tick (\d+)", shop.log("--dyno", "web.1"))]


@pytest.mark.row("D02", D02_TITLE)
def test_d02_no_inodes(shop: Shop, disk: SmallDisk, tmp_path: Path, record_property: Record) -> None:
    before = shop.standing()
    with under_load(Aim(shop.daemon.router_port, shop.name, RATE), tmp_path) as load:
        disk.take_inodes()
        code, said = shop.push()
        assert code != 0
        assert "There are not enough inodes to build: 0 are free" in said, said
        refused(shop.daemon.call("POST", "/apps", {"name": "another"}))
        assert shop.standing() == before
        disk.free()
        record_property("resumed_s", resumed(shop, "2"))
        shop.deploy({"Procfile": PROCFILE + "# inodes again\n"})
        report = load.stop()
    assert report.failed == []
    record_property("requests", len(report.samples))
    whole(shop)


@pytest.mark.row("D02", D02_TITLE)
def test_d02_no_inodes_while_git_receives(shop: Shop, disk: SmallDisk, record_property: Record) -> None:
    """Bites: as the push larger than what is left."""
    before = shop.standing()
    disk.take_inodes(leave=70)
    code, said = shop.push({f"files/{number}.txt": f"{number}" for number in range(90)})  # a loose object each
    assert code != 0
    assert "free some disk space" in said, said
    assert shop.standing() == before
    disk.free()
    record_property("resumed_s", resumed(shop, "2"))
    shop.shell.run("git", "reset", "--quiet", "--hard", "HEAD~1")
    shop.deploy({"Procfile": PROCFILE + "# inodes again\n"})
    whole(shop)


def at_stage(shop: Shop, version: int, stage: str) -> bool:
    status, _ = shop.call("GET", f"/releases/{version}")
    return status == 200 and any(entry["stage"] == stage for entry in shop.stages(version))
