"""Add-ons, what they are attached to, and what each release had of them."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

LIVING = "state IN ('provisioning', 'provisioned', 'deprovisioning')"
STATES = "state IN ('provisioning', 'provisioned', 'deprovisioning', 'failed', 'deprovisioned')"
FROZEN = "BEFORE UPDATE OF attachments ON releases FOR EACH ROW"
REFUSED = "the ledger is append-only: only status changes"


def upgrade() -> None:
    # The rows that there are have none; a column of its own trigger leaves those of the others as they are.
    op.add_column("releases", sa.Column("attachments", sa.JSON(), nullable=False, server_default="[]"))
    guard = f"CREATE TRIGGER releases_keep_their_attachments {FROZEN} BEGIN SELECT RAISE(ABORT, '{REFUSED}'); END"
    op.execute(sa.text(guard.replace(":", "\\:")))
    op.create_table(
        "addons",
        sa.Column("id", sa.String(36)),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("app_id", sa.String(36), nullable=False),
        sa.Column("service", sa.String(), nullable=False),
        sa.Column("plan", sa.String(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("attached_as", sa.String()),
        sa.Column("failure", sa.String()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_addons"),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_addons_app_id"),
        sa.UniqueConstraint("host", name="uq_addons_host"),
        sa.CheckConstraint(STATES, name="ck_addons_state"),
    )
    partial_index("ix_addons_living_name", "addons", ["name"], LIVING)
    op.create_index("ix_addons_app_id", "addons", ["app_id"])
    op.create_table(
        "addon_attachments",
        sa.Column("id", sa.String(36)),
        sa.Column("addon_id", sa.String(36), nullable=False),
        sa.Column("app_id", sa.String(36), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_addon_attachments"),
        sa.ForeignKeyConstraint(["addon_id"], ["addons.id"], name="fk_addon_attachments_addon_id"),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_addon_attachments_app_id"),
    )
    partial_index("ix_addon_attachments_name", "addon_attachments", ["app_id", "name"], "ended_at IS NULL")
    op.create_index("ix_addon_attachments_addon_id", "addon_attachments", ["addon_id"])


def partial_index(name: str, table: str, columns: list[str], where: str) -> None:
    condition = sa.text(where)
    op.create_index(name, table, columns, unique=True, sqlite_where=condition, postgresql_where=condition)


def downgrade() -> None:
    raise NotImplementedError("Go back by restoring a backup.")
