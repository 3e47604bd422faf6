"""Port Outputs: what release phases and builds printed, kept and followed."""

from collections.abc import AsyncIterator
from typing import Protocol


class OutputFile(Protocol):
    """One output being kept: appended by one writer, followed by any number of readers."""

    async def write(self, data: bytes) -> None: ...

    async def close(self) -> None:
        """The end: readers that follow finish. May be repeated."""


class Outputs(Protocol):
    """Kept outputs of release phases and builds. A key is ("releases", "<version>") or ("builds", "<id>")."""

    async def open(self, app_id: str, key: tuple[str, str]) -> OutputFile:
        """Begin it, empty; its last 300 MB are kept, and readers are told how much there was before."""

    async def reach(self, app_id: str, key: tuple[str, str], offset: int) -> int:
        """The first byte from `offset` on that can still be read; more than `offset` where what is there is no more.
        NotFound when there is none."""

    def read(
        self, app_id: str, key: tuple[str, str], *, offset: int = 0, unbroken: bool = False
    ) -> AsyncIterator[bytes]:
        """What is kept from `offset` on, then live until the writer closes. NotFound when there is none.

        Where bytes from there on are no more (or no more when the reader comes to them), a line says how many;
        `unbroken` has no such line, so that every byte counts: Unavailable there.
        """

    def exists(self, app_id: str, key: tuple[str, str]) -> bool: ...

    async def size(self, app_id: str) -> int:
        """Bytes kept of an app."""

    async def prune(self, app_id: str, days: float) -> int:
        """Delete what ended longer ago than that; how many bytes that freed."""

    async def delete_app(self, app_id: str) -> None:
        """All outputs of an app. Absent: fine."""
