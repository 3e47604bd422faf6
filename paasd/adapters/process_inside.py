"""The last step before an app's command, within the sandbox: its bounds, its user, its environment.

Run as a file by a bare interpreter (`python -I -S`), as root where the daemon is: so its own environment is empty, and
the app's comes as JSON in a file that lies in memory. No secret is ever in a file or an argv.
"""

import fcntl
import json
import os
import resource
import signal
import termios
from typing import Any

DESCRIPTOR = 9  # where it reads what it becomes
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38


def become(final: dict[str, Any]) -> None:
    """Take the terminal, the bounds and the app's own user, and turn into the command. Does not return."""
    if final["tty"]:
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    if final["bare"]:
        import ctypes  # noqa: F401 - the app's user may not be able to read where it lies
    for name, value in final["rlimits"].items():
        kind = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(kind)[1]
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (bound, bound))
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("500")
    if final["uid"] is not None:
        os.setgroups([])
        os.setresgid(final["gid"], final["gid"], final["gid"])
        os.setresuid(final["uid"], final["uid"], final["uid"])
    if final["bare"]:  # bubblewrap does both itself
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # after the change of user, which forgets it
    os.umask(0o022)
    os.chdir(final["cwd"])
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)  # which this interpreter ignores, and no command expects
    os.execve(final["argv"][0], final["argv"], final["env"])


def read_all(descriptor: int) -> dict[str, Any]:
    """The JSON in a file, from its beginning; closed afterwards."""
    pieces, offset = [], 0
    while piece := os.pread(descriptor, 1 << 20, offset):
        pieces.append(piece)
        offset += len(piece)
    os.close(descriptor)
    return dict(json.loads(b"".join(pieces)))


def prctl(option: int, value: int) -> None:
    """prctl(2); OSError when it is refused."""
    import ctypes

    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    become(read_all(DESCRIPTOR))
