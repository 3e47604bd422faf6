"""The tables of the store, in dialect-neutral words; the migrations make them, and a test holds the two together.

Triggers (the ledger is append-only, gap-free, and its status only moves forward) live in the migrations alone.
"""

from datetime import UTC, datetime, timedelta

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    text,
)
from sqlalchemy.types import TypeDecorator

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
LIVING_ADDONS = "'provisioning', 'provisioned', 'deprovisioning'"


class UTCTime(TypeDecorator[datetime]):
    """A moment, kept as whole microseconds since 1970. Takes and gives datetimes that know their zone."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """TypeError for a datetime without a zone."""
        return None if value is None else (value - EPOCH) // MICROSECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Always in UTC."""
        return None if value is None else EPOCH + value * MICROSECOND


def _uuid(name: str, *constraints: ForeignKey, nullable: bool = False) -> Column[str]:
    return Column(name, String(36), *constraints, nullable=nullable)


def _uuid_key() -> Column[str]:
    return Column("id", String(36), primary_key=True)


def _time(name: str, *, nullable: bool = False) -> Column[datetime]:
    return Column(name, UTCTime, nullable=nullable)


def _actor() -> list[Column[str]]:
    return [Column(f"actor_{part}", String, nullable=False) for part in ("account_id", "email", "token", "address")]


def _partial(name: str, *columns: Column[str] | Column[datetime], where: str, unique: bool = False) -> None:
    Index(name, *columns, unique=unique, sqlite_where=text(where), postgresql_where=text(where))


metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

accounts = Table(
    "accounts",
    metadata,
    _uuid_key(),
    Column("email", String, nullable=False, unique=True),
    Column("name", String),
    _time("created_at"),
    Column("admin", Boolean, nullable=False),
    Column("password", String),  # salted and stretched by services/access.py
)

tokens = Table(
    "tokens",
    metadata,
    _uuid_key(),
    _uuid("account_id", ForeignKey("accounts.id")),
    Column("name", String, nullable=False),
    Column("sha256", String(64), nullable=False, unique=True),
    _time("created_at"),
    Column("scopes", JSON, nullable=False),
    _time("expires_at", nullable=True),
    Column("kind", String, nullable=False),
)
Index("ix_tokens_account_id", tokens.c.account_id)

keys = Table(
    "keys",
    metadata,
    _uuid_key(),
    _uuid("account_id", ForeignKey("accounts.id")),
    Column("public_key", String, nullable=False),
    Column("fingerprint", String, nullable=False, unique=True),
    Column("comment", String, nullable=False),
    _time("created_at"),
)

apps = Table(
    "apps",
    metadata,
    _uuid_key(),
    Column("name", String(30), nullable=False),
    _uuid("owner_id", ForeignKey("accounts.id")),
    Column("maintenance", Boolean, nullable=False),
    Column("release_timeout", Float, nullable=False),
    _time("created_at"),
    _time("updated_at"),
    _time("released_at", nullable=True),
    _time("archived_at", nullable=True),
)
_partial("ix_apps_live_name", apps.c.name, where="archived_at IS NULL", unique=True)

collaborators = Table(
    "collaborators",
    metadata,
    _uuid_key(),
    _uuid("app_id", ForeignKey("apps.id")),
    _uuid("account_id", ForeignKey("accounts.id")),
    Column("permissions", JSON, nullable=False),
    _time("created_at"),
    _time("updated_at"),
    UniqueConstraint("app_id", "account_id"),
)
Index("ix_collaborators_account_id", collaborators.c.account_id)

formations = Table(
    "formations",
    metadata,
    Column("app_id", String(36), ForeignKey("apps.id"), primary_key=True),
    Column("type", String, primary_key=True),
    Column("quantity", Integer, nullable=False),
    Column("size", String, nullable=False),
    CheckConstraint("quantity >= 0", name="quantity"),
)

