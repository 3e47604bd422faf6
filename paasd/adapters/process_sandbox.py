"""How well this machine lets dynos be kept apart, and the words that start a command so.

Root: a user and cgroups of its own for each app's processes. bubblewrap where it works, root or not: a read-only
system, a /tmp of its own, no sight of the home, of other apps, or of other processes. Neither: plain bounds.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from paasd.adapters import process_inside
from paasd.domain.dyno import Limits

SYSTEM = ("/usr", "/opt", "/etc")  # seen read-only; /etc/shadow and the like are not for an app's user to read
LINKS = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")  # into /usr on most machines
RESOLVER = "/etc/resolv.conf"  # often a link into /run, of which nothing else is seen
INSIDE = "/run/paasd/inside.py"
TRY_SECONDS = 10.0
V1 = Path("/sys/fs/cgroup")
CONTROLLERS = ("memory", "pids", "cpu")
V2_FILES = ("memory.max", "pids.max", "cpu.max")
CPU_PERIOD = 100_000


@dataclass(frozen=True, slots=True)
class Isolation:
    """What there is: `bwrap` its path, `cgroups` which ("v1", "v2", None: none that we may make)."""

    bwrap: str | None
    root: bool
    cgroups: str | None

    def describe(self) -> str:
        """For `paasd doctor`: what keeps dynos apart here."""
        parts = [
            "a user of its own for each app" if self.root else "",
            f"cgroups ({self.cgroups}) for memory, processors and processes" if self.cgroups else "",
            "bubblewrap: a read-only system, its own /tmp and processes, no sight of the home" if self.bwrap else "",
        ]
        return "; ".join(filter(None, parts)) or "plain bounds only"

    def problems(self) -> tuple[str, ...]:
        """What is missing, each with its remedy."""
        found = []
        if self.bwrap is None and not self.root:
            found.append(
                "Dynos run as the daemon's own user with nothing between them, and could read its home; install "
                "bubblewrap (`apt-get install bubblewrap`)."
            )
        elif self.bwrap is None:
            found.append("Dynos see the whole system; install bubblewrap (`apt-get install bubblewrap`).")
        if self.cgroups is None:
            found.append(
                "Dynos' memory and processors are bounded for each process alone, since no cgroup can be made here; "
                "run paasd as root where cgroups are writable."
            )
        return tuple(found)


def examine(search_path: str, *, bwrap: bool = True) -> Isolation:
    """Looks, and tries. `bwrap`: whether bubblewrap is to be used where it is."""
    root = os.geteuid() == 0
    return Isolation(_working_bwrap(search_path) if bwrap else None, root, _cgroup_version() if root else None)


def _working_bwrap(search_path: str) -> str | None:
    found = shutil.which("bwrap", path=search_path)
    if found is None:
        return None
    words = [found, "--ro-bind", "/", "/", "--unshare-pid", "--proc", "/proc", "--dev", "/dev", "/bin/true"]
    try:
        done = subprocess.run(words, capture_output=True, timeout=TRY_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found if done.returncode == 0 else None


def _cgroup_version() -> str | None:
    if all(os.access(V1 / name / "cgroup.procs", os.W_OK) for name in CONTROLLERS):
        return "v1"
    try:
        known = (V1 / "cgroup.controllers").read_text().split()
    except OSError:
        return None
    return "v2" if set(CONTROLLERS) <= set(known) and hands_down(V1, CONTROLLERS, V2_FILES) else None


def hands_down(root: Path, controllers: Sequence[str], files: Sequence[str]) -> bool:
    """Whether cgroups (v2) of ours with these files can be made below that one: tried, since its modes don't tell.

    In a container it may hold processes itself, and then has none below that are bounded.
    """
    probe = root / f"paasd-probe-{os.urandom(4).hex()}"
    try:
        (root / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in controllers))
        probe.mkdir()
    except OSError:
        return False
    try:
        return all((probe / name).exists() for name in files)
    finally:
        probe.rmdir()


def cgroups(isolation: Isolation, home: str, name: str, limits: Limits) -> list[dict[str, object]]:
    """Those of one dyno, as its supervisor makes them: {"path": …, "bounds": {file: text}}."""
    memory, pids, cpus = str(limits.memory), str(limits.pids), limits.cpus
    quota = str(int((cpus or 0) * CPU_PERIOD))
    if isolation.cgroups == "v1":
        bounds: dict[str, dict[str, str]] = {
            "memory": {"memory.limit_in_bytes": memory, "memory.memsw.limit_in_bytes": memory},
            "pids": {"pids.max": pids},
            "cpu": {"cpu.cfs_period_us": str(CPU_PERIOD), "cpu.cfs_quota_us": quota} if cpus else {},
        }
        return [{"path": str(V1 / kind / f"paasd-{home}" / name), "bounds": found} for kind, found in bounds.items()]
    if isolation.cgroups == "v2":
        wanted = "+memory +pids +cpu"
        parent = V1 / f"paasd-{home}"
        within = {"memory.max": memory, "memory.swap.max": "0", "pids.max": pids}
        within |= {"cpu.max": f"{quota} {CPU_PERIOD}"} if cpus else {}
        return [
            {"path": str(parent / name), "parents": {str(V1): wanted, str(parent): wanted}, "bounds": within},
        ]
    return []


def rlimits(isolation: Isolation, limits: Limits) -> dict[str, int]:
    """What each process is bound by, where no cgroup bounds all of them together."""
    found = {"NOFILE": limits.open_files, "CORE": 0}
    if isolation.cgroups is None:
        found["DATA"] = limits.memory
        if isolation.root:
            found["NPROC"] = limits.pids  # of the app's own user
    return found


@dataclass(frozen=True, slots=True)
class View:
    """What a command sees of the files beside the system: folders it may write, folders it may read."""

    writable: Sequence[Path]
    readable: Sequence[Path]
    tmp: Path | None  # in the place of /tmp


def wrap(isolation: Isolation, view: View, hidden: Path) -> list[str]:
    """The argv that becomes the last step (process_inside) within the sandbox; empty where there is none: the
    supervisor's own fork takes that step.

    `hidden` is the home: should it lie within the system's folders, nothing of it is seen but what `view` names.
    """
    if isolation.bwrap is None:
        return []
    python = [str(interpreter()), "-I", "-S"]
    words = [isolation.bwrap, "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--die-with-parent"]
    for path in SYSTEM:
        words += ["--ro-bind-try", path, path]
    for path in LINKS:
        if Path(path).is_symlink():
            words += ["--symlink", str(Path(path).readlink()), path]
        else:
            words += ["--ro-bind-try", path, path]
    words += ["--proc", "/proc", "--dev", "/dev"]
    words += ["--perms", "1777", "--tmpfs", "/dev/shm"]  # noqa: S108 - the sandbox's own, for locks between processes
    words += ["--tmpfs", "/run"]
    resolver = os.path.realpath(RESOLVER)
    if resolver != RESOLVER:
        words += ["--ro-bind-try", resolver, resolver]
    if any(hidden.is_relative_to(folder) for folder in SYSTEM):
        words += ["--tmpfs", str(hidden)]
    words += ["--bind", str(view.tmp), "/tmp"] if view.tmp else ["--tmpfs", "/tmp"]  # noqa: S108 - the sandbox's own
    for option, folders in (("--ro-bind", [*python_folders(), *view.readable]), ("--bind", view.writable)):
        for folder in folders:
            # what is on the way there is an empty folder, which the app's user has to pass
            words += ["--perms", "0755", "--dir", str(folder.parent), option, str(folder), str(folder)]
    return [*words, "--ro-bind", process_inside.__file__, INSIDE, *python, INSIDE]


def interpreter() -> Path:
    """The Python that runs paasd, without its virtual environment."""
    return Path(getattr(sys, "_base_executable", sys.executable)).resolve()


def python_folders() -> list[Path]:
    """Where that Python lies, unless the system's folders hold it."""
    prefix = Path(sys.base_prefix).resolve()
    return [] if any(prefix.is_relative_to(folder) for folder in SYSTEM) else [prefix]
