"""What BuildKit may take, as its control group says it; and, on a real engine, that a build does not get more."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from paasd.adapters.docker_build_bounds import GROUP, BuildBounds

BOUNDS = BuildBounds(memory=4 << 30, pids=2048, cpus=1.5)


def first_version(root: Path, *, made: bool = True) -> Path:
    for name in ("memory", "pids", "cpu"):
        (root / name / (GROUP if made else "docker")).mkdir(parents=True)
    for path in BOUNDS.files(root) if made else ():
        path.write_text("9223372036854771712\n")
    return root


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may set them")
def test_they_are_set_and_then_there_is_no_problem(tmp_path: Path) -> None:
    root = first_version(tmp_path)
    assert "and should be 4294967296" in str(BOUNDS.problem(root))
    BOUNDS.set(root)
    assert BOUNDS.problem(root) is None
    assert (root / "cpu" / GROUP / "cpu.cfs_quota_us").read_text() == "150000"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may set them")
def test_before_the_engine_s_first_build_the_group_is_made(tmp_path: Path) -> None:
    root = first_version(tmp_path, made=False)
    BOUNDS.set(root)
    assert BOUNDS.problem(root) is None


def test_second_version_of_control_groups(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").touch()
    files = {path.name: text for path, text in BuildBounds(1 << 30, 100).files(tmp_path).items()}
    assert files == {"memory.max": "1073741824", "pids.max": "100", "cpu.max": "max 100000"}


SECOND = Path("/sys/fs/cgroup")
CONTROLLERS = (SECOND / "cgroup.controllers").read_text().split() if (SECOND / "cgroup.controllers").exists() else []
FORKS = """
import os, sys, time
for made in range(100):
    try:
        if os.fork() == 0:
            time.sleep(60)
    except OSError:
        break
print(made)
"""


@pytest.mark.skipif(
    os.geteuid() != 0 or not {"memory", "pids", "cpu"} <= set(CONTROLLERS) or (SECOND / "docker").exists(),
    reason="no hierarchy of cgroup v2 with its controllers that is ours alone (.ci/cgroup-v2 has one)",
)
def test_second_version_bounds_what_a_step_starts() -> None:
    """Before the engine's first build, on the kernel's own hierarchy, with a step's group as the engine makes it.

    Bites: without the controllers handed down there is no memory.max to write, and the first build is not bounded.
    """
    bounds = BuildBounds(256 << 20, 20, 0.5)
    step = SECOND / GROUP / "step"
    (SECOND / "docker").mkdir()
    try:
        bounds.set()
        assert bounds.problem() is None
        step.mkdir()
        command = f'echo $$ > {step}/cgroup.procs; exec "$0" -c "$1"'
        words = ["sh", "-c", command, sys.executable, FORKS]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as forking:
            assert forking.stdout is not None
            assert int(forking.stdout.readline()) < 20
            (step / "cgroup.kill").write_text("1")
        eats = f'echo $$ > {step}/cgroup.procs; exec "$0" -c "bytearray(1 << 30)"'
        assert subprocess.run(["sh", "-c", eats, sys.executable], timeout=60).returncode == -signal.SIGKILL
        assert "oom_kill 1\n" in (SECOND / GROUP / "memory.events").read_text()
    finally:
        for place in filter(Path.exists, (step, SECOND / GROUP, SECOND / "docker")):
            for _ in range(100):
                if "populated 0" in (place / "cgroup.events").read_text():
                    break
                time.sleep(0.05)
            place.rmdir()


def test_an_engine_that_keeps_its_builds_elsewhere_is_told(tmp_path: Path) -> None:
    BOUNDS.set(tmp_path)
    assert "is not at" in str(BOUNDS.problem(tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may set them")
def test_whole_pages_are_as_good(tmp_path: Path) -> None:
    root = first_version(tmp_path)
    BOUNDS.set(root)
    (root / "memory" / GROUP / "memory.limit_in_bytes").write_text(str((4 << 30) - 4096))
    assert BOUNDS.problem(root) is None


@pytest.mark.docker
@pytest.mark.skipif(BuildBounds(1, 1).problem() is not None and "is not at" in str(BuildBounds(1, 1).problem()),
                    reason="this engine keeps its builds elsewhere")  # fmt: skip
def test_a_build_is_below_that_group(tmp_path: Path) -> None:
    """Bites: where BuildKit's steps run elsewhere, the bounds are in force for nobody."""
    lines = f"FROM paasd/stack:bookworm\nRUN cat /proc/self/cgroup && : {os.urandom(8).hex()}\n"
    (tmp_path / "Dockerfile").write_text(lines)
    client = "/usr/bin/docker"
    if not Path(client).exists():
        pytest.skip("no docker client that builds by BuildKit")
    command = [client, "build", "--progress", "plain", str(tmp_path)]
    environment = {**os.environ, "DOCKER_BUILDKIT": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if "buildx" in done.stderr and done.returncode:
        pytest.skip("this docker client does not build by BuildKit")
    assert f"/{GROUP}/" in done.stderr, done.stderr