builds = Table(
    "builds",
    metadata,
    _uuid_key(),
    _uuid("app_id", ForeignKey("apps.id")),
    Column("status", String, nullable=False),
    *_actor(),
    Column("commit", JSON(none_as_null=True)),
    Column("builder", String),
    Column("stack", String),
    Column("artifact", String),
    Column("processes", JSON, nullable=False),
    Column("size", BigInteger),
    Column("failure", String),
    _time("created_at"),
    _time("updated_at"),
    CheckConstraint("status IN ('pending', 'succeeded', 'failed')", name="status"),
)
Index("ix_builds_app_id_created_at", builds.c.app_id, builds.c.created_at)
_partial("ix_builds_pending", builds.c.created_at, where="status = 'pending'")

releases = Table(
    "releases",
    metadata,
    _uuid_key(),
    _uuid("app_id", ForeignKey("apps.id")),
    Column("version", Integer, nullable=False),
    Column("status", String, nullable=False),
    Column("description", String, nullable=False),
    *_actor(),
    Column("config", LargeBinary, nullable=False),  # sealed by adapters/secrets.py
    Column("formation", JSON, nullable=False),
    Column("processes", JSON, nullable=False),
    _uuid("build_id", ForeignKey("builds.id"), nullable=True),
    Column("artifact", String),
    Column("commit", JSON(none_as_null=True)),
    Column("has_output", Boolean, nullable=False),
    Column("rollback_of", Integer),
    _time("created_at"),
    _time("updated_at"),
    Column("attachments", JSON, nullable=False, server_default="[]"),
    UniqueConstraint("app_id", "version"),
    CheckConstraint("status IN ('pending', 'succeeded', 'failed', 'expired')", name="status"),
    CheckConstraint("version >= 1", name="version"),
)
_partial("ix_releases_one_pending", releases.c.app_id, where="status = 'pending'", unique=True)

release_stages = Table(
    "release_stages",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    _uuid("release_id", ForeignKey("releases.id")),
    Column("stage", String, nullable=False),
    Column("detail", String, nullable=False),
    _time("at"),
)
Index("ix_release_stages_release_id", release_stages.c.release_id, release_stages.c.id)

audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    _time("at"),
    *_actor(),
    Column("method", String, nullable=False),
    Column("path", String, nullable=False),
    Column("status", Integer, nullable=False),
    Column("request_id", String, nullable=False),
    _uuid("app_id", nullable=True),
    Column("app_name", String),
    Column("detail", JSON, nullable=False),  # names before and after, never values
)
Index("ix_audit_app_id", audit.c.app_id, audit.c.id)

upkeep = Table(
    "upkeep",
    metadata,
    Column("app_id", String(36), ForeignKey("apps.id"), primary_key=True),
    _time("until", nullable=True),
    Column("pause", Float),
    Column("allow", JSON, nullable=False),
    Column("health_path", String),
    Column("bypass", String(64)),
    Column("maintenance_page", String(64)),
    Column("error_page", String(64)),
)
Index("ix_upkeep_until", upkeep.c.until)

