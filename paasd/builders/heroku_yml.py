"""heroku.yml: what an app has from its beginning, which Dockerfile builds it, and what of it runs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import yaml

from paasd.builders.source import Source
from paasd.domain.app_json import AppJson, WantedAddon, check_name, check_value, listed, wanted_addons
from paasd.domain.errors import BuildFailed
from paasd.domain.manifest import RELEASE, WEB, check_type

FILE = "heroku.yml"
EXAMPLE = "write build.docker.web as the path of a Dockerfile, such as `web: Dockerfile`"
BRACKETS_MAX = 1000
ALIASES_MAX = 1000
MERGED_MAX = 1000
TOO_DEEP = "heroku.yml is not valid YAML: it is nested too deeply."
TOO_MANY = "heroku.yml can't be read: its aliases (`*name`, `<<`) make too much of it; write it out."
KNOWN = {"": ("setup", "build", "release", "run"), "setup": ("addons", "config"), "build": ("docker", "config")}
TARGET = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,127}")
NOT_USED = "build.docker.{kind}.target is not used: here an app is one image, and it is {others}'s"


@dataclass(frozen=True, slots=True)
class HerokuYml:
    """The Dockerfile's path (None: it builds by none), process types beside the image's own command, the release
    command; add-ons and config vars that the app is to have before its first release. `target` is the Dockerfile's
    stage ("": the last), `arguments` are values of its ARGs. `unheeded` says what it has that is not used."""

    dockerfile: str | None
    run: Mapping[str, str] = field(default_factory=dict)
    release: str | None = None
    addons: tuple[WantedAddon, ...] = ()
    config: Mapping[str, str] = field(default_factory=dict, repr=False)
    unheeded: tuple[str, ...] = ()
    target: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)

    @property
    def types(self) -> tuple[str, ...]:
        """The process types that are its to tell, whatever a Procfile says."""
        return (*self.run, *([RELEASE] if self.release is not None else []))


class Unquoted(str):
    """A number, a truth or a date, as it is written: what a config var is to be."""

    __slots__ = ()


class Loader(yaml.SafeLoader):
    """PyYAML's safe one, in which a few lines of merges (`<<`) don't become more than memory holds."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """The mapping with what it merges."""
        super().flatten_mapping(node)
        if len(node.value) > MERGED_MAX:
            raise BuildFailed(TOO_MANY)


def _as_written(_: Loader, node: yaml.ScalarNode) -> Unquoted:
    return Unquoted(node.value)


for _kind in ("bool", "int", "float", "timestamp"):
    Loader.add_constructor(f"tag:yaml.org,2002:{_kind}", _as_written)


def read_heroku_yml(source: Source) -> HerokuYml | None:
    """None when there is none. Raises BuildFailed naming what can't be read or isn't done here."""
    told = source.text(FILE)
    return parse_heroku_yml(told) if told is not None else None


def parse_heroku_yml(text: str) -> HerokuYml:
    """Raises BuildFailed naming what can't be read or isn't done here."""
    document = _document(text)
    build, setup = _mapping(document, "build"), _mapping(document, "setup")
    docker = _mapping(build, "docker")
    commands = _mapping(document, "run") if docker else {}
    release = document.get("release") if docker else None
    return HerokuYml(
        _dockerfile(docker) if docker else None,
        {check_type(kind, "heroku.yml: run"): _command(f"run.{kind}", one) for kind, one in commands.items()},
        _command("release", release) if release is not None else None,
        wanted_addons(listed(setup, "addons", FILE, "setup.addons"), FILE, "setup.addons"),
        _config(setup, "setup.config"),
        _unheeded(document, build, docker, setup),
        _target(docker),
        _arguments(build),
    )


def with_setup(app: AppJson, manifest: HerokuYml | None) -> AppJson:
    """What both files ask for, heroku.yml's first: what app.json says of the same comes too late for it."""
    if manifest is None:
        return app
    return replace(app, addons=(*manifest.addons, *app.addons), setup=manifest.config)


