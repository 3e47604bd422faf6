import asyncio
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from paasd.adapters.git_repos import GitRepos
from paasd.domain.errors import BuildFailed, StoreUnavailable
from paasd.domain.release import Commit
from tests.paasd.pushing import PATH, User

APP_ID = "5f0a4f6e-0000-4000-8000-000000000001"


class Place:
    """A home with one repository, and a way to bring objects into quarantine as receive-pack does."""

    def __init__(self, root: Path) -> None:
        self.home = root / "home"
        self.repos = GitRepos(self.home, path=PATH, hooks=self.home / "hooks")
        self.user = User(root / "user" / "work")
        self.repo = self.home / "apps" / APP_ID / "repo.git"

    def quarantine(self, *, packed: bool = False) -> Path:
        """All of the user's objects, as a pack or loose, in a new quarantine."""
        self.repo.joinpath("objects").mkdir(parents=True, exist_ok=True)
        quarantine = self.repo / "objects" / "tmp_objdir-incoming-x1"
        if packed:
            self.user.now("repack", "-adq")
        shutil.copytree(self.user.directory / ".git" / "objects", quarantine)
        return quarantine

    def git(self, *arguments: str) -> str:
        """git on the app's repository."""
        done = subprocess.run(["git", f"--git-dir={self.repo}", *arguments], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    async def adopted(self, sha: str) -> str:
        """Bring a commit of the user's into the repository."""
        await self.repos.create(APP_ID)
        quarantine = self.quarantine()
        await self.repos.adopt(APP_ID, quarantine, sha, "b1")
        shutil.rmtree(quarantine)
        return sha


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    yield Place(tmp_path)


async def test_create_may_be_repeated_and_delete_too(place: Place) -> None:
    await place.repos.create(APP_ID)
    await place.repos.create(APP_ID)
    assert place.git("symbolic-ref", "HEAD") == "refs/heads/main"
    assert place.git("rev-parse", "--is-bare-repository") == "true"
    assert not list((place.repo).glob("hooks/*"))
    assert place.repo.parent.stat().st_mode & 0o777 == 0o700
    await place.repos.delete(APP_ID)
    await place.repos.delete(APP_ID)
    assert not place.repo.parent.exists()
    assert list((place.home / "tmp").iterdir()) == []


async def test_a_repository_half_made_is_made_whole(place: Place) -> None:
    await place.repos.create(APP_ID)
    (place.repo / "HEAD").unlink()
    await place.repos.create(APP_ID)
    assert place.git("symbolic-ref", "HEAD") == "refs/heads/main"


@pytest.mark.parametrize("packed", [False, True])
async def test_adopt_outlives_the_quarantine(place: Place, packed: bool) -> None:
    await place.repos.create(APP_ID)
    sha = place.user.commit({"a/b": "1", "c": "2"}, "Über\x1b[31m a\x07 subject\n\nand a body")
    quarantine = place.quarantine(packed=packed)
    commit = await place.repos.adopt(APP_ID, quarantine, sha, "b-1")
    again = await place.repos.adopt(APP_ID, quarantine, sha, "b-1")
    shutil.rmtree(quarantine)
    assert commit == again == Commit(sha, "Ann Otter <ann@example.org>", "Über [31m a  subject")
    assert place.git("rev-parse", "refs/builds/b-1") == sha
    place.git("fsck", "--full", "--strict")


async def test_adopt_shortens_what_is_endless(place: Place) -> None:
    await place.repos.create(APP_ID)
    sha = place.user.commit({"a": "1"}, "x" * 100_000)
    commit = await place.repos.adopt(APP_ID, place.quarantine(), sha, "b1")
    assert len(commit.subject) == 400 and commit.subject.endswith("..")


async def test_adopt_refuses_what_is_no_commit(place: Place) -> None:
    await place.repos.create(APP_ID)
    place.user.commit({"a": "1"})
    place.user.now("tag", "-a", "v1", "-m", "one")
    quarantine = place.quarantine()
    for sha in (place.user.now("rev-parse", "v1"), place.user.now("rev-parse", "HEAD^{tree}"), place.user.blob("1")):
        with pytest.raises(BuildFailed, match="is not a commit"):
            await place.repos.adopt(APP_ID, quarantine, sha, "b1")
    with pytest.raises(BuildFailed, match="is not in the repository"):
        await place.repos.adopt(APP_ID, quarantine, "0123456789" * 4, "b1")
    assert place.git("for-each-ref") == ""


async def test_adopt_takes_only_its_own_quarantine(place: Place, tmp_path: Path) -> None:
    await place.repos.create(APP_ID)
    sha = place.user.commit({"a": "1"})
    with pytest.raises(ValueError, match="not a quarantine"):
        await place.repos.adopt(APP_ID, place.user.directory / ".git" / "objects", sha, "b1")


@pytest.mark.parametrize("name", ["..", "a/b", "-x", "", "a\nb"])
async def test_names_that_are_not_ours(place: Place, name: str) -> None:
    with pytest.raises(ValueError, match="not a name that paasd gave"):
        await place.repos.create(name)
    with pytest.raises(ValueError, match="not a name that paasd gave"):
        await place.repos.adopt(APP_ID, place.home, name, "b1")


async def test_move_branch(place: Place) -> None:
    sha = await place.adopted(place.user.commit({"a": "1"}))
    await place.repos.move_branch(APP_ID, "main", sha)
    await place.repos.move_branch(APP_ID, "main", sha)
    assert place.git("rev-parse", "main") == sha
    with pytest.raises(BuildFailed):
        await place.repos.move_branch(APP_ID, "main", "0123456789" * 4)
    with pytest.raises(StoreUnavailable, match="can't be written"):
        await place.repos.move_branch(APP_ID, "a..b", sha)


async def test_size_follows_what_is_kept(place: Place) -> None:
    assert await place.repos.size(APP_ID) == 0
    await place.adopted(place.user.commit({"a": "1"}))
    small = await place.repos.size(APP_ID)
    await place.adopted(place.user.commit({"b": secrets.token_hex(50_000)}))
    assert 50_000 < await place.repos.size(APP_ID) - small < 150_000
    await place.repos.delete(APP_ID)
    assert await place.repos.size(APP_ID) == 0


async def test_a_push_changes_the_size(place: Place) -> None:
    """A push to a branch that is not deployed is adopted by nobody but git."""
    await place.repos.create(APP_ID)
    before = await place.repos.size(APP_ID)
    async with place.repos.serve(APP_ID, "git-receive-pack", advertise=True, environment={}) as child:
        await child.stdout.read(1)
        (place.repo / "objects" / "more").write_bytes(bytes(4096))  # as git would write
    assert await place.repos.size(APP_ID) == before + 4096


async def test_unpack_gives_the_tree_and_removes_it(place: Place) -> None:
    user = place.user
    (user.directory / "bin").mkdir()
    (user.directory / "bin" / "run").write_text("#!/bin/sh\n")
    (user.directory / "bin" / "run").chmod(0o755)
    (user.directory / "link").symlink_to("bin/run")
    (user.directory / "to-root").symlink_to(".")
    sha = await place.adopted(
        user.commit({"app.py": "1\n", ".gitattributes": "app.py export-ignore filter=evil\n", "ünï/ß": "x"})
    )
    before = os.umask(0o077)
    try:
        async with place.repos.unpack(APP_ID, sha) as tree:
            found = {str(path.relative_to(tree)) for path in tree.rglob("*")}
            assert found == {".gitattributes", "app.py", "bin", "bin/run", "link", "to-root", "ünï", "ünï/ß"}
            assert (tree / "app.py").read_text() == "1\n"
            assert (tree / "app.py").stat().st_mode & 0o777 == 0o644
            assert (tree / "bin/run").stat().st_mode & 0o777 == 0o755
            assert (tree / "bin").stat().st_mode & 0o777 == tree.stat().st_mode & 0o777 == 0o755
            assert tree.parent.stat().st_mode & 0o777 == 0o700
            assert (tree / "link").readlink() == Path("bin/run")
    finally:
        os.umask(before)
    assert list((place.home / "tmp").iterdir()) == []


async def test_two_unpack_at_once(place: Place) -> None:
    sha = await place.adopted(place.user.commit({"a": "1"}))
    async with place.repos.unpack(APP_ID, sha) as one, place.repos.unpack(APP_ID, sha) as two:
        assert one != two and (one / "a").exists() and (two / "a").exists()


async def test_unpack_cleans_up_after_cancellation(place: Place) -> None:
    sha = await place.adopted(place.user.commit({f"d/{n}": str(n) for n in range(500)}))
    inside = asyncio.Event()

    async def hold() -> None:
        async with place.repos.unpack(APP_ID, sha):
            inside.set()
            await asyncio.Event().wait()

    async with asyncio.timeout(10):
        held = asyncio.create_task(hold())
        await inside.wait()
        early = asyncio.create_task(hold())
        await asyncio.sleep(0)
        for task in (held, early):
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    assert list((place.home / "tmp").iterdir()) == []


async def test_an_unknown_commit_can_not_be_unpacked(place: Place) -> None:
    await place.repos.create(APP_ID)
    with pytest.raises(BuildFailed, match="has no tree"):
        async with place.repos.unpack(APP_ID, "0123456789" * 4):
            raise AssertionError


async def test_sweep_removes_what_a_killed_daemon_left(place: Place) -> None:
    await place.repos.sweep([APP_ID])
    sha = await place.adopted(place.user.commit({"a": "1"}))
    place.quarantine()
    locks = [place.repo / "packed-refs.lock", place.repo / "refs" / "heads" / "main.lock"]
    for lock in locks:
        lock.touch()
    async with place.repos.unpack(APP_ID, sha) as tree:
        await place.repos.sweep([APP_ID])
        assert not tree.exists()
    assert not any(lock.exists() for lock in locks)
    assert not list((place.repo / "objects").glob("*incoming*"))
    place.git("fsck", "--full")


async def test_sweep_takes_the_folders_of_apps_that_are_gone_and_no_others(place: Place) -> None:
    """Bites: with `unborn` alone, or without its look at the refs, an app's folder is left, or lost."""
    await place.adopted(place.user.commit({"a": "1"}))
    await place.repos.create("unborn")
    await place.repos.create("alive")
    await place.repos.sweep(["alive"])  # a ledger that does not know the pushed one is not believed
    apps = place.home / "apps"
    assert sorted(folder.name for folder in apps.iterdir()) == sorted([APP_ID, "alive"])
    (apps / APP_ID / "builds").mkdir()
    await place.repos.sweep(["alive"], [APP_ID])
    assert [folder.name for folder in apps.iterdir()] == ["alive"]


async def test_without_git(tmp_path: Path) -> None:
    repos = GitRepos(tmp_path, path=str(tmp_path), hooks=tmp_path)
    with pytest.raises(StoreUnavailable, match="install it"):
        await repos.create(APP_ID)
