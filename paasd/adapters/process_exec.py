"""A command beside a running dyno's own: in its cgroups, its environment and its files, under its user; for root in its
namespaces, too."""

import asyncio
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from paasd.adapters import process_inside
from paasd.adapters.process_dynos import DynoFolder
from paasd.adapters.process_launch import Launcher
from paasd.adapters.process_run import SHELL, Runner
from paasd.adapters.process_sandbox import INSIDE, View, interpreter, wrap
from paasd.adapters.process_shells import ProcessShell, talking
from paasd.adapters.process_tree import processes
from paasd.domain.dyno import Exit
from paasd.domain.errors import EngineUnavailable, NotFound
from paasd.ports import Size

BEGIN_SECONDS = 5.0
LOOK_SECONDS = 0.01
SANDBOX = ("--mount", "--pid", "--ipc", "--uts")


async def execute(
    beside: DynoFolder,
    place: Path,
    command: str,
    env: Mapping[str, str],
    *,
    size: Size | None,
    runner: Runner,
    launcher: Launcher,
    user: tuple[int, int] | None,
) -> ProcessShell:
    """`place` is a folder that is made for it, and removed with it. NotFound when the dyno has just ended."""
    made = beside.made()
    inner, inherited = await _find(beside)
    if made is None or inherited is None:
        raise NotFound(f"{beside.id} does not run; see `heroku ps`.", resource="dyno")
    sandboxed = bool(made["sandboxed"])
    apart = sandboxed and not runner.isolation.root
    final = {
        "user": user,
        "argv": [SHELL, "-c", command],
        "env": {**inherited, **env},
        "cwd": str(beside.app),
        "rlimits": {},
        "tty": size is not None,
        "bare": not apart,
    }
    folder = DynoFolder(place)
    folder.path.mkdir(mode=0o700)
    wanted = {
        "directory": str(place),
        "copy": None,
        "overlay": False,
        "cgroups": [],
        "joins": made["cgroups"],
        "subreaper": True,
        "sandboxed": apart,
        "stdio": "given",
        "argv": _way(beside, made, inner, runner),
        "final": final,
    }
    return await talk_to(launcher, folder, wanted, size)


def _way(beside: DynoFolder, made: Mapping[str, Any], inner: int, runner: Runner) -> list[str]:
    """The words that lead to the last step, where the dyno's files are."""
    python = [str(interpreter()), "-I", "-S"]
    if made["sandboxed"] and runner.isolation.root:
        return [*_enter(inner, *SANDBOX), *python, INSIDE]
    if made["sandboxed"]:  # its namespaces are not ours to enter: a sandbox of its own, with the same files
        view = View([beside.app], [Path(path) for path in made.get("readable", ())], beside.tmp)
        return wrap(runner.isolation, view, runner.place)
    if runner.isolation.root:
        return [*_enter(inner, "--mount"), *python, process_inside.__file__]
    return []


async def _find(beside: DynoFolder) -> tuple[int, dict[str, str] | None]:
    """(the first process in its sandbox, or the command where there is none; the command's environment). None: it has
    none, or does not come to it.
    """
    made, ran = beside.made(), beside.ran()
    if made is None or ran is None:
        return 0, None
    outer, inner, leader = int(ran["child"]), 0, int(ran["child"])
    for _ in range(round(BEGIN_SECONDS / LOOK_SECONDS)):
        if made["sandboxed"]:
            among = await asyncio.to_thread(processes)
            inner = next((pid for pid, (parent, _, _) in among.items() if parent == outer), 0)
            leader = next((pid for pid, (parent, _, _) in among.items() if inner and parent == inner), 0)
        found = _environment(leader) if leader else {}
        if "HOME" in found:  # before, it is a step on the way there
            return inner or leader, found
        if beside.exit() is not None:
            break
        await asyncio.sleep(LOOK_SECONDS)
    return 0, None


async def talk_to(
    launcher: Launcher,
    folder: DynoFolder,
    wanted: Mapping[str, Any],
    size: Size | None,
    errors: Callable[[bytes], None] | None = None,
) -> ProcessShell:
    """What a supervisor is `wanted` to run, over its standard files. Its folder goes with it."""
    ends = talking(size, apart=errors is not None)
    try:
        child, _ = await launcher.launch(wanted, ends.theirs)
    except BaseException:
        ends.close()
        folder.remove()
        raise
    finally:
        ends.close_theirs()
    how: list[Exit] = []

    async def ended() -> Exit:
        await child.ended.wait()
        if not how:
            raise EngineUnavailable("How the command ended is not known; run it again.")
        return how[0]

    async def hang_up() -> None:
        child.kill()
        await child.ended.wait()

    def keep() -> None:
        found = folder.exit()
        if found is not None:
            how.append(Exit(found.code, found.signal, found.oom))
        folder.remove()

    child.hear = keep
    return ProcessShell(ends, ended, hang_up, errors)


def _enter(inner: int, *namespaces: str) -> list[str]:
    """The words that lead root into a process's namespaces."""
    nsenter = shutil.which("nsenter", path="/usr/bin:/bin:/usr/sbin:/sbin")
    if nsenter is None:
        raise EngineUnavailable("There is no nsenter here to reach into a dyno; install util-linux.")
    return [nsenter, f"--target={inner}", *namespaces, "--"]


def _environment(pid: int) -> dict[str, str]:
    try:
        found = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return {}
    pairs = (entry.partition(b"=") for entry in found.split(b"\0") if b"=" in entry)
    return {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}
