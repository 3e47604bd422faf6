"""Accounts, apps, builds and the ledger of releases, with the triggers that keep it append-only."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ACTOR = ("actor_account_id", "actor_email", "actor_token", "actor_address")
FROZEN = (
    "id",
    "app_id",
    "version",
    "description",
    *ACTOR,
    "config",
    "formation",
    "processes",
    "build_id",
    "artifact",
    "commit",
    "has_output",
    "rollback_of",
    "created_at",
)


def upgrade() -> None:
    create_people()
    create_apps()
    create_builds()
    create_releases()
    guard_ledger(op.get_bind().dialect.name)


def downgrade() -> None:
    raise NotImplementedError("The ledger is append-only: go back by restoring a backup.")


def create_people() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", sa.String(36)),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("name", sa.String()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_accounts"),
        sa.UniqueConstraint("email", name="uq_accounts_email"),
    )
    op.create_table(
        "tokens",
        sa.Column("id", sa.String(36)),
        sa.Column("account_id", sa.String(36), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tokens"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_tokens_account_id"),
        sa.UniqueConstraint("sha256", name="uq_tokens_sha256"),
        sa.UniqueConstraint("account_id", "name", name="uq_tokens_account_id_name"),
    )


def create_apps() -> None:
    op.create_table(
        "apps",
        sa.Column("id", sa.String(36)),
        sa.Column("name", sa.String(30), nullable=False),
        sa.Column("owner_id", sa.String(36), nullable=False),
        sa.Column("maintenance", sa.Boolean(), nullable=False),
        sa.Column("release_timeout", sa.Float(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("released_at", sa.BigInteger()),
        sa.Column("archived_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_apps"),
        sa.ForeignKeyConstraint(["owner_id"], ["accounts.id"], name="fk_apps_owner_id"),
    )
    partial_index("ix_apps_live_name", "apps", ["name"], "archived_at IS NULL", unique=True)
    op.create_table(
        "formations",
        sa.Column("app_id", sa.String(36)),
        sa.Column("type", sa.String()),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("size", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("app_id", "type", name="pk_formations"),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_formations_app_id"),
        sa.CheckConstraint("quantity >= 0", name="ck_formations_quantity"),
    )


def create_builds() -> None:
    op.create_table(
        "builds",
        sa.Column("id", sa.String(36)),
        sa.Column("app_id", sa.String(36), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in ACTOR),
        sa.Column("commit", sa.JSON()),
        sa.Column("builder", sa.String()),
        sa.Column("stack", sa.String()),
        sa.Column("artifact", sa.String()),
        sa.Column("processes", sa.JSON(), nullable=False),
        sa.Column("size", sa.BigInteger()),
        sa.Column("failure", sa.String()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_builds"),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_builds_app_id"),
        sa.CheckConstraint("status IN ('pending', 'succeeded', 'failed')", name="ck_builds_status"),
    )
    op.create_index("ix_builds_app_id_created_at", "builds", ["app_id", "created_at"])
    partial_index("ix_builds_pending", "builds", ["created_at"], "status = 'pending'")


def create_releases() -> None:
    op.create_table(
        "releases",
        sa.Column("id", sa.String(36)),
        sa.Column("app_id", sa.String(36), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in ACTOR),
        sa.Column("config", sa.LargeBinary(), nullable=False),
        sa.Column("formation", sa.JSON(), nullable=False),
        sa.Column("processes", sa.JSON(), nullable=False),
        sa.Column("build_id", sa.String(36)),
        sa.Column("artifact", sa.String()),
        sa.Column("commit", sa.JSON()),
        sa.Column("has_output", sa.Boolean(), nullable=False),
        sa.Column("rollback_of", sa.Integer()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_releases"),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_releases_app_id"),
        sa.ForeignKeyConstraint(["build_id"], ["builds.id"], name="fk_releases_build_id"),
        sa.UniqueConstraint("app_id", "version", name="uq_releases_app_id_version"),
        sa.CheckConstraint("status IN ('pending', 'succeeded', 'failed', 'expired')", name="ck_releases_status"),
        sa.CheckConstraint("version >= 1", name="ck_releases_version"),
    )
    partial_index("ix_releases_one_pending", "releases", ["app_id"], "status = 'pending'", unique=True)
    op.create_table(
        "release_stages",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True),
        sa.Column("release_id", sa.String(36), nullable=False),
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_release_stages"),
        sa.ForeignKeyConstraint(["release_id"], ["releases.id"], name="fk_release_stages_release_id"),
    )
    op.create_index("ix_release_stages_release_id", "release_stages", ["release_id", "id"])


def partial_index(name: str, table: str, columns: list[str], where: str, *, unique: bool = False) -> None:
    condition = sa.text(where)
    op.create_index(name, table, columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


def guard_ledger(dialect: str) -> None:
    frozen = ", ".join(f'"{column}"' for column in FROZEN)
    backward = (
        "NOT ((OLD.status = 'pending' AND NEW.status IN ('succeeded', 'failed')) "
        "OR (OLD.status IN ('succeeded', 'failed') AND NEW.status = 'expired'))"
    )
    # The id is checked too, so that INSERT OR REPLACE can't put another row in a release's place.
    out_of_order = (
        "NEW.version <> (SELECT coalesce(max(version), 0) + 1 FROM releases WHERE app_id = NEW.app_id) "
        "OR EXISTS (SELECT 1 FROM releases WHERE id = NEW.id)"
    )
    add = add_sqlite_trigger if dialect == "sqlite" else add_postgresql_trigger
    add("releases_are_numbered_in_order", "INSERT", out_of_order, "release numbers have no gaps")
    add("releases_are_append_only", f"UPDATE OF {frozen}", "", "the ledger is append-only: only status changes")
    add("releases_move_forward", "UPDATE OF status", backward, "the status of a release only moves forward")
    add("releases_are_kept", "DELETE", "", "the ledger is append-only: nothing is deleted")


def add_sqlite_trigger(name: str, moment: str, condition: str, message: str) -> None:
    when = f"WHEN {condition} " if condition else ""
    op.execute(
        sa.text(
            f"CREATE TRIGGER {name} BEFORE {moment} ON releases FOR EACH ROW {when}"
            f"BEGIN SELECT RAISE(ABORT, '{message}'); END".replace(":", "\\:")
        )
    )


def add_postgresql_trigger(name: str, moment: str, condition: str, message: str) -> None:
    check = f"IF {condition} THEN " if condition else ""
    end = " END IF;" if condition else ""
    row = "OLD" if moment == "DELETE" else "NEW"
    body = f"BEGIN {check}RAISE EXCEPTION '{message}';{end} RETURN {row}; END"
    for statement in (
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$",
        f"CREATE TRIGGER {name} BEFORE {moment} ON releases FOR EACH ROW EXECUTE FUNCTION {name}()",
    ):
        op.execute(sa.text(statement.replace(":", "\\:")))
