"""Maintenance in all its forms, and apps' own pages: values, and the rules they keep. A rule broken: InvalidParams."""

import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from paasd.domain.errors import InvalidParams

PAGE_BYTES = 256 * 1024
PAUSE_SECONDS = 120.0
LONGEST = timedelta(days=366)
NETWORKS = 100
PATH_CHARACTERS = 512
BYPASS_SECONDS = 7 * 86400


class PageKind(StrEnum):
    """When a page is shown: during maintenance, or when the app fails to answer."""

    MAINTENANCE = "maintenance"
    ERROR = "error"

    @property
    def variable(self) -> str:
        """The config var that says where the page is fetched from."""
        return f"{self.value.upper()}_PAGE_URL"


@dataclass(frozen=True, slots=True)
class Upkeep:
    """How an app is kept in maintenance. All but the pages and the health path end with it.

    `pause` is how many seconds a request waits for the end before it gets the page; `bypass` the key that signs links
    for those who are let in; the pages are the SHA-256 of those in force.
    """

    until: datetime | None = None
    pause: float | None = None
    allow: tuple[str, ...] = ()
    health_path: str | None = None
    bypass: str | None = None
    maintenance_page: str | None = None
    error_page: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """An app's own page. `source`: the SHA-256 of the URL, maybe a secret, it was fetched from; None: uploaded."""

    kind: PageKind
    sha256: str
    size: int
    updated_at: datetime
    source: str | None = None


def check_until(until: datetime, now: datetime) -> datetime:
    """The time in UTC, if maintenance may end then."""
    if until.tzinfo is None:
        raise InvalidParams("until has no time zone: write it as 2026-01-31T14:30:00Z.")
    if until <= now:
        raise InvalidParams(f"until is {until.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}, which is over: give a later time.")
    if until - now > LONGEST:
        raise InvalidParams(f"until is too far away: maintenance may last {LONGEST.days} days at most.")
    return until.astimezone(UTC)


def check_pause(seconds: float) -> float:
    """The seconds themselves, if requests may wait so long."""
    if not 0 < seconds <= PAUSE_SECONDS:
        raise InvalidParams(f"pause is {seconds:g}: give more than 0 and at most {PAUSE_SECONDS:g} seconds.")
    return float(seconds)


def check_networks(networks: Sequence[str]) -> tuple[str, ...]:
    """The networks as they are usually written; an address is a network of one."""
    if len(networks) > NETWORKS:
        raise InvalidParams(f"allow has {len(networks)} networks: give at most {NETWORKS}.")
    checked = []
    for network in networks:
        try:
            checked.append(str(ipaddress.ip_network(network.strip())))
        except ValueError as error:
            said = str(error).removesuffix(".")
            raise InvalidParams(f"allow: {said}; write an address or a network such as 203.0.113.0/24.") from error
    return tuple(dict.fromkeys(checked))


def check_path(path: str, name: str) -> str:
    """The path itself, if a request's can be so."""
    printable = all(32 < ord(character) < 127 for character in path)
    if not path.startswith("/") or not printable or "?" in path or "#" in path or len(path) > PATH_CHARACTERS:
        raise InvalidParams(
            f"{name} is not a path: begin with /, use ASCII without spaces, ? and #, {PATH_CHARACTERS} at most."
        )
    return path


def check_bypass_seconds(seconds: float) -> int:
    """Whole seconds that a bypass link and its cookie may be good for."""
    if not 1 <= seconds <= BYPASS_SECONDS:
        raise InvalidParams(f"seconds is {seconds:g}: a bypass is good for 1 to {BYPASS_SECONDS} seconds.")
    return int(seconds)


def check_page(body: bytes) -> str:
    """The SHA-256 of a page that may be shown."""
    if len(body) > PAGE_BYTES:
        raise InvalidParams(
            f"The page is larger than {PAGE_BYTES // 1024} kB: make it smaller, or load pictures from elsewhere."
        )
    if not body.strip():
        raise InvalidParams("The page is empty: send HTML, or take the page away instead.")
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise InvalidParams(f"The page is not UTF-8 (byte {error.start}): save it as UTF-8.") from error
    if "\0" in text:
        raise InvalidParams("The page holds a NUL byte, which no HTML has: send HTML.")
    return hashlib.sha256(body).hexdigest()
