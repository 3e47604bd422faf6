"""A05: an app that forks, opens, spins, writes and connects without end, beside one under load."""

import errno
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.load import Aim, Report, under_load
from tests.acceptance.shop import HELLO, PROCFILE, Shop, open_shop
from tests.daemon import Daemon, running_alone, wait_until
from tests.faults.asked import asked, p99
from tests.faults.disks import SmallDisk, needs_mounts, small_disk
from tests.faults.own_engine import OwnEngine, needs_own_engine, own_engine

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(300)]

Record = Callable[[str, object], None]
TITLE = "an app that forks, opens files, spins, fills its disk and connects without end, beside one under load"
RATE = 50.0
SECONDS = 10
API_SECONDS = 0.5
FLOOR_SECONDS = 0.1  # twice next to nothing is next to nothing: on two cores that others use, one start of theirs
DISK_MB = 1000
HARM = """
        elif path == "/harm":
            import subprocess
            subprocess.Popen(["python3", "-u", "harm.py", *query.split("&")])
            return self.answer(200, SELF)
"""
PROGRAMS = """
import os, socket, sys, time
end = time.monotonic() + 10

def forks():
    first, refused = os.getpid(), 0
    while time.monotonic() < end:
        try:
            os.fork()
        except OSError as error:
            refused = error.errno
    if os.getpid() == first:
        print("harm forks refused with", refused)

def files():
    held = []
    try:
        while len(held) < 1_000_000:
            held.append(os.open("/dev/null", os.O_RDONLY))
    except OSError as error:
        print("harm files refused with", error.errno, "after", len(held))

def spins():
    for _ in range(7):
        if os.fork() == 0:
            break
    while time.monotonic() < end:
        pass
    print("harm spun")

def fills(place):
    size = 0
    try:
        with open(place, "wb", buffering=0) as file:
            while True:
                size += file.write(bytes(1 << 20))
    except OSError as error:
        print("harm fills", place, "refused with", error.errno, "after", size)

def connects(host, port):
    ring, made = [], 0
    for number in range(100_000):
        line = socket.socket()
        line.setblocking(False)
        line.connect_ex((host, int(port)))
        ring.append(line)
        if len(ring) == 4000:
            for line in ring:
                made += line.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0 and reached(line)
                line.close()
            ring.clear()
    print("harm connects", number + 1, "reached", made)

def reached(line):
    try:
        line.getpeername()
    except OSError:
        return 0
    return 1

globals()[sys.argv[1]](*sys.argv[2:])
"""


