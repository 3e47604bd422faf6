"""A damaged or missing database: told at start, before anything could make an empty one in its place, and mended.

Nothing is thrown away: what was damaged is set aside, and what is still readable in it is taken over.
"""

import secrets
import shutil
import sqlite3
import time
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

from paasd.adapters.backup import STORE, newest_backup, unpack_backup
from paasd.adapters.migrate import migrate, schema_version
from paasd.adapters.secrets import ConfigSeal, read_key
from paasd.domain.errors import PaasError, StoreUnavailable
from paasd.migrations import HEAD

MAGIC = b"SQLite format 3\0"
CHECK_SECONDS = 10.0
STEPS_BETWEEN_LOOKS = 10_000
ENDED = "('succeeded', 'failed', 'expired')"


def check_store(home: Path) -> None:
    """StoreUnavailable when the database is damaged, or is missing though the home was used; it names the remedy."""
    damage = find_damage(home)
    if damage is None:
        return
    newest = newest_backup(home)
    backup = f"the newest backup is {newest}" if newest else f"there is no backup in {home / 'backups'}"
    raise StoreUnavailable(
        f"The database {home / STORE} {damage}; {backup}. Nothing was changed and apps serve on: run "
        f"`paasd doctor --repair --home {home}`, or put a backup back with `paasd restore`."
    )


def find_damage(home: Path) -> str | None:
    """What is wrong with the database, as the end of a sentence; None when nothing is. Bounded in time."""
    store = home / STORE
    try:
        with store.open("rb") as file:
            head = file.read(len(MAGIC))
    except FileNotFoundError:
        return "is missing, though this home was used" if _was_used(home) else None
    except OSError as error:
        return f"can't be read ({error.strerror})"
    if not head:
        return "is empty, though this home was used" if _was_used(home) else None
    if head != MAGIC:
        return "is damaged (it does not begin as a database does)"
    return _quick_check(store)


def _was_used(home: Path) -> bool:
    """The key is made after the first migration, a repository with the first app."""
    return (home / "key").exists() or any((home / "apps").glob("*"))


def _quick_check(store: Path) -> str | None:
    deadline = time.monotonic() + CHECK_SECONDS
    uri = f"{store.absolute().as_uri()}?mode=rw"
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=5.0)) as connection:
            tables = connection.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'").fetchone()[0]
            connection.set_progress_handler(lambda: time.monotonic() > deadline, STEPS_BETWEEN_LOOKS)
            found = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.OperationalError as error:
        # A large one is checked as far as the time goes; a lock or a disk is said by the first write.
        return None if "SQLITE_CORRUPT" not in str(getattr(error, "sqlite_errorname", "")) else f"is damaged ({error})"
    except UnicodeDecodeError:  # SQLite quotes the damaged schema in what it says, and Python can't read that
        return "is damaged (malformed database schema)"
    except sqlite3.DatabaseError as error:
        return f"is damaged ({error})"
    if tables == 0 and _was_used(store.parent):
        return "holds no tables, though this home was used"
    return None if found == "ok" else f"is damaged ({' '.join(found.split())})"


def builds_unknown_to_ledger(home: Path) -> dict[str, int]:
    """App id -> pushes that git holds and the ledger does not know: the ledger is older than the repositories."""
    uri = f"{(home / STORE).absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, timeout=5.0)) as connection:
        known = {str(row[0]) for row in connection.execute("SELECT id FROM builds")}
    found: dict[str, int] = {}
    for repository in (home / "apps").glob("*/repo.git"):
        pinned = {path.name for path in (repository / "refs" / "builds").glob("*") if path.suffix != ".lock"}
        with suppress(OSError):
            packed = (repository / "packed-refs").read_text().split()
            pinned |= {word.removeprefix("refs/builds/") for word in packed if word.startswith("refs/builds/")}
        if pinned - known:
            found[repository.parent.name] = len(pinned - known)
    return found


def addons_in_ledger(home: Path) -> dict[str, str] | None:
    """Add-on id -> the provider that it is had from, ended ones too; None where that can't be read."""
    rows = _rows(home, "SELECT id, provider FROM addons")
    return None if rows is None else dict(rows)


def addons_by_provider(home: Path) -> dict[str, list[str]]:
    """Provider -> the names of all that are or were had from it, while there is a row; none where none can be read."""
    found: dict[str, list[str]] = {}
    for provider, name in _rows(home, "SELECT provider, name FROM addons ORDER BY name") or []:
        found.setdefault(provider, []).append(name)
    return found


def _rows(home: Path, query: str) -> list[tuple[str, str]] | None:
    uri = f"{(home / STORE).absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=5.0)) as connection:
            return [(str(row[0]), str(row[1])) for row in connection.execute(query)]
    except (sqlite3.DatabaseError, UnicodeDecodeError):
        return None


