"""Host names of apps' own."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "domains",
        sa.Column("id", sa.String(36)),
        sa.Column("app_id", sa.String(36), nullable=False),
        sa.Column("hostname", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_domains"),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_domains_app_id"),
        sa.UniqueConstraint("hostname", name="uq_domains_hostname"),
    )
    op.create_index("ix_domains_app_id", "domains", ["app_id"])


def downgrade() -> None:
    raise NotImplementedError("Go back by restoring a backup.")
