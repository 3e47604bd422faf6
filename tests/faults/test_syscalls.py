"""K12: kill -9 at the Nth of a system call in a deploy, N = 1, 2, … until one deploy ends without a hit.

strace counts each thread's calls for itself, so the first thread that comes to its Nth ends the process: the daemon,
or one of its gits. One turn takes every tenth N, and each of ten turns others: REPEAT=10 has been at them all.
"""

import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.load import Aim, under_load
from tests.acceptance.shop import PROCFILE, Shop, open_shop
from tests.daemon import alone, wait_until
from tests.faults.history import RecordedDaemon
from tests.faults.test_crash import RATE, SETTLED_SECONDS, clean, current, quiet, wrong

pytestmark = [
    pytest.mark.docker,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed (apt-get install strace)"),
]

Record = Callable[[str, object], None]
STEP = 10
CALLS = ("fdatasync", "pwrite64", "connect", "rename")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """An app that serves, of a daemon to kill."""
    with alone(RecordedDaemon, {"deploy": {"wait": 20.0, "grace": 2.0, "drain": 2.0}}) as daemon:
        shop = open_shop(daemon, tmp_path_factory.mktemp("calls"), "calls")
        shop.deploy()
        yield shop


@contextmanager
def killed_at(process: int, call: str, number: int, said: Path) -> Iterator[None]:
    """Whoever of the process and its children comes to so many of these calls ends there; `said` tells who did."""
    inject = f"inject={call}:signal=KILL:when={number}"
    command = ["strace", "-f", "-qq", "-e", f"trace={call}", "-e", inject, "-o", str(said), "-p", str(process)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as tracer:
        wait_until(lambda: traced(process), 10, "strace did not attach")
        try:
            yield
        finally:
            tracer.terminate()


def traced(process: int) -> bool:
    """Whether each of its threads is."""
    threads = [path.read_text() for path in Path(f"/proc/{process}/task").glob("*/status")]
    return all(re.search(r"TracerPid:\t[1-9]", status) for status in threads)


@pytest.mark.row("K12", "killed at the Nth fdatasync, pwrite64, connect and rename of a deploy, until none is hit")
@pytest.mark.parametrize("call", CALLS)
def test_killed_at_a_system_call(
    shop: Shop, call: str, tmp_path: Path, request: pytest.FixtureRequest, record_property: Record
) -> None:
    """Bites: as K01–K11; and with `synchronous` OFF there is no fdatasync at all to be killed at."""
    number = int(request.node.callspec.params.get("turn", 1))
    hits, last = 0, 0
    with under_load(Aim(shop.daemon.router_port, shop.name, RATE), tmp_path) as load:
        while hit(shop, call, number, tmp_path / f"{call}-{number}"):
            hits, last, number = hits + 1, number, number + STEP
        shop.deploy({"Procfile": PROCFILE})
        clean(shop)
        report = load.stop()
    assert [sample for sample in report.samples if sample.failure] == []
    record_property("kills", hits)
    record_property(f"N max of {call}", str(last))
    record_property("requests", len(report.samples))
    record_property("failed", len(report.failed))


def hit(shop: Shop, call: str, number: int, said: Path) -> bool:
    """Whether somebody was killed in a push; what must be so afterwards is so."""
    daemon = shop.daemon
    assert daemon.process is not None
    shop.shell.commit("Doomed", {"Procfile": f"{PROCFILE}# {time.monotonic_ns()}\n"})
    with killed_at(daemon.process.pid, call, number, said):
        code, told = shop.shell.attempt("git", "push", "paasd", "HEAD:main")
        time.sleep(0.5)  # what comes after the answer may meet it too
    assert shop.get()[0] == 200  # daemon or no daemon
    if killed := "killed by SIGKILL" in said.read_text():
        if daemon.process.poll() is not None:
            daemon.process = None
            daemon.start()
    else:
        assert code == 0, told
    wait_until(lambda: quiet(shop), SETTLED_SECONDS, "a release or a build stays pending")
    assert shop.served() == current(shop)
    clean(shop)
    assert wrong(shop) == [], (call, number)
    return killed
