"""The part of the store that knows builds and the ledger: releases are appended, and only their status moves."""

import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, exists, func, insert, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from paasd.adapters.database import Database
from paasd.adapters.rows import (
    build_values,
    new_release,
    processes_json,
    release_values,
    to_attachments,
    to_build,
    to_release,
    to_stage,
)
from paasd.adapters.secrets import ConfigSeal
from paasd.adapters.store_apps import add_app, no_app, now, require_app
from paasd.adapters.tables import apps, builds, release_stages, releases
from paasd.domain.addon import AttachedThen, config_without
from paasd.domain.app import App
from paasd.domain.errors import Conflict, NotFound, ReleaseInProgress
from paasd.domain.release import (
    TRANSITIONS,
    Build,
    BuildStatus,
    NewRelease,
    ProcessTypes,
    Release,
    Stage,
    StageRecord,
    Status,
)

VERSION = re.compile(r"v?([0-9]{1,9})")


class ReleaseTables:
    """Port Store, the half with builds and releases."""

    _database: Database
    _seal: ConfigSeal

    async def insert_app(self, app: App, first: NewRelease) -> Release:
        """The app with its v1, in one transaction. InvalidParams when the name is taken."""
        release = new_release(str(uuid.uuid4()), 1, now(), first)
        async with self._database.write() as connection:
            await add_app(connection, app)
            await connection.execute(insert(releases), release_values(release, self._seal))
        return release

    async def insert_build(self, build: Build) -> None:
        """NotFound when the app is gone; Conflict when there is a build of this id."""
        async with self._database.write() as connection:
            await require_app(connection, build.app_id)
            if await connection.scalar(select(exists().where(builds.c.id == build.id))):
                raise Conflict(f"Build {build.id} was recorded before; begin another.", resource="build")
            await connection.execute(insert(builds), build_values(build))

    async def finish_build(
        self,
        build_id: str,
        status: BuildStatus,
        *,
        builder: str | None = None,
        stack: str | None = None,
        artifact: str | None = None,
        processes: ProcessTypes | None = None,
        size: int | None = None,
        failure: str | None = None,
    ) -> Build:
        """Compare-and-set from `pending`; the build as it then is, unchanged if it was finished before. NotFound."""
        found: dict[str, Any] = {
            "builder": builder,
            "stack": stack,
            "artifact": artifact,
            "processes": None if processes is None else processes_json(processes),
            "size": size,
            "failure": failure,
        }
        values = {name: value for name, value in found.items() if value is not None}
        pending = and_(builds.c.id == build_id, _is(builds.c.status, BuildStatus.PENDING))
        async with self._database.write() as connection:
            await connection.execute(
                update(builds).where(pending).values(status=status.value, updated_at=now(), **values)
            )
            row = (await connection.execute(select(builds).where(builds.c.id == build_id))).first()
            if row is None:
                raise _no_build()
        return to_build(row)

    async def build(self, app_id: str, build_id: str) -> Build:
        """NotFound when there is none."""
        found = await self._builds(and_(builds.c.app_id == app_id, builds.c.id == build_id))
        if not found:
            raise _no_build()
        return found[0]

    async def builds(
        self, app_id: str, *, status: BuildStatus | None = None, limit: int | None = None
    ) -> Sequence[Build]:
        """Newest first: all, or those of a status, and the newest so many."""
        of = builds.c.app_id == app_id
        return await self._builds(of if status is None else and_(of, _is(builds.c.status, status)), limit)

    async def pending_builds(self) -> Sequence[Build]:
        """Of all apps."""
        return await self._builds(_is(builds.c.status, BuildStatus.PENDING))

    async def _builds(self, which: ColumnElement[bool], limit: int | None = None) -> Sequence[Build]:
        query = select(builds).where(which).order_by(builds.c.created_at.desc(), builds.c.id.desc()).limit(limit)
        async with self._database.read() as connection:
            return [to_build(row) for row in await connection.execute(query)]

    async def record_release(self, release: NewRelease) -> Release:
        """Append it under the app's next number. ReleaseInProgress when one is pending; NotFound if the app is gone."""
        async with self._database.write() as connection:
            version = await _next_version(connection, release.app_id)
            recorded = new_release(str(uuid.uuid4()), version, now(), release)
            await connection.execute(insert(releases), release_values(recorded, self._seal))
            if recorded.status is Status.SUCCEEDED:
                await _set_released(connection, recorded.app_id)
        return recorded

    async def transition(self, release_id: str, old: Status, new: Status) -> bool:
        """Compare-and-set by TRANSITIONS; False when it was not `old`. Success also sets the app's released_at.

        ValueError when TRANSITIONS has no such step.
        """
        if new not in TRANSITIONS[old]:
            raise ValueError(f"a release can't go from {old} to {new}")
        step = update(releases).where(releases.c.id == release_id, releases.c.status == old.value)
        async with self._database.write() as connection:
            app_id = await connection.scalar(
                step.values(status=new.value, updated_at=now()).returning(releases.c.app_id)
            )
            if app_id is not None and new is Status.SUCCEEDED:
                await _set_released(connection, app_id)
        return app_id is not None

    async def release(self, app_id: str, version_or_id: str) -> Release:
        """By "4", "v4" or UUID. NotFound when there is none."""
        match = VERSION.fullmatch(version_or_id)
        named = releases.c.version == int(match[1]) if match else releases.c.id == version_or_id
        found = await self._releases(and_(releases.c.app_id == app_id, named))
        if not found:
            raise NotFound(
                f"Couldn't find release {version_or_id[:40]!r}; list them with `heroku releases`.", resource="release"
            )
        return found[0]

    async def releases(
        self,
        app_id: str,
        *,
        newest_first: bool = False,
        limit: int | None = None,
        after: int | None = None,
        eligible: bool = False,
    ) -> Sequence[Release]:
        """By version; `after` leaves out all up to (or, newest first, all from) that version. `eligible`: only those
        that can be rolled back to."""
        which = releases.c.app_id == app_id
        if eligible:
            which = and_(which, _is(releases.c.status, Status.SUCCEEDED), releases.c.artifact.is_not(None))
        if after is not None:
            which = and_(which, releases.c.version < after if newest_first else releases.c.version > after)
        return await self._releases(which, newest_first=newest_first, limit=limit)

    async def first_releases(self, app_id: str) -> Mapping[str, str]:
        """Build id -> id of the first release made of it; rollbacks and config changes come later."""
        query = select(releases.c.build_id, releases.c.id).where(
            releases.c.app_id == app_id, releases.c.build_id.is_not(None)
        )
        async with self._database.read() as connection:
            rows = await connection.execute(query.order_by(releases.c.version.desc()))
            return {row.build_id: row.id for row in rows}

    async def current_release(self, app_id: str) -> Release | None:
        """The highest version that succeeded."""
        row = await self._database.first(CURRENT_RELEASE, app_id=app_id)
        return None if row is None else to_release(row, self._seal)

    async def newest_config(self, app_id: str) -> Mapping[str, str]:
        """The config of the newest release that has not failed; empty when there is none."""
        return (await self._newest(app_id))[0]

    async def own_config(self, app_id: str) -> Mapping[str, str]:
        """That of the newest release that has not failed, without what attachments gave it."""
        return config_without(*await self._newest(app_id))

    async def newest_attachments(self, app_id: str) -> tuple[AttachedThen, ...]:
        """Those of the newest release that has not failed."""
        return (await self._newest(app_id))[1]

    async def _newest(self, app_id: str) -> tuple[dict[str, str], tuple[AttachedThen, ...]]:
        # An expired release may have failed before: its stages tell.
        failed = exists().where(
            release_stages.c.release_id == releases.c.id, release_stages.c.stage == Stage.FAILED.value
        )
        held = or_(
            releases.c.status.in_([Status.PENDING.value, Status.SUCCEEDED.value]),
            and_(releases.c.status == Status.EXPIRED.value, ~failed),
        )
        query = select(releases.c.config, releases.c.attachments).where(releases.c.app_id == app_id, held)
        async with self._database.read() as connection:
            row = (await connection.execute(query.order_by(releases.c.version.desc()).limit(1))).first()
        return ({}, ()) if row is None else (self._seal.open(row.config, app_id), to_attachments(row.attachments))

    async def pending_releases(self, app_id: str | None = None) -> Sequence[Release]:
        """Of one app (one at most), or of all, destroyed ones too."""
        pending = _is(releases.c.status, Status.PENDING)
        return await self._releases(pending if app_id is None else and_(pending, releases.c.app_id == app_id))

    async def _releases(
        self, which: ColumnElement[bool], *, newest_first: bool = False, limit: int | None = None
    ) -> Sequence[Release]:
        order = releases.c.version.desc() if newest_first else releases.c.version
        async with self._database.read() as connection:
            rows = await connection.execute(select(releases).where(which).order_by(order).limit(limit))
            return [to_release(row, self._seal) for row in rows]

    async def add_stage(self, release_id: str, stage: Stage, detail: str = "") -> None:
        """NotFound when there is no such release."""
        entered = {"release_id": release_id, "stage": stage.value, "detail": detail, "at": now()}
        async with self._database.write() as connection:
            await connection.execute(insert(release_stages).inline(), entered)

    async def stages(self, release_id: str) -> Sequence[StageRecord]:
        """In the order they were entered."""
        query = select(release_stages).where(release_stages.c.release_id == release_id).order_by(release_stages.c.id)
        async with self._database.read() as connection:
            return [to_stage(row) for row in await connection.execute(query)]


