"""A02, A06: a release whose dynos bind nothing of use, or too late, or whose release command ends badly: never served.

The release before it answers all the while, its failure says why, nothing is left over, and the next push is taken at
once. Bites: with the exit code not looked at in `ReleasePhase.run`, what fails is served; with the question for
127.0.0.1 and for a refused probe left out of `Boot._why_not_bound`, the loopback and IPv6 rows do not name them.
"""

import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bench.load import Aim, under_load
from tests.acceptance.shop import HELLO, PROCFILE, Shop, open_shop
from tests.daemon import Daemon, running_alone
from tests.faults.history import RecordedDaemon
from tests.faults.test_crash import clean, wrong

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(150)]

Record = Callable[[str, object], None]
RATE = 50.0
BOOT_SECONDS = 4.0
LISTEN = "import os, socket, time\nserver = socket.socket(socket.{family})\nserver.bind(({address}, {port}))\n"
LISTEN += "server.listen()\ntime.sleep(9999)\n"
PORT = 'int(os.environ["PORT"])'
RELEASE = f"release: {{command}}\n{PROCFILE}"
# So long after the container's own beginning, however long Python took to begin.
LATE = """
import os, time
began = int(open("/proc/1/stat").read().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
while time.clock_gettime(time.CLOCK_BOOTTIME) < began + {after}:
    time.sleep(0.01)
"""
GOOD = {"Procfile": PROCFILE, "server.py": (HELLO / "server.py").read_text()}

BINDS = [
    pytest.param("import time; time.sleep(9999)", r"failed to bind to \$PORT", id="nothing"),
    pytest.param(LISTEN.format(family="AF_INET", address='"0.0.0.0"', port=8123), "listens on 8123", id="other port"),
    pytest.param(
        LISTEN.format(family="AF_INET", address='"127.0.0.1"', port=PORT),
        r"bound to 127\.0\.0\.1 .* must be 0\.0\.0\.0:\$PORT",
        id="loopback",
    ),
    pytest.param(
        LISTEN.replace(
            "server.bind", "server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)\nserver.bind"
        ).format(family="AF_INET6", address='"::"', port=PORT),
        r"bound to :: for IPv6 only .* must be 0\.0\.0\.0:\$PORT",
        id="IPv6 only",
    ),
]
STILL = "still running after 5 seconds"
COMMANDS = [
    pytest.param("sleep 9999", 5, STILL, id="sleeps"),
    pytest.param("trap '' TERM; while true; do sleep 1; done", 5, STILL, id="ignores SIGTERM"),
    pytest.param("echo no such table; exit 1", 0, "exited with status 1", id="fails"),
    pytest.param("setsid sleep 9999 & echo left behind; exit 3", 0, "exited with status 3", id="leaves a daemon"),
    pytest.param("b() { b | b & }; b; sleep 9999; exit 4", 0, "[Cc]annot fork", id="fork bomb"),
    pytest.param("python3 -c '[bytearray(10**6) for _ in range(10**4)]'", 0, r"\(R15\)", id="out of memory"),
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """An app that serves, its release command given five seconds and its dynos few to boot."""
    root = Path(tempfile.mkdtemp(prefix="paasd-"))
    deploy = {"wait": 20.0, "grace": 2.0, "drain": 2.0}
    daemon = RecordedDaemon(root, config={"deploy": deploy, "dynos": {"boot_timeout": BOOT_SECONDS}})
    try:
        daemon.start()
        shop = open_shop(daemon, tmp_path_factory.mktemp("bad"), "bad")
        assert shop.call("PATCH", "", {"release_timeout": 5})[0] == 200
        shop.deploy()
        yield shop
    finally:
        daemon.clear_away()
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="module")
def unhurried() -> Iterator[Daemon]:
    """With the time to boot that is shipped."""
    with running_alone({"deploy": {"wait": 20.0, "grace": 2.0, "drain": 2.0}}) as daemon:
        yield daemon


@pytest.mark.row("A02", "dynos that bind nothing, another port, 127.0.0.1, IPv6 only, and after 59 and 61 seconds")
@pytest.mark.parametrize(("program", "says"), BINDS)
def test_what_binds_nothing_of_use(
    shop: Shop, program: str, says: str, tmp_path: Path, record_property: Record
) -> None:
    said = refused(shop, {"server.py": program}, tmp_path, record_property)
    assert re.search(says, said), said


@pytest.mark.row("A02", "dynos that bind nothing, another port, 127.0.0.1, IPv6 only, and after 59 and 61 seconds")
def test_the_last_second_to_bind(unhurried: Daemon, tmp_path: Path, record_property: Record) -> None:
    """Both at once, at the limit as it is shipped. Bites: with `DynoSettings.boot_timeout` at 57 the first is
    refused."""
    shops = {after: open_shop(unhurried, tmp_path / str(after), f"after-{after}") for after in (59, 61)}
    for shop in shops.values():
        shop.deploy()
    with (
        under_load(Aim(unhurried.router_port, "after-61", RATE), tmp_path) as load,
        ThreadPoolExecutor(len(shops)) as both,
    ):
        late = {after: LATE.format(after=after) + GOOD["server.py"] for after in shops}
        pushes = {after: both.submit(shops[after].push, {"server.py": late[after]}) for after in shops}
        (in_time, first), (too_late, second) = pushes[59].result(), pushes[61].result()
        assert in_time == 0, first
        assert shops[59].served() == "v3"
        assert too_late != 0
        assert re.search(r"failed to bind to \$PORT \(5000\) within 60 seconds of launch \(R10\)", second), second
        assert shops[61].served() == "v2"
        assert "Error R10 (Boot timeout)" in shops[61].log()
        report = load.stop()
    assert [sample for sample in report.samples if sample.failure] == []
    record_property("requests", len(report.samples))
    record_property("failed", len(report.failed))


@pytest.mark.row(
    "A06", "release commands that sleep, ignore SIGTERM, fail, leave a daemon, fork or allocate without end"
)
@pytest.mark.parametrize(("command", "seconds", "says"), COMMANDS)
def test_release_commands_that_do_not_end_well(
    shop: Shop, command: str, seconds: int, says: str, tmp_path: Path, record_property: Record
) -> None:
    began = time.monotonic()
    said = refused(shop, {"Procfile": RELEASE.format(command=command)}, tmp_path, record_property)
    assert time.monotonic() - began >= seconds
    assert re.search(says, said), said
    assert "The release command" in said, said


def refused(shop: Shop, files: dict[str, str], tmp_path: Path, record: Record) -> str:
    """What a push of `files` said, which was not served; what served before did all the time, and then the next one."""
    before = shop.standing().releases[-1][0]
    with under_load(Aim(shop.daemon.router_port, shop.name, RATE), tmp_path) as load:
        code, said = shop.push(files)
        assert code != 0, said
        assert shop.call("GET", f"/releases/{before + 1}")[1]["status"] == "failed"
        assert shop.served() == f"v{before}"
        clean(shop)
        shop.deploy({**GOOD, "again.txt": str(before)})
        assert shop.served() == f"v{before + 2}"
        report = load.stop()
    assert [sample for sample in report.samples if sample.failure] == []
    assert wrong(shop) == []
    record("requests", len(report.samples))
    record("failed", len(report.failed))
    return said
