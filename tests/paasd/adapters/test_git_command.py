import asyncio
import os
import time
from pathlib import Path

import pytest

from paasd.adapters.git_command import Git, GitFailed
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


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"
