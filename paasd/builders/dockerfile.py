"""A source with a Dockerfile builds by it; heroku.yml may say which."""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from paasd.builders.heroku_yml import read_heroku_yml
from paasd.builders.recipe import Recipe
from paasd.builders.source import Source
from paasd.domain.errors import BuildFailed

WEB: dict[str, str | None] = {"web": None}
BASE = re.compile(  # what FROM and COPY --from name
    r"^(?P<before>[ \t]*(?:FROM[ \t]+(?:--\S+[ \t]+)*|COPY[ \t]+(?:--\S+[ \t]+)*?--from=))(?P<image>[^\s$]+)(?=\s|$)",
    re.IGNORECASE | re.MULTILINE,
)
HUB = re.compile(r"^(?:docker\.io/)?(?:library/)?")


def plan(source: Source) -> Recipe | None:
    """The source's own Dockerfile, or None when there is none."""
    wanted = read_heroku_yml(source)
    if wanted is None or wanted.dockerfile is None:
        text = source.text("Dockerfile")
        if text is None:
            return None
        if not text.strip():
            raise BuildFailed("The Dockerfile is empty; write how the image is built, or remove it.")
        text, warnings = with_aliases(text, source.aliases)
        return Recipe(text, ("Building by the Dockerfile in the repository",), defaults=WEB, warnings=warnings)
    path = PurePosixPath(wanted.dockerfile)
    if path.is_absolute() or ".." in path.parts:
        raise BuildFailed("heroku.yml: the path of a Dockerfile starts at the repository's top and holds no `..`.")
    text = source.text(str(path))
    if text is None or not text.strip():
        raise BuildFailed(f"heroku.yml builds by {wanted.dockerfile}, which is not in the repository; commit it.")
    text, warnings = with_aliases(text, source.aliases)
    return Recipe(
        text,
        (f"Building by {wanted.dockerfile}, as heroku.yml says (build.docker)",),
        defaults={**wanted.run, **({} if "web" in wanted.run else WEB)},
        release=wanted.release,
        warnings=warnings,
    )


def with_aliases(text: str, aliases: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """The Dockerfile on the images that stand for its own, and a warning for each: it is not what its author tried."""
    taken: dict[str, str] = {}

    def put(match: re.Match[str]) -> str:
        name = HUB.sub("", match["image"])
        if name not in aliases:
            return match[0]
        taken[name] = aliases[name]
        return match["before"] + aliases[name]

    text = BASE.sub(put, text)
    return text, tuple(
        f"NOT on {name}: {image} is taken in its place, as stacks.aliases in paasd.yaml says; the versions of what is "
        "in it may differ."
        for name, image in taken.items()
    )
