"""Between rows of the store and the domain's values: pure, both ways, and the only place that knows both shapes."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, Table, select

from paasd.adapters.secrets import ConfigSeal
from paasd.domain.access import Actor
from paasd.domain.addon import AttachedThen
from paasd.domain.app import App
from paasd.domain.health import Pace
from paasd.domain.release import (
    Build,
    BuildStatus,
    Commit,
    NewRelease,
    ProcessTypes,
    Release,
    Stage,
    StageRecord,
    Status,
)
from paasd.domain.upkeep import Upkeep

Values = dict[str, Any]
AnyRow = Row[Any]


def belonging(table: Table, app_id: str | None) -> Select[Any]:
    """Rows of what belongs to an app, or to any (None); oldest first."""
    query = select(table).order_by(table.c.created_at, table.c.id)
    return query if app_id is None else query.where(table.c.app_id == app_id)


def app_values(app: App) -> Values:
    """A row of `apps`; the owner's e-mail stays with the account."""
    return {
        "id": app.id,
        "name": app.name,
        "owner_id": app.owner_id,
        "maintenance": app.maintenance,
        "release_timeout": app.release_timeout,
        "created_at": app.created_at,
        "updated_at": app.updated_at,
        "released_at": app.released_at,
        "archived_at": app.archived_at,
    }


def to_app(row: AnyRow) -> App:
    """From a row of `live_apps`: `apps`, `owner_email`, `hostnames`, and `upkeep` by longer names."""
    return App(
        id=row.id,
        name=row.name,
        owner_id=row.owner_id,
        owner_email=row.owner_email,
        maintenance=row.maintenance,
        created_at=row.created_at,
        updated_at=row.updated_at,
        released_at=row.released_at,
        release_timeout=row.release_timeout,
        archived_at=row.archived_at,
        upkeep=_to_upkeep(row),
        hostnames=tuple(sorted((row.hostnames or "").split())),
    )


def upkeep_values(kept: Upkeep) -> Values:
    """A row of `upkeep`, but for its pages: those follow from what there is of them."""
    return {
        "until": kept.until,
        "pause": kept.pause,
        "allow": list(kept.allow),
        "health_path": kept.health_path,
        "bypass": kept.bypass,
    }


def _to_upkeep(row: AnyRow) -> Upkeep:
    if row.upkeep_app_id is None:
        return Upkeep()
    return Upkeep(
        until=row.upkeep_until,
        pause=row.upkeep_pause,
        allow=tuple(row.upkeep_allow),
        health_path=row.upkeep_health_path,
        bypass=row.upkeep_bypass,
        maintenance_page=row.upkeep_maintenance_page,
        error_page=row.upkeep_error_page,
    )


def build_values(build: Build) -> Values:
    """A row of `builds`."""
    return {
        "id": build.id,
        "app_id": build.app_id,
        "status": build.status.value,
        **actor_values(build.actor),
        "commit": commit_json(build.commit),
        "builder": build.builder,
        "stack": build.stack,
        "artifact": build.artifact,
        "processes": processes_json(build.processes),
        "size": build.size,
        "failure": build.failure,
        "created_at": build.created_at,
        "updated_at": build.updated_at,
    }


def to_build(row: AnyRow) -> Build:
    """From a row with all columns of `builds`."""
    return Build(
        id=row.id,
        app_id=row.app_id,
        status=BuildStatus(row.status),
        actor=to_actor(row),
        commit=_to_commit(row.commit),
        created_at=row.created_at,
        updated_at=row.updated_at,
        builder=row.builder,
        stack=row.stack,
        artifact=row.artifact,
        processes=_to_processes(row.processes),
        size=row.size,
        failure=row.failure,
    )


def new_release(release_id: str, version: int, at: datetime, new: NewRelease) -> Release:
    """The release that recording `new` makes."""
    return Release(
        id=release_id,
        app_id=new.app_id,
        version=version,
        status=new.status,
        description=new.description,
        actor=new.actor,
        config=dict(new.config),
        formation=dict(new.formation),
        processes=new.processes,
        build_id=new.build_id,
        artifact=new.artifact,
        commit=new.commit,
        has_output=new.has_output,
        rollback_of=new.rollback_of,
        attachments=tuple(new.attachments),
        created_at=at,
        updated_at=at,
    )


