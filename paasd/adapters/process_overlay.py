"""An app's files for one dyno without copying them: the layer below, its own changes above, in a mount of its own.

The supervisor runs it in a bare interpreter, as root, in its own mount namespace: nobody else sees the mount, and it is
gone with the dyno's last process.
"""

import ctypes
import os

CLONE_NEWNS = 0x00020000
MS_REC, MS_SLAVE = 0x4000, 0x80000
FOLDERS = ("upper", "work")
# Nothing of a dyno's own changes outlives it: that they reach the disk at its end is not waited for (kernel 5.10 on).
WAYS = (",volatile", "")


def lay_over(lower: str, target: str, user: tuple[int, int] | None) -> bool:
    """Show `lower` at `target`, a folder in the current one, for a user to write to; False where it can't be done.

    Paths in the mount's options are relative to the current folder: the home's own may hold what means something there.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0 or libc.mount(None, b"/", None, MS_REC | MS_SLAVE, None) != 0:
        return False
    for name in FOLDERS:
        os.mkdir(name, 0o700)
    if user is not None:
        os.chown("upper", *user)
    place = f"lowerdir={os.path.relpath(lower)},upperdir={FOLDERS[0]},workdir={FOLDERS[1]}"
    return any(
        libc.mount(b"overlay", os.fsencode(target), b"overlay", 0, os.fsencode(place + way)) == 0 for way in WAYS
    )
