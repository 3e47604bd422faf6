"""The zygote: an interpreter with all that a supervisor needs already imported, which forks into one when it is asked.

So no interpreter's start is on the way to a dyno. Run by a bare interpreter (`python -I -S`). File 0 is its daemon's
socket: a message with a supervisor's files asks for one, and is answered by its number and a descriptor of it. It ends
with its daemon, or when that closes the socket; the supervisors go on.
"""

import ctypes  # noqa: F401 - a supervisor's calls need it, and so would wait for it
import fcntl
import gc
import os
import signal
import socket
import sys

from paasd.adapters.process_supervisor import OPEN_FILES, main

FILES = 6  # a supervisor's at most: what it is to do, its report, its errors; its command's stdin, stdout, stderr
LOWEST = 16


def serve() -> int:
    """Until the daemon's end of the socket is closed. Exit status: 0."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, reap)
    gc.freeze()  # else each fork's first collection would copy what is shared
    with socket.socket(fileno=os.dup(0)) as control:
        try:
            control.send(b"ready")
        except OSError:
            return 0
        while True:
            try:
                asked, files, _, _ = socket.recv_fds(control, 16, FILES)
            except ConnectionError:
                return 0  # a daemon that ended before it had read our word
            if not asked:
                return 0
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})  # it must not be reaped before we hold it
            pid = os.fork()
            if pid == 0:
                os._exit(become_supervisor(files))
            held = os.pidfd_open(pid)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
            try:
                socket.send_fds(control, [b"%d" % pid], [held])
            except OSError:
                return 0  # the daemon has ended meanwhile; the supervisor is the next one's
            finally:
                for descriptor in (held, *files):
                    os.close(descriptor)


def become_supervisor(files: list[int]) -> int:
    """In a session of its own, with those files from 0 on and no others; its exit status."""
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        os.setsid()
        high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, LOWEST) for descriptor in files]
        for number, descriptor in enumerate(high):
            os.dup2(descriptor, number)
        os.closerange(len(files), OPEN_FILES)
        return main()
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1


def reap(*_: object) -> None:
    """Those that have ended: their daemon knows it by itself."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
