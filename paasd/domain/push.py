"""What asks to be deployed: a push, as git's pre-receive hook saw it, or an archive. Its objects are not ours yet."""

from dataclasses import dataclass
from pathlib import Path

from paasd.domain.access import Actor
from paasd.domain.app import App

DEPLOYED_BRANCHES = ("main", "master")


@dataclass(frozen=True, slots=True)
class Push:
    """A move of `branch` (one of DEPLOYED_BRANCHES) from `old` to `sha`; `old` is None where the branch begins.

    `quarantine` holds the new objects and vanishes as soon as the push ends: adopt them first. With `queue` it waits
    for a push to the same app that is under way, else it is refused.
    """

    app: App
    actor: Actor
    branch: str
    old: str | None
    sha: str
    quarantine: Path
    queue: bool = False


@dataclass(frozen=True, slots=True)
class Archive:
    """A source as a tar archive: one that was put here, by its `upload` key, or one to be fetched from `url`.

    `version` is what its sender calls it (a commit, mostly), "" for nothing; `sha256` what it must be, 64 hex digits.
    """

    app: App
    actor: Actor
    upload: str | None = None
    url: str | None = None
    version: str = ""
    description: str = ""
    sha256: str | None = None
    queue: bool = False
