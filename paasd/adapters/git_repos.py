"""Sources on bare git repositories, HOME/apps/<app id>/repo.git, and the git services spoken over them.

A repository's own settings don't count: all that matters is given on the command line, so that old ones obey too.
"""

import asyncio
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from paasd.adapters.archives import imported
from paasd.adapters.disk_faults import disk_errors, remedy_of
from paasd.adapters.git_command import Child, Git, GitFailed
from paasd.adapters.sources import TreeLimits, extract
from paasd.domain.errors import BuildFailed, StoreUnavailable
from paasd.domain.push import DEPLOYED_BRANCHES
from paasd.domain.release import Commit

MAX_PUSH_BYTES = 500 * 1024**2
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
HEADS = "refs/heads/"
LOOSE = re.compile(r"[0-9a-f]{2}/[0-9a-f]{38,62}")
PACKED = re.compile(r"pack/pack-[0-9a-f]+\.(pack|rev|idx)")
PACK_ORDER = ("pack", "rev", "idx")  # git looks for the idx, so it comes last
INVISIBLE = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]+")
REPOSITORY = "The app's git repository"
RECEIVE = (
    "receive.fsckObjects=true",
    # harmless faults of old tools, common in the history of real projects
    "receive.fsck.badTimezone=ignore",
    "receive.fsck.missingSpaceBeforeDate=ignore",
    "receive.fsck.zeroPaddedFilemode=ignore",
    "receive.denyNonFastForwards=false",
    "receive.denyDeleteCurrent=ignore",  # the hook says it better
    "receive.autogc=false",
    "receive.advertisePushOptions=true",  # `git push -o queue`
    "receive.keepAlive=1",  # seconds; a pusher who went away is noticed by the next write
    "transfer.hideRefs=refs/builds",
    # objects are written out here and made durable by the one flush that ends `adopt`
    "core.fsync=committed,loose-object",
    "core.fsyncMethod=writeout-only",
)
DURABLE = ("core.fsync=reference",)
UPLOAD = ("transfer.hideRefs=refs/builds", "uploadpack.allowAnySHA1InWant=false", "uploadpack.keepAlive=5")


