"""A09: dynos that ignore SIGTERM, need 29 of their 30 seconds, or leave zombies behind, restarted and scaled down."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance.shop import HELLO, PROCFILE, Shop, open_shop
from tests.daemon import running_alone, wait_until
from tests.faults.engine_events import Recorder, recorded

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(200)]

Record = Callable[[str, object], None]
GRACE = 30.0
TOLERANCE = 1.0
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, lambda *_: print("never", flush=True))
print("begun", flush=True)
while True:
    time.sleep(1)
"""
LATE = """
import signal, sys, time
def stop(*_):
    time.sleep(29)
    print("all is put away", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
print("begun", flush=True)
while True:
    time.sleep(1)
"""
ZOMBIES = """
import os, time
while True:
    for _ in range(20):
        child = os.fork()
        if child == 0:
            if os.fork() == 0:
                time.sleep(0.2)  # its parent is gone by then: whoever is process 1 has to bury it
            os._exit(0)
        os.waitpid(child, 0)
    print("begun", flush=True)
    time.sleep(0.3)
"""
TYPES = {"stubborn": STUBBORN, "late": LATE, "zombies": ZOMBIES}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """With the grace that is shipped; a dyno of each type but two that ignore SIGTERM."""
    with running_alone({}) as daemon:
        shop = open_shop(daemon, tmp_path_factory.mktemp("stops"), "stops")
        procfile = PROCFILE + "".join(f"{name}: python3 -u {name}.py\n" for name in TYPES)
        dockerfile = (HELLO / "Dockerfile").read_text().replace("COPY server.py", "COPY *.py")
        shop.deploy(
            {
                "Procfile": procfile,
                "Dockerfile": dockerfile,
                **{f"{name}.py": program for name, program in TYPES.items()},
            }
        )
        yield shop


def scale(shop: Shop, **quantities: int) -> None:
    updates = [{"type": name, "quantity": quantity} for name, quantity in quantities.items()]
    status, said = shop.call("PATCH", "/formation", {"updates": updates})
    assert status == 200, said


def named(shop: Shop, dyno: str) -> str:
    """The container of a dyno that has begun its work."""
    found = [name for name in shop.containers(all=False) if f".{dyno}.v" in name]
    return found[0] if len(found) == 1 and "begun" in docker("logs", found[0]) else ""


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout


def end_of(recorder: Recorder, container: str) -> tuple[dict[int, float], int]:
    """When (engine's seconds) each signal was sent to it first, with 0 for its end; and its exit code."""
    at: dict[int, float] = {}
    code = -1
    for event in recorder.of("kill", "die", container=container):
        at.setdefault(event.signal if event.action == "kill" else 0, event.at)
        code = event.code if event.action == "die" else code
    return at, code


@pytest.mark.row("A09", "dynos that ignore SIGTERM, exit after 29 s, or make zombies: restarted and scaled down")
def test_dynos_that_are_told_to_stop(shop: Shop, tmp_path: Path, record_property: Record) -> None:
    """Bites: with `WAITS` empty each ends at once with 143, for its shell does; with `Init` left out of `_host_config`
    SIGTERM reaches the shell alone, and late.1 is killed."""
    scale(shop, stubborn=2, late=1, zombies=1)
    wanted = ("stubborn.1", "stubborn.2", "late.1", "zombies.1")
    wait_until(lambda: all(named(shop, dyno) for dyno in wanted), 60, "not all have begun")
    containers = {dyno: named(shop, dyno) for dyno in wanted}
    wait_until(lambda: docker("logs", containers["zombies.1"]).count("begun") > 3, 30, "no orphans were made")
    states = [
        Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        for pid in docker("top", containers["zombies.1"], "-eo", "pid").split()[1:]
        if Path(f"/proc/{pid}").exists()
    ]
    assert len(states) < 60 and states.count("Z") <= 20, states  # 20 die together; hundreds did before

    with recorded(tmp_path, shop.call("GET")[1]["id"]) as recorder:
        assert shop.call("DELETE", "/dynos/stubborn.1")[0] == 202
        wait_until(lambda: "heroku[stubborn.1]: Stopping all processes with SIGTERM" in shop.log(), 30, "not restarted")
        scale(shop, stubborn=1, late=0)
        gone = [containers[dyno] for dyno in ("stubborn.1", "stubborn.2", "late.1")]
        wait_until(lambda: not set(gone) & set(shop.containers()), GRACE + 30, "they stay")
    for dyno in ("stubborn.1", "stubborn.2"):
        at, code = end_of(recorder, containers[dyno])
        assert code == 137
        assert abs(at[9] - at[15] - GRACE) <= TOLERANCE, at
        record_property("killed_after_s", round(at[9] - at[15], 2))
        assert said(shop, dyno) == [
            "Stopping all processes with SIGTERM",
            "Error R12 (Exit timeout) -> At least one process failed to exit within 30 seconds of SIGTERM",
            "Stopping remaining processes with SIGKILL",
            "Process was killed by signal 9",
        ]
    at, code = end_of(recorder, containers["late.1"])
    assert (code, 9 in at) == (0, False)
    assert abs(at[0] - at[15] - 29) <= TOLERANCE, at
    assert said(shop, "late.1") == ["Stopping all processes with SIGTERM", "Process exited with status 0"]
    assert "app[late.1]: all is put away" in shop.log()
    assert named(shop, "stubborn.1")  # the fresh one


def said(shop: Shop, dyno: str) -> list[str]:
    """What the platform said of a dyno from its SIGTERM on, but of the fresh one's start."""
    wait_until(lambda: "Process " in tail(shop, dyno), 10, "its end is not in the log")
    lines = tail(shop, dyno).splitlines()
    return [
        line.partition("]: ")[2] for line in lines if "Starting process" not in line and "State changed" not in line
    ]


def tail(shop: Shop, dyno: str) -> str:
    log = shop.log("--source", "heroku", "--dyno", dyno)
    lines = log.splitlines()
    first = next((at for at, line in enumerate(lines) if "SIGTERM" in line), len(lines))
    return "\n".join(lines[first:])
