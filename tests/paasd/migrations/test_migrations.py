"""The migrations and tables.py say the same, and HEAD is what Alembic thinks it is."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from paasd.adapters.tables_transfers import transfers
from paasd.migrations import HEAD
from paasd.migrations.__main__ import main, migration_config, migration_engine, upgrade

metadata = transfers.metadata
TRIGGERS = {
    "addon_attachments_tell_of_end",
    "addon_attachments_tell_of_new",
    "addon_attachments_tell_of_removal",
    "addons_tell_of_change",
    "addons_tell_of_end",
    "addons_tell_of_new",
    "addons_tell_of_return",
    "apps_tell_of_changes",
    "audit_is_kept",
    "audit_is_not_rewritten",
    "builds_tell_of_new",
    "builds_tell_of_status",
    "domains_tell_of_create",
    "domains_tell_of_destroy",
    "releases_are_append_only",
    "releases_are_kept",
    "releases_are_numbered_in_order",
    "releases_keep_their_attachments",
    "releases_move_forward",
    "releases_tell_of_new",
    "releases_tell_of_status",
}


def test_head_is_the_newest_revision_and_revisions_are_in_order() -> None:
    scripts = ScriptDirectory.from_config(migration_config())
    assert scripts.get_current_head() == HEAD
    revisions = [script.revision for script in scripts.walk_revisions()]
    assert revisions == sorted(revisions, reverse=True)
    assert all(len(revision) == 4 and revision.isdigit() for revision in revisions)


def test_the_tables_are_those_of_the_migrations(tmp_path: Path) -> None:
    upgrade(tmp_path / "store.db")
    engine = migration_engine(tmp_path / "store.db")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_conditions_that_alembic_does_not_compare(tmp_path: Path) -> None:
    upgrade(tmp_path / "store.db")
    with closing(sqlite3.connect(tmp_path / "store.db")) as raw:
        made = dict(raw.execute("SELECT name, coalesce(sql, '') FROM sqlite_master").fetchall())
        triggers = {name for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")}
    assert triggers == TRIGGERS
    for table in metadata.tables.values():
        for index in table.indexes:
            where = index.dialect_options["sqlite"]["where"]
            assert made[str(index.name)].endswith(f"WHERE {where}") == (where is not None)
        for constraint in table.constraints:
            condition = getattr(constraint, "sqltext", None)
            assert condition is None or f"CONSTRAINT {constraint.name} CHECK ({condition})" in made[table.name]


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "Usage" in capsys.readouterr().err
    assert main([str(tmp_path / "store.db")]) == main([str(tmp_path / "store.db")]) == 0
    assert main([str(tmp_path / "absent" / "store.db")]) == 1
    said = capsys.readouterr().err
    assert "No such file" in said and said.count("\n") == 1
