"""The buildpacks that apps name."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "buildpacks",
        sa.Column("app_id", sa.String(36)),
        sa.Column("ordinal", sa.Integer()),
        sa.Column("name", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("app_id", "ordinal", name="pk_buildpacks"),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_buildpacks_app_id"),
    )


def downgrade() -> None:
    raise NotImplementedError("Go back by restoring a backup.")
