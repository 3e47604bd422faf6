"""A commit's tree as a directory. What may not be there is refused: links out of it, submodules, too much of it."""

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from paasd.adapters.disk_faults import ROOM, remedy_of
from paasd.adapters.git_command import Child, Git, GitFailed
from paasd.adapters.trees import DEEPEST
from paasd.domain.errors import BuildFailed, StoreUnavailable

GITLINK = b"160000"
WAIT_SECONDS = 10.0  # from the last entry to the end


@dataclass(frozen=True, slots=True)
class TreeLimits:
    """The most a source may hold: number of files, and bytes of all together."""

    files: int = 200_000
    size: int = 4 * 1024**3


async def extract(git: Git, repo: Path, sha: str, directory: Path, limits: TreeLimits) -> Path:
    """Write the commit's tree into `directory` (ours, empty) and return its root. BuildFailed for what may not be.

    Modes are 0755 and 0644 whatever the umask, so that the image's user can read them.
    """
    await _check_entries(git, repo, sha, limits)
    tree = directory / "source"
    tree.mkdir()
    try:
        await git.run(
            f"--git-dir={repo}",
            f"--work-tree={tree}",
            "read-tree",
            "--reset",
            "-u",
            sha,
            environment={"GIT_INDEX_FILE": str(directory / "index")},
        )
    except GitFailed as error:
        reason = _first_line(error.stderr)
        if remedy_of(error.stderr) is ROOM:
            raise StoreUnavailable(f"The unpacked source can't be kept ({reason}): {ROOM}.") from error
        raise BuildFailed(f"The source can't be checked out: {reason}; mend it and push again.") from error
    await asyncio.to_thread(_settle, tree)
    return tree


async def _check_entries(git: Git, repo: Path, sha: str, limits: TreeLimits) -> None:
    """Before a byte is written: a small pack can hold a huge tree."""
    child = await git.start(f"--git-dir={repo}", "ls-tree", "-r", "-l", "-z", "--full-tree", sha, "--")
    files = size = 0
    try:
        async for entry in _entries(child):
            description, _, path = entry.partition(b"\t")
            mode, _, _, length = description.split()
            if mode == GITLINK:
                raise BuildFailed(
                    f"The source holds the submodule {_show(path)}, which is not fetched here; "
                    "commit its files instead (git rm --cached, then git add) and push again."
                )
            if path.count(b"/") > DEEPEST:
                raise BuildFailed(f"Folders nest more than {DEEPEST} deep in the source; put them side by side.")
            files += 1
            size += int(length)
            if files > limits.files or size > limits.size:
                raise BuildFailed(
                    f"The source is larger than {limits.files:,} files or {limits.size // 1024**2:,} MiB; "
                    "leave out what can be downloaded or made during the build."
                )
        failed = await child.wait(WAIT_SECONDS)
    finally:
        await child.end()
    if failed:
        raise BuildFailed(f"The commit {sha[:8]} has no tree that git can read; push it again.")


async def _entries(child: Child) -> AsyncIterator[bytes]:
    rest = b""
    while chunk := await child.stdout.read(65536):
        *whole, rest = (rest + chunk).split(b"\0")
        for entry in whole:
            yield entry


def _settle(tree: Path) -> None:
    root = os.path.realpath(tree)
    tree.chmod(0o755)
    for where, directories, files in os.walk(root):
        for name in (*directories, *files):
            path = Path(where, name)
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                _check_link(root, path)
                continue
            wanted = 0o755 if stat.S_ISDIR(mode) or mode & stat.S_IXUSR else 0o644
            if stat.S_IMODE(mode) != wanted:
                path.chmod(wanted)


def _check_link(root: str, link: Path) -> None:
    target = link.readlink()
    if target.is_absolute() or not Path(os.path.realpath(link)).is_relative_to(root):
        raise BuildFailed(
            f"The symbolic link {_show(os.fsencode(link.relative_to(root)))} points out of the source, "
            f"to {_show(os.fsencode(target))}; make it point to a file of the source, or remove it."
        )


def _show(raw: bytes) -> str:
    return ascii(raw.decode("utf-8", "replace")[:200])


def _first_line(text: str) -> str:
    line = text.partition("\n")[0].removeprefix("error: ").removeprefix("fatal: ").rstrip(".;")
    shown = "".join(character for character in line if character.isprintable())
    return (shown if len(shown) <= 300 else f"{shown[:150]}…{shown[-150:]}") or "git gave no reason"
