"""A source with a Dockerfile builds by it; heroku.yml may say which."""

from pathlib import PurePosixPath

from paasd.builders.heroku_yml import parse_heroku_yml
from paasd.builders.recipe import Recipe
from paasd.builders.source import Source
from paasd.domain.errors import BuildFailed

WEB: dict[str, str | None] = {"web": None}


def plan(source: Source) -> Recipe | None:
    """The source's own Dockerfile, or None when there is none."""
    told = source.text("heroku.yml")
    wanted = parse_heroku_yml(told) if told is not None else None
    if wanted is None:
        text = source.text("Dockerfile")
        if text is None:
            return None
        if not text.strip():
            raise BuildFailed("The Dockerfile is empty; write how the image is built, or remove it.")
        return Recipe(text, ("Building by the Dockerfile in the repository",), defaults=WEB)
    path = PurePosixPath(wanted.dockerfile)
    if path.is_absolute() or ".." in path.parts:
        raise BuildFailed("heroku.yml: the path of a Dockerfile starts at the repository's top and holds no `..`.")
    text = source.text(str(path))
    if text is None or not text.strip():
        raise BuildFailed(f"heroku.yml builds by {wanted.dockerfile}, which is not in the repository; commit it.")
    return Recipe(
        text,
        (f"Building by {wanted.dockerfile}, as heroku.yml says (build.docker)",),
        defaults={**wanted.run, **({} if "web" in wanted.run else WEB)},
        release=wanted.release,
    )
