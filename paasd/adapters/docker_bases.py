"""Which images a Dockerfile stands on or takes files from, by the names that its instructions may come to.

Rather too many than too few: an ARG that is said more than once is taken at each of its values, and a line inside a
heredoc for an instruction. What is asked about them is whether one is another app's (`refuse_others`).
"""

import itertools
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress

from paasd.adapters.docker_api import DockerApi, Refused
from paasd.adapters.docker_containers import APP
from paasd.domain.dockerfile import SPACE, instructions
from paasd.domain.errors import BuildFailed

TRIGGER = re.compile(rf"(?:ONBUILD{SPACE}+)*", re.IGNORECASE)
FROM = re.compile(rf"FROM{SPACE}+(?:--\S+{SPACE}+)*(\S+)", re.IGNORECASE)
COPIES = re.compile(rf"(?:COPY|ADD){SPACE}+((?:--\S+{SPACE}+)*)", re.IGNORECASE)
MOUNTS = re.compile(rf"RUN{SPACE}+((?:--\S+{SPACE}+)*)", re.IGNORECASE)
TAKES = re.compile(r"""[-,='"]from=([^\s,]+)""", re.IGNORECASE)  # of the options of both
ARG = re.compile(rf"ARG{SPACE}+(.*)", re.IGNORECASE)
ENV = re.compile(rf"ENV{SPACE}+(.*)", re.IGNORECASE)
WORD = re.compile(r"""(\w+)=((?:"[^"]*"|'[^']*'|\\.|[^\s"'\\])*)""")
QUOTES = re.compile(r"[\"'\\`]")  # the engine takes them away, wherever they are in a word
VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?::?([-+])([^{}$]*))?\})")
COMBINATIONS, VARIABLES, CHARACTERS = 200, 50, 2000


def named_images(dockerfile: str) -> list[str]:
    """Each name once. BuildFailed for one that can't be followed."""
    values: dict[str, list[str]] = {}
    found: dict[str, None] = {}
    for instruction, _ in instructions(dockerfile):
        line = TRIGGER.sub("", instruction)
        if match := ARG.match(line):
            for name, value in WORD.findall(match[1]):
                values.setdefault(name, []).extend(possible_values(value, values))
        options = "".join(match[1] for one in (COPIES, MOUNTS) if (match := one.match(line)))
        names = [*([match[1]] if (match := FROM.match(line)) else []), *TAKES.findall(options)]
        for name in names:
            found.update((QUOTES.sub("", one), None) for one in possible_values(name, values))
    return [name for name in found if name and not name.isdigit() and name.lower() != "scratch"]


def settings_of(dockerfile: str) -> dict[str, list[str]]:
    """All that its ARGs and ENVs may be, whatever stage they are in; without those that can't be followed."""
    values: dict[str, list[str]] = {}
    for instruction, _ in instructions(dockerfile):
        line = TRIGGER.sub("", instruction)
        if match := ARG.match(line):
            pairs = [*WORD.findall(match[1]), *((name, "") for name in match[1].split() if "=" not in name)]
        elif match := ENV.match(line):
            pairs = WORD.findall(match[1]) or [(name, value) for name, _, value in [match[1].partition(" ")]]
        else:
            continue
        for name, value in pairs:
            with suppress(BuildFailed):
                values.setdefault(name, []).extend(possible_values(value, values))
    return {name: found for name, found in values.items() if found}


def possible_values(text: str, values: Mapping[str, list[str]]) -> list[str]:
    """All that it may come to; a variable that nothing sets is empty, as for the engine. BuildFailed where that can't
    be told, or is much: each variable may be many times the one before."""
    if "$" not in text:
        return [text]
    variables = VARIABLE.findall(text)
    names = dict.fromkeys(plain or braced for plain, braced, _, _ in variables)
    choices = [values.get(name) or [""] for name in names]
    found: dict[str, None] = {}
    for chosen in itertools.islice(itertools.product(*choices), COMBINATIONS + 1):
        if len(variables) > VARIABLES or any(len(value) > CHARACTERS for value in chosen):
            raise _unknown(text)
        picked = dict(zip(names, chosen, strict=True))

        def put(match: re.Match[str], picked: Mapping[str, str] = picked) -> str:
            value, how, other = picked[match[1] or match[2]], match[3], match[4] or ""
            return other if (how == "-" and not value) or (how == "+" and value) else "" if how == "+" else value

        found[VARIABLE.sub(put, text)] = None
    if len(found) > COMBINATIONS or any("$" in one for one in found):
        raise _unknown(text)
    return list(found)


def _unknown(text: str) -> BuildFailed:
    return BuildFailed(
        f"Which image the Dockerfile means by {text[:100]!a} can't be told before it is built; name it, or an ARG "
        "with a default (`ARG BASE=python:3.11-slim`, `FROM $BASE`)."
    )


async def refuse_others(api: DockerApi, images: Iterable[str], app_id: str) -> str:
    """BuildFailed where one of the images was built for another app: its source and more is in it. Else the
    instructions that they bring (ONBUILD), as a Dockerfile."""
    brought: list[str] = []
    for name in images:
        try:
            found = await api.call("inspect_image", name)
        except Refused as error:
            if error.status >= 500:
                raise
            continue  # not here: the engine fetches it, or says so
        config = found.get("Config") or {}
        brought += config.get("OnBuild") or []
        if (config.get("Labels") or {}).get(APP, app_id) != app_id:
            raise BuildFailed(
                f"The Dockerfile takes from {name[:200]!a}, which is another app's image; build from an image that is "
                "no app's, or from what this repository has."
            )
    return "\n".join(brought)
