"""Webhooks, what is to be told, and an outbox that triggers fill: a change and its notice are one transaction."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

WANTED = "EXISTS (SELECT 1 FROM webhooks WHERE webhooks.app_id = {row}.app_id)"
NOTE = "INSERT INTO webhook_outbox (app_id, entity, entity_id, action, detail, at) VALUES ({values});"
NOW = "CAST(strftime('%s', 'now') AS INTEGER) * 1000000"


def trigger(name: str, on: str, when: str, values: str) -> str:
    return f"CREATE TRIGGER {name} AFTER {on} WHEN {when} BEGIN {NOTE.format(values=values)} END"


def upgrade() -> None:
    op.create_table(
        "webhooks",
        sa.Column("id", sa.String(36)),
        sa.Column("app_id", sa.String(36), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("include", sa.JSON(), nullable=False),
        sa.Column("level", sa.String(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_webhooks"),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_webhooks_app_id"),
    )
    op.create_index("ix_webhooks_app_id", "webhooks", ["app_id"])
    op.create_table(
        "webhook_outbox",
        sa.Column("number", sa.Integer(), autoincrement=True),
        sa.Column("app_id", sa.String(36), nullable=False),
        sa.Column("entity", sa.String(), nullable=False),
        sa.Column("entity_id", sa.String(36), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_webhook_outbox"),
    )
    tables_of_deliveries()
    triggers()


def tables_of_deliveries() -> None:
    op.create_table(
        "webhook_events",
        sa.Column("id", sa.String(36)),
        sa.Column("app_id", sa.String(36), nullable=False),
        sa.Column("include", sa.String(), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_events"),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_webhook_events_app_id"),
    )
    op.create_index("ix_webhook_events_app_id", "webhook_events", ["app_id", "created_at"])
    op.create_table(
        "webhook_deliveries",
        sa.Column("seq", sa.Integer(), autoincrement=True),
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("app_id", sa.String(36), nullable=False),
        sa.Column("webhook_id", sa.String(36), nullable=False),
        sa.Column("event_id", sa.String(36), nullable=False),
        sa.Column("include", sa.String(), nullable=False),
        sa.Column("level", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.BigInteger()),
        sa.Column("attempt_id", sa.String(36)),
        sa.Column("attempt_code", sa.Integer()),
        sa.Column("attempt_error", sa.String()),
        sa.Column("attempted_at", sa.BigInteger()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_webhook_deliveries"),
        sa.UniqueConstraint("id", name="uq_webhook_deliveries_id"),
        sa.ForeignKeyConstraint(["webhook_id"], ["webhooks.id"], name="fk_webhook_deliveries_webhook_id"),
        sa.ForeignKeyConstraint(["event_id"], ["webhook_events.id"], name="fk_webhook_deliveries_event_id"),
    )
    op.create_index("ix_webhook_deliveries_webhook_id", "webhook_deliveries", ["webhook_id"])
    op.create_index("ix_webhook_deliveries_event_id", "webhook_deliveries", ["event_id"])
    op.create_index("ix_webhook_deliveries_app_id", "webhook_deliveries", ["app_id", "seq"])
    op.create_index(
        "ix_webhook_deliveries_unfinished",
        "webhook_deliveries",
        ["seq"],
        sqlite_where=sa.text("status IN ('pending', 'retrying')"),
        postgresql_where=sa.text("status IN ('pending', 'retrying')"),
    )


def triggers() -> None:
    for table, entity in (("releases", "release"), ("builds", "build")):
        values = f"NEW.app_id, '{entity}', NEW.id, '{{action}}', NEW.status, NEW.updated_at"
        wanted = WANTED.format(row="NEW")
        op.execute(trigger(f"{table}_tell_of_new", f"INSERT ON {table}", wanted, values.format(action="create")))
        moved = f"NEW.status <> OLD.status AND {wanted}"
        on = f"UPDATE OF status ON {table}"
        op.execute(trigger(f"{table}_tell_of_status", on, moved, values.format(action="update")))
    for on, row, action in (("INSERT", "NEW", "create"), ("DELETE", "OLD", "destroy")):
        values = f"{row}.app_id, 'domain', {row}.id, '{action}', {row}.hostname, {NOW}"
        op.execute(trigger(f"domains_tell_of_{action}", f"{on} ON domains", WANTED.format(row=row), values))
    changed = (
        "NEW.archived_at IS NULL AND (NEW.name <> OLD.name OR NEW.maintenance <> OLD.maintenance "
        "OR NEW.owner_id <> OLD.owner_id) AND EXISTS (SELECT 1 FROM webhooks WHERE webhooks.app_id = NEW.id)"
    )
    values = "NEW.id, 'app', NEW.id, 'update', '', NEW.updated_at"
    op.execute(trigger("apps_tell_of_changes", "UPDATE ON apps", changed, values))


def downgrade() -> None:
    raise NotImplementedError("Go back by restoring a backup.")