async def _next_version(connection: AsyncConnection, app_id: str) -> int:
    # One statement for three questions: each costs a round trip to the driver's thread.
    newest = select(func.max(releases.c.version)).where(releases.c.app_id == app_id).scalar_subquery()
    stage = select(release_stages.c.stage).where(release_stages.c.release_id == releases.c.id)
    stage = stage.order_by(release_stages.c.id.desc()).limit(1)
    pending = and_(releases.c.app_id == apps.c.id, _is(releases.c.status, Status.PENDING))
    query = (
        select(
            newest.label("newest"), releases.c.version, releases.c.actor_email, stage.scalar_subquery().label("stage")
        )
        .select_from(apps.outerjoin(releases, pending))
        .where(apps.c.id == app_id, apps.c.archived_at.is_(None))
    )
    row = (await connection.execute(query)).first()
    if row is None:
        raise no_app()
    if row.version is not None:
        raise ReleaseInProgress(
            f"v{row.version} is being released by {row.actor_email} (stage: {row.stage or Stage.RECORD.value}); "
            "wait for it or try again later.",
            resource="release",
        )
    return int(row.newest or 0) + 1


async def _set_released(connection: AsyncConnection, app_id: str) -> None:
    at = now()
    await connection.execute(update(apps).where(apps.c.id == app_id).values(released_at=at, updated_at=at))


def _is(column: ColumnElement[str], status: Status | BuildStatus) -> ColumnElement[bool]:
    # Written out in the statement: a bound value would keep SQLite from using the partial index.
    return column == literal(status.value, literal_execute=True)


def _no_build() -> NotFound:
    return NotFound("Couldn't find that build; list them with `heroku builds`.", resource="build")


# Made once: making a statement takes longer than running it.
CURRENT_RELEASE = (
    select(releases)
    .where(releases.c.app_id == bindparam("app_id"), _is(releases.c.status, Status.SUCCEEDED))
    .order_by(releases.c.version.desc())
    .limit(1)
)
