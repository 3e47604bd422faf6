"""A small filesystem of its own, to be filled, made short of inodes, or broken: ext4 on a loop device (needs root)."""

import errno
import os
import secrets
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.daemon import Daemon, wait_until

PIECE = 64 * 1024


def why_not() -> str | None:
    """None where a loop device can be mounted."""
    if os.geteuid() != 0:
        return "only root may mount a loop device"
    return None if Path("/dev/loop-control").exists() else "there are no loop devices"


needs_mounts = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")


@dataclass
class DiskDaemon(Daemon):
    """A daemon whose home, and its router's folder beside it, are on a disk of their own; its log is elsewhere."""

    disk: Path = field(default_factory=Path)

    @property
    def home(self) -> Path:
        return self.disk / "home"


@dataclass
class SmallDisk:
    """A mounted filesystem. What fills it is kept in one file, and goes with `free`."""

    where: Path
    image: Path | None = None

    @property
    def ballast(self) -> Path:
        return self.where / "ballast"

    def fill(self) -> None:
        """Until not a byte more goes onto it."""
        with self.ballast.open("ab", buffering=0) as file:
            for size in (1024 * 1024, PIECE, 4096, 512, 1):
                while _wrote(file.fileno(), bytes(size)):
                    pass
        for name in range(2):  # what others let go of meanwhile
            with suppress(OSError):
                (self.where / f"ballast-{name}").write_bytes(bytes(PIECE))

    def take_inodes(self, leave: int = 0) -> None:
        """Until only so many files more can be made on it."""
        folder = self.where / "ballast-files"
        folder.mkdir(exist_ok=True)
        with suppress(OSError):
            while os.statvfs(self.where).f_favail > leave:
                (folder / secrets.token_hex(6)).touch()

    def left(self) -> int:
        """Bytes that are free."""
        found = os.statvfs(self.where)
        return found.f_bavail * found.f_frsize

    def free(self) -> None:
        """Room again."""
        for file in (*self.where.glob("ballast-files/*"), *self.where.glob("ballast*")):
            if file.is_file():
                file.unlink()
            else:
                file.rmdir()

    def abort(self) -> None:
        """As after a disk error with errors=remount-ro: from now on nothing is written to it any more."""
        run("mount", "-o", "remount,abort", str(self.where))

    def mend(self) -> None:
        """Unmounted, checked and mounted again, as after a new start of the machine; nobody may use it."""
        assert self.image is not None
        unmount(self.where)
        subprocess.run(["e2fsck", "-p", "-f", str(self.image)], capture_output=True, check=False)
        run("mount", "-o", "loop", str(self.image), str(self.where))


def _wrote(descriptor: int, data: bytes) -> bool:
    try:
        written = os.write(descriptor, data)
        os.fsync(descriptor)  # else it is only promised room
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return False
    return written > 0


def run(*command: str) -> str:
    """What it says; its words with the error when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


def unmount(where: Path) -> None:
    """Once whoever was told to end has let go of it."""

    def gone() -> bool:
        return subprocess.run(["umount", str(where)], capture_output=True, check=False).returncode == 0

    wait_until(gone, 20, f"{where} stays in use")


@contextmanager
def small_disk(root: Path, megabytes: int, options: Sequence[str] = ()) -> Iterator[SmallDisk]:
    """ext4 of that size; `options` are mkfs's own ("-N", "200"). Nothing is set aside for root."""
    image, where = root / "disk.img", root / "disk"
    where.mkdir()
    with image.open("wb") as file:
        file.truncate(megabytes * 1024 * 1024)
    run("mkfs.ext4", "-q", "-F", "-m", "0", *options, str(image))
    run("mount", "-o", "loop", str(image), str(where))
    try:
        yield SmallDisk(where, image)
    finally:
        unmount(where)
