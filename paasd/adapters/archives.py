"""Tar archives as git commits: a bounded child reads them, fast-import keeps them as a push would have arrived."""

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import PIPE
from typing import IO

from paasd.adapters.git_command import Git, GitFailed
from paasd.adapters.sources import TreeLimits
from paasd.adapters.tar_stream import REFUSED
from paasd.domain.errors import BuildFailed, StoreUnavailable

SECONDS = 600.0  # to read an archive once
WRITE = (
    # made durable by the one flush that ends `adopt`
    "core.fsync=committed,loose-object",
    "core.fsyncMethod=writeout-only",
)
PROGRAM = (sys.executable, "-I", "-m", "paasd.adapters.tar_stream")
STARTED_WITH = {"LC_ALL": "C.UTF-8"}


async def check_archive(archive: Path, limits: TreeLimits) -> str:
    """The folder that all of it lies in, "" for none. BuildFailed, with the rule, for what may not be built."""
    with archive.open("rb") as source:
        reader = _reader(source, limits)
        out, err = await _ended(reader)
    _judge(reader, err)
    return out.decode("utf-8", "surrogateescape")


@asynccontextmanager
async def imported(git: Git, repo: Path, archive: Path, limits: TreeLimits) -> AsyncIterator[tuple[Path, str]]:
    """(quarantine, commit): the objects as git's receive-pack would have left them, gone on leaving. BuildFailed."""
    prefix = await check_archive(archive, limits)
    with (
        tempfile.TemporaryDirectory(prefix="archive-incoming-", dir=repo / "objects") as quarantine,
        tempfile.TemporaryDirectory(prefix="archive-incoming-", dir=repo / "objects") as scratch,
    ):
        # Refs and what else git writes down go to a repository of their own, objects to the quarantine.
        await git.run("init", "--bare", "--quiet", "--template=", "--", scratch)
        sha = await _import(git, Path(scratch), Path(quarantine), archive, prefix, limits)
        yield Path(quarantine), sha


async def _import(git: Git, scratch: Path, quarantine: Path, archive: Path, prefix: str, limits: TreeLimits) -> str:
    with archive.open("rb") as source:
        reader = _reader(source, limits, "import", prefix)
        assert reader.stdout is not None
        try:
            writing = git.run(
                f"--git-dir={scratch}",
                "fast-import",
                "--quiet",
                "--done",
                settings=WRITE,
                environment={"GIT_OBJECT_DIRECTORY": str(quarantine)},
                stdin=reader.stdout.fileno(),
            )
            failed = (await asyncio.gather(writing, return_exceptions=True))[0]
        finally:
            reader.stdout.close()
            reader.stdout = None
            _, err = await _ended(reader)
    _judge(reader, err)
    if isinstance(failed, GitFailed):
        raise BuildFailed(f"git does not take the archive ({failed.stderr[:200]}); pack it anew.") from failed
    if isinstance(failed, BaseException):
        raise failed
    said = await git.run(
        f"--git-dir={scratch}", "rev-parse", "refs/heads/source", environment={"GIT_OBJECT_DIRECTORY": str(quarantine)}
    )
    return said.decode().strip()


def _reader(source: IO[bytes], limits: TreeLimits, *what: str) -> "subprocess.Popen[bytes]":
    command = [*PROGRAM, str(limits.files), str(limits.size), *what]
    try:
        return subprocess.Popen(
            command, stdin=source, stdout=PIPE, stderr=PIPE, env=STARTED_WITH, start_new_session=True
        )
    except OSError as error:
        raise StoreUnavailable(f"The archive can't be read now ({error.strerror}); try again.") from error


async def _ended(reader: "subprocess.Popen[bytes]") -> tuple[bytes, str]:
    """(stdout, stderr) at its end. A caller that is cancelled, or out of time, ends it."""
    talk = asyncio.get_running_loop().run_in_executor(None, reader.communicate)
    try:
        async with asyncio.timeout(SECONDS):
            out, err = await asyncio.shield(talk)
    except BaseException as error:
        reader.kill()
        await asyncio.wait([talk])
        if isinstance(error, TimeoutError):
            raise BuildFailed(f"The archive can't be read within {SECONDS:g} seconds; send a smaller one.") from error
        raise
    return out or b"", err.decode("utf-8", "replace").strip()


def _judge(reader: "subprocess.Popen[bytes]", said: str) -> None:
    if reader.returncode == REFUSED:
        raise BuildFailed(said)
    if reader.returncode:
        raise BuildFailed("The archive can't be read: reading it took too much time or memory; send a smaller one.")
