"""`autocomplete`, in the shell itself."""

from __future__ import annotations

import os
import pty
import select
import time

import pytest

from .conftest import PAAS, Run

DEADLINE = 30.0


def test_bash_completes_names_with_colons(environment: dict[str, str]) -> None:
    """A person at a bash. Bites: leave colons among what ends a word."""
    child, terminal = pty.fork()
    if child == 0:  # pragma: no cover - another program from here on
        os.execve(
            "/bin/bash", ["bash", "--norc", "-i"], {**environment, "PATH": f"{PAAS.parent}:{environment['PATH']}"}
        )
    try:
        os.write(terminal, b'eval "$(paas autocomplete bash)"; echo rea""dy\n')
        read_until(terminal, b"ready\n")
        os.write(terminal, b"paas config:uns\t")
        read_until(terminal, b"paas config:unset ")
        os.write(terminal, b"--he\t\n")
        read_until(terminal, b"Remove config vars")
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
