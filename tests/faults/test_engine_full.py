"""D03: no room where the engine keeps its images: the build fails and says why, its layers go, and other apps serve.

The engine is the test's own, with its data on a small disk.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.load import Aim, under_load
from tests.acceptance.shop import HELLO, Shop, open_shop
from tests.daemon import running_alone, wait_until
from tests.faults.disks import SmallDisk, needs_mounts, small_disk
from tests.faults.own_engine import OwnEngine, needs_own_engine, own_engine
from tests.faults.test_crash import orphans

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(240), needs_mounts, needs_own_engine]

Record = Callable[[str, object], None]

DISK_MB = 1000  # the stack's image takes some 250 of them
RATE = 50.0
LARGE = "FROM paasd/stack:bookworm\nRUN head -c 1073741824 /dev/urandom > /tmp/large\n"
# what a build is asked for beforehand is not the point here, but what happens when that was too little
RULES = {"build_mb": 1, "build_inodes": 1, "high": 99, "full": 100}


@pytest.fixture(scope="module")
def disk() -> Iterator[SmallDisk]:
    root = Path(tempfile.mkdtemp(prefix="paasd-"))
    try:
        with small_disk(root, DISK_MB) as disk:
            yield disk
    finally:
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="module")
def engine(disk: SmallDisk) -> Iterator[OwnEngine]:
    with own_engine(data=disk.where / "data") as engine:
        yield engine


@pytest.fixture(scope="module")
def shop(engine: OwnEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """An app that serves; whose next build will be too large."""
    config = {"deploy": {"wait": 5.0, "grace": 1.0, "drain": 1.0}, "docker": engine.settings, "disk": RULES}
    with running_alone(config) as daemon:
        shop = open_shop(daemon, tmp_path_factory.mktemp("full"), "large")
        shop.deploy()
        yield shop


@pytest.mark.row("D03", "the disk of the engine is full: a layer of 1 GB on a disk of 1 GB")
def test_d03_a_layer_larger_than_the_disk(
    shop: Shop, engine: OwnEngine, disk: SmallDisk, tmp_path: Path, record_property: Record
) -> None:
    """Bites: what a step says not passed on by docker_build_log.py: nobody is told of the disk."""
    other = open_shop(shop.daemon, tmp_path / "other", "other")
    other.deploy()
    before, left = shop.standing(), disk.left()
    with under_load(Aim(shop.daemon.router_port, other.name, RATE), tmp_path) as load:
        code, said = shop.push({"Dockerfile": LARGE})
        assert code != 0
        assert "o space left on device" in said, said
        assert shop.standing() == before
        wait_until(lambda: disk.left() > left - 20 * 1024**2, 30, f"its layers stayed: {disk.left()} of {left} free")
        wait_until(lambda: orphans(shop.daemon) == [], 30, f"left over: {orphans(shop.daemon)}")
        shop.deploy({"Dockerfile": (HELLO / "Dockerfile").read_text(), "note.txt": "smaller"})
        report = load.stop()
    assert report.failed == []
    record_property("requests", len(report.samples))
    record_property("failed", len(report.failed))
