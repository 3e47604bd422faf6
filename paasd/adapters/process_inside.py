"""The last step before an app's command, within the sandbox: its bounds, its user, its environment.

Run as a file by a bare interpreter (`python -I -S`), as root where the daemon is: so its own environment is empty, and
the app's comes in a file that lies in memory. No secret is ever in a file or an argv. Each dyno waits for this to
start: what it imports is counted (marshal is there already, json takes as long as the interpreter).
"""

import marshal
import os
import resource

signal = __import__("_signal")  # what `signal` is made of: its enumerations take 3 ms to import
DESCRIPTOR = 9  # where it reads what it becomes: the arguments of `become`
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38


def become(
    user: tuple[int, int] | None,
    argv: list[str],
    env: dict[str, str],
    cwd: str,
    rlimits: dict[str, int],
    tty: bool,
    bare: bool,
) -> None:
    """Take the terminal, the bounds and the app's own user, and turn into the command. Does not return."""
    if tty:
        take_terminal()
    if bare:
        import ctypes  # noqa: F401 - the app's user may not be able to read where it lies
    for name, value in rlimits.items():
        kind = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(kind)[1]
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (bound, bound))
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("500")
    if user is not None:
        uid, gid = user
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    if bare:  # bubblewrap does both itself
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # after the change of user, which forgets it
    os.umask(0o022)
    os.chdir(cwd)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)  # which this interpreter ignores, and no command expects
    os.execve(argv[0], argv, env)


def take_terminal() -> None:
    """A session of its own, whose terminal is its stdin."""
    import fcntl
    import termios

    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def read_file(descriptor: int) -> bytes:
    """From its beginning; closed afterwards."""
    pieces, offset = [], 0
    while piece := os.pread(descriptor, 1 << 20, offset):
        pieces.append(piece)
        offset += len(piece)
    os.close(descriptor)
    return b"".join(pieces)


def prctl(option: int, value: int) -> None:
    """prctl(2); OSError when it is refused."""
    import ctypes

    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    become(*marshal.loads(read_file(DESCRIPTOR)))  # noqa: S302 - our supervisor's own