def _document(text: str) -> Mapping[str, object]:
    if text.count("[") + text.count("{") > BRACKETS_MAX:  # the parser takes time by their square
        raise BuildFailed(TOO_DEEP)
    if text.count("*") > ALIASES_MAX:
        raise BuildFailed(TOO_MANY)
    try:
        document = yaml.load(text, Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise BuildFailed(f"heroku.yml is not valid YAML: {' '.join(str(error).split())[:200]}.") from error
    except RecursionError as error:
        raise BuildFailed(TOO_DEEP) from error
    if not isinstance(document, dict):
        raise BuildFailed(f"heroku.yml can't be read: {EXAMPLE}.")
    return document


def _dockerfile(docker: Mapping[str, object]) -> str:
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
    return path


def _mapping(document: Mapping[str, object], key: str) -> Mapping[str, object]:
    found = document.get(key)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise BuildFailed(f"heroku.yml: {key} must hold `name: value` lines.")
    return found


def _config(section: Mapping[str, object], place: str) -> dict[str, str]:
    found = {}
    for name, value in _mapping(section, "config").items():
        check_name(name, f"{FILE}: {place}")
        if not isinstance(value, str):
            raise BuildFailed(f"heroku.yml: write {place}.{name} as a text, such as `{name}: value`.")
        found[str(name)] = check_value(str(value), f"{FILE}: {place}.{name}")
    return found


def _arguments(build: Mapping[str, object]) -> dict[str, str]:
    found = _config(build, "build.config")
    for name, value in found.items():
        if len(value.splitlines()) > 1:
            raise BuildFailed(f"heroku.yml: build.config.{name} has more than one line, and an ARG has only one line.")
    return found


def _target(docker: Mapping[str, object]) -> str:
    """That of web, else of the first."""
    entry = docker.get(_first(docker)) if docker else None
    target = entry.get("target", "") if isinstance(entry, dict) else ""
    if not isinstance(target, str) or (target and TARGET.fullmatch(target) is None):
        raise BuildFailed("heroku.yml: write the target in build.docker as the name of one of the Dockerfile's stages.")
    return target


def _first(docker: Mapping[str, object]) -> str:
    return WEB if WEB in docker else next(iter(docker))


def _command(place: str, entry: object) -> str:
    """A string, a list of strings, or an object with such a `command`."""
    if isinstance(entry, dict):
        entry = entry.get("command")
    if isinstance(entry, list) and all(isinstance(part, str) for part in entry):
        entry = " && ".join(entry)
    if not isinstance(entry, str) or isinstance(entry, Unquoted) or not entry.strip() or "\0" in entry:
        raise BuildFailed(f"heroku.yml: {place[:80]} must be a command.")
    return entry


def _unheeded(
    document: Mapping[str, object],
    build: Mapping[str, object],
    docker: Mapping[str, object],
    setup: Mapping[str, object],
) -> tuple[str, ...]:
    """What it has that does nothing here: whoever pushes it is to know."""
    places: dict[str, tuple[Mapping[str, object], tuple[str, ...]]] = {
        "": (document, KNOWN[""]),
        "setup": (setup, KNOWN["setup"]),
        "build": (build, KNOWN["build"]),
    }
    for section, entries in (("build.docker", docker), ("run", _mapping(document, "run"))):
        keys = ("dockerfile", "target") if section == "build.docker" else ("command", "image")
        places |= {f"{section}.{kind}": (one, keys) for kind, one in entries.items() if isinstance(one, dict)}
    if isinstance(release := document.get("release"), dict):
        places["release"] = (release, ("command", "image"))
    strange = [
        f"{place}.{key}".removeprefix(".") for place, (one, known) in places.items() for key in one if key not in known
    ]
    return (
        *([f"{', '.join(ascii(one[:60]) for one in strange[:10])} is not known, and not used"] if strange else []),
        *(
            NOT_USED.format(kind=str(kind)[:63], others=_first(docker)[:63])
            for kind, one in docker.items()
            if isinstance(one, dict) and one.get("target", "") not in ("", _target(docker))
        ),
    )
