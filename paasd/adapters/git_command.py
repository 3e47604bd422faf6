"""Runs git. Its whole environment and every setting are given here: neither the machine nor a pushed tree has a say."""

import asyncio
import contextlib
import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Mapping
from socket import socketpair
from subprocess import DEVNULL, PIPE

from paasd.domain.errors import StoreUnavailable

STREAM_BYTES = 1024 * 1024  # how much of a child's output may wait to be read
SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.symlinks=true",
    "core.autocrlf=false",
    "gc.auto=0",
    "protocol.allow=never",
    "core.bigFileThreshold=32m",  # larger ones are streamed, and no delta is looked for in them
    "pack.windowMemory=64m",
    "pack.threads=2",
)
# Of one git, for what it writes in: a push of some kB can say that it unpacks to any size, and git takes its word.
MEMORY_BYTES = 2 * 1024**3


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

    async def run(
        self,
        *arguments: str,
        settings: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
        stdin: int = DEVNULL,
    ) -> bytes:
        """Run one to its end and return its stdout. GitFailed when it does not exit 0; cancelling kills it."""
        process = self._spawn(arguments, settings, environment, stdin, PIPE, PIPE)
        talk = asyncio.get_running_loop().run_in_executor(None, process.communicate)
        try:
            out, err = await asyncio.shield(talk)
        except asyncio.CancelledError:
            process.kill()
            await asyncio.wait([talk])
            raise
        if process.returncode:
            raise GitFailed(process.returncode, err.decode("utf-8", "replace").strip())
        return out

    async def start(
        self, *arguments: str, settings: tuple[str, ...] = (), environment: Mapping[str, str] | None = None
    ) -> "Child":
        """Start one to talk with, as leader of a process group. Its three streams are sockets; `end` it in any case."""
        pairs = [socketpair() for _ in range(3)]
        try:
            process = self._spawn(arguments, settings, environment, *(theirs.fileno() for _, theirs in pairs))
        except BaseException:
            for ours, _ in pairs:
                ours.close()
            raise
        finally:
            for _, theirs in pairs:
                theirs.close()
        try:
            streams = [await asyncio.open_unix_connection(sock=ours, limit=STREAM_BYTES) for ours, _ in pairs]
        except BaseException:
            process.kill()
            raise
        return Child(process, streams)

    def _spawn(
        self,
        arguments: tuple[str, ...],
        settings: tuple[str, ...],
        environment: Mapping[str, str] | None,
        *streams: int,
    ) -> "subprocess.Popen[bytes]":
        """`settings` are "name=value", the later ones win. StoreUnavailable without git.

        Not by the event loop: uvloop forks, which for a process of our size takes ten times as long as vfork.
        """
        options = [word for setting in (*SETTINGS, *settings) for word in ("-c", setting)]
        stdin, stdout, stderr = streams
        try:
            process = subprocess.Popen(
                [self._program, *options, *arguments],
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                env={**self._environment, **(environment or {})},
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise StoreUnavailable("git was not found on this machine; install it (apt install git).") from error
        except OSError as error:
            raise StoreUnavailable(f"git could not be started ({error.strerror}); see `paasd doctor`.") from error
        with contextlib.suppress(ProcessLookupError):  # before it has read anything, and for its children too
            resource.prlimit(process.pid, resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
        return process


class Child:
    """A git that runs: its streams, and its end."""

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        streams: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]],
    ) -> None:
        self._process = process
        (_, self.stdin), (self.stdout, _), (self.stderr, _) = streams
        self._writers = [writer for _, writer in streams]

    @property
    def pid(self) -> int:
        """Its process id, and that of its group."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """None while it runs; negative when a signal ended it."""
        return self._process.poll()

    async def wait(self, timeout: float) -> int:
        """Its exit code; TimeoutError after so many seconds. Holds a thread: for when the end is near."""
        try:
            return await asyncio.to_thread(self._process.wait, timeout)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"git did not end in {timeout:g} s") from error

    async def end(self, *, grace: float = 5.0) -> None:
        """See that it and its children are over: SIGTERM, `grace` seconds, SIGKILL. May be repeated."""
        try:
            if self.returncode is None:
                self._signal(signal.SIGTERM)
                try:
                    await self.wait(grace)
                except TimeoutError:
                    self._signal(signal.SIGKILL)
                    await self.wait(grace)
        except BaseException:
            self._signal(signal.SIGKILL)
            raise
        finally:
            for writer in self._writers:
                writer.transport.abort()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)
