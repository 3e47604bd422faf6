"""A source with a Dockerfile builds by it; heroku.yml may say which."""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from paasd.builders.heroku_yml import read_heroku_yml
from paasd.builders.recipe import Recipe
from paasd.builders.source import Source
from paasd.domain.dockerfile import SPACE, instructions
from paasd.domain.errors import BuildFailed

WEB: dict[str, str | None] = {"web": None}
BASE = re.compile(  # what FROM and COPY --from name
    r"^(?P<before>[ \t]*(?:FROM[ \t]+(?:--\S+[ \t]+)*|COPY[ \t]+(?:--\S+[ \t]+)*?--from=))(?P<image>[^\s$]+)(?=\s|$)",
    re.IGNORECASE | re.MULTILINE,
)
STAGE = re.compile(r"^[ \t]*FROM[ \t]+(?:--\S+[ \t]+)*\S+[ \t]+AS[ \t]+(?P<name>\S+)", re.IGNORECASE | re.MULTILINE)
ARG = re.compile(rf"ARG{SPACE}+(?P<names>.*)", re.IGNORECASE)
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
    text, warnings = with_aliases(with_arguments(with_target(text, wanted.target), wanted.arguments), source.aliases)
    return Recipe(
        text,
        (f"Building by {wanted.dockerfile}, as heroku.yml says (build.docker)",),
        defaults={**wanted.run, **({} if "web" in wanted.run else WEB)},
        release=wanted.release,
        warnings=warnings,
    )


def with_target(text: str, target: str) -> str:
    """The Dockerfile whose image is a stage of that name; "" for its last. Raises BuildFailed when there is none."""
    if not target:
        return text
    names = [match["name"] for match in STAGE.finditer(text)]
    if target.lower() not in {name.lower() for name in names}:
        there = f"there are {', '.join(names[:10])}" if names else "it names none (`FROM image AS name`)"
        raise BuildFailed(f"heroku.yml builds the stage {target} of the Dockerfile, which has no such: {there}.")
    return f"{text.rstrip()}\nFROM {target}\n"


def with_arguments(text: str, values: Mapping[str, str]) -> str:
    """The Dockerfile in which the ARGs that it declares have these values: what an ARG says of a name holds from its
    line on, so that another one follows it. One that it does not declare is none of its own."""
    lines = text.split("\n")
    after: dict[int, list[str]] = {}
    for instruction, last in instructions(text):
        if (match := ARG.fullmatch(instruction)) is not None:
            declared = dict.fromkeys(word.partition("=")[0] for word in match["names"].split())
            after[last] = [f"ARG {name}={quoted(values[name])}" for name in declared if name in values]
    return "\n".join(line for index, own in enumerate(lines) for line in (own, *after.get(index, ())))


def quoted(value: str) -> str:
    """As a Dockerfile reads it word by word: nothing in single quotes means anything."""
    return "'" + value.replace("'", "'\"'\"'") + "'"


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
