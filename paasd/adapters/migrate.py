"""Brings the store's file to the newest schema. Alembic runs in a child process: the daemon never pays for it."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from paasd.domain.errors import StoreUnavailable
from paasd.migrations import HEAD


def migrate(path: Path) -> None:
    """Create or upgrade the database at `path`; quick when there is nothing to do. Blocks; meant for start-up.

    StoreUnavailable when it fails (the database is then as it was), or was written by a newer paasd.
    """
    if check_version(path) == HEAD:
        return
    command = [sys.executable, "-m", "paasd.migrations", str(path)]
    try:
        child = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    except OSError as error:
        raise StoreUnavailable(
            f"The upgrade of {path} could not be started ({error.strerror}); free memory or processes and start again."
        ) from error
    if child.returncode != 0:
        said = child.stderr.strip().splitlines() or [f"exit status {child.returncode}"]
        raise StoreUnavailable(
            f"The database {path} could not be upgraded ({said[-1]}); it is as it was: mend that and start again."
        )


def check_version(path: Path) -> str | None:
    """As `schema_version`; StoreUnavailable too when a newer paasd wrote it."""
    version = schema_version(path)
    if version is not None and version > HEAD:
        raise StoreUnavailable(newer_message(path, version))
    return version


def schema_version(path: Path) -> str | None:
    """The revision the database is at; None when there is none, or it is empty. StoreUnavailable if unreadable."""
    if not path.exists():
        return None
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=5.0)) as connection:
            known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone() if known else None
    except sqlite3.Error as error:
        raise StoreUnavailable(
            f"The database {path} can't be read ({error}); restore it from a backup or mend its mode."
        ) from error
    return None if row is None else str(row[0])


def newer_message(path: Path, version: str) -> str:
    """The sentence for a database that a newer paasd wrote."""
    return (
        f"The database {path} was written by a newer paasd (schema {version}, this one knows {HEAD}); "
        "run that version, or restore a backup from before the upgrade."
    )
