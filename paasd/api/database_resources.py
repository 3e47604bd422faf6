"""What the data host answers: databases, transfers and schedules, in the words that the heroku CLI reads."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from paasd.api.links import Links
from paasd.api.resources import Resource, stamp
from paasd.domain.addon import Addon, Fullness, Kind, Plan, fullness
from paasd.domain.transfer import Schedule, Transfer, TransferKind, TransferLine
from paasd.ports import Access, Condition

DUMP, STORE, LOAD = "pg_dump", "gof3r", "pg_restore"  # Heroku's words for a database, a backup, a database again
ENDS: Mapping[TransferKind, tuple[str, str]] = {
    TransferKind.BACKUP: (DUMP, STORE),
    TransferKind.RESTORE: (STORE, LOAD),
    TransferKind.COPY: (DUMP, LOAD),
}
UNITS = ("bytes", "kB", "MB", "GB", "TB")
NOT_HERE = {"Fork/Follow": "Unsupported", "Rollback": "Unsupported", "Continuous Protection": "Off"}
DEFAULT = "default"
FULLNESS: Mapping[Fullness, str] = {
    Fullness.FINE: "In compliance",
    Fullness.NEAR: "Close to the plan's limit",
    Fullness.OVER: "Over the plan's limit",
}


def database_resource(addon: Addon, plan: Plan, condition: Condition, access: Access) -> Resource:
    """A PostgreSQL database, for `pg:info`."""
    size = {} if condition.used is None else {"Data Size": of_plan(condition.used, plan.bound_of(Kind.POSTGRESQL))}
    status = "Available" if condition.up else f"Unavailable: {condition.detail}"
    facts = {"Plan": plan.human_name, "Status": status, **condition.facts, **size}
    return {
        "addon_id": addon.id,
        "name": addon.name,
        "plan": addon.plan.partition(":")[2],
        "created_at": stamp(addon.created_at),
        "resource_url": access.url,
        "database_name": access.database,
        "database_user": access.user,
        "num_bytes": condition.used,
        "following": None,
        "leader": None,
        "info": info({**facts, "Created": seconds(addon.created_at), **NOT_HERE}),
    }


def redis_resource(addon: Addon, plan: Plan, condition: Condition, access: Access) -> Resource:
    """A key-value store, for `redis:info`. Its plan begins with "hobby", by which the CLI knows that its port speaks
    without TLS."""
    size = {} if condition.used is None else {"Memory": of_plan(condition.used, plan.bound_of(Kind.REDIS))}
    status = "available" if condition.up else f"unavailable: {condition.detail}"
    facts = {"Plan": plan.human_name, "Status": status, **condition.facts, **size, "Created": seconds(addon.created_at)}
    return {
        "name": addon.name,
        "plan": f"hobby-{addon.plan.partition(':')[2]}",
        "created_at": stamp(addon.created_at),
        "resource_url": access.url,
        "port": access.port,
        "prefer_native_tls": False,
        "formation": {"id": addon.id, "primary": None},
        "metaas_source": None,
        "info": info(facts),
    }


def credential_resource(addon: Addon, access: Access, password: str) -> Resource:
    """The one that the config vars have."""
    return {
        "uuid": addon.id,
        "name": DEFAULT,
        "state": "active",
        "database": access.database,
        "host": access.host,
        "port": access.port,
        "credentials": [{"user": access.user, "password": password, "state": "active", "connections": None}],
    }


def transfer_resource(
    transfer: Transfer, links: Links, lines: Sequence[TransferLine] = (), *, verbose: bool = False
) -> Resource:
    """One transfer. A backup's `to_url` is a capability: whoever has it may read or restore the backup."""
    from_type, to_type = ENDS[transfer.kind]
    kept = transfer.kind is TransferKind.BACKUP and transfer.succeeded
    return {
        "uuid": transfer.id,
        "num": transfer.number,
        "name": transfer.name,
        "from_type": from_type,
        "from_name": transfer.from_name,
        "from_url": None,
        "to_type": to_type,
        "to_name": transfer.to_name,
        "to_url": links.dump(transfer.id) if kept else None,
        "options": {},
        "schedule": {"uuid": transfer.schedule_id} if transfer.schedule_id else None,
        "created_at": seconds(transfer.created_at),
        "started_at": _seconds(transfer.started_at),
        "canceled_at": _seconds(transfer.canceled_at),
        "finished_at": _seconds(transfer.finished_at),
        "updated_at": seconds(transfer.finished_at or transfer.started_at or transfer.created_at),
        "succeeded": transfer.succeeded,
        "source_bytes": transfer.source_bytes,
        "processed_bytes": transfer.processed_bytes,
        "sha256": transfer.sha256,
        "warnings": 0,
        **({"logs": [line_resource(line) for line in lines]} if verbose else {}),
    }


def line_resource(line: TransferLine) -> Resource:
    """Of a transfer's log."""
    return {"created_at": seconds(line.at), "level": "info", "message": line.message}


def schedule_resource(schedule: Schedule) -> Resource:
    """A daily backup."""
    return {
        "uuid": schedule.id,
        "name": schedule.name,
        "hour": schedule.hour,
        "days": ["*"],
        "timezone": schedule.timezone,
        "created_at": seconds(schedule.created_at),
    }


def info(facts: Mapping[str, str]) -> list[Resource]:
    """As the CLI prints them, in this order."""
    return [{"name": name, "values": [value]} for name, value in facts.items()]


def seconds(at: datetime) -> str:
    """A time as Heroku's data services write it: `2026-11-23 06:00:00 +0000`."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S +0000")


def of_plan(used: int, bound: int | None) -> str:
    """ "7.7 MB / 1.0 GB (0.75%) (In compliance)", as Heroku says it."""
    if bound is None:
        return human_size(used)
    how = FULLNESS[fullness(used, bound)]
    return f"{human_size(used)} / {human_size(bound)} ({used / bound * 100:.2f}%) ({how})"


def human_size(size: float) -> str:
    """8123456 -> "7.7 MB"."""
    for unit in UNITS[:-1]:
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == UNITS[0] else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} {UNITS[-1]}"


def _seconds(at: datetime | None) -> str | None:
    return None if at is None else seconds(at)
