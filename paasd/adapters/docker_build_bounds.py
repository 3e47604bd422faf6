"""Bounds of what BuildKit runs. It ignores those of the engine's API, so that they are set on its own control group.

All builds of the engine stand below that one group: it is given what all that may run at once have together, and
what other users of the same engine build counts too.
"""

import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

GROUP = "docker/buildkit"  # below which the engine's BuildKit makes a group for each step, but under systemd's driver
ROOT = Path("/sys/fs/cgroup")
HANDED_DOWN = ("+memory", "+pids", "+cpu")
PERIOD = 100_000  # microseconds


@dataclass(frozen=True, slots=True)
class BuildBounds:
    """Of all builds together: bytes, processes and threads, processors (None: all)."""

    memory: int
    pids: int
    cpus: float | None = None

    def files(self, root: Path) -> dict[Path, str]:
        """What is to be in which file, by the version of control groups that the machine has."""
        if (root / "cgroup.controllers").exists():
            quota = "max" if self.cpus is None else str(int(self.cpus * PERIOD))
            group = root / GROUP
            return {
                group / "memory.max": str(self.memory),
                group / "pids.max": str(self.pids),
                group / "cpu.max": f"{quota} {PERIOD}",
            }
        quota = "-1" if self.cpus is None else str(int(self.cpus * PERIOD))
        return {
            root / "memory" / GROUP / "memory.limit_in_bytes": str(self.memory),
            root / "pids" / GROUP / "pids.max": str(self.pids),
            root / "cpu" / GROUP / "cpu.cfs_quota_us": quota,
        }

    def set(self, root: Path = ROOT) -> None:
        """As far as we may: `problem` tells where that is not so. Repeated before each build, in case the engine
        was started anew."""
        if not _ours(root):
            return
        for path, wanted in self.files(root).items():
            try:
                if path.parent.parent.is_dir() and path.read_text().strip() != wanted:
                    path.write_text(wanted)
            except FileNotFoundError:
                self._make(path, wanted)
            except OSError:
                continue

    def _make(self, path: Path, wanted: str) -> None:
        """Before the engine's first build there is no such group; one that is there it takes as it is. A group of
        version 2 has only what the ones above it hand down."""
        try:
            for above in (path.parent.parent.parent, path.parent.parent):
                if (above / "cgroup.controllers").exists():
                    for controller in HANDED_DOWN:  # one that is not there keeps no other from being handed down
                        with suppress(OSError):
                            (above / "cgroup.subtree_control").write_text(controller)
            path.parent.mkdir(exist_ok=True)
            path.write_text(wanted)
        except OSError:
            return

    def problem(self, root: Path = ROOT) -> str | None:
        """None when all are in force, else why not."""
        for path, wanted in self.files(root).items():
            try:
                found = path.read_text().strip()
            except OSError:
                return f"its control group is not at {path.parent}, or not to be read"
            if found != wanted and not _rounded(found, wanted):
                return f"{path} is {found}, and should be {wanted}"
        return None


def _rounded(found: str, wanted: str) -> bool:
    """The kernel keeps whole pages."""
    return found.isdigit() and wanted.isdigit() and 0 <= int(wanted) - int(found) < 65536


def _ours(root: Path) -> bool:
    return sys.platform == "linux" and os.geteuid() == 0 and root.is_dir()
