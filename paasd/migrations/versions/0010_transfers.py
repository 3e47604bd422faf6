"""Backups, restores and copies of databases, and the schedules of backups."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "transfers",
        sa.Column("id", sa.String(36)),
        sa.Column("app_id", sa.String(36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("addon_id", sa.String(36), nullable=False),
        sa.Column("source", sa.String(36)),
        sa.Column("schedule_id", sa.String(36)),
        sa.Column("from_name", sa.String(), nullable=False),
        sa.Column("to_name", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger()),
        sa.Column("finished_at", sa.BigInteger()),
        sa.Column("canceled_at", sa.BigInteger()),
        sa.Column("succeeded", sa.Boolean()),
        sa.Column("source_bytes", sa.BigInteger(), nullable=False),
        sa.Column("processed_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(64)),
        sa.Column("deleted_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_transfers"),
        sa.UniqueConstraint("app_id", "number", name="uq_transfers_number"),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_transfers_app_id"),
    )
    op.create_index("ix_transfers_addon_id", "transfers", ["addon_id"])
    op.create_table(
        "transfer_lines",
        sa.Column("id", sa.Integer(), autoincrement=True),
        sa.Column("transfer_id", sa.String(36), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("message", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_transfer_lines"),
        sa.ForeignKeyConstraint(["transfer_id"], ["transfers.id"], name="fk_transfer_lines_transfer_id"),
    )
    op.create_index("ix_transfer_lines_transfer_id", "transfer_lines", ["transfer_id"])
    _schedules()


def _schedules() -> None:
    op.create_table(
        "transfer_schedules",
        sa.Column("id", sa.String(36)),
        sa.Column("app_id", sa.String(36), nullable=False),
        sa.Column("addon_id", sa.String(36), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("hour", sa.Integer(), nullable=False),
        sa.Column("timezone", sa.String(), nullable=False),
        sa.Column("last", sa.Date(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_transfer_schedules"),
        sa.UniqueConstraint("addon_id", name="uq_transfer_schedules_addon_id"),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_transfer_schedules_app_id"),
    )
    op.create_index("ix_transfer_schedules_app_id", "transfer_schedules", ["app_id"])


def downgrade() -> None:
    raise NotImplementedError("Go back by restoring a backup.")
