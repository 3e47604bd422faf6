"""Runs git. Its whole environment and every setting are given here: neither the machine nor a pushed tree has a say."""

import asyncio
import contextlib
import os
import shutil
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping

from paasd.domain.errors import StoreUnavailable

STREAM_BYTES = 1024 * 1024  # how much of a child's output may wait to be read
SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.symlinks=true",
    "core.autocrlf=false",
    "gc.auto=0",
    "protocol.allow=never",
)


class GitFailed(Exception):
    """A git command that did not exit 0. `stderr` is what it said."""

    def __init__(self, code: int, stderr: str) -> None:
        super().__init__(f"git exited with status {code}: {stderr}")
        self.code = code
        self.stderr = stderr


class Git:
    """Starts git children. `path` is the search path they get, and the one git is looked for in."""

    def __init__(self, path: str) -> None:
        self._program = shutil.which("git", path=path) or "git"
        self._environment = {
            "PATH": path,
            "HOME": "/nonexistent",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_TERMINAL_PROMPT": "0",
            "LC_ALL": "C",
        }

    async def start(
        self,
        *arguments: str,
        settings: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
        stdin: int = DEVNULL,
        own_session: bool = False,
    ) -> Process:
        """Start one, its output piped. `settings` are "name=value", the later ones win. StoreUnavailable without git.

        `own_session` makes it the leader of a process group, so that `end` reaches its children too.
        """
        options = [word for setting in (*SETTINGS, *settings) for word in ("-c", setting)]
        try:
            return await asyncio.create_subprocess_exec(
                self._program,
                *options,
                *arguments,
                stdin=stdin,
                stdout=PIPE,
                stderr=PIPE,
                env={**self._environment, **(environment or {})},
                start_new_session=own_session,
                limit=STREAM_BYTES,
            )
        except FileNotFoundError as error:
            raise StoreUnavailable("git was not found on this machine; install it (apt install git).") from error
        except OSError as error:
            raise StoreUnavailable(f"git could not be started ({error.strerror}); see `paasd doctor`.") from error

    async def run(
        self, *arguments: str, settings: tuple[str, ...] = (), environment: Mapping[str, str] | None = None
    ) -> bytes:
        """Run one to its end and return its stdout. GitFailed when it does not exit 0; cancelling kills it."""
        process = await self.start(*arguments, settings=settings, environment=environment)
        try:
            out, err = await process.communicate()
        finally:
            await end(process)
        if process.returncode:
            raise GitFailed(process.returncode, err.decode("utf-8", "replace").strip())
        return out


async def end(process: Process, *, group: bool = False, grace: float = 5.0) -> None:
    """See that it is over: SIGTERM (to its whole group), `grace` seconds, SIGKILL. Already over: fine."""
    if process.returncode is not None:
        return
    _signal(process, signal.SIGTERM, group=group)
    try:
        async with asyncio.timeout(grace):
            await process.communicate()  # and not wait(): that needs its pipes to be empty
    except TimeoutError:
        _signal(process, signal.SIGKILL, group=group)
        await process.communicate()


def _signal(process: Process, number: signal.Signals, *, group: bool) -> None:
    with contextlib.suppress(ProcessLookupError):
        if group:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
