"""What a builder makes of a source: how it is built, and what runs when nobody says otherwise."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from paasd.domain.manifest import ADVICE
from paasd.domain.slug import SlugRecipe

LEARNT = re.compile(rb"^ *Default process type ([A-Za-z0-9_-]{1,63}): *(\S.*)$", re.MULTILINE)


def learn(printed: bytes) -> dict[str, str | None]:
    """The process types that buildpacks print in a build: what the app has where its Procfile says nothing."""
    return {kind.decode(): command.decode(errors="replace").strip() for kind, command in LEARNT.findall(printed)}


@dataclass(frozen=True, slots=True)
class Recipe:
    """A Dockerfile's text (another one for engines without BuildKit, where it must differ) and why it was chosen.

    With `learns` the build prints more process types, by `learn`.

    `slug` is its like for engines without images, None where only the Dockerfile tells how it is built.

    `defaults` are process types that the source has beside its Procfile's. `fallback` counts when there are none:
    `fallback_reason` says so, and where it is empty `advice` says what to add. Reasons and warnings are for the log.
    """

    dockerfile: str
    reasons: tuple[str, ...]
    stack: str | None = None
    dockerfile_classic: str | None = None
    defaults: Mapping[str, str | None] = field(default_factory=dict)
    fallback: Mapping[str, str | None] = field(default_factory=dict)
    fallback_reason: str = ""
    release: str | None = None
    advice: str = ADVICE
    warnings: tuple[str, ...] = ()
    slug: SlugRecipe | None = None
    learns: bool = False
