"""What BuildKit may take, as its control group says it; and, on a real engine, that a build does not get more."""

import os
import subprocess
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
