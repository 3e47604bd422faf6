"""Port Sources: where an app's source is kept."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

from paasd.domain.release import Commit


class Sources(Protocol):
    """Where an app's source is kept: its git repository."""

    async def create(self, app_id: str) -> None:
        """An empty repository. Already there: fine."""

    async def delete(self, app_id: str) -> None:
        """Absent: fine."""

    async def adopt(self, app_id: str, quarantine: Path, sha: str, build_id: str) -> Commit:
        """Copy a push's objects out of git's quarantine and pin the commit as refs/builds/<build_id>.

        BuildFailed when the commit is not there.
        """

    async def adopt_archive(self, app_id: str, archive: Path, build_id: str) -> str:
        """Keep the files of a tar archive (plain, gzip, bzip2 or xz) as a commit, pinned like a push's; its sha.

        A single folder that all of it lies in is left out. BuildFailed, naming the rule, for one that may not be:
        paths or links out of it, devices, holes, the same path twice, too much.
        """

    async def move_branch(self, app_id: str, branch: str, sha: str) -> None:
        """Point refs/heads/<branch> at a commit the repository has."""

    async def heads(self, app_id: str) -> Mapping[str, str]:
        """Branch -> commit of every branch. Empty when there is no repository."""

    async def contains(self, app_id: str, sha: str, ancestor: str) -> bool:
        """Whether a commit is another, or stands on it."""

    async def size(self, app_id: str) -> int:
        """Bytes of all that is kept. 0 when there is no repository."""

    def unpack(self, app_id: str, sha: str) -> AbstractAsyncContextManager[Path]:
        """The commit's tree in a directory of its own, removed on leaving. BuildFailed on what may not be."""
