"""Apps, and the rules for their names and config vars. A rule broken raises InvalidParams with what to do."""

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from paasd.domain.errors import InvalidParams
from paasd.domain.upkeep import Upkeep

NAME = re.compile(r"[a-z][a-z0-9-]{1,28}[a-z0-9]")
RESERVED = frozenset({"api", "git", "www"})  # names of the platform's own in a zone
CONFIG_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
CONFIG_BYTES = 64 * 1024  # Heroku's limit on names and values together
CONFIG_NAME_CHARACTERS = 256

ADJECTIVES = (
    "ancient autumn billowing bitter black blooming blue bold broken calm cold cool crimson damp dark dawn "
    "delicate divine dry empty evening falling floral fragrant frosty green hidden holy icy late lingering little "
    "lively long misty morning nameless old patient polished proud purple quiet red restless rough shy silent small "
    "snowy solitary sparkling still summer throbbing twilight wandering weathered white wild winter wispy young"
).split()
NOUNS = (
    "bird breeze brook bush butterfly cherry cloud darkness dawn dew dream dust feather field fire firefly flower fog "
    "forest frog frost glade glitter grass haze hill lake leaf meadow moon morning mountain night paper pine pond rain "
    "resonance river sea shadow shape silence sky smoke snow snowflake sound star sun sunset surf thunder tree violet "
    "voice water waterfall wave wildflower wind wood"
).split()


@dataclass(frozen=True, slots=True)
class App:
    """An app. `id` is a UUID; `owner` its account's e-mail; `released_at` the time of its newest served release.

    `hostnames` are those of its own, besides `<name>.<zone>`.
    """

    id: str
    name: str
    owner_id: str
    owner_email: str
    maintenance: bool
    created_at: datetime
    updated_at: datetime
    released_at: datetime | None = None
    release_timeout: float = 3600.0  # seconds the release phase may take
    archived_at: datetime | None = None
    upkeep: Upkeep = field(default_factory=Upkeep)
    hostnames: tuple[str, ...] = ()


def check_app_name(name: str, more: frozenset[str] = frozenset()) -> str:
    """The name itself, if an app may be called so. Raises InvalidParams."""
    if not NAME.fullmatch(name):
        raise InvalidParams(
            "Name must start with a letter, end with a letter or digit, and can only contain lowercase letters, "
            "digits, and dashes, 3 to 30 in all; choose another name.",
            resource="app",
        )
    if name in RESERVED or name in more:
        raise InvalidParams(f"The name {name} is the platform's own; choose another name.", resource="app")
    return name


def generate_app_name(dice: random.Random) -> str:
    """A name as Heroku makes them: "quiet-brook-04217"."""
    return f"{dice.choice(ADJECTIVES)}-{dice.choice(NOUNS)}-{dice.randrange(100_000):05d}"[-30:]


def merge_config(current: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    """`current` with `changes` laid over it; None removes a name. Raises InvalidParams, naming the config var."""
    for name, value in changes.items():
        check_config_var(name, value)
    merged = {name: value for name, value in {**current, **changes}.items() if value is not None}
    size = sum(len(name.encode()) + len(value.encode()) for name, value in merged.items())
    if size > CONFIG_BYTES:
        raise InvalidParams(
            f"Config vars would take {size} bytes of the {CONFIG_BYTES} an app may have; "
            "keep large values in a file or an add-on."
        )
    return merged


def check_config_var(name: str, value: str | None) -> None:
    """Raises InvalidParams unless an environment can hold this name and value."""
    if not CONFIG_NAME.fullmatch(name) or len(name) > CONFIG_NAME_CHARACTERS:
        raise InvalidParams(
            f"Config var name {name[:40]!r} is not usable; start with a letter or underscore, go on with letters, "
            f"digits, underscores, dots or dashes, {CONFIG_NAME_CHARACTERS} at most."
        )
    if value is None:
        return
    if "\0" in value:
        raise InvalidParams(f"The value of {name} holds a NUL byte, which no environment can carry; encode it first.")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidParams(f"The value of {name} is not valid Unicode; encode it first.") from error


def describe_config_change(current: Mapping[str, str], changes: Mapping[str, str | None]) -> str | None:
    """The release's description in Heroku's words, or None when nothing would change."""
    set_names = [name for name, value in changes.items() if value is not None and current.get(name) != value]
    gone = [name for name, value in changes.items() if value is None and name in current]
    parts = [f"{verb} {', '.join(names)}" for verb, names in (("Set", set_names), ("Remove", gone)) if names]
    return f"{' and '.join(parts)} config vars" if parts else None
