"""The ledger: builds, releases, their states, and which release is current. TRANSITIONS is the one state machine."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from paasd.domain.access import Actor
from paasd.domain.addon import AttachedThen, config_without
from paasd.domain.errors import InvalidParams
from paasd.domain.health import Pace


class Status(StrEnum):
    """State of a release. Values are Heroku's words on the wire."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    EXPIRED = "expired"  # its artifact was pruned


TRANSITIONS: Mapping[Status, frozenset[Status]] = {
    Status.PENDING: frozenset({Status.SUCCEEDED, Status.FAILED}),
    Status.SUCCEEDED: frozenset({Status.EXPIRED}),
    Status.FAILED: frozenset({Status.EXPIRED}),
    Status.EXPIRED: frozenset(),
}


class BuildStatus(StrEnum):
    """State of a build."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class RollbackPart(StrEnum):
    """What alone a rollback takes from the release it goes back to; the other stays as it is now."""

    CODE = "code"
    CONFIG = "config"


class Stage(StrEnum):
    """The stages a release passes, in the order of the story; FAILED holds the reason and exit code."""

    RECORD = "record"
    RELEASE_PHASE = "release phase"
    START_DYNOS = "start dynos"
    AWAIT_HEALTHY = "await healthy"
    SWAP_ROUTE = "swap route"
    PROMOTE = "promote"
    RETIRE_PREVIOUS = "retire previous"
    DONE = "done"
    POSTDEPLOY = "postdeploy"  # that it is due, while the release is made, and then how it ended
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Commit:
    """A git commit: 40 hex digits, "Name <mail>", first line of the message.

    Not so where it was not `pushed`: then `sha` is the version that somebody gave to what they sent.
    """

    sha: str
    author: str
    subject: str
    pushed: bool = True

    @property
    def label(self) -> str:
        """Short enough for a description: "9f3c21ab", "9f3c21ab-dirty", "v1.2"."""
        return re.sub(r"\b([0-9a-f]{8})[0-9a-f]{32}\b", r"\1", self.sha)[:60]


@dataclass(frozen=True, slots=True)
class ProcessTypes:
    """What an artifact can run. A command of None means the image's own command.

    `commands` excludes `release`; `health_paths` maps a process type to the HTTP path its dynos are probed at, and
    `health_contents` to a text that its page must hold;
    `quantities` and `sizes` are those of app.json's formation, for types nobody scaled; `postdeploy` follows the first
    deploy; `health_paces` are of types that are checked in their own.
    """

    commands: Mapping[str, str | None] = field(default_factory=dict)
    release: str | None = None
    health_paths: Mapping[str, str] = field(default_factory=dict)
    quantities: Mapping[str, int] = field(default_factory=dict)
    postdeploy: str | None = None
    health_contents: Mapping[str, str] = field(default_factory=dict)
    sizes: Mapping[str, str] = field(default_factory=dict)
    health_paces: Mapping[str, Pace] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Build:
    """One attempt to turn a source into an artifact. A succeeded build is also Heroku's slug, under the same id."""

    id: str
    app_id: str
    status: BuildStatus
    actor: Actor
    commit: Commit | None
    created_at: datetime
    updated_at: datetime
    builder: str | None = None  # "dockerfile", "python"
    stack: str | None = None
    artifact: str | None = None  # the engine's name for the result, by digest
    processes: ProcessTypes = field(default_factory=ProcessTypes)
    size: int | None = None  # bytes
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class NewRelease:
    """A release about to be recorded: everything but its number, id, time and status."""

    app_id: str
    description: str
    actor: Actor
    config: Mapping[str, str]
    formation: Mapping[str, int]
    processes: ProcessTypes = field(default_factory=ProcessTypes)
    build_id: str | None = None
    artifact: str | None = None
    commit: Commit | None = None
    status: Status = Status.PENDING
    has_output: bool = False  # a release command will run, so there is output to stream
    rollback_of: int | None = None
    attachments: tuple[AttachedThen, ...] = ()  # whose config vars are in `config`


@dataclass(frozen=True, slots=True)
class Release:
    """A row of the ledger. Only `status` (and `updated_at` with it) ever changes."""

    id: str
    app_id: str
    version: int
    status: Status
    description: str
    actor: Actor
    config: Mapping[str, str] = field(repr=False)
    formation: Mapping[str, int]
    processes: ProcessTypes
    build_id: str | None
    artifact: str | None
    commit: Commit | None
    has_output: bool
    rollback_of: int | None
    created_at: datetime
    updated_at: datetime
    attachments: tuple[AttachedThen, ...] = ()

    @property
    def own_config(self) -> dict[str, str]:
        """The app's own config vars, without those of its attachments."""
        return config_without(self.config, self.attachments)

    @property
    def eligible_for_rollback(self) -> bool:
        """Whether this release can be served again: it once succeeded and its artifact is still there."""
        return self.status is Status.SUCCEEDED and self.artifact is not None


@dataclass(frozen=True, slots=True)
class StageRecord:
    """When a release entered a stage, and what there is to say about it."""

    stage: Stage
    detail: str
    at: datetime


def current(releases: Iterable[Release]) -> Release | None:
    """The release that should be served: the highest version that succeeded."""
    return max((r for r in releases if r.status is Status.SUCCEEDED), key=lambda r: r.version, default=None)


def check_rollback_target(target: Release) -> Release:
    """The release itself, if it can be rolled back to. Raises InvalidParams saying why not and what to do."""
    if target.eligible_for_rollback:
        return target
    reasons = {
        Status.PENDING: "is still being released; wait for it to finish",
        Status.FAILED: "failed; choose a release that succeeded (see `heroku releases`)",
        Status.EXPIRED: "has expired and its image is gone; "
        + (
            f"push its commit again (git push heroku {target.commit.sha}:refs/heads/main)"
            if target.commit and target.commit.pushed
            else "deploy its source again"
        ),
        Status.SUCCEEDED: "has no code to go back to; choose a release made by or after a deploy",
    }
    raise InvalidParams(f"Cannot roll back to v{target.version}: it {reasons[target.status]}.", resource="release")
