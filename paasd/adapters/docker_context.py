"""Packs a source into what the engine's builders take: a gzip tar with git's own modes and the recipe's Dockerfile.

Modes are 644 or 755 and the owner is root whatever the checkout's umask was, so that the build cache and the files'
readability depend on the commit only.
"""

import io
import os
import re
import stat
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from paasd.adapters.docker_ignore import Ignore, read_ignore

DOCKERFILE = ".paasd.Dockerfile"
SYNTAX = re.compile(r"(?:#|//)\s*syntax\s*=", re.IGNORECASE)
IN_MEMORY = 8 * 1024 * 1024  # bytes of a packed source beyond which it goes to disk


def without_syntax(dockerfile: str) -> str:
    """A Dockerfile without `# syntax=`: that names a frontend to fetch from a registry, and the engine has its own.
    Newer engines read it in JSON, too, and of that a comment makes a Dockerfile, if not a good one. A byte order mark
    at the beginning, which they pass over, goes as well."""
    lines = dockerfile.lstrip("\ufeff").splitlines(keepends=True)
    kept = "".join(line for line in lines if not SYNTAX.match(line.lstrip()))
    return f"#\n{kept}" if kept.lstrip().startswith("{") else kept


def pack(source: Path, dockerfile: str) -> IO[bytes]:
    """The packed source, at its beginning. Blocks: call it in a thread; close the result."""
    packed = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 (the caller closes it)
    try:
        # BuildKit knows a tar as an archive only when it is compressed; level 1 since it goes no further than a socket
        with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1, format=tarfile.GNU_FORMAT) as tar:
            for entry, name in _walk(source, read_ignore(source)):
                _add(tar, entry, name)
            text = dockerfile.encode()
            tar.addfile(_info(DOCKERFILE, size=len(text)), io.BytesIO(text))
    except BaseException:
        packed.close()
        raise
    packed.seek(0)
    return packed


def _walk(source: Path, ignore: Ignore | None, below: str = "") -> Iterator[tuple[os.DirEntry[str], str]]:
    with os.scandir(source / below) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            name = f"{below}{entry.name}"
            if name in (".git", DOCKERFILE):
                continue
            left_out = ignore is not None and ignore.matches(name)
            if not left_out:
                yield entry, name
            if entry.is_dir(follow_symlinks=False) and (not left_out or (ignore is not None and ignore.exceptions)):
                yield from _walk(source, ignore, f"{name}/")


def _add(tar: tarfile.TarFile, entry: os.DirEntry[str], name: str) -> None:
    found = entry.stat(follow_symlinks=False)
    if stat.S_ISLNK(found.st_mode):
        info = _info(name, mode=0o777, mtime=found.st_mtime)
        info.type, info.linkname = tarfile.SYMTYPE, str(Path(entry.path).readlink())
        tar.addfile(info)
    elif stat.S_ISDIR(found.st_mode):
        info = _info(name, mode=0o755, mtime=found.st_mtime)
        info.type = tarfile.DIRTYPE
        tar.addfile(info)
    elif stat.S_ISREG(found.st_mode):
        mode = 0o755 if found.st_mode & 0o111 else 0o644
        with Path(entry.path).open("rb") as file:
            tar.addfile(_info(name, size=found.st_size, mode=mode, mtime=found.st_mtime), file)


def _info(name: str, *, size: int = 0, mode: int = 0o644, mtime: float = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, mode, int(mtime)
    return info
