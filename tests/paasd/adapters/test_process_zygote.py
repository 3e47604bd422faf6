"""The process that supervisors are forked from: it ends with its daemon, without a word."""

import select
import socket
import subprocess
from pathlib import Path

import paasd
from paasd.adapters.process_launch import CODE, NAME
from paasd.adapters.process_sandbox import interpreter


def test_a_daemon_that_ends_before_it_has_read_the_first_word() -> None:
    """As one does that can't use its settings. Bites: `recv_fds` without its `except`: a traceback on its terminal."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    place = Path(paasd.__file__).parent.parent
    with theirs:
        command = [str(interpreter()), "-I", "-S", "-c", CODE, str(place), NAME]
        zygote = subprocess.Popen(command, stdin=theirs.fileno(), stderr=subprocess.PIPE)
    assert select.select([ours], [], [], 30.0)[0]
    ours.close()
    assert zygote.communicate(timeout=30)[1] == b"" and zygote.returncode == 0
