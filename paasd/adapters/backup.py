"""Backups of a home: one tar file with everything but images, taken while the daemon runs, and put back as a whole.

Written aside and renamed, checked by the manifest that ends it. Blocks: meant for a thread, or a command of its own.
"""

import asyncio
import hashlib
import io
import json
import os
import secrets
import shutil
import sqlite3
import tarfile
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import IO

import structlog

from paasd.adapters.migrate import newer_message, schema_version
from paasd.domain.errors import StoreUnavailable
from paasd.migrations import HEAD

MANIFEST = "manifest.json"
STORE = "store.db"
DAY = 24 * 3600.0
CHUNK = 1024 * 1024
# Made anew at each start, or belonging to the daemon that runs.
LEFT_OUT = {
    STORE,
    f"{STORE}-wal",
    f"{STORE}-shm",
    "tmp",
    "lock",
    "hooks",
    "api",
    "router-dir",
    "backups",
    "process",
    "dumps",
}
LEFT_OUT_IN_GIT = ("tmp_", "incoming-")

log = structlog.get_logger(__name__)


class _Hashed(io.RawIOBase):
    """A file that is hashed as it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        chunk = self._file.read(size)
        self.digest.update(chunk)
        return chunk


def write_backup(home: Path, file: Path) -> None:
    """Everything of the home as it is now, in `file` (0600). StoreUnavailable; `file` is then as it was."""
    aside = file.with_name(f".{file.name}.{secrets.token_hex(6)}")
    snapshot = aside.with_name(f"{aside.name}.db")
    try:
        _snapshot(home / STORE, snapshot)
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            _fill(home, snapshot, out)
            out.flush()
            os.fsync(out.fileno())
        aside.replace(file)
        _sync(file.parent)
    except (OSError, sqlite3.Error, tarfile.TarError) as error:
        raise StoreUnavailable(
            f"The backup {file} could not be written ({error}); mend that and take it again."
        ) from error
    finally:
        aside.unlink(missing_ok=True)
        snapshot.unlink(missing_ok=True)


def _snapshot(store: Path, copy: Path) -> None:
    """The ledger at one moment. It is taken first: what it names in git was pinned before, and is copied after."""
    copy.touch(mode=0o600)
    uri = f"{store.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, timeout=5.0)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
        target.execute("PRAGMA journal_mode = DELETE")
        found = target.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if found != "ok":
        raise sqlite3.DatabaseError(f"the database is damaged: {found}")


def _fill(home: Path, snapshot: Path, out: IO[bytes]) -> None:
    sums: dict[str, str] = {}
    with tarfile.open(fileobj=out, mode="w") as tar:
        sums[STORE] = _add(tar, STORE, snapshot) or ""
        for path in _files(home):
            name = path.relative_to(home).as_posix()
            if (found := _add(tar, name, path)) is not None:
                sums[name] = found
        folders = sorted(p.relative_to(home).as_posix() for p in home.glob("apps/*/repo.git/**/") if _kept(p))
        document = {
            "format": 1,
            "schema": HEAD,
            "at": datetime.now(UTC).isoformat(),
            "sha256": sums,
            "folders": folders,
        }
        body = json.dumps(document).encode()
        info = tarfile.TarInfo(MANIFEST)
        info.size, info.mode, info.mtime = len(body), 0o600, int(time.time())
        tar.addfile(info, io.BytesIO(body))


def _add(tar: tarfile.TarFile, name: str, path: Path) -> str | None:
    """Its checksum; None when it went away meanwhile. What is appended meanwhile is left out."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return None
    with file:
        state = os.fstat(file.fileno())
        info = tarfile.TarInfo(name)
        info.size, info.mode, info.mtime = state.st_size, state.st_mode & 0o777, int(state.st_mtime)
        hashed = _Hashed(file)
        tar.addfile(info, hashed)
        return hashed.digest.hexdigest()


