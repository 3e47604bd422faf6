"""The tables of backups: transfers of data, their logs, and schedules."""

from sqlalchemy import BigInteger, Boolean, Column, Date, ForeignKey, Index, Integer, String, Table, UniqueConstraint

from paasd.adapters.tables import UTCTime, metadata

transfers = Table(
    "transfers",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("app_id", String(36), ForeignKey("apps.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("kind", String, nullable=False),
    Column("addon_id", String(36), nullable=False),
    Column("source", String(36)),
    Column("schedule_id", String(36)),
    Column("from_name", String, nullable=False),
    Column("to_name", String, nullable=False),
    Column("created_at", UTCTime, nullable=False),
    Column("started_at", UTCTime),
    Column("finished_at", UTCTime),
    Column("canceled_at", UTCTime),
    Column("succeeded", Boolean),
    Column("source_bytes", BigInteger, nullable=False),
    Column("processed_bytes", BigInteger, nullable=False),
    Column("sha256", String(64)),
    Column("deleted_at", UTCTime),
    UniqueConstraint("app_id", "number", name="uq_transfers_number"),
)
Index("ix_transfers_addon_id", transfers.c.addon_id)

transfer_lines = Table(
    "transfer_lines",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("transfer_id", String(36), ForeignKey("transfers.id"), nullable=False),
    Column("at", UTCTime, nullable=False),
    Column("message", String, nullable=False),
)
Index("ix_transfer_lines_transfer_id", transfer_lines.c.transfer_id)

transfer_schedules = Table(
    "transfer_schedules",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("app_id", String(36), ForeignKey("apps.id"), nullable=False),
    Column("addon_id", String(36), nullable=False),
    Column("name", String, nullable=False),
    Column("hour", Integer, nullable=False),
    Column("timezone", String, nullable=False),
    Column("last", Date, nullable=False),
    Column("created_at", UTCTime, nullable=False),
    UniqueConstraint("addon_id", name="uq_transfer_schedules_addon_id"),
)
Index("ix_transfer_schedules_app_id", transfer_schedules.c.app_id)
