"""app.json: what a source says of its app beside the Procfile. Pure: text in, values out."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from paasd.domain.addon import ATTACHMENT_NAME
from paasd.domain.errors import BuildFailed

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
ADDONS_MAX = 20
PLAN = re.compile(r"[a-z0-9][a-z0-9-]{0,62}(:[A-Za-z0-9][A-Za-z0-9._-]{0,62})?")


@dataclass(frozen=True, slots=True)
class EnvEntry:
    """A config var that the app wants: its value, or whether a random one is to be made, or is `required`."""

    value: str | None = field(default=None, repr=False)
    generated: bool = False
    required: bool = True


@dataclass(frozen=True, slots=True)
class WantedAddon:
    """An add-on that the app wants: "heroku-postgresql" or "heroku-postgresql:essential-0", what it is to be attached
    as ("DB"), and the names of the options that it is to have."""

    plan: str
    attach_as: str | None = None
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AppJson:
    """What is used of app.json. `formation`: process type -> quantity; `build`: config vars a build may see."""

    health_paths: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, EnvEntry] = field(default_factory=dict)
    formation: Mapping[str, int] = field(default_factory=dict)
    predeploy: str | None = None
    postdeploy: str | None = None
    build: tuple[str, ...] = ()
    buildpacks: tuple[str, ...] = ()
    addons: tuple[WantedAddon, ...] = ()


def parse_app_json(text: str | None) -> AppJson:
    """The empty one for None. Raises BuildFailed naming what can't be read."""
    if text is None:
        return AppJson()
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise BuildFailed(f"app.json is not valid JSON ({reason}); mend it or remove it.") from error
    if not isinstance(document, dict):
        raise BuildFailed("app.json can't be read: write an object.")
    scripts = _section(document, "scripts", "of commands")
    return AppJson(
        health_paths=_health_paths(_section(document, "healthchecks", "of process types")),
        env={_name(name): _env(name, value) for name, value in _section(document, "env", "of config vars").items()},
        formation={kind: _quantity(kind, one) for kind, one in _section(document, "formation", "of types").items()},
        predeploy=_command(scripts, "predeploy"),
        postdeploy=_command(scripts, "postdeploy"),
        build=tuple(_name(name) for name in _list(document, "build")),
        buildpacks=tuple(_buildpack(one) for one in _list(document, "buildpacks")),
        addons=_addons(_list(document, "addons")),
    )


def _section(document: Mapping[str, object], key: str, what: str) -> Mapping[str, object]:
    found = document.get(key, {})
    if not isinstance(found, dict):
        raise BuildFailed(f'app.json can\'t be read: write "{key}" as an object {what}.')
    return found


def _list(document: Mapping[str, object], key: str) -> Sequence[object]:
    found = document.get(key, [])
    if not isinstance(found, list):
        raise BuildFailed(f'app.json can\'t be read: write "{key}" as a list.')
    return found


def _name(name: object) -> str:
    if not isinstance(name, str) or NAME.fullmatch(name) is None:
        raise BuildFailed(
            f"app.json: {str(name)[:60]!a} can't be the name of a config var; letters, digits and _ make one."
        )
    return name


def _env(name: str, value: object) -> EnvEntry:
    if isinstance(value, str):
        return EnvEntry(value)
    if not isinstance(value, dict):
        raise BuildFailed(f'app.json: write env.{name} as a string or as {{"value": "…"}}.')
    generator, own, required = value.get("generator"), value.get("value"), value.get("required", True)
    if generator not in (None, "secret"):
        raise BuildFailed(f'app.json: the generator of env.{name} is not known; "secret" is the one there is.')
    if own is not None and not isinstance(own, str):
        raise BuildFailed(f"app.json: the value of env.{name} must be a string.")
    return EnvEntry(own, generator == "secret" and own is None, required is not False)


def _quantity(kind: str, entry: object) -> int:
    quantity = entry.get("quantity", 1) if isinstance(entry, dict) else entry
    if not isinstance(quantity, int) or isinstance(quantity, bool) or not 0 <= quantity <= 100:
        raise BuildFailed(f'app.json: write formation.{kind[:63]} as {{"quantity": 1}}, with a number from 0 to 100.')
    return quantity


def _command(scripts: Mapping[str, object], key: str) -> str | None:
    found = scripts.get(key)
    if isinstance(found, dict):
        found = found.get("command")
    if found is None or found == "":
        return None
    if not isinstance(found, str) or "\0" in found:
        raise BuildFailed(f"app.json: write scripts.{key} as a string, the command to run.")
    return found


def _buildpack(entry: object) -> str:
    url = entry.get("url") if isinstance(entry, dict) else entry
    if not isinstance(url, str):
        raise BuildFailed('app.json: write each of "buildpacks" as {"url": "…"}.')
    return url


def _addons(entries: Sequence[object]) -> tuple[WantedAddon, ...]:
    if len(entries) > ADDONS_MAX:
        raise BuildFailed(f'app.json: "addons" has more than {ADDONS_MAX} entries; take some out.')
    found = tuple(_addon(one) for one in entries)
    names = [one.attach_as for one in found if one.attach_as is not None]
    for name in names:
        if names.count(name) > 1:
            raise BuildFailed(f"app.json: two add-ons are to be attached as {name}; give each a name of its own.")
    return found


def _addon(entry: object) -> WantedAddon:
    plan, name, options = (
        (entry.get("plan"), entry.get("as"), entry.get("options", {})) if isinstance(entry, dict) else (entry, None, {})
    )
    if not isinstance(plan, str) or PLAN.fullmatch(plan) is None:
        raise BuildFailed(
            'app.json: write each of "addons" as "heroku-postgresql:essential-0" or as {"plan": "…", "as": "DB"}.'
        )
    if name is not None and (not isinstance(name, str) or ATTACHMENT_NAME.fullmatch(name) is None):
        raise BuildFailed(
            f'app.json: the add-on {plan} can\'t be attached as {str(name)[:60]!a}; write "as" in capitals.'
        )
    if not isinstance(options, dict):
        raise BuildFailed(f'app.json: write the options of the add-on {plan} as {{"name": "value"}}.')
    return WantedAddon(plan, name, tuple(str(one)[:60] for one in options))


def _health_paths(checks: Mapping[str, object]) -> dict[str, str]:
    """The first entry with a path counts: `{"web": [{"type": "startup", "path": "/ok"}]}`."""
    paths: dict[str, str] = {}
    for process_type, entries in checks.items():
        path = _first_path(entries)
        if path is None:
            continue
        if not path.startswith("/") or any(ord(character) <= 32 or ord(character) == 127 for character in path):
            raise BuildFailed(
                f"app.json: the health check path of {process_type!r} must start with / and hold no spaces."
            )
        paths[process_type] = path
    return paths


def _first_path(entries: object) -> str | None:
    candidates = entries if isinstance(entries, list) else [entries]
    for entry in candidates:
        if isinstance(entry, dict) and isinstance(entry.get("path"), str):
            return str(entry["path"])
    return None
