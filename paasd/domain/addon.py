"""Add-ons: a service with a plan, provisioned once, and attached to apps under names that become config vars."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from paasd.domain.errors import InvalidParams

KEPT_DAYS = 7  # a destroyed add-on's data
ADDON_NAME = re.compile(r"[a-z][a-z0-9-]{0,61}[a-z0-9]")
ATTACHMENT_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,62}")


class Kind(StrEnum):
    """What a service is, for those who talk to it."""

    POSTGRESQL = "postgresql"
    REDIS = "redis"
    PARTNER = "partner"  # somebody else's, by Heroku's add-on partner API


class AddonState(StrEnum):
    """State of an add-on. The first three and the last are Heroku's words on the wire; `failed` is shown as
    `deprovisioned` there, with its reason."""

    PROVISIONING = "provisioning"
    PROVISIONED = "provisioned"
    DEPROVISIONING = "deprovisioning"
    FAILED = "failed"
    DEPROVISIONED = "deprovisioned"  # its data may be kept for KEPT_DAYS


@dataclass(frozen=True, slots=True)
class Plan:
    """`name` is whole, as on the wire: "heroku-postgresql:essential-0". Bytes of memory and disk; None: no bound."""

    id: str
    name: str
    human_name: str
    memory: int | None = None
    disk: int | None = None
    connections: int | None = None
    default: bool = False


@dataclass(frozen=True, slots=True)
class Service:
    """`name` is Heroku's ("heroku-postgresql"), `aliases` what else people type ("postgresql").

    `variable` is what an attachment's config vars begin with where no name was given ("DATABASE", "REDIS").
    """

    id: str
    name: str
    human_name: str
    kind: Kind
    variable: str
    plans: tuple[Plan, ...]
    aliases: tuple[str, ...] = ()
    provider: str = ""  # the AddonProvider that it is had from


@dataclass(frozen=True, slots=True)
class Addon:
    """`secret` is its password here, of 256 random bits: chosen before anything is provisioned, so that doing it again
    gives the same. `values` are the config vars that a partner gave, by name; empty for providers of ours.

    `plan` and `service` are names; `app_id` is the app that owns ("is billed for") it.
    """

    id: str
    name: str
    app_id: str
    service: str
    plan: str
    provider: str
    state: AddonState
    created_at: datetime
    updated_at: datetime
    secret: str = field(repr=False)
    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    failure: str | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Attachment:
    """`name` is what its config vars begin with: DATABASE gives DATABASE_URL."""

    id: str
    addon_id: str
    app_id: str
    name: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class AttachedThen:
    """An attachment as a release holds it. `variables` are the names of its config vars."""

    attachment: str
    addon_id: str
    addon: str
    plan: str
    variables: tuple[str, ...]


def config_without(config: Mapping[str, str], attached: Iterable[AttachedThen]) -> dict[str, str]:
    """An app's own config vars: those of a release that no attachment gave it."""
    theirs = {name for one in attached for name in one.variables}
    return {name: value for name, value in config.items() if name not in theirs}


def check_addon_name(name: object) -> str:
    """InvalidParams unless it is 2 to 63 lower-case letters, digits and dashes."""
    if not isinstance(name, str) or ADDON_NAME.fullmatch(name) is None:
        raise InvalidParams(
            "An add-on's name starts with a letter, and has 2 to 63 lower-case letters, digits and dashes; "
            "choose such a one with --name.",
            resource="add_on",
        )
    return name


def check_attachment_name(name: object) -> str:
    """InvalidParams unless it can begin a config var's name: "DATABASE"."""
    if not isinstance(name, str) or ATTACHMENT_NAME.fullmatch(name) is None:
        raise InvalidParams(
            "An attachment's name starts with a letter, and has up to 63 capital letters, digits and underscores; "
            "choose such a one with --as.",
            resource="add_on attachment",
        )
    return name
