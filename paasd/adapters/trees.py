"""Folders that others may write to meanwhile, or have filled: walked and removed whatever is in them.

Nothing of theirs is opened but folders, through no link and without waiting for a FIFO's other end; and however deep
they nest, it takes neither Python's stack nor all of the daemon's descriptors.
"""

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

from paasd.domain.errors import BuildFailed

DEEPEST = 200  # folders in folders: each of them is open while it is walked
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def walk(folder: Path, *, whole: bool = True) -> Iterator[tuple[int, str, str, os.stat_result]]:
    """(descriptor of the folder it is in, name there, path, what it is) of each thing in a folder, itself left out:
    of each folder all it has, by name, then what is in its folders. BuildFailed below DEEPEST; if not `whole`, that is
    left out."""
    levels: list[tuple[int, str, list[str] | None]] = [(os.open(folder, FOLDER), "", None)]
    try:
        while levels:
            here, path, left = levels.pop()
            if left is None:
                levels.append((here, path, left := []))
                for name in sorted(os.listdir(here)):  # noqa: PTH208 - a descriptor
                    try:
                        found = os.stat(name, dir_fd=here, follow_symlinks=False)
                    except FileNotFoundError:
                        continue
                    if stat.S_ISDIR(found.st_mode):
                        left.append(name)
                    yield here, name, f"{path}{name}", found
                left.reverse()
            elif not left:
                os.close(here)
            else:
                levels.append((here, path, left))
                name = left.pop()
                if len(levels) > DEEPEST:
                    if whole:
                        raise BuildFailed(f"Folders nest more than {DEEPEST} deep here; put them side by side.")
                    continue
                try:
                    below = os.open(name, FOLDER, dir_fd=here)
                except OSError:  # it is gone, is no folder any more, or is not ours to see
                    continue
                levels.append((below, f"{path}{name}/", None))
    finally:
        for here, _, _ in levels:
            os.close(here)


def remove_tree(folder: Path) -> None:
    """All of it, as far as we may. Absent: fine."""
    try:
        for _ in walk(folder):
            pass
    except BuildFailed:  # shutil goes down by recursion, and an app may make any number of folders in folders
        subprocess.run([shutil.which("rm", path=os.defpath) or "rm", "-rf", "--", str(folder.absolute())], check=False)
    except OSError:
        pass
    shutil.rmtree(folder, ignore_errors=True)
