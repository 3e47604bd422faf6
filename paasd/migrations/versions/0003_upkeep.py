"""How apps are kept in maintenance, and their own pages."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "upkeep",
        sa.Column("app_id", sa.String(36)),
        sa.Column("until", sa.BigInteger()),
        sa.Column("pause", sa.Float()),
        sa.Column("allow", sa.JSON(), nullable=False),
        sa.Column("health_path", sa.String()),
        sa.Column("bypass", sa.String(64)),
        sa.Column("maintenance_page", sa.String(64)),
        sa.Column("error_page", sa.String(64)),
        sa.PrimaryKeyConstraint("app_id", name="pk_upkeep"),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_upkeep_app_id"),
    )
    op.create_index("ix_upkeep_until", "upkeep", ["until"])
    op.create_table(
        "pages",
        sa.Column("app_id", sa.String(36)),
        sa.Column("kind", sa.String(16)),
        sa.Column("uploaded", sa.Boolean()),
        sa.Column("source", sa.String(64)),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("app_id", "kind", "uploaded", name="pk_pages"),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_pages_app_id"),
    )
    op.create_index("ix_pages_sha256", "pages", ["sha256"])


def downgrade() -> None:
    raise NotImplementedError("Go back by restoring a backup.")
