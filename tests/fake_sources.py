"""Repositories in memory: commits arrive in quarantine, are adopted, and unpacked into real directories."""

import asyncio
import contextlib
import hashlib
import tarfile
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from paasd.domain.errors import BuildFailed
from paasd.domain.release import Commit
from tests.gates import Gates


@dataclass(frozen=True, slots=True)
class Tree:
    """A commit and its files."""

    commit: Commit
    files: Mapping[str, str]


class FakeSources:
    """Repositories in memory. `offered` are the commits in git's quarantine, by sha."""

    def __init__(self) -> None:
        self.gates = Gates()
        self.offered: dict[str, Tree] = {}
        self.branches: dict[str, dict[str, str]] = {}
        self.parents: dict[str, str] = {}  # commit -> the one it stands on
        self._kept: defaultdict[str, dict[str, Tree]] = defaultdict(dict)

    async def create(self, app_id: str) -> None:
        self.branches.setdefault(app_id, {})

    async def delete(self, app_id: str) -> None:
        self.branches.pop(app_id, None)
        self._kept.pop(app_id, None)

    async def adopt(self, app_id: str, quarantine: Path, sha: str, build_id: str) -> Commit:
        await self.gates.at("adopt")
        if sha not in self.offered:
            raise BuildFailed(f"The commit {sha[:8]} did not arrive; push again.")
        self._kept[app_id][sha] = self.offered[sha]
        return self.offered[sha].commit

    async def size(self, app_id: str) -> int:
        return len(self._kept[app_id])

    async def adopt_archive(self, app_id: str, archive: Path, build_id: str) -> str:
        await self.gates.at("adopt archive")
        files: dict[str, str] = {}
        with tarfile.open(archive) as packed:
            for member in packed.getmembers():
                if (opened := packed.extractfile(member)) is not None:
                    files[member.name] = opened.read().decode()
        sha = hashlib.sha1(await asyncio.to_thread(archive.read_bytes)).hexdigest()
        self._kept[app_id][sha] = Tree(Commit(sha, "paasd <paasd@localhost>", "Archive"), files)
        return sha

    async def move_branch(self, app_id: str, branch: str, sha: str) -> None:
        assert sha in self._kept[app_id], "a branch stands at a commit the repository has"
        self.branches[app_id][branch] = sha

    async def heads(self, app_id: str) -> Mapping[str, str]:
        return dict(self.branches.get(app_id, {}))

    async def contains(self, app_id: str, sha: str, ancestor: str) -> bool:
        while sha != ancestor and sha in self.parents:
            sha = self.parents[sha]
        return sha == ancestor

    @contextlib.asynccontextmanager
    async def unpack(self, app_id: str, sha: str) -> AsyncIterator[Path]:
        await self.gates.at("unpack")
        with tempfile.TemporaryDirectory() as directory:
            for name, text in self._kept[app_id][sha].files.items():
                (Path(directory) / name).parent.mkdir(parents=True, exist_ok=True)
                (Path(directory) / name).write_text(text)
            yield Path(directory)
