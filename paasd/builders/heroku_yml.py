"""heroku.yml: which Dockerfile builds the app, and what of it runs."""

from collections.abc import Mapping
from dataclasses import dataclass

import yaml

from paasd.domain.errors import BuildFailed

EXAMPLE = "write build.docker.web as the path of a Dockerfile, such as `web: Dockerfile`"


BRACKETS_MAX = 1000
TOO_DEEP = "heroku.yml is not valid YAML: it is nested too deeply."


@dataclass(frozen=True, slots=True)
class HerokuYml:
    """The Dockerfile's path, process types beside the image's own command, and the release command."""

    dockerfile: str
    run: Mapping[str, str]
    release: str | None


def parse_heroku_yml(text: str) -> HerokuYml | None:
    """None when it builds by no Dockerfile. Raises BuildFailed naming what can't be read or isn't done here."""
    if text.count("[") + text.count("{") > BRACKETS_MAX:  # the parser takes time by their square
        raise BuildFailed(TOO_DEEP)
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # a number or a date that there is not
        raise BuildFailed(f"heroku.yml is not valid YAML: {' '.join(str(error).split())[:200]}.") from error
    except RecursionError as error:
        raise BuildFailed(TOO_DEEP) from error
    if not isinstance(document, dict):
        raise BuildFailed(f"heroku.yml can't be read: {EXAMPLE}.")
    docker = _mapping(_mapping(document, "build"), "docker")
    if not docker:
        return None
    files = {kind: one.get("dockerfile") if isinstance(one, dict) else one for kind, one in docker.items()}
    # Aliases can make of a few lines a value whose text would fill the memory: only a string's is looked at.
    if not all(isinstance(file, str) for file in files.values()):
        raise BuildFailed(f"heroku.yml can't be read: {EXAMPLE}.")
    if len(set(files.values())) > 1:
        raise BuildFailed(
            "heroku.yml builds several images; here an app is one image, so name the same Dockerfile for each process "
            "type and tell them apart under `run`."
        )
    path = next(iter(files.values()))
    if not isinstance(path, str) or not path:
        raise BuildFailed(f"heroku.yml can't be read: {EXAMPLE}.")
    run = {str(kind): _command(f"run.{kind}", one) for kind, one in _mapping(document, "run").items()}
    release = document.get("release")
    return HerokuYml(path, run, _command("release", release) if release is not None else None)


def _mapping(document: Mapping[str, object], key: str) -> Mapping[str, object]:
    found = document.get(key)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise BuildFailed(f"heroku.yml: {key} must hold `name: value` lines.")
    return found


def _command(place: str, entry: object) -> str:
    """A string, a list of strings, or an object with such a `command`."""
    if isinstance(entry, dict):
        entry = entry.get("command")
    if isinstance(entry, list) and all(isinstance(part, str) for part in entry):
        entry = " && ".join(entry)
    if not isinstance(entry, str) or not entry.strip() or "\0" in entry:
        raise BuildFailed(f"heroku.yml: {place} must be a command.")
    return entry
