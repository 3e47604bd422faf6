"""Port Disks: how much room there is where something is kept."""

from typing import Protocol

from paasd.domain.disk import Filesystem


class Disks(Protocol):
    """Looks at filesystems."""

    def look(self, path: str) -> Filesystem | None:
        """The one that holds `path`; None where it can't be seen from here."""
