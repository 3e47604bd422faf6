"""Several tokens of one description, with scopes and an end; passwords, keys, collaborators; the audit, append-only."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ACTOR = ("actor_account_id", "actor_email", "actor_token", "actor_address")


def upgrade() -> None:
    with op.batch_alter_table("accounts") as accounts:
        accounts.add_column(sa.Column("admin", sa.Boolean(), nullable=False, server_default=sa.true()))
        accounts.add_column(sa.Column("password", sa.String()))
    with op.batch_alter_table("accounts") as accounts:
        accounts.alter_column("admin", server_default=None)
    with op.batch_alter_table("tokens") as tokens:
        tokens.drop_constraint("uq_tokens_account_id_name", type_="unique")
        tokens.add_column(sa.Column("scopes", sa.JSON(), nullable=False, server_default='["global"]'))
        tokens.add_column(sa.Column("expires_at", sa.BigInteger()))
        tokens.add_column(sa.Column("kind", sa.String(), nullable=False, server_default="authorization"))
    with op.batch_alter_table("tokens") as tokens:
        tokens.alter_column("scopes", server_default=None)
        tokens.alter_column("kind", server_default=None)
    op.create_index("ix_tokens_account_id", "tokens", ["account_id"])
    create_keys()
    create_collaborators()
    create_audit()
    guard_audit(op.get_bind().dialect.name)


def downgrade() -> None:
    raise NotImplementedError("The audit is append-only: go back by restoring a backup.")


def create_keys() -> None:
    op.create_table(
        "keys",
        sa.Column("id", sa.String(36)),
        sa.Column("account_id", sa.String(36), nullable=False),
        sa.Column("public_key", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("comment", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_keys"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_keys_account_id"),
        sa.UniqueConstraint("fingerprint", name="uq_keys_fingerprint"),
    )


def create_collaborators() -> None:
    op.create_table(
        "collaborators",
        sa.Column("id", sa.String(36)),
        sa.Column("app_id", sa.String(36), nullable=False),
        sa.Column("account_id", sa.String(36), nullable=False),
        sa.Column("permissions", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_collaborators"),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_collaborators_app_id"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_collaborators_account_id"),
        sa.UniqueConstraint("app_id", "account_id", name="uq_collaborators_app_id_account_id"),
    )
    op.create_index("ix_collaborators_account_id", "collaborators", ["account_id"])


def create_audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in ACTOR),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("app_id", sa.String(36)),
        sa.Column("app_name", sa.String()),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    op.create_index("ix_audit_app_id", "audit", ["app_id", "id"])


def guard_audit(dialect: str) -> None:
    message = "the audit is append-only"
    for name, event in (("audit_is_not_rewritten", "UPDATE"), ("audit_is_kept", "DELETE")):
        if dialect == "sqlite":
            op.execute(f"CREATE TRIGGER {name} BEFORE {event} ON audit BEGIN SELECT RAISE(ABORT, '{message}'); END")
        else:
            body = f"BEGIN RAISE EXCEPTION '{message}'; END"
            op.execute(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$")
            op.execute(f"CREATE TRIGGER {name} BEFORE {event} ON audit FOR EACH ROW EXECUTE FUNCTION {name}()")
