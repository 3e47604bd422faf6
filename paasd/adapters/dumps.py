"""Dumps as files in HOME/dumps/<app>/ (0600): written aside, brought to the disk, then renamed."""

import asyncio
import hashlib
import os
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from paasd.domain.errors import Conflict, NotFound, StoreUnavailable
from paasd.ports import Dump

CHUNK = 256 * 1024
SUFFIX = ".dump"


class FileDumps:
    """In `home`."""

    def __init__(self, home: Path) -> None:
        self._root = home / "dumps"

    async def put(self, app_id: str, key: str, chunks: AsyncIterator[bytes]) -> Dump:
        """On the disk when it returns; an error among the chunks leaves nothing."""
        target = self._path(app_id, key)
        aside = target.with_name(f"_{key}.{secrets.token_hex(4)}")
        with _refused(target):
            await asyncio.to_thread(target.parent.mkdir, 0o700, parents=True, exist_ok=True)
            descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        digest, size = hashlib.sha256(), 0
        try:
            with os.fdopen(descriptor, "wb") as file:
                async for chunk in chunks:
                    size += len(chunk)
                    digest.update(chunk)
                    with _refused(target):
                        await asyncio.to_thread(file.write, chunk)
                with _refused(target):
                    await asyncio.to_thread(_settle, file)
            with _refused(target):
                aside.replace(target)
                await asyncio.to_thread(_sync, target.parent)
        finally:
            aside.unlink(missing_ok=True)
        return Dump(size, digest.hexdigest())

    async def check(self, app_id: str, key: str, wanted: Dump) -> None:
        """Conflict unless it is byte for byte what was kept; NotFound."""
        path = self._path(app_id, key)
        with _refused(path):
            found = await asyncio.to_thread(_measure, path)
        if found != wanted:
            raise Conflict(
                "This backup's file is not what was written (its SHA-256 differs): nothing was restored. "
                "Restore another one, and see that the disk is sound.",
                resource="backup",
            )

    async def read(self, app_id: str, key: str) -> AsyncGenerator[bytes]:
        """As it was put. NotFound."""
        path = self._path(app_id, key)
        with _refused(path):
            file = await asyncio.to_thread(path.open, "rb")
        with file:
            while chunk := await asyncio.to_thread(file.read, CHUNK):
                yield chunk

    async def delete(self, app_id: str, key: str) -> None:
        """Absent: fine."""
        path = self._path(app_id, key)
        with _refused(path):
            await asyncio.to_thread(path.unlink, missing_ok=True)
        with suppress(OSError):
            path.parent.rmdir()  # the app's last

    async def sweep(self, kept: Collection[tuple[str, str]]) -> None:
        """Remove what a killed daemon left half done, and all but these keys. Before any work."""
        await asyncio.to_thread(self._sweep, {self._path(*key) for key in kept})

    def _sweep(self, kept: set[Path]) -> None:
        for path in self._root.glob("*/*"):
            if path not in kept:
                path.unlink(missing_ok=True)
        for folder in self._root.glob("*"):
            with suppress(OSError):
                folder.rmdir()

    def _path(self, app_id: str, key: str) -> Path:
        return self._root / app_id / f"{key}{SUFFIX}"


def _measure(path: Path) -> Dump:
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return Dump(size, digest.hexdigest())


def _settle(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _refused(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise NotFound("This backup's file is not here any more; restore another one.", resource="backup") from error
    except OSError as error:
        raise StoreUnavailable(
            f"The backup {path.name} can't be kept or read ({error.strerror}); make room on the disk and try again."
        ) from error
