"""Port Dumps: the bytes of backups, kept whole or not at all."""

from collections.abc import AsyncGenerator, AsyncIterator, Collection
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Dump:
    """What was kept: its bytes and their SHA-256 in hex."""

    size: int
    sha256: str


class Dumps(Protocol):
    """By key: an app's id and a backup's. All raise StoreUnavailable when the disk refuses."""

    async def put(self, app_id: str, key: str, chunks: AsyncIterator[bytes]) -> Dump:
        """On the disk when it returns; an error among the chunks leaves nothing."""

    async def check(self, app_id: str, key: str, wanted: Dump) -> None:
        """Conflict unless it is byte for byte what was kept; NotFound."""

    def read(self, app_id: str, key: str) -> AsyncGenerator[bytes]:
        """As it was put; whoever does not read to its end closes it. NotFound."""

    async def delete(self, app_id: str, key: str) -> None:
        """Absent: fine."""

    async def sweep(self, kept: Collection[tuple[str, str]]) -> None:
        """Remove what a killed daemon left half done, and all but these keys. Before any work."""
