"""What happens to add-ons and to what they are attached to is told of, too."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

WANTED = "EXISTS (SELECT 1 FROM webhooks WHERE webhooks.app_id = {row}.app_id)"
NOTE = "INSERT INTO webhook_outbox (app_id, entity, entity_id, action, detail, at) VALUES ({values});"
NOW = "CAST(strftime('%s', 'now') AS INTEGER) * 1000000"
ENDED = "({row}.state IN ('failed', 'deprovisioned'))"
CHANGED = "NEW.state <> OLD.state OR NEW.plan <> OLD.plan OR NEW.name <> OLD.name OR NEW.app_id <> OLD.app_id"
# Its row may be gone when it is told of.
ATTACHMENT = "json_object('name', {row}.name, 'addon', {row}.addon_id, 'created', {row}.created_at)"


def trigger(name: str, on: str, when: str, values: str) -> None:
    text = f"CREATE TRIGGER {name} AFTER {on} WHEN {when} BEGIN {NOTE.format(values=values)} END"
    op.execute(sa.text(text.replace(":", "\\:")))


def upgrade() -> None:
    wanted = WANTED.format(row="NEW")
    of_addon = "NEW.app_id, 'addon', NEW.id, '{action}', NEW.state, NEW.updated_at"
    ended, was_ended = ENDED.format(row="NEW"), ENDED.format(row="OLD")
    trigger("addons_tell_of_new", "INSERT ON addons", wanted, of_addon.format(action="create"))
    for name, when, action in (
        ("end", f"{ended} AND NOT {was_ended}", "destroy"),
        ("return", f"{was_ended} AND NOT {ended}", "create"),
        ("change", f"NOT {ended} AND NOT {was_ended} AND ({CHANGED})", "update"),
    ):
        trigger(
            f"addons_tell_of_{name}", "UPDATE ON addons", f"{when} AND {wanted}", of_addon.format(action=action)
        )  # fmt: skip
    on = "addon_attachments"
    for name, how, row, when, action in (
        ("new", f"INSERT ON {on}", "NEW", "NEW.ended_at IS NULL", "create"),
        ("end", f"UPDATE OF ended_at ON {on}", "NEW", "NEW.ended_at IS NOT NULL AND OLD.ended_at IS NULL", "destroy"),
        ("removal", f"DELETE ON {on}", "OLD", "OLD.ended_at IS NULL", "destroy"),
    ):
        values = f"{row}.app_id, 'addon-attachment', {row}.id, '{action}', {ATTACHMENT.format(row=row)}, {NOW}"
        trigger(f"addon_attachments_tell_of_{name}", how, f"{when} AND {WANTED.format(row=row)}", values)


def downgrade() -> None:
    raise NotImplementedError("Go back by restoring a backup.")
