"""Hostile archives: each is refused by its rule, and no file outside of ours is touched (row G02)."""

import asyncio
import bz2
import gzip
import io
import lzma
import os
import tarfile
import zipfile
import zlib
from pathlib import Path

import pytest

from paasd.adapters.archives import check_archive
from paasd.adapters.git_command import Git
from paasd.adapters.git_repos import GitRepos
from paasd.adapters.sources import TreeLimits
from paasd.domain.errors import BuildFailed
from tests.paasd.adapters.tars import Entry, packed, zipped

APP = "5f0a4f6e-0000-4000-8000-000000000001"
LINK, HARD = tarfile.SYMTYPE, tarfile.LNKTYPE
HOLES = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(2**63), "GNU.sparse.name": "h"}
SMALL = TreeLimits(files=2000, size=256 * 1024**2)


def long_way(victim: Path) -> bytes:
    """CVE-2025-4517: folders so deep that realpath gives up, links through them, and then one that leaves.

    A checker that resolves paths no further than PATH_MAX takes the last link for one that stays inside.
    """
    name, entries, path = "d" * 247, [], ""
    for step in "abcdefghijklmnop":
        entries += [
            Entry(f"{path}{name}", kind=tarfile.DIRTYPE, mode=0o755),
            Entry(f"{path}{step}", kind=LINK, link=name),
        ]
        path += f"{name}/"
    hops = "/".join("abcdefghijklmnop")
    entries += [
        Entry(f"{hops}/{'l' * 254}", kind=LINK, link="../" * 16),
        Entry("escape", kind=LINK, link=f"{hops}/{'l' * 254}/../../{victim}"),
        Entry("flag", kind=HARD, link="escape/victim"),
        Entry("flag", data=b"overwritten"),
    ]
    return packed(*entries)


def bomb(head: bytes, mebibytes: int) -> bytes:
    """A gzip of `head` and so many zeros, made without packing them: a block that was flushed may be repeated."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    begun = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return begun + block * mebibytes + packer.flush()


def announcing(size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    """The header of an entry of so many bytes."""
    info = tarfile.TarInfo("zeros")
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


def zip_bomb() -> bytes:
    """What 42.zip is: not an archive of ours at all."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("zeros", bytes(10**6))
    return out.getvalue()


def hostile(victim: Path) -> dict[str, tuple[bytes, str]]:
    """Name -> (archive, what is said of it)."""
    out = f"../{victim.parent.name}"
    return {
        "dots": (packed(Entry("../victim")), "leads out of it"),
        "dots within": (packed(Entry("a/../../victim")), "leads out of it"),
        "absolute": (packed(Entry(str(victim / "victim"))), "leads out of it"),
        "link, then below it": (
            packed(Entry("out", kind=LINK, link=str(victim)), Entry("out/victim", data=b"overwritten")),
            "points out of the source",
        ),
        "relative link": (packed(Entry("out", kind=LINK, link=out)), "points out of the source"),
        "link below a link": (packed(Entry("a", kind=LINK, link="b"), Entry("a/victim")), "which is no folder"),
        "link over a folder": (packed(Entry("a/x"), Entry("a", kind=LINK, link="b")), "twice"),
        "hard link out": (packed(Entry("h", kind=HARD, link=str(victim / "victim"))), "leads out of it"),
        "hard link to nothing": (packed(Entry("h", kind=HARD, link="later"), Entry("later")), "leads to no file"),
        "hard link to a link": (
            packed(Entry("l", kind=LINK, link="x"), Entry("h", kind=HARD, link="l")),
            "leads to no file",
        ),
        "PATH_MAX": (long_way(victim), "too long for a file system|points out of the source"),
        "device": (packed(Entry("null", kind=tarfile.CHRTYPE)), "a device, a pipe"),
        "block device": (packed(Entry("sda", kind=tarfile.BLKTYPE)), "a device, a pipe"),
        "pipe": (packed(Entry("fifo", kind=tarfile.FIFOTYPE)), "a device, a pipe"),
        "zip": (zip_bomb(), "not a whole tar archive"),
        "gzip bomb": (bomb(announcing(200 * 2**20), 200), "more than 200 times its size"),
        "8 EB announced": (packed(Entry("huge", size=2**63 - 1), form=tarfile.GNU_FORMAT), "larger than"),
        "8 EB with holes": (packed(Entry("huge", b"1\n0\n1\n" + bytes(506), pax=HOLES)), "with holes in it"),
        "negative size": (
            packed(Entry("less", size=-512), form=tarfile.GNU_FORMAT),
            "with holes in it|not a whole tar",
        ),
        "too many entries": (packed(*(Entry(f"d/{number}") for number in range(2001))), "larger than 2,000 files"),
        "the same twice": (packed(Entry("a"), Entry("./a")), "twice"),
        "truncated": (zipped(packed(Entry("a", data=os.urandom(100_000))))[:50_000], "whole tar archive|ends within"),
        "half a file": (packed(Entry("a", size=5000))[:1024], "whole tar archive|ends within"),
        "text": (b"hello" * 1000, "not a whole tar archive"),
        "nothing": (b"", "not a whole tar archive"),
        "no files": (packed(Entry("d", kind=tarfile.DIRTYPE)), "holds no files"),
        "a header without end": (
            bomb(announcing(2**31, tarfile.XHDTYPE), 2048),
            "headers are too large",
        ),
    }  # fmt: skip


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A folder that is none of an archive's business."""
    directory = tmp_path / "outside"
    directory.mkdir()
    (directory / "victim").write_text("untouched")
    return directory


