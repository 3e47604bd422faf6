"""What a Dockerfile's ADD would have the engine itself fetch: from this host's own network, so from its own services,
other apps' dynos, and the address where clouds tell a machine its credentials. Whatever RUN fetches comes by the
network of builds, which reaches none of these; so ADD of a URL is refused, unless an admin pushes it.

An URL that looks well may lead to another (a redirect), so that it is no use to look where it leads.
"""

import json
import re
from collections.abc import Iterable, Mapping

from paasd.adapters.docker_bases import QUOTES, TRIGGER, VARIABLE, possible_values, settings_of
from paasd.domain.dockerfile import SPACE, instructions
from paasd.domain.errors import BuildFailed

ADD = re.compile(rf"ADD{SPACE}+((?:--\S+{SPACE}+)*)(.*)", re.IGNORECASE | re.DOTALL)
REMOTE = re.compile(r"[a-z][a-z0-9+.-]*://|[^/\s]+@[^/\s]+:|github\.com/", re.IGNORECASE)
INSTEAD = "fetch it in a step, such as `RUN curl -fsSLo FILE URL`, or have an admin push it."


def refuse_fetches(dockerfile: str) -> None:
    """BuildFailed where one of its ADDs names what the engine would fetch, or may do so."""
    values = settings_of(dockerfile)
    for instruction, _ in instructions(dockerfile):
        if match := ADD.fullmatch(TRIGGER.sub("", instruction)):
            for source in _sources(match[2]):
                _refuse(source, values)


def refuse_fetched(names: Iterable[str]) -> None:
    """The same of what the engine says that it fetches."""
    for name in names:
        raise _failed(name)


def _sources(words: str) -> list[str]:
    """All but the last."""
    try:
        found = json.loads(words)
    except ValueError:
        found = None
    listed = found if isinstance(found, list) else words.split()
    return [str(one) for one in listed[:-1]]


def _refuse(source: str, values: Mapping[str, list[str]]) -> None:
    unknown = BuildFailed(
        f"What the Dockerfile means by ADD {source[:100]!a} can't be told before it is built; name the file, or take "
        "COPY, which takes files of the repository alone."
    )
    if {plain or braced for plain, braced, _, _ in VARIABLE.findall(source)} - values.keys():
        raise unknown
    try:
        found = possible_values(source, values)
    except BuildFailed as error:
        raise unknown from error
    for value in found:
        if REMOTE.match(QUOTES.sub("", value)):
            raise _failed(value)


def _failed(name: str) -> BuildFailed:
    return BuildFailed(f"ADD of a URL is an admin's to push here ({QUOTES.sub('', name)[:200]!a}): {INSTEAD}")