pages = Table(
    "pages",
    metadata,
    Column("app_id", String(36), ForeignKey("apps.id"), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("uploaded", Boolean, primary_key=True),
    Column("source", String(64)),
    Column("sha256", String(64), nullable=False),
    Column("body", LargeBinary, nullable=False),
    _time("updated_at"),
)
Index("ix_pages_sha256", pages.c.sha256)

domains = Table(
    "domains",
    metadata,
    _uuid_key(),
    _uuid("app_id", ForeignKey("apps.id")),
    Column("hostname", String, nullable=False, unique=True),
    _time("created_at"),
    _time("updated_at"),
)
Index("ix_domains_app_id", domains.c.app_id)

buildpacks = Table(
    "buildpacks",
    metadata,
    Column("app_id", String(36), ForeignKey("apps.id"), primary_key=True),
    Column("ordinal", Integer, primary_key=True),
    Column("name", String, nullable=False),
)

log_drains = Table(
    "log_drains",
    metadata,
    _uuid_key(),
    _uuid("app_id", ForeignKey("apps.id")),
    Column("token", String, nullable=False, unique=True),
    Column("sealed", LargeBinary, nullable=False),  # its URL, by adapters/secrets.py
    Column("position", BigInteger, nullable=False),
    _time("created_at"),
    _time("updated_at"),
)
Index("ix_log_drains_app_id", log_drains.c.app_id)

addons = Table(
    "addons",
    metadata,
    _uuid_key(),
    Column("name", String, nullable=False),
    _uuid("app_id", ForeignKey("apps.id")),
    *(Column(name, String, nullable=False) for name in ("service", "plan", "provider")),
    Column("host", String, nullable=False, unique=True),
    Column("state", String, nullable=False),
    Column("sealed", LargeBinary, nullable=False),  # its secrets and values, by adapters/secrets.py
    Column("attached_as", String),
    Column("failure", String),
    _time("created_at"),
    _time("updated_at"),
    _time("ended_at", nullable=True),
    CheckConstraint(f"state IN ({LIVING_ADDONS}, 'failed', 'deprovisioned')", name="state"),
)
_partial("ix_addons_living_name", addons.c.name, where=f"state IN ({LIVING_ADDONS})", unique=True)
Index("ix_addons_app_id", addons.c.app_id)

addon_attachments = Table(
    "addon_attachments",
    metadata,
    _uuid_key(),
    _uuid("addon_id", ForeignKey("addons.id")),
    _uuid("app_id", ForeignKey("apps.id")),
    Column("name", String, nullable=False),
    Column("sealed", LargeBinary, nullable=False),  # its config vars, by adapters/secrets.py
    _time("created_at"),
    _time("updated_at"),
    _time("ended_at", nullable=True),
)
_partial(
    "ix_addon_attachments_name",
    addon_attachments.c.app_id,
    addon_attachments.c.name,
    where="ended_at IS NULL",
    unique=True,
)
Index("ix_addon_attachments_addon_id", addon_attachments.c.addon_id)

webhooks = Table(
    "webhooks",
    metadata,
    _uuid_key(),
    _uuid("app_id", ForeignKey("apps.id")),
    Column("url", String, nullable=False),
    Column("include", JSON, nullable=False),
    Column("level", String, nullable=False),
    Column("sealed", LargeBinary, nullable=False),  # its secret and authorization, by adapters/secrets.py
    _time("created_at"),
    _time("updated_at"),
)
Index("ix_webhooks_app_id", webhooks.c.app_id)

webhook_outbox = Table(
    "webhook_outbox",  # filled by triggers
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    _uuid("app_id"),
    Column("entity", String, nullable=False),
    _uuid("entity_id"),
    Column("action", String, nullable=False),
    Column("detail", String, nullable=False),
    _time("at"),
)

webhook_events = Table(
    "webhook_events",
    metadata,
    _uuid_key(),
    _uuid("app_id", ForeignKey("apps.id")),
    Column("include", String, nullable=False),
    Column("payload", JSON, nullable=False),
    _time("created_at"),
)
Index("ix_webhook_events_app_id", webhook_events.c.app_id, webhook_events.c.created_at)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("id", String(36), nullable=False, unique=True),
    _uuid("app_id"),
    _uuid("webhook_id", ForeignKey("webhooks.id")),
    _uuid("event_id", ForeignKey("webhook_events.id")),
    Column("include", String, nullable=False),
    Column("level", String, nullable=False),
    Column("status", String, nullable=False),
    Column("attempts", Integer, nullable=False),
    _time("next_at", nullable=True),
    _uuid("attempt_id", nullable=True),
    Column("attempt_code", Integer),
    Column("attempt_error", String),
    _time("attempted_at", nullable=True),
    _time("created_at"),
    _time("updated_at"),
)
Index("ix_webhook_deliveries_webhook_id", webhook_deliveries.c.webhook_id)
Index("ix_webhook_deliveries_event_id", webhook_deliveries.c.event_id)
Index("ix_webhook_deliveries_app_id", webhook_deliveries.c.app_id, webhook_deliveries.c.seq)
_partial("ix_webhook_deliveries_unfinished", webhook_deliveries.c.seq, where="status IN ('pending', 'retrying')")

requests = Table(
    "requests",
    metadata,
    Column("account_id", String(36), primary_key=True),
    Column("number", String(36), primary_key=True),
    Column("method", String(8), primary_key=True),
    Column("path", String, primary_key=True),
    Column("answer", LargeBinary, nullable=False),  # with the body's digest, sealed by adapters/secrets.py
    _time("created_at"),
)
Index("ix_requests_created_at", requests.c.created_at)