def contents(directory: Path) -> dict[str, str]:
    """Of its files."""
    return {path.name: path.read_text() for path in directory.iterdir()}


@pytest.mark.row("G02", "hostile archives")
@pytest.mark.parametrize("name", list(hostile(Path("/outside"))))
async def test_a_hostile_archive_is_refused_and_nothing_is_touched(tmp_path: Path, victim: Path, name: str) -> None:
    """Bites: each rule of tar_stream.py taken out lets its archive through (tried with _above, check_link, RATIO)."""
    archive, words = hostile(victim)[name]
    (tmp_path / "archive").write_bytes(archive)
    sources = GitRepos(tmp_path, path=os.environ["PATH"], hooks=tmp_path, limits=SMALL)
    with pytest.raises(BuildFailed, match=words) as caught:
        await check_archive(tmp_path / "archive", SMALL)
    assert caught.value.message.endswith(".")
    assert "Traceback" not in caught.value.message
    with pytest.raises(BuildFailed, match=words):
        await sources.adopt_archive(APP, tmp_path / "archive", "build")
    assert contents(victim) == {"victim": "untouched"}
    left = await asyncio.to_thread(os.listdir, tmp_path / "apps" / APP / "repo.git" / "objects")
    assert set(left) == {"info", "pack"}, "nothing of it is in the repository"


async def adopted(tmp_path: Path, archive: bytes) -> dict[str, tuple[int, bytes]]:
    """What the archive becomes in a directory: path -> (mode, bytes; for links where they lead)."""
    (tmp_path / "archive").write_bytes(archive)
    sources = GitRepos(tmp_path, path=os.environ["PATH"], hooks=tmp_path)
    sha = await sources.adopt_archive(APP, tmp_path / "archive", "build")
    found = {}
    async with sources.unpack(APP, sha) as tree:
        for path in sorted(tree.rglob("*")):
            name = str(path.relative_to(tree))
            if path.is_symlink():
                found[name] = (0, os.fsencode(path.readlink()))
            elif path.is_file():
                found[name] = (path.stat().st_mode & 0o7777, path.read_bytes())
    return found


@pytest.mark.row("G02", "hostile archives")
@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
async def test_what_is_in_an_archive_is_what_is_built(tmp_path: Path, pack: object) -> None:
    """Set-user-id bits are gone, as are owners; a hard link is a second file; .git is left out; junk is not read."""
    archive = packed(
        Entry("shop/bin/run", data=b"#!/bin/sh", mode=0o6755),
        Entry("shop/again", kind=HARD, link="shop/bin/run"),
        Entry("shop/here", kind=LINK, link="bin/../bin/run"),
        Entry("shop/wörld ☃", data=b"\0\xff"),
        Entry("shop/.git/hooks/pre-commit", data=b"evil", mode=0o755),
        Entry("shop/sub/.GIT", kind=LINK, link="x"),
    )
    found = await adopted(tmp_path, pack(archive) + b"trailing junk")  # type: ignore[operator]
    assert found == {
        "bin/run": (0o755, b"#!/bin/sh"),
        "again": (0o755, b"#!/bin/sh"),
        "here": (0, b"bin/../bin/run"),
        "wörld ☃": (0o644, b"\0\xff"),
    }


async def test_a_link_that_leaves_by_way_of_another_is_met_when_it_is_checked_out(tmp_path: Path) -> None:
    archive = packed(Entry("a/b/x"), Entry("hop", kind=LINK, link="a/b"), Entry("out", kind=LINK, link="hop/../../.."))
    (tmp_path / "archive").write_bytes(archive)
    sources = GitRepos(tmp_path, path=os.environ["PATH"], hooks=tmp_path)
    with pytest.raises(BuildFailed, match="points out of the source"):
        sha = await sources.adopt_archive(APP, tmp_path / "archive", "build")
        async with sources.unpack(APP, sha):
            pass


async def test_the_same_archive_is_the_same_commit_and_no_branch_moves(tmp_path: Path) -> None:
    (tmp_path / "archive").write_bytes(zipped(packed(Entry("Procfile"))))
    sources = GitRepos(tmp_path, path=os.environ["PATH"], hooks=tmp_path)
    first = await sources.adopt_archive(APP, tmp_path / "archive", "b1")
    assert await sources.adopt_archive(APP, tmp_path / "archive", "b2") == first
    assert await sources.heads(APP) == {}
    repo = tmp_path / "apps" / APP / "repo.git"
    said = await Git(os.environ["PATH"]).run(f"--git-dir={repo}", "for-each-ref")
    assert [line.split() for line in said.decode().splitlines()] == [
        [first, "commit", "refs/builds/b1"],
        [first, "commit", "refs/builds/b2"],
    ]
