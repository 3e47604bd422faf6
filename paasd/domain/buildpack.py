"""The buildpacks an app names: kept for Heroku's clients, though builds here go by what the source holds."""

import re
from collections.abc import Sequence

from paasd.domain.errors import InvalidParams

BUILDPACKS = 50
CHARACTERS = 500
NAME = re.compile(r"(urn:buildpack:)?[a-z0-9_-]+/[a-z0-9._-]+", re.IGNORECASE)
URL = re.compile(r"(https?|git|ssh)://[^\s/@:]+(@[^\s/:]+)?(:[0-9]+)?/\S*")


def check_buildpacks(wanted: Sequence[object]) -> tuple[str, ...]:
    """Names such as heroku/python, or URLs, in their order. Raises InvalidParams."""
    if len(wanted) > BUILDPACKS:
        raise InvalidParams(f"An app may name {BUILDPACKS} buildpacks; leave some out.", resource="buildpack")
    return tuple(_check(one) for one in wanted)


def _check(wanted: object) -> str:
    whole = isinstance(wanted, str) and len(wanted) <= CHARACTERS and wanted.isprintable()
    if isinstance(wanted, str) and whole and (NAME.fullmatch(wanted) or URL.fullmatch(wanted)):
        return wanted
    raise InvalidParams(
        "A buildpack is named by its URL, or as heroku/python; send it as a string.", resource="buildpack"
    )
