"""Port Journal: app logs on the disk."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Protocol

from paasd.domain.dyno import LogLine

Entry = tuple[int, LogLine]  # a line and its number; numbers of one app only grow


class Journal(Protocol):
    """App logs, kept up to a size and an age. What was appended outlives the daemon, though it be killed."""

    def append(self, app_id: str, number: int, line: LogLine) -> None:
        """Add a line, its text without line breaks. Never raises: what a full disk refuses is not kept, and logged."""

    def newest(self, app_id: str, count: int) -> Sequence[Entry]:
        """The last lines, the oldest of them first."""

    def read(self, app_id: str, *, after: int = 0, since: datetime | None = None) -> AsyncIterator[Sequence[Entry]]:
        """Batches of the lines with greater numbers, the oldest first; none of long before `since`."""

    def position(self, app_id: str, dyno_id: str) -> datetime | None:
        """The time of the last line that was appended of a dyno; None when none is known."""

    def missing(self, app_id: str, after: int, before: int) -> int:
        """How many lines there were between two numbers, both left out. Numbers nothing was ever appended under, as
        between two lives of the daemon, are not lines."""

    async def prune(self) -> None:
        """Delete what is too old."""

    async def delete_app(self, app_id: str) -> None:
        """All lines of an app, and those to come. Absent: fine."""
