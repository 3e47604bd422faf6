"""A child process: reads a tar archive from stdin, and tells git's fast-import on stdout what is in it.

Nothing is ever extracted: no path of the archive meets a file system before git has checked it out. A child, because
what a hostile archive takes (memory for its headers, time) is bounded here and ends with it. Standard library only.

    python -m paasd.adapters.tar_stream FILES BYTES [import PREFIX]

Without `import` it only looks: stdout is the folder that all entries lie in, "" where there is none. Exit code 3: the
archive is refused, stderr says why in a sentence.
"""

import lzma
import os
import posixpath
import re
import resource
import sys
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

REFUSED = 3
MEMORY = 768 * 1024**2
CPU_SECONDS = 600
RATIO = 200  # what a source shrinks to is rarely less than a hundredth
RATIO_FROM = 64 * 1024**2  # bytes that any archive may unpack to
PATH_BYTES = 3000
NAME_BYTES = 255
DEPTH = 100
CHUNK = 256 * 1024
BROKEN = (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError, OverflowError)
HEAD = b"feature done\ncommit refs/heads/source\ncommitter paasd <paasd@localhost> 0 +0000\ndata 7\nArchive\n"


class Refused(Exception):
    """This archive is not taken; the message is a sentence for whoever sent it."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most an archive may hold: entries, and bytes of all files together; `packed` is its own size."""

    files: int
    size: int
    packed: int


class Names:
    """The paths met so far: none twice, none below something that is no folder."""

    def __init__(self) -> None:
        self.files: dict[str, bool] = {}  # path -> whether it is a plain file
        self.folders: set[str] = set()

    def add(self, path: str, *, plain: bool) -> None:
        """Raises Refused."""
        if path in self.files or path in self.folders:
            raise Refused(f"The archive holds {show(path)} twice; pack each file once.")
        self._above(path)
        self.files[path] = plain

    def add_folder(self, path: str) -> None:
        """May be repeated. Raises Refused."""
        if path in self.files:
            raise Refused(f"The archive holds {show(path)} twice, as a file and as a folder; pack it once.")
        self._above(path)
        self.folders.add(path)

    def _above(self, path: str) -> None:
        while path := posixpath.dirname(path):
            if path in self.files:
                raise Refused(f"The archive holds files below {show(path)}, which is no folder; pack it anew.")
            if path in self.folders:
                return
            self.folders.add(path)


def main(arguments: list[str]) -> int:
    """The exit code."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    bounds = Bounds(int(arguments[0]), int(arguments[1]), os.fstat(0).st_size)
    try:
        if arguments[2:3] == ["import"]:
            write_commit(sys.stdin.buffer, sys.stdout.buffer, bounds, arguments[3])
        else:
            sys.stdout.write(look(sys.stdin.buffer, bounds))
        return 0
    except Refused as error:
        reason = str(error)
    except BrokenPipeError:
        return 0  # git has ended, and says why
    except (MemoryError, RecursionError):
        reason = "The archive can't be read: its headers are too large; pack it anew."
    except BROKEN as error:
        reason = f"This is not a whole tar archive (plain, gzip, bzip2 or xz): {show(str(error))}; pack it anew."
    sys.stderr.write(reason)
    return REFUSED


def look(source: BinaryIO, bounds: Bounds) -> str:
    """The folder that everything lies in, if it is one, as in archives that code hosts make. Raises Refused."""
    names, tops, loose = Names(), set(), False
    for path, member, _ in entries(source, bounds):
        if member.isdir():
            names.add_folder(path)
        else:
            check_link(names, path, member)
            names.add(path, plain=not member.issym())
            loose = loose or "/" not in path
        tops.add(path.partition("/")[0])
    if not names.files:
        raise Refused("The archive holds no files; pack the folder with the source.")
    return next(iter(tops)) if len(tops) == 1 and not loose else ""


def write_commit(source: BinaryIO, out: BinaryIO, bounds: Bounds, prefix: str) -> None:
    """A commit of what is in the archive, below `prefix`. The same archive is the same commit. Raises Refused."""
    out.write(HEAD)
    names = Names()
    for whole, member, archive in entries(source, bounds):
        if member.isdir():
            names.add_folder(whole)
            continue
        check_link(names, whole, member)
        names.add(whole, plain=not member.issym())
        path = quote(whole.removeprefix(f"{prefix}/") if prefix else whole)
        if member.islnk():
            target = plain_path(member.linkname)
            out.write(b"C %s %s\n" % (quote(target.removeprefix(f"{prefix}/") if prefix else target), path))
        elif member.issym():
            text = encoded(member.linkname)
            out.write(b"M 120000 inline %s\ndata %d\n%s\n" % (path, len(text), text))
        else:
            out.write(
                b"M %s inline %s\ndata %d\n" % (b"100755" if member.mode & 0o100 else b"100644", path, member.size)
            )
            copy(member, source_of(archive, member), out)
    out.write(b"done\n")
    out.flush()


def entries(source: BinaryIO, bounds: Bounds) -> Iterator[tuple[str, tarfile.TarInfo, tarfile.TarFile]]:
    """(path, entry, archive) of each file, link and folder that counts, in the archive's order. Raises Refused."""
    size = 0
    with tarfile.open(fileobj=source, mode="r|*", encoding="utf-8", errors="surrogateescape") as archive:
        for count, member in enumerate(archive, 1):
            vars(archive)["members"] = []  # it would keep them all
            if member.size < 0 or member.issparse():
                raise Refused(f"The archive holds {show(member.name)} with holes in it; pack it without --sparse.")
            size += member.size
            if count > bounds.files or size > bounds.size:
                raise Refused(
                    f"The archive is larger than {bounds.files:,} files or {bounds.size // 1024**2:,} MiB unpacked; "
                    "leave out what can be downloaded or made during the build."
                )
            if size > max(RATIO_FROM, RATIO * bounds.packed):
                raise Refused(f"The archive unpacks to more than {RATIO} times its size, as no source does.")
            path = plain_path(member.name)
            if path and not any(part.lower() == ".git" for part in path.split("/")):
                check_kind(path, member)
                yield path, member, archive


