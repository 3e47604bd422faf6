"""The buildpacks an app names: heroku/python, a git URL, or a folder of the repository."""

import re
from collections.abc import Sequence

from paasd.domain.errors import InvalidParams

BUILDPACKS = 50
CHARACTERS = 500
NAME = re.compile(r"(urn:buildpack:)?[a-z0-9_-]+/[a-z0-9._-]+", re.IGNORECASE)
FOLDER = re.compile(r"\./(?!(?:.*/)?\.\.(?:/|$))[A-Za-z0-9._/-]+")
URL = re.compile(r"(https?|git|ssh)://[^\s/@:]+(@[^\s/:]+)?(:[0-9]+)?/\S*")


def check_buildpacks(wanted: Sequence[object]) -> tuple[str, ...]:
    """Names such as heroku/python, URLs, or ./folders, in their order. Raises InvalidParams."""
    if len(wanted) > BUILDPACKS:
        raise InvalidParams(f"An app may name {BUILDPACKS} buildpacks; leave some out.", resource="buildpack")
    return tuple(_check(one) for one in wanted)


def _check(wanted: object) -> str:
    whole = isinstance(wanted, str) and len(wanted) <= CHARACTERS and wanted.isprintable()
    if isinstance(wanted, str) and whole and any(pattern.fullmatch(wanted) for pattern in (NAME, URL, FOLDER)):
        return wanted
    raise InvalidParams(
        "A buildpack is named by its URL, as heroku/python, or as a ./folder of the repository; send it as a string.",
        resource="buildpack",
    )
