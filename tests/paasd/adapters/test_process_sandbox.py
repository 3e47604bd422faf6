"""What this machine lets dynos be kept apart by, and the words for it."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from paasd.adapters.process_sandbox import Isolation, View, cgroups, hands_down, rlimits, wrap
from paasd.adapters.process_tree import kill_cgroups, make_cgroups, members, remove_cgroups
from paasd.domain.dyno import Limits

ALL = Isolation("/usr/bin/bwrap", True, "v1")
MOUNTS = Path("/proc/self/mounts").read_text().splitlines()
LIMITS = Limits(64 << 20, 0.5, 100, 1000)


@pytest.mark.parametrize("found", [ALL, Isolation(None, True, None), Isolation(None, False, None)])
def test_what_is_missing_is_said_with_its_remedy(found: Isolation) -> None:
    assert found.describe()
    assert all(problem.endswith(".") and "; " in problem for problem in found.problems())
    assert bool(found.problems()) is (found != ALL)


def test_bounds_are_cgroups_where_they_can_be_made() -> None:
    first, second, third = cgroups(ALL, "1f", "shop.web.1", LIMITS)
    assert first["path"] == "/sys/fs/cgroup/memory/paasd-1f/shop.web.1"
    assert first["bounds"] == {"memory.limit_in_bytes": "67108864", "memory.memsw.limit_in_bytes": "67108864"}
    assert second["bounds"] == {"pids.max": "100"}
    assert third["bounds"] == {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "50000"}
    (unified,) = cgroups(Isolation(None, True, "v2"), "1f", "shop.web.1", LIMITS)
    assert unified["bounds"] == {
        "memory.max": "67108864",
        "memory.swap.max": "0",
        "pids.max": "100",
        "cpu.max": "50000 100000",
    }
    assert cgroups(Isolation(None, False, None), "1f", "shop.web.1", LIMITS) == []


UNIFIED = next((Path(line.split()[1]) for line in MOUNTS if line.split()[2] == "cgroup2"), None)
needs_v2 = pytest.mark.skipif(UNIFIED is None or os.geteuid() != 0, reason="no cgroup v2 hierarchy, or not root")


@needs_v2
def test_whether_cgroups_of_v2_can_be_made_is_tried(tmp_path: Path) -> None:
    """On the kernel's own hierarchy, with whichever of its controllers are not v1's here. Bites: its modes believed."""
    assert UNIFIED is not None
    handed = (UNIFIED / "cgroup.subtree_control").read_text().split()
    for name in (UNIFIED / "cgroup.controllers").read_text().split()[:1]:
        assert hands_down(UNIFIED, [name], ["cgroup.events"])
        assert name in (UNIFIED / "cgroup.subtree_control").read_text().split()
        if name not in handed:
            (UNIFIED / "cgroup.subtree_control").write_text(f"-{name}")
    assert hands_down(UNIFIED, [], ["cgroup.events"])
    assert not hands_down(UNIFIED, [], ["nothing.max"])
    assert not hands_down(UNIFIED, ["nothing"], [])
    assert list(UNIFIED.glob("paasd-probe-*")) == []
    assert not hands_down(tmp_path / "gone", [], [])


@needs_v2
def test_all_in_a_cgroup_of_v2_ends_at_once() -> None:
    """What there is of v2 beside v1's controllers: its folders, its way to kill, its end."""
    parent = f"{UNIFIED}/paasd-{os.urandom(4).hex()}"
    cgroups: list[dict[str, object]] = [{"path": f"{parent}/a", "parents": {parent: ""}, "bounds": {}}]
    make_cgroups(cgroups)
    spawns = f"echo $$ > {parent}/a/cgroup.procs; for i in 1 2 3; do setsid sleep 7741 & done; echo in; wait"
    with subprocess.Popen(["/bin/sh", "-c", spawns], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"in\n"
            assert len(members(f"{parent}/a")) == 4
        finally:
            kill_cgroups(cgroups)
            assert process.wait(10) == -signal.SIGKILL
            remove_cgroups(cgroups)
    assert not Path(parent).exists()


def test_without_cgroups_each_process_is_bounded() -> None:
    assert rlimits(ALL, LIMITS) == {"NOFILE": 1000, "CORE": 0}
    assert rlimits(Isolation(None, False, None), LIMITS)["DATA"] == 64 << 20
    assert "NPROC" not in rlimits(
        Isolation(None, False, None), LIMITS
    )  # it would count all that the daemon's user runs


def test_a_home_within_the_system_is_not_seen() -> None:
    """Bites: /opt shown as it is, and with it the home that lies there."""
    view = View([Path("/opt/paasd/process/dynos/a/app")], [], Path("/opt/paasd/process/dynos/a/tmp"))
    words = wrap(ALL, view, Path("/opt/paasd"))
    assert words[words.index("/opt/paasd") - 1] == "--tmpfs"
    assert words.index("/opt/paasd") < words.index("/opt/paasd/process/dynos/a/app")
    assert "/opt/paasd" not in wrap(ALL, view, Path("/srv/paasd"))
