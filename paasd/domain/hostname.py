"""Host names that apps answer for besides their own: their shape, and which of them stand in each other's way."""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from paasd.domain.errors import InvalidParams

LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
WILDCARD = "*."
HOSTNAME_CHARACTERS = 253


@dataclass(frozen=True, slots=True)
class Domain:
    """A host name of an app's own. `hostname` as `check_hostname` gives it, unique over all apps."""

    id: str
    app_id: str
    hostname: str
    created_at: datetime
    updated_at: datetime


def check_hostname(ascii_name: str) -> str:
    """The name itself, if it is lower-case ASCII, has a dot, and is no address; `*.` may come first. InvalidParams."""
    bare = ascii_name.removeprefix(WILDCARD)
    labels = bare.split(".")
    if len(ascii_name) > HOSTNAME_CHARACTERS or not all(LABEL.fullmatch(label) for label in labels):
        raise not_a_hostname(ascii_name)
    if is_address(bare) or labels[-1].isdigit():
        raise InvalidParams("An IP address is no host name; give the name that leads to it.", resource="domain")
    if len(labels) < 2:
        raise InvalidParams(
            f"{ascii_name} has no domain of its own; give the whole name, such as www.example.org.", resource="domain"
        )
    return ascii_name


def not_a_hostname(text: str) -> InvalidParams:
    """What is said to anything that can't be one."""
    shown = "".join(character if character.isprintable() else "?" for character in text[:80])
    return InvalidParams(
        f"{shown!r} is not a host name; give one alone, without scheme, port or path, such as www.example.org.",
        resource="domain",
    )


def is_address(name: str) -> bool:
    """Whether it is an IP address, also in brackets."""
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def wildcards_over(hostname: str) -> tuple[str, ...]:
    """The wildcards that a host name falls under, the nearest first: for a.b.org they are `*.b.org` and `*.org`."""
    labels = hostname.removeprefix(WILDCARD).split(".")
    first = 0 if hostname.startswith(WILDCARD) else 1
    own = hostname if hostname.startswith(WILDCARD) else None
    above = (WILDCARD + ".".join(labels[index:]) for index in range(first, len(labels)))
    return tuple(name for name in above if name != own)


def overlap(one: str, other: str) -> bool:
    """Whether one of two different names is a wildcard that the other falls under."""
    return other in wildcards_over(one) or one in wildcards_over(other)


def labels_in(zone: str, hostnames: Iterable[str]) -> frozenset[str]:
    """What names directly under the zone have before it: no app may be called that."""
    found = (name.removesuffix(f".{zone}") for name in hostnames if name.endswith(f".{zone}"))
    return frozenset(label for label in found if "." not in label)


def is_within(hostname: str, zone: str) -> bool:
    """Whether it is the zone itself or a name below it."""
    bare = hostname.removeprefix(WILDCARD)
    return bare == zone or bare.endswith(f".{zone}")