def check_kind(path: str, member: tarfile.TarInfo) -> None:
    """Raises Refused for devices, pipes and what else is no file, link or folder."""
    if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
        raise Refused(f"The archive holds {show(path)}, which is a device, a pipe or of an unknown kind; leave it out.")


def check_link(names: Names, path: str, member: tarfile.TarInfo) -> None:
    """Raises Refused for links that lead out of the archive, or to what is not in it."""
    if member.islnk():
        if not names.files.get(plain_path(member.linkname), False):
            raise Refused(
                f"The hard link {show(path)} leads to no file of the archive before it; pack the file itself."
            )
    elif member.issym():
        target = member.linkname
        reached = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
        if not target or target.startswith("/") or reached == ".." or reached.startswith("../") or "\0" in target:
            raise Refused(
                f"The symbolic link {show(path)} points out of the source, to {show(target)}; "
                "make it point to a file of the source, or leave it out."
            )


def plain_path(name: str) -> str:
    """The path below the archive's root, "" for the root itself. Raises Refused for what leads out of it."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts:
        raise Refused(f"The archive holds {show(name)}, which leads out of it; pack with paths below one folder.")
    path = "/".join(parts)
    if len(encoded(path)) > PATH_BYTES or len(parts) > DEPTH or any(len(encoded(part)) > NAME_BYTES for part in parts):
        raise Refused(f"The archive holds {show(name)}, whose path is too long for a file system; shorten it.")
    return path


def source_of(archive: tarfile.TarFile, member: tarfile.TarInfo) -> BinaryIO:
    """What the entry holds."""
    opened = archive.extractfile(member)
    if opened is None:
        raise Refused(f"The archive holds {show(member.name)}, which can't be read; pack it anew.")
    return opened  # type: ignore[return-value]


def copy(member: tarfile.TarInfo, source: BinaryIO, out: BinaryIO) -> None:
    """As many bytes as were announced. Raises Refused when there are fewer."""
    left = member.size
    while left and (chunk := source.read(min(left, CHUNK))):
        out.write(chunk)
        left -= len(chunk)
    if left:
        raise Refused(f"The archive ends within {show(member.name)}; send it in whole.")
    out.write(b"\n")


def quote(path: str) -> bytes:
    """As fast-import reads a path."""
    return b'"%s"' % encoded(path).replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")


def encoded(text: str) -> bytes:
    """The bytes that the archive holds."""
    return text.encode("utf-8", "surrogateescape")


def show(text: str) -> str:
    """For a message: short, and nothing a terminal would act on."""
    shown = ascii(text)
    return re.sub(r"\s+", " ", shown if len(shown) <= 120 else f"{shown[:60]}…{shown[-60:]}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
