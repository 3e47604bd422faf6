"""A directory as what is sent of it: git says which files count, and a tar.gz holds them."""

from __future__ import annotations

import os
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from paasd.cli.errors import CliError
from paasd.cli.settings import child_environment

LIST = ("ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate", "-z")


def files_of(directory: Path) -> list[str]:
    """Paths below the directory, in order: those of git and new ones, without what .gitignore names. CliError."""
    return sorted(_files(directory, ""))


def version_of(directory: Path) -> tuple[str, str]:
    """(commit, its subject) of the repository the directory is in, `-dirty` where files differ; empty without one."""
    head = _git(directory, "log", "-1", "--format=%H%x00%s")
    if head.returncode:
        return "", ""
    sha, _, subject = head.stdout.decode("utf-8", "replace").strip().partition("\0")
    changed = _git(directory, "status", "--porcelain", "--", ".").stdout
    return (f"{sha}-dirty" if changed else sha), subject[:500]


@contextmanager
def packed(directory: Path, files: list[str]) -> Iterator[tuple[IO[bytes], int]]:
    """(file, its size): a tar.gz of these, without owners. Gone on leaving. CliError for what can't be read."""
    with tempfile.TemporaryFile(prefix="paas-") as file:
        try:
            with tarfile.open(fileobj=file, mode="w:gz", compresslevel=6) as archive:
                for name in files:
                    archive.add(directory / name, name, recursive=False, filter=_anonymous)
        except OSError as error:
            raise CliError(
                f"{error.filename or directory} can't be packed ({error.strerror}): mend it, or add it to .gitignore."
            ) from error
        size = file.tell()
        file.seek(0)
        yield file, size


def _files(directory: Path, prefix: str) -> Iterator[str]:
    for name in _listed(directory):
        path = directory / name
        if path.is_dir() and not path.is_symlink():  # a repository of its own, or a submodule
            yield from _files(path, f"{prefix}{name.rstrip('/')}/")
        elif os.path.lexists(path):  # else it is deleted, and git does not know yet
            yield prefix + name


def _listed(directory: Path) -> list[str]:
    inside = _git(directory, "rev-parse", "--is-inside-work-tree")
    if b"dubious ownership" in inside.stderr:
        raise CliError(
            f"git refuses to use the repository of {directory} because another user owns it: see git's safe.directory."
        )
    if inside.stdout.strip() == b"true":
        return _names(_git(directory, *LIST))
    # Not a repository: one that stands elsewhere reads the .gitignore files all the same.
    with tempfile.TemporaryDirectory(prefix="paas-") as empty:
        made = _git(directory, "init", "--quiet", "--bare", "--template=", "--", empty)
        if made.returncode:
            return _names(made)
        return _names(_git(directory, f"--git-dir={empty}", "--work-tree=.", *LIST))


def _names(answer: subprocess.CompletedProcess[bytes]) -> list[str]:
    if answer.returncode:
        raise CliError(f"git can't list the files ({os.fsdecode(answer.stderr).strip()}): mend that and deploy again.")
    return [os.fsdecode(name) for name in answer.stdout.split(b"\0") if name]


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def _git(directory: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["git", "-C", str(directory), *arguments], env=child_environment(), capture_output=True, check=False
        )
    except FileNotFoundError:
        raise CliError("git is not installed, and says what .gitignore leaves out: install it.") from None