def harmful(daemon: Daemon, directory: Path, name: str) -> Shop:
    """It does what it is asked to at /harm?what."""
    shop = open_shop(daemon, directory, name)
    place = '        elif path not in ("/"'
    server = (HELLO / "server.py").read_text().replace(place, f"{HARM}{place}")
    dockerfile = (HELLO / "Dockerfile").read_text().replace("COPY server.py", "COPY *.py")
    shop.deploy({"server.py": server, "harm.py": PROGRAMS, "Dockerfile": dockerfile})
    return shop


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """A dyno may have one processor, which the machine has two of. Bites: with no bound, which is the default, the
    sibling's p99 was 228 ms beside the forks instead of 88."""
    with running_alone({"dynos": {"cpus": 1}, "deploy": {"wait": 20.0, "grace": 2.0, "drain": 2.0}}) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def mallory(daemon: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return harmful(daemon, tmp_path_factory.mktemp("mallory"), "mallory")


@pytest.fixture(scope="module")
def sibling(daemon: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Somebody else's."""
    shop = open_shop(daemon, tmp_path_factory.mktemp("sibling"), "sibling")
    shop.deploy()
    return shop


def answered(sibling: Shop, directory: Path) -> Report:
    """The sibling's answers while nobody does any harm, for as long as it is done afterwards."""
    with under_load(Aim(sibling.daemon.router_port, sibling.name, RATE), directory) as load:
        time.sleep(SECONDS)
        return load.stop()


WAYS = {
    "forks": ("forks", f"harm forks refused with {errno.EAGAIN}"),
    "files": ("files", f"harm files refused with {errno.EMFILE}"),
    "spins": ("spins", "harm spun"),
    "connects": ("connects&{gateway}&{port}", "harm connects 100000 reached 0"),
}


@pytest.mark.row("A05", TITLE)
@pytest.mark.parametrize("what", WAYS)
def test_a05_what_an_app_does_within_its_walls(
    mallory: Shop, sibling: Shop, what: str, tmp_path: Path, record_property: Record
) -> None:
    """Bites: PidsLimit or Ulimits left out of `_host_config`, and nothing is refused."""
    wait_until(lambda: mallory.get()[0] == 200, 60, "it does not serve")
    query, words = WAYS[what]
    [name] = mallory.containers(all=False)
    gateway = mallory.inspect(name, "{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}")
    before = mallory.log().count(words)
    alone = answered(sibling, tmp_path)
    aim = Aim(sibling.daemon.router_port, sibling.name, RATE)
    with asked(mallory.daemon, "/apps", 0.1) as took, under_load(aim, tmp_path) as load:
        began = time.monotonic()
        query = query.format(gateway=gateway, port=mallory.daemon.router_port)
        assert mallory.get(f"/harm?{query}")[0] == 200
        wait_until(lambda: mallory.log().count(words) > before, 60, f"it was not told: {words}")
        time.sleep(max(0.0, began + SECONDS - time.monotonic()))  # as many answers as without it
        beside = load.stop()
    assert [sample for sample in beside.samples if sample.failure] == []
    assert p99(took) < API_SECONDS, took
    calm, troubled = p99(alone.latencies()), p99(beside.latencies())
    assert troubled < max(2 * calm, FLOOR_SECONDS), (calm, troubled)
    record_property("requests", len(beside.samples))
    record_property("failed", len(beside.failed))
    record_property(f"p99 beside {what}", f"{1000 * calm:.0f} to {1000 * troubled:.0f} ms")
    record_property("api_p99_s", round(p99(took), 3))
    wait_until(lambda: mallory.get()[0] == 200, 60, "it does not serve any more")


@pytest.fixture(scope="module")
def disk() -> Iterator[SmallDisk]:
    root = Path(tempfile.mkdtemp(prefix="paasd-"))
    try:
        with small_disk(root, DISK_MB) as disk:
            yield disk
    finally:
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def engine(disk: SmallDisk) -> Iterator[OwnEngine]:
    with own_engine(data=disk.where / "data") as engine:
        yield engine


@needs_mounts
@needs_own_engine
@pytest.mark.row("A05", TITLE)
def test_a05_an_app_fills_the_engines_disk(engine: OwnEngine, tmp_path: Path, record_property: Record) -> None:
    """`/tmp` and `/`: there is no quota, so it is told of; others serve, and a restart of the dyno gives it all back.

    Bites: `look_after` left out of the periodic work, and the log says nothing.
    """
    config = {"deploy": {"wait": 5.0, "grace": 1.0, "drain": 1.0}, "docker": engine.settings}
    with running_alone({**config, "disk": {"build_mb": 100, "build_inodes": 100}}) as daemon:
        other = open_shop(daemon, tmp_path / "other", "other")
        other.deploy()
        shop = harmful(daemon, tmp_path / "filler", "filler")
        with (
            asked(daemon, "/apps", 0.1) as took,
            under_load(Aim(daemon.router_port, other.name, RATE), tmp_path) as load,
        ):
            for place in ("/tmp/full", "/app/full"):
                assert shop.get(f"/harm?fills&{place}")[0] == 200
                words = f"harm fills {place} refused with {errno.ENOSPC}"
                wait_until(lambda said=words: said in shop.log(), 90, f"it was not told: {words}")
            full = next(disk for disk in daemon.call("GET", "/paasd/disk")[1]["disks"] if disk["status"] == "full")
            assert full["used_percent"] >= 90
            code, said = other.push({"Procfile": f"{PROCFILE}# no room\n"})
            assert code != 0 and "There is not enough disk space to build" in said, said
            wait_until(lambda: "status=full" in daemon.log.read_text(), 150, "the log does not say so")
            assert shop.call("DELETE", "/dynos")[0] == 202
            began = time.monotonic()
            wait_until(lambda: roomy(daemon), 60, "the room did not come back")
            record_property("room_again_s", round(time.monotonic() - began, 1))
            report = load.stop()
        other.deploy({"Procfile": f"{PROCFILE}# room again\n"})
    assert [sample for sample in report.samples if sample.failure] == []
    assert p99(took) < API_SECONDS, took
    record_property("requests", len(report.samples))
    record_property("failed", len(report.failed))


def roomy(daemon: Daemon) -> bool:
    return all(disk["status"] != "full" for disk in daemon.call("GET", "/paasd/disk")[1]["disks"])