def repair_store(home: Path) -> list[str]:
    """Put the newest whole backup's database in place of a damaged one, with all newer rows that can still be read.

    The caller holds the home. What was done, as sentences. StoreUnavailable without a backup: nothing is changed.
    """
    damage = find_damage(home)
    if damage is None:
        return [f"The database {home / STORE} is whole: nothing was done."]
    aside = home / "tmp" / f"repair-{secrets.token_hex(6)}"
    try:
        backup = _unpack_newest(home, aside)
        said = [f"The database {damage}.", f"Took the ledger from {backup}."]
        said += [f"Took {name} from it, which was missing." for name in _fill_in(aside, home)]
        migrate(aside / STORE)
        rows = _salvage(home / STORE, aside / STORE, read_key(home / "key"), home / "key")
        said.append(f"Took over {rows} newer rows that could still be read in the damaged database.")
        kept = _set_aside(home)
        (aside / STORE).replace(home / STORE)
        said.append(f"The damaged files are kept in {kept}.")
        said.append("A token that was revoked since the backup counts again: look through `heroku authorizations`.")
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    for app_id, count in builds_unknown_to_ledger(home).items():
        said.append(f"{count} pushes in {home / 'apps' / app_id} are not in the ledger: push their commits again.")
    return said


def _unpack_newest(home: Path, aside: Path) -> Path:
    for backup in sorted((home / "backups").glob("paasd-*.tar"), reverse=True):
        try:
            unpack_backup(backup, aside)
        except PaasError:
            shutil.rmtree(aside, ignore_errors=True)
        else:
            return backup
    raise StoreUnavailable(
        f"There is no whole backup in {home / 'backups'}; put one back from elsewhere with `paasd restore`."
    )


def _fill_in(aside: Path, home: Path) -> list[str]:
    """The home's small files that are gone; repositories and outputs are newer than any backup, and left alone."""
    missing = [path.name for path in aside.iterdir() if path.is_file() and not (home / path.name).exists()]
    for name in missing:
        if name != STORE:
            shutil.copy2(aside / name, home / name)
    return [name for name in missing if name != STORE]


def _set_aside(home: Path) -> Path:
    kept = home / f"damaged-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}"
    kept.mkdir(mode=0o700)
    for name in (f"{STORE}-wal", f"{STORE}-shm", STORE):
        with suppress(FileNotFoundError):
            (home / name).rename(kept / name)
    return kept


def _salvage(damaged: Path, good: Path, key: bytes | None, key_file: Path) -> int:
    """Rows of the damaged database that the good one lacks, as far as they can be read, keep the rules, and open."""
    try:
        if key is None or schema_version(damaged) != HEAD:
            return 0
        uri = f"{damaged.absolute().as_uri()}?mode=ro"
        with (
            closing(sqlite3.connect(uri, uri=True, timeout=5.0)) as source,
            closing(sqlite3.connect(good, isolation_level=None)) as target,
        ):
            target.execute("PRAGMA foreign_keys = ON")
            source.row_factory = sqlite3.Row
            names = [row[0] for row in target.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            first = [name for name in ("accounts", "apps", "builds", "releases", "release_stages") if name in names]
            rest = [n for n in names if n not in first and n != "alembic_version" and not n.startswith("sqlite_")]
            seal = ConfigSeal(key, key_file)
            target.execute("BEGIN")
            taken = sum(_take_over(source, target, name, seal) for name in [*first, *rest])
            target.execute("COMMIT")
            return taken
    except (StoreUnavailable, sqlite3.Error, OSError):
        return 0


def _take_over(source: sqlite3.Connection, target: sqlite3.Connection, table: str, seal: ConfigSeal) -> int:
    order = " ORDER BY app_id, version" if table == "releases" else ""
    taken = 0
    with suppress(sqlite3.Error):  # what comes after a damaged page can't be read
        for row in source.execute(f'SELECT * FROM "{table}"{order}'):  # noqa: S608 - names from our own schema
            with suppress(sqlite3.Error, PaasError):
                if table == "releases":
                    seal.open(row["config"], row["app_id"])
                if table in ("releases", "builds"):
                    target.execute(
                        f'UPDATE "{table}" SET status = ?, updated_at = ? '  # noqa: S608
                        f"WHERE id = ? AND status = 'pending' AND ? IN {ENDED}",
                        (row["status"], row["updated_at"], row["id"], row["status"]),
                    )
                if table in ("apps", "addons", "addon_attachments"):
                    settings = ", ".join(f'"{column}" = ?' for column in row.keys())  # noqa: SIM118 - as below
                    target.execute(
                        f'UPDATE "{table}" SET {settings} WHERE id = ? AND updated_at < ?',  # noqa: S608
                        (*row, row["id"], row["updated_at"]),
                    )
                marks = ", ".join("?" * len(row))
                columns = ", ".join(f'"{column}"' for column in row.keys())  # noqa: SIM118 - rows iterate over values
                taken += target.execute(
                    f'INSERT OR IGNORE INTO "{table}" ({columns}) VALUES ({marks})',  # noqa: S608
                    tuple(row),
                ).rowcount
    return taken
