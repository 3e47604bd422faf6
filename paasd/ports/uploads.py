"""Port Uploads: archives that people put here to be built, kept for a while."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol


class Uploads(Protocol):
    """Each under a key that we gave (letters, digits, "-")."""

    async def put(self, key: str, chunks: AsyncIterator[bytes]) -> int:
        """Keep what arrives once it is whole, in the place of what was there; how many bytes.

        BuildFailed, naming the rule, for what is no archive that may be built; InvalidParams when it is too large.
        """

    async def has(self, key: str) -> bool: ...

    def read(self, key: str) -> AsyncIterator[bytes]:
        """As it was put. NotFound."""

    def held(self, key: str) -> AbstractAsyncContextManager[Path]:
        """The archive as a file that stays for as long as it is held. NotFound."""

    def fresh(self) -> AbstractAsyncContextManager[Path]:
        """A new empty file, gone on leaving."""

    async def sweep(self, seconds: float) -> None:
        """Remove what was put, or held, longer ago than that."""
