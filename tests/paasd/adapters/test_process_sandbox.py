"""What this machine lets dynos be kept apart by, and the words for it."""

from pathlib import Path

import pytest

from paasd.adapters.process_sandbox import Isolation, View, cgroups, rlimits, wrap
from paasd.domain.dyno import Limits

ALL = Isolation("/usr/bin/bwrap", True, "v1")
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
    assert words[words.index("--tmpfs", words.index("/run")) + 1] == "/opt/paasd"
    assert words.index("/opt/paasd") < words.index("/opt/paasd/process/dynos/a/app")
    assert "/opt/paasd" not in wrap(ALL, view, Path("/srv/paasd"))
