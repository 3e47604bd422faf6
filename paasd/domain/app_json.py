"""app.json: what a source says of its app beside the Procfile. Pure: text in, values out."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from paasd.domain.addon import ATTACHMENT_NAME
from paasd.domain.errors import BuildFailed
from paasd.domain.health import Pace, http_check, pace_of, unused

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
FILE = "app.json"
ADDONS_MAX = 20
CONTENT_MAX = 1000
WEB = "web"
SCRIPTS = ("predeploy", "postdeploy")
KNOWN = (
    *("addons", "build", "buildpacks", "env", "formation", "healthchecks", "scripts"),
    *("$schema", "description", "keywords", "logo", "name", "repository", "success_url", "website"),  # for people
)
NOT_RUN: Mapping[str, str] = {
    "cron": '"cron" is not run here yet: have a process type that keeps the time',
    "environments": '"environments" is not used: there are neither review apps nor test runs here',
    "stack": '"stack" is not used: the version that the source asks for chooses it',
}
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
    as ("DB"), the options that a partner is to be sent, and the file that says so."""

    plan: str
    attach_as: str | None = None
    options: Mapping[str, str] = field(default_factory=dict, repr=False)
    file: str = FILE


@dataclass(frozen=True, slots=True)
class AppJson:
    """What is used of app.json. `formation`: process type -> quantity, `sizes` -> size as it is written there; `build`:
    config vars a build may see; `health_paces` of those types whose checks have one.

    `health_contents` are texts that the page at a health path must hold. `unheeded` says what it has that is not used.
    `setup` are the config vars that heroku.yml sets before the first release.
    """

    health_paths: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, EnvEntry] = field(default_factory=dict)
    formation: Mapping[str, int] = field(default_factory=dict)
    predeploy: str | None = None
    postdeploy: str | None = None
    build: tuple[str, ...] = ()
    buildpacks: tuple[str, ...] = ()
    addons: tuple[WantedAddon, ...] = ()
    health_contents: Mapping[str, str] = field(default_factory=dict)
    unheeded: tuple[str, ...] = ()
    setup: Mapping[str, str] = field(default_factory=dict, repr=False)
    sizes: Mapping[str, str] = field(default_factory=dict)
    health_paces: Mapping[str, Pace] = field(default_factory=dict)


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
    checks = _section(document, "healthchecks", "of process types")
    formation = _section(document, "formation", "of types")
    paths = _health_paths(checks)
    return AppJson(
        health_paths=paths,
        health_paces={kind: pace for kind, one in checks.items() if (pace := pace_of(kind, one)) != Pace()},
        health_contents={kind: content for kind in paths if (content := _content(kind, checks[kind]))},
        unheeded=_unheeded(document, checks),
        env={
            check_name(name): _env(name, value) for name, value in _section(document, "env", "of config vars").items()
        },
        formation={kind: _quantity(kind, one) for kind, one in formation.items()},
        sizes=_sizes(formation),
        predeploy=_command(scripts, "predeploy"),
        postdeploy=_command(scripts, "postdeploy"),
        build=tuple(check_name(name) for name in listed(document, "build")),
        buildpacks=tuple(_buildpack(one) for one in listed(document, "buildpacks")),
        addons=wanted_addons(_one_or_list(document, "addons")),
    )


def _section(document: Mapping[str, object], key: str, what: str) -> Mapping[str, object]:
    found = document.get(key, {})
    if not isinstance(found, dict):
        raise BuildFailed(f'app.json can\'t be read: write "{key}" as an object {what}.')
    return found


def listed(document: Mapping[str, object], key: str, file: str = FILE, place: str = "") -> Sequence[object]:
    """What a document has there, nothing if it has not. Raises BuildFailed for what is no list."""
    found = document.get(key)
    if found is None:
        return []
    if not isinstance(found, list):
        raise BuildFailed(f'{file} can\'t be read: write "{place or key}" as a list.')
    return found


def _one_or_list(document: Mapping[str, object], key: str) -> Sequence[object]:
    """As apps of long ago have it: {"addons": "sentry"}."""
    found = document.get(key)
    return [found] if isinstance(found, str) else listed(document, key)


def check_name(name: object, place: str = FILE) -> str:
    """The name of a config var. Raises BuildFailed."""
    if not isinstance(name, str) or NAME.fullmatch(name) is None:
        shown = f"{name[:60]!a}" if isinstance(name, str) else "what is no text"
        raise BuildFailed(f"{place}: {shown} can't be the name of a config var; letters, digits and _ make one.")
    return name


def check_value(value: str, place: str) -> str:
    """The value of a config var. Raises BuildFailed for what no environment can carry."""
    if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise BuildFailed(f"{place} can't be set: it has a NUL byte or half of a character in it; encode it first.")
    return value


