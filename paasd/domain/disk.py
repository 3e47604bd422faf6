"""Room on a disk and what it allows: the two watermarks, what a build needs, which images stay. No I/O."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from paasd.domain.release import Release, Status

MEGABYTE = 1_000_000


class Level(StrEnum):
    """How full a disk is: at `high` it is said and cleared up, at `full` builds are refused."""

    OK = "ok"
    HIGH = "high"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class DiskRules:
    """Watermarks in percent, what a build needs on each disk, how many releases per app keep their image, and the days
    that outputs are kept; `cache_bytes`: what an app's builds may keep for the next."""

    high: int = 80
    full: int = 90
    build_bytes: int = 256 * MEGABYTE
    build_inodes: int = 2000
    keep_releases: int = 20
    keep_output_days: int = 90
    cache_bytes: int = 2000 * MEGABYTE


@dataclass(frozen=True, slots=True)
class Filesystem:
    """One disk as a program that is not root's sees it. `total_inodes` is 0 where they can't run out."""

    path: str
    total: int
    free: int
    total_inodes: int
    free_inodes: int

    @property
    def used_percent(self) -> int:
        """Of what there is to be had, rounded up, as `df` does."""
        return -(-100 * (self.total - self.free) // self.total) if self.total else 0

    def level(self, rules: DiskRules) -> Level:
        """By its watermarks."""
        if self.used_percent >= rules.full:
            return Level.FULL
        return Level.HIGH if self.used_percent >= rules.high else Level.OK

    def refusal(self, rules: DiskRules) -> str | None:
        """Why no build may start here, in a sentence; None when one may."""
        remedy = "free some space (`paas disk` shows who uses it), then push again."
        if self.free < rules.build_bytes:
            return (
                f"There is not enough disk space to build: {self.free / MEGABYTE:.0f} MB are free at {self.path} and "
                f"{rules.build_bytes / MEGABYTE:.0f} MB are needed; {remedy}"
            )
        if self.total_inodes and self.free_inodes < rules.build_inodes:
            return (
                f"There are not enough inodes to build: {self.free_inodes} are free at {self.path} and "
                f"{rules.build_inodes} are needed; delete files, then push again."
            )
        if self.level(rules) is Level.FULL:
            needed = self.total * (100 - rules.full) / 100
            return (
                f"The disk is {self.used_percent} % full and builds stop at {rules.full} %: {self.free / MEGABYTE:.0f} "
                f"MB are free at {self.path} and more than {needed / MEGABYTE:.0f} MB are needed; {remedy}"
            )
        return None


def retained(releases: Sequence[Release], keep: int) -> frozenset[str]:
    """The artifacts of an app that must stay: of the current release, of pending ones, and of all releases since the
    `keep`-th newest that succeeded."""
    succeeded = sorted((r.version for r in releases if r.status is Status.SUCCEEDED), reverse=True)
    oldest = succeeded[:keep][-1] if succeeded else 0
    return frozenset(
        r.artifact
        for r in releases
        if r.artifact is not None
        and r.status is not Status.EXPIRED
        and (r.version >= oldest or r.status is Status.PENDING)
    )
