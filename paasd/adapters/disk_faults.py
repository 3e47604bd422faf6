"""What a disk refused, as an error that says what to do about it."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from paasd.domain.errors import StoreUnavailable

ROOM = "free some disk space, or inodes (`paas disk` shows who uses it), and try again"
BROKEN = "see the kernel's log for what is wrong with the disk, mend it, and try again"
RIGHTS = "mend the owner and mode of the file and its directory, and try again"
REMEDIES = {
    errno.ENOSPC: ROOM,
    errno.EDQUOT: ROOM,
    errno.EIO: BROKEN,
    errno.EROFS: BROKEN,
    errno.ENODEV: BROKEN,
    errno.EACCES: RIGHTS,
    errno.EPERM: RIGHTS,
}
WORDS = (
    ("no space left", ROOM),
    ("quota exceeded", ROOM),
    ("read-only file system", BROKEN),
    ("input/output error", BROKEN),
    ("permission denied", RIGHTS),
    ("operation not permitted", RIGHTS),
)


def remedy(error: OSError) -> str:
    """What to do about it, as the end of a sentence."""
    return REMEDIES.get(error.errno or 0, "see `paasd doctor`")


def remedy_of(words: str) -> str:
    """The same for what a program said of it."""
    found = words.lower()
    return next((said for known, said in WORDS if known in found), "see `paasd doctor`")


@contextmanager
def disk_errors(what: str) -> Iterator[None]:
    """StoreUnavailable for an OSError: "The app's git repository" can't be kept, why, and what to do."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise StoreUnavailable(f"{what} can't be kept ({reason}): {remedy(error)}.") from error
