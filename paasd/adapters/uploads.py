"""Uploads as files in HOME/uploads (0600), each looked through before it counts as put."""

import asyncio
import os
import re
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from paasd.adapters.archives import check_archive
from paasd.adapters.sources import TreeLimits
from paasd.domain.errors import InvalidParams, NotFound, StoreUnavailable

KEY = re.compile(r"[A-Za-z0-9-]{1,64}")
CHUNK = 256 * 1024
SILENT_SECONDS = 60.0  # of a sender


class FileUploads:
    """In `home`; archives of at most `max_bytes`, holding at most `limits`."""

    def __init__(self, home: Path, *, max_bytes: int, limits: TreeLimits | None = None) -> None:
        self._directory = home / "uploads"
        self._max_bytes = max_bytes
        self._limits = limits or TreeLimits()

    async def put(self, key: str, chunks: AsyncIterator[bytes]) -> int:
        """Keep what arrives; how many bytes. BuildFailed, InvalidParams, StoreUnavailable."""
        target, size = self._path(key), 0
        async with self.fresh() as aside:
            try:
                with aside.open("wb") as file:
                    async for chunk in _in_time(chunks):
                        size += len(chunk)
                        if size > self._max_bytes:
                            raise InvalidParams(
                                f"The archive is larger than {self._max_bytes // 1000**2} MB (build.max_push_bytes in "
                                "paasd.yaml); leave out what can be downloaded or made during the build."
                            )
                        await asyncio.to_thread(file.write, chunk)
                await check_archive(aside, self._limits)
                aside.replace(target)
            except OSError as error:
                raise StoreUnavailable(
                    f"The archive can't be kept ({error.strerror}); make room and send it again."
                ) from error
        return size

    async def has(self, key: str) -> bool:
        """Whether something was put under that key."""
        return await asyncio.to_thread(self._path(key).is_file)

    async def read(self, key: str) -> AsyncIterator[bytes]:
        """As it was put. NotFound."""
        async with self.held(key) as path:
            with path.open("rb") as file:
                while chunk := await asyncio.to_thread(file.read, CHUNK):
                    yield chunk

    @asynccontextmanager
    async def held(self, key: str) -> AsyncIterator[Path]:
        """Under a second name, which no sweep and no other put takes away. NotFound."""
        path = self._path(key)
        async with self.fresh() as aside:
            aside.unlink()
            try:
                os.utime(path)
                aside.hardlink_to(path)
            except FileNotFoundError as error:
                raise NotFound(
                    "No archive was put there, or it was too long ago; ask for another place with POST /sources.",
                    resource="source",
                ) from error
            yield aside

    @asynccontextmanager
    async def fresh(self) -> AsyncIterator[Path]:
        """A new empty file, gone on leaving."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        number, name = tempfile.mkstemp(prefix="_", dir=self._directory)
        os.close(number)
        try:
            yield Path(name)
        finally:
            await asyncio.to_thread(Path(name).unlink, missing_ok=True)

    async def sweep(self, seconds: float, *, all_unnamed: bool = False) -> None:
        """Remove what is older; with `all_unnamed` also what a killed daemon left half done, before any work."""
        await asyncio.to_thread(self._sweep, time.time() - seconds, all_unnamed)

    def _sweep(self, before: float, all_unnamed: bool) -> None:
        for path in self._directory.glob("*"):
            with suppress(FileNotFoundError):
                unnamed = path.name.startswith("_")
                if (unnamed and all_unnamed) or (not unnamed and path.stat().st_mtime < before):
                    path.unlink()

    def _path(self, key: str) -> Path:
        if KEY.fullmatch(key) is None:
            raise ValueError(f"not a key that paasd gave: {key!r}")
        return self._directory / key


async def _in_time(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """As they come; InvalidParams when the sender falls silent."""
    waiting = aiter(chunks)
    while True:
        try:
            async with asyncio.timeout(SILENT_SECONDS):
                chunk = await anext(waiting)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            raise InvalidParams(f"Nothing came for {SILENT_SECONDS:g} seconds; send the archive again.") from error
        yield chunk
