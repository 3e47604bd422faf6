"""Log drains, and how far each has got."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "log_drains",
        sa.Column("id", sa.String(36)),
        sa.Column("app_id", sa.String(36), nullable=False),
        sa.Column("token", sa.String(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_log_drains"),
        sa.UniqueConstraint("token", name="uq_log_drains_token"),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_log_drains_app_id"),
    )
    op.create_index("ix_log_drains_app_id", "log_drains", ["app_id"])


def downgrade() -> None:
    raise NotImplementedError("Go back by restoring a backup.")
