"""A push that asks to be deployed: what git's pre-receive hook saw, and who sent it. Its objects are not ours yet."""

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
