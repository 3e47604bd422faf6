import asyncio
import hashlib
import os
import resource
import time
import zlib
from pathlib import Path

import pytest

from paasd.adapters.git_command import MEMORY_BYTES, Git, GitFailed
from tests.paasd.pushing import PATH


async def test_the_machine_s_settings_do_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".gitconfig").write_text("[user]\n name = Eve\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    listed = (await Git(PATH).run("config", "--list", "--show-origin")).decode()
    assert "Eve" not in listed
    assert {line.partition("\t")[0] for line in listed.splitlines()} == {"command line:"}


async def test_a_failure_says_what_git_said() -> None:
    with pytest.raises(GitFailed) as failed:
        await Git(PATH).run("rev-parse", "--git-dir", "--nonsense", "--verify")
    assert failed.value.code == 128 and "fatal" in failed.value.stderr


async def test_end_reaches_children_that_do_not_listen(tmp_path: Path) -> None:
    """`git` here is a program that ignores SIGTERM and has a child holding its pipes."""
    program = tmp_path / "git"
    program.write_text("#!/bin/sh\ntrap '' TERM\nsleep 60 &\necho $!\nwait\nsleep 60\n")
    program.chmod(0o755)
    process = await Git(f"{tmp_path}:{PATH}").start()
    child = int(await process.stdout.readline())
    began = time.monotonic()
    await process.end(grace=0.2)
    await process.end()
    assert process.returncode == -9 and time.monotonic() - began < 5
    async with asyncio.timeout(5):
        while _runs(child):  # noqa: ASYNC110 - nobody tells of the end of a grandchild
            await asyncio.sleep(0.01)


async def test_a_pack_that_unpacks_to_gigabytes_is_refused_before_they_are_taken(tmp_path: Path) -> None:
    """Bites: the RLIMIT_DATA of `_spawn` left out: 16 kB have git take 2.5 GB, or more, as much as they say."""
    git = Git(PATH)
    await git.run("init", "--bare", "--quiet", "--", str(tmp_path / "repo.git"))
    (tmp_path / "bomb").write_bytes(bomb(copies=160))
    with (tmp_path / "bomb").open("rb") as file, pytest.raises(GitFailed) as failed:
        await git.run(f"--git-dir={tmp_path / 'repo.git'}", "unpack-objects", "-q", stdin=file.fileno())
    assert "memory" in failed.value.stderr, failed.value.stderr
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 < MEMORY_BYTES


def bomb(copies: int) -> bytes:
    """A pack of two objects: a blob of nearly 16 MiB, and a delta that is so many copies of it."""
    base = bytes(16 * 1024**2 - 1)
    name = hashlib.sha1(b"blob %d\0" % len(base) + base, usedforsecurity=False).digest()
    copy = b"\xf0" + len(base).to_bytes(3, "little")  # from offset 0, three bytes of length
    delta = number(len(base)) + number(copies * len(base)) + copies * copy
    pack = b"PACK" + (2).to_bytes(4, "big") + (2).to_bytes(4, "big")
    pack += head(3, len(base)) + zlib.compress(base, 9)
    pack += head(7, len(delta)) + name + zlib.compress(delta)
    return pack + hashlib.sha1(pack, usedforsecurity=False).digest()


def number(value: int) -> bytes:
    """Seven bits a byte, the lowest first."""
    return number_after(value & 0x7F, value >> 7)


def number_after(first: int, rest: int) -> bytes:
    return bytes([first | 0x80]) + number(rest) if rest else bytes([first])


def head(kind: int, size: int) -> bytes:
    """Of an object in a pack: its kind, and its size unpacked, of which four bits come first."""
    return number_after(kind << 4 | size & 15, size >> 4)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"
