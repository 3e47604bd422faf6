"""Port Disks by statvfs."""

import os

from paasd.domain.disk import Filesystem


class LocalDisks:
    """The filesystems of this machine."""

    def look(self, path: str) -> Filesystem | None:
        """The one that holds `path`; None where it can't be seen from here."""
        try:
            found = os.statvfs(path)
        except OSError:
            return None
        used = (found.f_blocks - found.f_bfree) * found.f_frsize
        free = found.f_bavail * found.f_frsize  # without what is set aside for root
        return Filesystem(path, used + free, free, found.f_files, found.f_favail)