def release_values(release: Release, seal: ConfigSeal) -> Values:
    """A row of `releases`, its config sealed."""
    return {
        "id": release.id,
        "app_id": release.app_id,
        "version": release.version,
        "status": release.status.value,
        "description": release.description,
        **actor_values(release.actor),
        "config": seal.seal(release.config, release.app_id),
        "formation": dict(release.formation),
        "processes": processes_json(release.processes),
        "build_id": release.build_id,
        "artifact": release.artifact,
        "commit": commit_json(release.commit),
        "has_output": release.has_output,
        "rollback_of": release.rollback_of,
        "attachments": attachments_json(release.attachments),
        "created_at": release.created_at,
        "updated_at": release.updated_at,
    }


def to_release(row: AnyRow, seal: ConfigSeal) -> Release:
    """From a row with all columns of `releases`. StoreUnavailable when the config can't be opened."""
    return Release(
        id=row.id,
        app_id=row.app_id,
        version=row.version,
        status=Status(row.status),
        description=row.description,
        actor=to_actor(row),
        config=seal.open(row.config, row.app_id),
        formation=row.formation,
        processes=_to_processes(row.processes),
        build_id=row.build_id,
        artifact=row.artifact,
        commit=_to_commit(row.commit),
        has_output=row.has_output,
        rollback_of=row.rollback_of,
        attachments=to_attachments(row.attachments),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def to_stage(row: AnyRow) -> StageRecord:
    """From a row with `stage`, `detail` and `at`."""
    return StageRecord(stage=Stage(row.stage), detail=row.detail, at=row.at)


def processes_json(processes: ProcessTypes) -> Values:
    """Process types as JSON keeps them; the order of the commands stays."""
    document: Values = {
        "commands": dict(processes.commands),
        "release": processes.release,
        "health_paths": dict(processes.health_paths),
    }
    if processes.quantities:
        document["quantities"] = dict(processes.quantities)
    if processes.postdeploy is not None:
        document["postdeploy"] = processes.postdeploy
    if processes.health_contents:
        document["health_contents"] = dict(processes.health_contents)
    if processes.sizes:
        document["sizes"] = dict(processes.sizes)
    if processes.health_paces:
        document["health_paces"] = {kind: pace.parts() for kind, pace in processes.health_paces.items()}
    return document


def commit_json(commit: Commit | None) -> Values | None:
    """A commit as JSON keeps it."""
    if commit is None:
        return None
    document: Values = {"sha": commit.sha, "author": commit.author, "subject": commit.subject}
    return document if commit.pushed else {**document, "pushed": False}


def attachments_json(attachments: Sequence[AttachedThen]) -> list[Values]:
    """A release's attachments as JSON keeps them."""
    return [
        {
            "attachment": one.attachment,
            "addon_id": one.addon_id,
            "addon": one.addon,
            "plan": one.plan,
            "variables": list(one.variables),
        }
        for one in attachments
    ]


def to_attachments(documents: Sequence[Values]) -> tuple[AttachedThen, ...]:
    """From what `attachments_json` made."""
    return tuple(
        AttachedThen(one["attachment"], one["addon_id"], one["addon"], one["plan"], tuple(one["variables"]))
        for one in documents
    )


def _to_processes(document: Mapping[str, Any]) -> ProcessTypes:
    return ProcessTypes(
        document["commands"],
        document["release"],
        document["health_paths"],
        document.get("quantities", {}),
        document.get("postdeploy"),
        document.get("health_contents", {}),
        document.get("sizes", {}),
        {kind: Pace(**parts) for kind, parts in document.get("health_paces", {}).items()},
    )


def _to_commit(document: Mapping[str, Any] | None) -> Commit | None:
    if document is None:
        return None
    return Commit(document["sha"], document["author"], document["subject"], document.get("pushed", True))


def actor_values(actor: Actor) -> Values:
    """The four columns of an actor."""
    return {
        "actor_account_id": actor.account_id,
        "actor_email": actor.email,
        "actor_token": actor.token,
        "actor_address": actor.address,
    }


def to_actor(row: AnyRow) -> Actor:
    """From a row with the four columns of an actor."""
    return Actor(row.actor_account_id, row.actor_email, row.actor_token, row.actor_address)
