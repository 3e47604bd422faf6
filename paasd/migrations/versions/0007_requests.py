"""Calls that were carried out, and their answers, for clients that send them again."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "requests",
        sa.Column("account_id", sa.String(36)),
        sa.Column("number", sa.String(36)),
        sa.Column("method", sa.String(8)),
        sa.Column("path", sa.String()),
        sa.Column("answer", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "number", "method", "path", name="pk_requests"),
    )
    op.create_index("ix_requests_created_at", "requests", ["created_at"])


def downgrade() -> None:
    raise NotImplementedError("Go back by restoring a backup.")
