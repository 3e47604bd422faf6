"""`autocomplete`, in the shell itself."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import shutil
import struct
import termios
import time

import pytest

from .conftest import PAAS, Run

DEADLINE = 30.0


SHELLS = ["bash", pytest.param("zsh", marks=pytest.mark.zsh), pytest.param("fish", marks=pytest.mark.fish)]
STARTED = {
    "bash": (["--norc", "-i"], b'eval "$(paas autocomplete bash)"'),
    "zsh": (["-f", "-i"], b'eval "$(paas autocomplete zsh)"'),
    "fish": (["--no-config", "-i"], b"paas autocomplete fish | source"),
}


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_completes_names_with_colons(shell: str, environment: dict[str, str]) -> None:
    """A person at it, whose start-up file says nothing else.

    Bites: leave colons among what ends a word in bash, or BEGUN out of what zsh is told.
    """
    program = shutil.which(shell)
    assert program is not None
    options, begin = STARTED[shell]
    child, terminal = pty.fork()
    if child == 0:  # pragma: no cover - another program from here on
        os.execve(
            program,
            [shell, *options],
            {**environment, "PATH": f"{PAAS.parent}:{environment['PATH']}", "TERM": "xterm"},
        )
    try:
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 200, 0, 0))
        os.write(terminal, begin + b'; echo rea""dy\n')
        read_until(terminal, b"ready\n")
        os.write(terminal, b"paas config:uns\t")
        read_until(terminal, b"config:unset")
        os.write(terminal, b"--he\t\n")
        read_until(terminal, b"Remove config vars")
        os.write(terminal, b"paas config:\t\t")
        read_until(terminal, b"config:edit")  # a list of what there is
    finally:
        os.close(terminal)  # a hang-up, which ends it
        os.waitpid(child, 0)


def read_until(terminal: int, wanted: bytes) -> None:
    said, deadline = b"", time.monotonic() + DEADLINE
    while wanted not in said.replace(b"\r\n", b"\n"):
        assert time.monotonic() < deadline, said
        if select.select([terminal], [], [], 0.5)[0]:
            said += os.read(terminal, 65536)


@pytest.mark.parametrize(("shell", "said"), [("zsh", "compdef"), ("fish", "complete "), ("bash", "complete -o nosort")])
def test_each_shell_has_its_own(paas: Run, shell: str, said: str) -> None:
    assert said in paas("autocomplete", shell).stdout
    assert paas("autocomplete:script", SHELL=f"/usr/bin/{shell}").stdout == paas("autocomplete", shell).stdout


def test_a_shell_that_is_not_known(paas: Run) -> None:
    ran = paas("autocomplete", SHELL="/bin/dash")
    assert ran.returncode == 1 and "Name one: paas autocomplete bash|zsh|fish." in ran.stderr
    assert paas("autocomplete", "tcsh").returncode == 2
