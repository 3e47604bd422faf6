"""A source with a Dockerfile builds by it."""

from dataclasses import dataclass
from pathlib import Path

from paasd.builders.source import read_text
from paasd.domain.errors import BuildFailed


@dataclass(frozen=True, slots=True)
class Recipe:
    """A Dockerfile's text (another one for engines without BuildKit, where it must differ) and why it was chosen."""

    dockerfile: str
    reasons: tuple[str, ...]
    stack: str | None = None
    dockerfile_classic: str | None = None


def plan(source: Path, _app_id: str) -> Recipe | None:
    """The source's own Dockerfile, or None when there is none."""
    text = read_text(source, "Dockerfile")
    if text is None:
        return None
    if not text.strip():
        raise BuildFailed("The Dockerfile is empty; write how the image is built, or remove it.")
    return Recipe(text, ("Building by the Dockerfile in the repository",))