def _files(home: Path) -> Iterator[Path]:
    """Regular files; git's objects after the refs that name them, so that no ref lacks its objects."""
    places = [p for p in home.iterdir() if p.name not in LEFT_OUT]  # slugs alone may be a hundred thousand files
    found = [p for place in places for p in (place, *place.rglob("*")) if _wanted(home, p)]
    yield from (path for path in sorted(found) if "objects" not in path.parts)
    for objects in sorted(home.glob("apps/*/repo.git/objects")):
        yield from sorted(path for path in objects.rglob("*") if _wanted(home, path))


def _wanted(home: Path, path: Path) -> bool:
    top = path.relative_to(home).parts[0]
    left = top in LEFT_OUT or top.startswith(("damaged-", "."))
    return not left and _kept(path) and path.is_file() and not path.is_symlink()


def _kept(path: Path) -> bool:
    return path.suffix != ".lock" and not any(part.startswith(LEFT_OUT_IN_GIT) for part in path.parts[-4:])


def restore_backup(file: Path, home: Path, *, former: Path | None = None) -> None:
    """Make `home` what it was, wholly or not at all. StoreUnavailable.

    It must be absent or empty, or nobody's, and then moves to `former`.
    """
    aside = home.with_name(f".{home.name}.restoring-{secrets.token_hex(6)}")
    try:
        unpack_backup(file, aside)
        version = schema_version(aside / STORE)
        if version is not None and version > HEAD:
            raise StoreUnavailable(newer_message(file, version))
        if former is not None:
            home.rename(former)
        aside.rename(home)
        _sync(home.parent)
    except OSError as error:
        raise StoreUnavailable(
            f"The backup {file} could not be put back ({error}); the home {home} is as it was."
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def unpack_backup(file: Path, directory: Path) -> None:
    """The files of a backup, each checked and on the disk, in a new directory. StoreUnavailable if it is not whole."""
    directory.mkdir(mode=0o700, parents=True)
    found: dict[str, str] = {}
    try:
        with tarfile.open(file, mode="r:") as tar:
            for member in tar:
                found[member.name] = _extract(tar, member, directory)
        manifest = json.loads((directory / MANIFEST).read_bytes())
        del found[MANIFEST]
        if manifest["sha256"] != found:
            raise ValueError("its files are not those of its manifest")
        for folder in manifest["folders"]:
            (directory / _inside(folder)).mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, tarfile.TarError, ValueError, KeyError, TypeError) as error:
        raise StoreUnavailable(f"The file {file} is no whole backup ({error}); take another one.") from error
    (directory / MANIFEST).unlink()


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, directory: Path) -> str:
    path = directory / _inside(member.name)
    source = tar.extractfile(member) if member.isreg() else None
    if source is None:
        raise ValueError(f"{member.name} is no file")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, member.mode & 0o700), "wb") as out:
        while chunk := source.read(CHUNK):
            digest.update(chunk)
            out.write(chunk)
        out.flush()
        os.fsync(out.fileno())
    return digest.hexdigest()


def _inside(name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise ValueError(f"{name} would lead out of the home")
    return name


def newest_backup(home: Path) -> Path | None:
    """The newest of the backups that the daemon took."""
    return max((home / "backups").glob("paasd-*.tar"), default=None)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class DailyBackups:
    """HOME/backups: one a day, the newest `keep` of them. None are taken when `keep` is 0."""

    home: Path
    keep: int

    async def take_if_due(self) -> None:
        """One that could not be taken is said, and tried again at the next call."""
        if self.keep == 0:
            return
        try:
            await asyncio.to_thread(self._take_if_due)
        except (StoreUnavailable, OSError) as error:
            log.warning("no backup was taken", reason=str(error))

    def _take_if_due(self) -> None:
        newest = newest_backup(self.home)
        if newest is not None and time.time() - newest.stat().st_mtime < DAY:
            return
        folder = self.home / "backups"
        folder.mkdir(mode=0o700, exist_ok=True)
        for left in folder.glob(".paasd-*"):  # by a daemon that was killed here
            left.unlink(missing_ok=True)
        file = folder / f"paasd-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.tar"
        write_backup(self.home, file)
        log.info("backup taken", file=str(file), bytes=file.stat().st_size)
        for old in sorted(folder.glob("paasd-*.tar"))[: -self.keep]:
            with suppress(FileNotFoundError):
                old.unlink()
