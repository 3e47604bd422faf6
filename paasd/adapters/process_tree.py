"""Trees of processes, the cgroups that bound them, and how they end: all of one, whatever hides in it.

The supervisor runs it in a bare interpreter: the standard library alone, and only what it needs.
"""

import os
import signal
import stat
import time
from typing import Any

KILL_SECONDS = 10.0
LOOK_SECONDS = 0.005
MAKE_TIMES = 100


def make_cgroups(cgroups: list[dict[str, Any]]) -> None:
    """Each with its bounds, in the order given: {"path", "bounds": {file: text}}; "parents" hand down controllers."""
    for cgroup in cgroups:
        for parent, controllers in cgroup.get("parents", {}).items():
            os.makedirs(parent, 0o755, exist_ok=True)
            write(f"{parent}/cgroup.subtree_control", controllers)
        make_folder(cgroup["path"])
        for name, text in cgroup["bounds"].items():
            try:
                write(f"{cgroup['path']}/{name}", text)
            except FileNotFoundError:
                continue  # memory.memsw.*, where the kernel counts no swap


def make_folder(path: str) -> None:
    """With its parents, one of which another's last dyno may just have taken along."""
    for _ in range(MAKE_TIMES):
        try:
            return os.makedirs(path, 0o755, exist_ok=True)
        except FileNotFoundError:
            continue
    return None


def kill_cgroups(cgroups: list[dict[str, Any]]) -> None:
    """All processes in them. Nothing forks meanwhile: so a fork bomb ends, too."""
    deadline = time.monotonic() + KILL_SECONDS
    for cgroup in cgroups:
        for name, text in (("pids.max", "0"), ("cgroup.kill", "1")):
            if os.path.exists(f"{cgroup['path']}/{name}"):
                write(f"{cgroup['path']}/{name}", text)
    for cgroup in cgroups:
        while (pids := members(cgroup["path"])) and time.monotonic() < deadline:
            for pid in pids:
                send(pid, signal.SIGKILL)
            time.sleep(LOOK_SECONDS)


def remove_cgroups(cgroups: list[dict[str, Any]]) -> None:
    """They are empty in a moment, once their processes' last bits are gone. The home's own goes with its last one."""
    deadline = time.monotonic() + KILL_SECONDS
    for cgroup in cgroups:
        while time.monotonic() < deadline:
            try:
                os.rmdir(cgroup["path"])
            except FileNotFoundError:
                break
            except OSError:
                time.sleep(LOOK_SECONDS)
            else:
                break
        try:
            os.rmdir(os.path.dirname(cgroup["path"]))
        except OSError:
            pass


def ran_out_of_memory(cgroups: list[dict[str, Any]]) -> bool:
    """Whether the kernel has killed one of them for memory."""
    for cgroup in cgroups:
        for name in ("memory.oom_control", "memory.events"):
            try:
                with open(f"{cgroup['path']}/{name}") as file:
                    counts = dict(line.split() for line in file)
            except OSError:
                continue
            if int(counts.get("oom_kill", 0)) > 0:
                return True
    return False


def members(cgroup: str) -> list[int]:
    """The processes in a cgroup."""
    try:
        with open(f"{cgroup}/cgroup.procs") as file:
            return [int(line) for line in file]
    except OSError:
        return []


def processes() -> dict[int, tuple[int, int, str]]:
    """pid -> (parent, process group, state) of all that this machine lets us see."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    words = file.read().rpartition(b")")[2].split()
            except OSError:
                continue
            found[int(name)] = int(words[1]), int(words[2]), words[0].decode()
    return found


def below(pid: int, among: dict[int, tuple[int, int, str]]) -> list[int]:
    """The living descendants of a process, nearest first."""
    found, level = [], [pid]
    while level:
        level = [child for child, (parent, _, state) in among.items() if parent in level and state not in "ZX"]
        found += level
    return found


def send(pid: int, number: int) -> None:
    """A signal, to one that may be gone."""
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        pass


def write(path: str, text: str) -> None:
    """A kernel's file, in one write."""
    with open(path, "w") as file:
        file.write(text)


def start_ticks(pid: int) -> int:
    """When a process began, in the kernel's ticks: with its number, that names it for ever."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        return int(file.read().rpartition(b")")[2].split()[19])


def copy_tree(source: str, target: str, uid: int | None, gid: int | None, *, within: int | None = None) -> None:
    """A folder's content into an empty one that nobody else may enter yet, with its links and modes, the app's own.

    Whoever has a part of the source open may change it meanwhile: so nothing is read by its whole path, through links.
    `within` is the folder that `source` is a name in.
    """
    folder = os.open(source, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=within)
    try:
        for name in os.listdir(folder):
            here = f"{target}/{name}"
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if stat.S_ISLNK(found.st_mode):
                os.symlink(os.readlink(name, dir_fd=folder), here)
            elif stat.S_ISDIR(found.st_mode):
                os.mkdir(here)
                copy_tree(name, here, uid, gid, within=folder)
            elif stat.S_ISREG(found.st_mode):
                copy_file(name, here, found.st_size, within=folder)
            else:
                continue
            if not stat.S_ISLNK(found.st_mode):
                os.chmod(here, stat.S_IMODE(found.st_mode) | stat.S_IWUSR)
            if uid is not None and gid is not None:
                os.lchown(here, uid, gid)
    finally:
        os.close(folder)


def copy_file(source: str, target: str, size: int, *, within: int | None = None) -> None:
    """By the kernel, which shares blocks where the file system can."""
    read = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=within)
    into = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        while size > 0 and (copied := os.sendfile(into, read, None, size)) > 0:
            size -= copied
    finally:
        os.close(read)
        os.close(into)