class GitRepos:
    """Sources on git. `home` is the daemon's, `path` the search path for git, `hooks` where its pre-receive hook is."""

    def __init__(
        self,
        home: Path,
        *,
        path: str,
        hooks: Path,
        max_push_bytes: int = MAX_PUSH_BYTES,
        limits: TreeLimits | None = None,
    ) -> None:
        self._apps = home / "apps"
        self._temporary = home / "tmp"
        self._hooks = hooks
        self._git = Git(path)
        self._max_push_bytes = max_push_bytes
        self._limits = limits or TreeLimits()
        self._sizes: dict[str, int] = {}  # until somebody writes to the repository

    async def sweep(self, alive: Collection[str] = (), destroyed: Collection[str] = ()) -> None:
        """Remove what a killed daemon left behind. Only before any work.

        That is unpacked trees, half-received packs, git's locks; the folders of destroyed apps; and of apps that never
        came to be, which nothing was pushed to.
        """
        await asyncio.to_thread(self._sweep, alive, destroyed)

    async def create(self, app_id: str) -> None:
        """An empty repository whose HEAD is main. Already there: fine."""
        repo = self._repo(app_id)
        if _is_whole(repo):
            return
        with disk_errors(REPOSITORY):
            repo.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        await self._run("init", "--bare", "--quiet", "--template=", "--initial-branch=main", "--", str(repo))

    async def delete(self, app_id: str) -> None:
        """Absent: fine. It vanishes at once and is removed after that."""
        with disk_errors(REPOSITORY):
            await asyncio.to_thread(self._delete, self._repo(app_id))
        self._sizes.pop(app_id, None)

    async def adopt(self, app_id: str, quarantine: Path, sha: str, build_id: str) -> Commit:
        """Copy a push's objects out of git's quarantine and pin the commit as refs/builds/<build_id>.

        Durable when it returns. BuildFailed when the commit is not there, or is none.
        """
        repo, sha = self._repo(app_id), _checked(SHA, sha)
        ref = f"refs/builds/{_checked(ID, build_id)}"
        with disk_errors(REPOSITORY):
            await asyncio.to_thread(_link_objects, quarantine, repo / "objects")
        commit = await self._commit(repo, sha)
        await self._run(f"--git-dir={repo}", "update-ref", "--", ref, sha, settings=DURABLE)
        self._sizes.pop(app_id, None)
        return commit

    async def adopt_archive(self, app_id: str, archive: Path, build_id: str) -> str:
        """Keep what is in a tar archive as a commit, pinned as refs/builds/<build_id>; its sha. BuildFailed."""
        await self.create(app_id)
        async with imported(self._git, self._repo(app_id), archive, self._limits) as (quarantine, sha):
            await self.adopt(app_id, quarantine, sha, build_id)
        return sha

    async def move_branch(self, app_id: str, branch: str, sha: str) -> None:
        """Point refs/heads/<branch> at a commit the repository has. BuildFailed when it has it not."""
        repo, sha = self._repo(app_id), _checked(SHA, sha)
        await self._commit(repo, sha)
        await self._run(f"--git-dir={repo}", "update-ref", "--", f"refs/heads/{branch}", sha, settings=DURABLE)

    async def heads(self, app_id: str) -> Mapping[str, str]:
        """Branch -> commit of every branch. Empty when there is no repository."""
        repo = self._repo(app_id)
        if not await asyncio.to_thread(_is_whole, repo):
            return {}
        said = await self._run(f"--git-dir={repo}", "for-each-ref", "--format=%(refname:lstrip=2) %(objectname)", HEADS)
        pairs = (line.partition(" ") for line in said.decode().splitlines())
        return {branch: sha for branch, _, sha in pairs}

    async def contains(self, app_id: str, sha: str, ancestor: str) -> bool:
        """Whether a commit is another, or stands on it. False where either is not in the repository."""
        repo, pair = self._repo(app_id), (_checked(SHA, ancestor), _checked(SHA, sha))
        try:
            await self._git.run(f"--git-dir={repo}", "merge-base", "--is-ancestor", *pair)
        except GitFailed:
            return False
        return True

    async def size(self, app_id: str) -> int:
        """Bytes of its files. 0 when there is no repository."""
        if app_id not in self._sizes:
            self._sizes[app_id] = await asyncio.to_thread(_bytes_below, self._repo(app_id))
        return self._sizes[app_id]

    @asynccontextmanager
    async def unpack(self, app_id: str, sha: str) -> AsyncIterator[Path]:
        """The commit's tree in a directory of its own, removed on leaving. BuildFailed for what may not be in it."""
        repo, sha = self._repo(app_id), _checked(SHA, sha)
        with disk_errors("The unpacked source"):
            directory = self._fresh("source-")
        try:
            with disk_errors("The unpacked source"):
                tree = await extract(self._git, repo, sha, directory, self._limits)
            yield tree
        finally:
            # shielded: a second cancellation must not leave it behind
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True))

    @asynccontextmanager
    async def serve(
        self, app_id: str, service: str, *, advertise: bool, environment: Mapping[str, str]
    ) -> AsyncIterator[Child]:
        """Run "git-receive-pack" or "git-upload-pack" for one HTTP request; on leaving it is ended with its children.

        The request goes to its stdin, the answer comes from its stdout; `environment` is added (for the hook).
        """
        repo = self._repo(app_id)
        await self.create(app_id)
        settings: tuple[str, ...] = UPLOAD
        if service == "git-receive-pack":
            settings = (*RECEIVE, f"core.hooksPath={self._hooks}", f"receive.maxInputSize={self._max_push_bytes}")
        elif service != "git-upload-pack":
            raise ValueError(f"no such git service: {service}")
        elif advertise:
            with disk_errors(REPOSITORY):
                await asyncio.to_thread(_settle_head, repo)
        child = await self._git.start(
            service.removeprefix("git-"),
            "--stateless-rpc",
            *(["--advertise-refs"] if advertise else []),
            "--",
            str(repo),
            settings=settings,
            environment=environment,
        )
        try:
            yield child
        finally:
            await child.end()
            if service == "git-receive-pack":
                self._sizes.pop(app_id, None)

    async def _commit(self, repo: Path, sha: str) -> Commit:
        form = "%H%x00%<(200,trunc)%an%x00%<(200,trunc)%ae%x00%<(400,trunc)%s"
        options = ("--no-walk", "--no-mailmap", "--no-show-signature", "--encoding=UTF-8", f"--format={form}")
        try:
            out = await self._git.run(f"--git-dir={repo}", "log", *options, sha, "--")
        except GitFailed as error:
            raise BuildFailed(f"The commit {sha[:8]} is not in the repository; push it again.") from error
        found, *rest = out.decode("utf-8", "replace").split("\0")
        if found != sha or len(rest) != 3:
            raise BuildFailed(f"{sha[:8]} is not a commit; push a branch, not a tag or another object.")
        name, mail, subject = (INVISIBLE.sub(" ", text).strip() for text in rest)
        return Commit(sha, f"{name} <{mail}>", subject)

    async def _run(self, *arguments: str, settings: tuple[str, ...] = ()) -> bytes:
        try:
            return await self._git.run(*arguments, settings=settings)
        except GitFailed as error:
            reason = INVISIBLE.sub(" ", error.stderr).strip()[:300] or f"status {error.code}"
            raise StoreUnavailable(f"{REPOSITORY} can't be written ({reason}): {remedy_of(reason)}.") from error

    def _repo(self, app_id: str) -> Path:
        return self._apps / _checked(ID, app_id) / "repo.git"

    def _fresh(self, prefix: str) -> Path:
        self._temporary.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=prefix, dir=self._temporary))

    def _delete(self, repo: Path) -> None:
        aside = self._fresh("deleted-")
        with suppress(FileNotFoundError):
            repo.rename(aside / repo.name)
        shutil.rmtree(aside, ignore_errors=True)
        with suppress(OSError):
            repo.parent.rmdir()  # only when nothing else of the app is left

    def _sweep(self, alive: Collection[str], destroyed: Collection[str]) -> None:
        for folder in self._apps.glob("*"):
            unborn = folder.name not in alive and not _has_refs(folder / "repo.git")
            if folder.name in destroyed or unborn:
                shutil.rmtree(folder, ignore_errors=True)
        for lock in (*self._apps.glob("*/repo.git/*.lock"), *self._apps.glob("*/repo.git/refs/**/*.lock")):
            lock.unlink(missing_ok=True)  # git was killed too: it would refuse every push from now on
        for left in (*self._temporary.glob("source-*"), *self._temporary.glob("deleted-*")):
            shutil.rmtree(left, ignore_errors=True)
        for left in self._apps.glob("*/repo.git/objects/*incoming-*"):
            shutil.rmtree(left, ignore_errors=True)


