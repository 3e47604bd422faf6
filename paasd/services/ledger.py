"""Reading the ledger: releases, builds, and what changed between one release and the one before."""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from paasd.domain.app import App
from paasd.domain.release import Build, Release, Stage, StageRecord
from paasd.ports import Store
from paasd.services.first_deploy import DUE

EXIT_CODE = re.compile(r"exited with status (\d+)")


@dataclass(frozen=True, slots=True)
class StageTime:
    """A stage a release entered, and the seconds until the next one (None: the last, or still under way)."""

    stage: str
    detail: str
    at: datetime
    seconds: float | None


@dataclass(frozen=True, slots=True)
class NameDiff:
    """What differs between two mappings, by name only: values may be secrets."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReleaseDetails:
    """What Heroku's table lacks. `against` is the version compared with, None for the first."""

    stages: tuple[StageTime, ...]
    failure: str | None
    exit_code: int | None
    against: int | None
    config: NameDiff
    processes: NameDiff
    image_changed: bool
    commit_changed: bool


@dataclass(frozen=True, slots=True)
class Ledger:
    """The ledger, read only."""

    store: Store

    async def releases(
        self, app: App, *, newest_first: bool = False, limit: int | None = None, after: int | None = None
    ) -> Sequence[Release]:
        """By version; see Store.releases."""
        return await self.store.releases(app.id, newest_first=newest_first, limit=limit, after=after)

    async def release(self, app: App, version_or_id: str) -> Release:
        """By "4", "v4" or UUID. Raises NotFound."""
        return await self.store.release(app.id, version_or_id)

    async def current(self, app: App) -> Release | None:
        """The release that is served, or would be if there were dynos."""
        return await self.store.current_release(app.id)

    async def builds(self, app: App) -> Sequence[Build]:
        """Newest first."""
        return await self.store.builds(app.id)

    async def first_releases(self, app: App) -> Mapping[str, str]:
        """Build id -> id of the first release made of it."""
        return await self.store.first_releases(app.id)

    async def build(self, app: App, build_id: str) -> Build:
        """Raises NotFound."""
        return await self.store.build(app.id, build_id)

    async def details(self, app: App, release: Release) -> ReleaseDetails:
        """Stages with their durations, the failure if there was one, and the diff against the release before."""
        stages = [one for one in await self.store.stages(release.id) if one.detail != DUE]
        before = await self.store.releases(app.id, newest_first=True, limit=1, after=release.version)
        previous = before[0] if before else None
        failure = next((record.detail for record in stages if record.stage is Stage.FAILED), None)
        code = EXIT_CODE.search(failure) if failure else None
        return ReleaseDetails(
            stages=stage_times(stages),
            failure=failure,
            exit_code=int(code[1]) if code else None,
            against=previous.version if previous else None,
            config=diff_names(previous.config if previous else {}, release.config),
            processes=diff_names(_all_commands(previous) if previous else {}, _all_commands(release)),
            image_changed=release.artifact != (previous.artifact if previous else None),
            commit_changed=release.commit != (previous.commit if previous else None),
        )


def stage_times(records: Sequence[StageRecord]) -> tuple[StageTime, ...]:
    """Each stage with the seconds until the next one began."""
    nexts = [*records[1:], None] if records else []
    return tuple(
        StageTime(
            record.stage.value,
            record.detail,
            record.at,
            (following.at - record.at).total_seconds() if following else None,
        )
        for record, following in zip(records, nexts, strict=True)
    )


def diff_names(before: Mapping[str, str | None], after: Mapping[str, str | None]) -> NameDiff:
    """Names added, removed and changed, each sorted."""
    return NameDiff(
        added=tuple(sorted(after.keys() - before.keys())),
        removed=tuple(sorted(before.keys() - after.keys())),
        changed=tuple(sorted(name for name in before.keys() & after.keys() if before[name] != after[name])),
    )


def _all_commands(release: Release) -> Mapping[str, str | None]:
    command = release.processes.release
    return dict(itertools.chain(release.processes.commands.items(), [("release", command)] if command else []))
