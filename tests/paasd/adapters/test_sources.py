import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from paasd.adapters.git_command import Git
from paasd.adapters.sources import TreeLimits, extract
from paasd.adapters.trees import DEEPEST
from paasd.domain.errors import BuildFailed
from tests.paasd.pushing import PATH, User


@pytest.fixture
def user(tmp_path: Path) -> Iterator[User]:
    yield User(tmp_path / "user" / "work")


async def unpacked(user: User, sha: str, limits: TreeLimits | None = None) -> Path:
    """The user's commit, extracted anew."""
    directory = user.directory.parent / "extracted"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    return await extract(Git(PATH), user.directory / ".git", sha, directory, limits or TreeLimits())


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "a/../../x", "/", "..", "hop/../x"])
async def test_links_out_of_the_tree(user: User, target: str) -> None:
    user.commit({"a/file": "1"})
    (user.directory / "hop").symlink_to(".")
    (user.directory / "bad").symlink_to(target)
    with pytest.raises(BuildFailed, match=r"symbolic link 'bad' points out of the source"):
        await unpacked(user, user.commit({}))


async def test_links_inside_the_tree_are_kept_even_if_broken(user: User) -> None:
    for name, target in (("good", "a/file"), ("broken", "nowhere"), ("a/up", "../good"), ("loop", "loop")):
        (user.directory / name).parent.mkdir(exist_ok=True)
        (user.directory / name).symlink_to(target)
    tree = await unpacked(user, user.commit({"a/file": "1"}))
    assert (tree / "good").read_text() == "1" and (tree / "broken").is_symlink()


async def test_submodules(user: User) -> None:
    first = user.commit({"a": "1"})
    user.now("update-index", "--add", "--cacheinfo", f"160000,{first},vendor/thing")
    user.now("commit", "-q", "-m", "A submodule")
    with pytest.raises(BuildFailed, match=r"submodule 'vendor/thing'"):
        await unpacked(user, user.now("rev-parse", "HEAD"))


@pytest.mark.parametrize("name", [".git", "..", ".", "a/b", ".GIT", "git~1", ".git\u200c"])
async def test_names_that_git_would_not_make(user: User, name: str) -> None:
    """Even when such a tree came past the checks on receiving."""
    sha = user.commit_tree(f"100644 {user.blob('x')} {name}")
    try:
        tree = await unpacked(user, sha)
    except BuildFailed:
        written = list((user.directory.parent / "extracted").rglob("*"))
        assert [path for path in written if path.is_file() and path.name not in ("index", "index.lock")] == []
    else:
        assert name in (".GIT", "git~1", ".git\u200c", "a/b")  # harmless on this file system
        assert all(path.is_relative_to(tree) for path in tree.rglob("*"))


async def test_a_file_below_a_link(user: User) -> None:
    """The classic: a link `d` and, below the same name, a file to be written through it."""
    outside = user.directory.parent / "outside"
    outside.mkdir()
    blob = user.blob("x")
    inner = user.now("mktree", stdin=f"100644 blob {blob}\tfile\n".encode())
    sha = user.commit_tree(f"120000 {user.blob(str(outside))} d", f"40000 {inner} d")
    with contextlib.suppress(BuildFailed):
        tree = await unpacked(user, sha)
        assert not (tree / "d").is_symlink()
    assert list(outside.iterdir()) == []


async def test_nothing_of_the_content_is_run(user: User, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    user.now("config", "filter.evil.smudge", f"touch {mark}; cat")  # a setting of the pusher's, not of ours
    sha = user.commit(
        {
            ".gitattributes": "* filter=other diff=other merge=other\n",
            ".gitmodules": '[submodule "x"]\n path = x\n url = ext::sh -c "touch /tmp/ran"\n',
            "file": "1",
            ".gitconfig": f"[core]\n fsmonitor = touch {mark}\n",
            "hooks/post-checkout": f"#!/bin/sh\ntouch {mark}\n",
        }
    )
    tree = await unpacked(user, sha)
    assert (tree / "file").read_text() == "1"
    assert not mark.exists()


async def test_too_many_files_and_too_many_bytes(user: User) -> None:
    sha = user.commit({f"d/{n}": "x" * 100 for n in range(20)})
    await unpacked(user, sha, TreeLimits(files=20, size=2000))
    for limits in (TreeLimits(files=19), TreeLimits(size=1999)):
        with pytest.raises(BuildFailed, match="The source is larger than"):
            await unpacked(user, sha, limits)


async def test_folders_in_folders(user: User) -> None:
    """Python copies and removes them by recursion. Bites: without DEEPEST in `_check_entries` the push ends with no
    word of why, and no daemon starts that finds what is left of it."""
    await unpacked(user, user.commit({f"{'d/' * DEEPEST}file": "x"}))
    with pytest.raises(BuildFailed, match=f"more than {DEEPEST} deep"):
        await unpacked(user, user.commit({f"{'d/' * (DEEPEST + 1)}file": "x"}))


async def test_a_bomb_of_trees_is_not_even_listed_to_its_end(user: User) -> None:
    entry, mode, kind = user.blob("x"), "100644", "blob"
    for _ in range(10):  # 10 to the power of 10 files
        lines = "".join(f"{mode} {kind} {entry}\tn{n}\n" for n in range(10))
        entry, mode, kind = user.now("mktree", stdin=lines.encode()), "040000", "tree"
    sha = user.now("commit-tree", entry, "-m", "bomb")
    with pytest.raises(BuildFailed, match="200,000 files"):
        await unpacked(user, sha)


async def test_a_name_too_long_for_the_file_system(user: User) -> None:
    sha = user.commit_tree(f"100644 {user.blob('x')} {'n' * 300}")
    with pytest.raises(BuildFailed, match=r"can't be checked out: .*File name too long"):
        await unpacked(user, sha)
