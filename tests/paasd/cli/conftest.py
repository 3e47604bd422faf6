"""The real `paas`, run as a process against a real server, in homes and repositories of its own."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .wire import DEADLINE, TOKEN, Wire

Ran = subprocess.CompletedProcess[str]
Run = Callable[..., Ran]
PAAS = Path(sys.executable).with_name("paas")


@pytest.fixture
def wire() -> Iterator[Wire]:
    server = Wire()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def home(tmp_path: Path, wire: Wire) -> Path:
    """A daemon's home as `paasd serve` leaves it."""
    path = tmp_path / "paas home"
    path.mkdir(mode=0o700)
    (path / "api").write_text(wire.url + "\n")
    (path / "token").write_text(TOKEN + "\n")
    return path


@pytest.fixture
def environment(tmp_path: Path, home: Path) -> dict[str, str]:
    user = tmp_path / "user"
    user.mkdir()
    return {
        "HOME": str(user),
        "PATH": os.environ["PATH"],
        "PAASD_HOME": str(home),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CEILING_DIRECTORIES": str(tmp_path),
        "TERM": "xterm-256color",
        "TZ": "UTC",
    }


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where `paas` runs: not a repository."""
    path = tmp_path / "work"
    path.mkdir()
    return path


@pytest.fixture
def repository(directory: Path, environment: dict[str, str]) -> Path:
    """The same directory, as a git repository."""
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=directory, env=environment, check=True)
    return directory


@pytest.fixture
def paas(directory: Path, environment: dict[str, str]) -> Run:
    def run(*arguments: str, stdin: str = "", **variables: str) -> Ran:
        return subprocess.run(
            [str(PAAS), *arguments],
            cwd=directory,
            env={**environment, **variables},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
        )

    return run


@pytest.fixture
def terminal(directory: Path, environment: dict[str, str]) -> Run:
    """Like `paas`, with stdout (not stderr) on a terminal of 80 columns."""

    def run(*arguments: str, columns: int = 80, **variables: str) -> Ran:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        process = subprocess.Popen(
            [str(PAAS), *arguments],
            cwd=directory,
            env={**environment, **variables},
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=subprocess.PIPE,
            text=True,
        )
        os.close(theirs)
        shown = b""
        try:
            while chunk := os.read(ours, 65536):
                shown += chunk
        except OSError:  # the terminal is closed: the process has ended
            pass
        finally:
            os.close(ours)
        _, errors = process.communicate(timeout=DEADLINE)
        return subprocess.CompletedProcess(arguments, process.returncode, shown.decode(), errors)

    return run