def _env(name: str, value: object) -> EnvEntry:
    if isinstance(value, str):
        return EnvEntry(check_value(value, f"{FILE}: env.{name}"))
    if not isinstance(value, dict):
        raise BuildFailed(f'app.json: write env.{name} as a string or as {{"value": "…"}}.')
    generator, own, required = value.get("generator"), value.get("value"), value.get("required", True)
    if generator not in (None, "secret"):
        raise BuildFailed(f'app.json: the generator of env.{name} is not known; "secret" is the one there is.')
    if own is not None and not isinstance(own, str):
        raise BuildFailed(f"app.json: the value of env.{name} must be a string.")
    if own is not None:
        check_value(own, f"{FILE}: env.{name}")
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


def wanted_addons(entries: Sequence[object], file: str = FILE, place: str = "addons") -> tuple[WantedAddon, ...]:
    """As a list in a file names them. Raises BuildFailed."""
    if len(entries) > ADDONS_MAX:
        raise BuildFailed(f'{file}: "{place}" has more than {ADDONS_MAX} entries; take some out.')
    found = tuple(_addon(one, file, place) for one in entries)
    names = [one.attach_as for one in found if one.attach_as is not None]
    for name in names:
        if names.count(name) > 1:
            raise BuildFailed(f"{file}: two add-ons are to be attached as {name}; give each a name of its own.")
    return found


def _addon(entry: object, file: str, place: str) -> WantedAddon:
    plan, name, options = (
        (entry.get("plan"), entry.get("as"), entry.get("options", {})) if isinstance(entry, dict) else (entry, None, {})
    )
    if not isinstance(plan, str) or PLAN.fullmatch(plan) is None:
        raise BuildFailed(
            f'{file}: write each of "{place}" as "heroku-postgresql:essential-0" or as {{"plan": "…", "as": "DB"}}.'
        )
    if name is not None and (not isinstance(name, str) or ATTACHMENT_NAME.fullmatch(name) is None):
        raise BuildFailed(
            f'{file}: the add-on {plan} can\'t be attached as {str(name)[:60]!a}; write "as" in capitals.'
        )
    if not isinstance(options, dict) or not all(isinstance(value, str) for value in options.values()):
        raise BuildFailed(f'{file}: write the options of the add-on {plan} as {{"name": "value"}}, each a string.')
    return WantedAddon(plan, name, options, file)


def _health_paths(checks: Mapping[str, object]) -> dict[str, str]:
    """The first entry with a path counts: `{"web": [{"type": "startup", "path": "/ok"}]}`."""
    paths: dict[str, str] = {}
    for process_type, entries in checks.items():
        entry = http_check(entries)
        path = None if entry is None else str(entry.get("path", "/"))
        if path is None:
            continue
        if not path.startswith("/") or any(ord(character) <= 32 or ord(character) == 127 for character in path):
            raise BuildFailed(
                f"app.json: the health check path of {process_type!r} must start with / and hold no spaces."
            )
        paths[process_type] = path
    return paths


def _content(kind: str, entries: object) -> str | None:
    content = (http_check(entries) or {}).get("content")
    if content is not None and (not isinstance(content, str) or len(content) > CONTENT_MAX):
        raise BuildFailed(
            f"app.json: the content that the health check of {kind[:63]!a} looks for must be a text of at most "
            f"{CONTENT_MAX} characters."
        )
    return content


def _sizes(formation: Mapping[str, object]) -> dict[str, str]:
    found = {}
    for kind, entry in formation.items():
        size = entry.get("size") if isinstance(entry, dict) else None
        if size is not None and (not isinstance(size, str) or not size):
            raise BuildFailed(f'app.json: write the size of formation.{kind[:63]} as a name, such as "Standard-1X".')
        if size is not None:
            found[kind] = size
    return found


def _unheeded(document: Mapping[str, object], checks: Mapping[str, object]) -> tuple[str, ...]:
    """What others run of app.json and is not run here: whoever pushes it is to know."""
    found = [words for key, words in NOT_RUN.items() if document.get(key)]
    strange = [key[:60] for key in document if key not in KNOWN and key not in NOT_RUN]
    scripts = [f"scripts.{key[:60]}" for key in _section(document, "scripts", "of commands") if key not in SCRIPTS]
    if strange or scripts:
        found.append(f"not used here: {', '.join(ascii(one) for one in [*strange, *scripts][:10])}")
    beside = [words for kind, entries in checks.items() for words in unused(kind, entries, serves=kind == WEB)]
    if beside:
        found.append(f"of the health checks, not used here: {'; '.join(beside[:10])}")
    return tuple(found)