def _checked(pattern: re.Pattern[str], text: str) -> str:
    if pattern.fullmatch(text) is None:
        raise ValueError(f"not a name that paasd gave: {text!r}")
    return text


def _is_whole(repo: Path) -> bool:
    return all((repo / part).exists() for part in ("HEAD", "config", "objects", "refs"))


def _bytes_below(folder: Path) -> int:
    """Of all files; what vanishes meanwhile does not count."""
    found = 0
    for where, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                found += Path(where, name).lstat().st_size
    return found


def _link_objects(quarantine: Path, objects: Path) -> None:
    """Loose objects, then packs, each pack before its idx. Those already there are the same, by their names."""
    if quarantine.resolve().parent != objects.resolve():
        raise ValueError(f"not a quarantine of this repository: {quarantine}")
    names = [f"{found.parent.name}/{found.name}" for found in quarantine.glob("*/*")]
    loose = [name for name in names if LOOSE.fullmatch(name)]
    packed = [match for match in map(PACKED.fullmatch, names) if match]
    packed.sort(key=lambda match: PACK_ORDER.index(match[1]))
    for name in (*loose, *(match[0] for match in packed)):
        target = objects / name
        target.parent.mkdir(exist_ok=True)
        with suppress(FileExistsError):
            _link(quarantine / name, target)


def _link(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        aside = target.with_name(f".{target.name}.{os.getpid()}")
        shutil.copy(source, aside)
        with aside.open("rb") as copied:
            os.fsync(copied.fileno())
        aside.replace(target)


def _settle_head(repo: Path) -> None:
    """HEAD names the deployed branch that exists, so that a clone of an app pushed as master checks something out."""
    main, master = DEPLOYED_BRANCHES
    wanted = master if _has(repo, master) and not _has(repo, main) else main
    head, line = repo / "HEAD", f"ref: refs/heads/{wanted}\n"
    if head.read_text() != line:
        aside = repo / "HEAD.paasd"
        aside.write_text(line)
        aside.replace(head)


def _has_refs(repo: Path) -> bool:
    return (repo / "packed-refs").exists() or any(found.is_file() for found in (repo / "refs").glob("**/*"))


def _has(repo: Path, branch: str) -> bool:
    packed = repo / "packed-refs"
    return (repo / "refs" / "heads" / branch).is_file() or (
        packed.is_file() and f" refs/heads/{branch}\n" in packed.read_text("utf-8", "replace")
    )
