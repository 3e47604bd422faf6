"""Add-ons: a service with a plan, provisioned once, and attached to apps under names that become config vars."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from paasd.domain.errors import InvalidParams

NEARLY = 0.9
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


class Fullness(StrEnum):
    """How much of what a plan is for is used."""

    FINE = "fine"
    NEAR = "near"
    OVER = "over"


def fullness(used: int, bound: int) -> Fullness:
    """From nine tenths on it is near, from all of it on over."""
    if used >= bound:
        return Fullness.OVER
    return Fullness.NEAR if used >= bound * NEARLY else Fullness.FINE


LIVING = frozenset({AddonState.PROVISIONING, AddonState.PROVISIONED, AddonState.DEPROVISIONING})


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

    def bound_of(self, kind: Kind) -> int | None:
        """Bytes of data that it is for: of Redis those in memory."""
        return self.memory if kind is Kind.REDIS else self.disk


@dataclass(frozen=True, slots=True)
class Service:
    """`name` is Heroku's ("heroku-postgresql"), `aliases` what else people type ("postgresql").

    `variable` is what an attachment's config vars begin with where no name was given ("DATABASE", "REDIS"), `suffixes`
    what they end with. `several`: an app may have more than one; `shared`: other apps may be attached to one.
    """

    id: str
    name: str
    human_name: str
    kind: Kind
    variable: str
    plans: tuple[Plan, ...]
    aliases: tuple[str, ...] = ()
    provider: str = ""  # the AddonProvider that it is had from
    suffixes: tuple[str, ...] = ("URL",)
    several: bool = True
    shared: bool = True


@dataclass(frozen=True, slots=True)
class Addon:
    """`secret` is its password here, of 256 random bits: chosen before anything is provisioned, so that doing it again
    gives the same. `values` are the config vars that a partner gave, by what follows the attachment's name ("URL");
    empty for providers of ours, as are `resource` (what the partner calls it), `options` (what it was ordered with) and
    `message` (what the partner says of it).

    `plan` and `service` are names; `app_id` is the app that owns ("is billed for") it. `host` is what it was called at
    first: a server's host name, which a rename leaves as it is. `next_secret` is there while it is being made the
    password. `attached_as` is what it was called by its owner when it was destroyed.
    """

    id: str
    name: str
    app_id: str
    service: str
    plan: str
    provider: str
    host: str
    state: AddonState
    created_at: datetime
    updated_at: datetime
    secret: str = field(repr=False)
    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    next_secret: str | None = field(default=None, repr=False)
    attached_as: str | None = None
    failure: str | None = None
    ended_at: datetime | None = None
    resource: str | None = None
    options: Mapping[str, str] = field(default_factory=dict, repr=False)
    message: str = field(default="", repr=False)

    @property
    def alive(self) -> bool:
        """Whether it has its name: nobody else may be called so."""
        return self.state in LIVING

    @property
    def kept_until(self) -> datetime | None:
        """When the data of a destroyed one may go."""
        return None if self.ended_at is None else self.ended_at + timedelta(days=KEPT_DAYS)


@dataclass(frozen=True, slots=True)
class Attachment:
    """`name` is what its config vars begin with: DATABASE gives DATABASE_URL.

    `values` are these, empty until the app was let in. One that has ended (`ended_at`) is there until the app is not
    let in any more.
    """

    id: str
    addon_id: str
    app_id: str
    name: str
    created_at: datetime
    updated_at: datetime
    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AttachedThen:
    """An attachment as a release holds it. `variables` are the names of its config vars."""

    attachment: str
    addon_id: str
    addon: str
    plan: str
    variables: tuple[str, ...]

    @property
    def label(self) -> str:
        """As release descriptions have it: "DATABASE (@postgresql-flat-12345)"."""
        return f"{self.attachment} (@{self.addon})"


@dataclass(frozen=True, slots=True)
class AttachedNow:
    """What a release recorded now gets of the app's add-ons: the snapshot, and all their config vars."""

    attachments: tuple[AttachedThen, ...] = ()
    config: Mapping[str, str] = field(default_factory=dict, repr=False)


def attachment_differences(then: Iterable[AttachedThen], now: Iterable[AttachedThen]) -> tuple[str, ...]:
    """What differs, a sentence each, by the attachments' names: what somebody who goes back should know."""
    before, after = {one.attachment: one for one in then}, {one.attachment: one for one in now}
    said = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if new is None and old is not None:
            said.append(f"{name} was {old.addon} ({old.plan}) then, and is not attached now.")
        elif old is None and new is not None:
            said.append(f"{name} is {new.addon} ({new.plan}) now, and was not attached then.")
        elif old is not None and new is not None and old.addon_id != new.addon_id:
            said.append(f"{name} is {new.addon} ({new.plan}) now, and was {old.addon} ({old.plan}) then.")
        elif old is not None and new is not None and old.plan != new.plan:
            said.append(f"{name} ({new.addon}) has the plan {new.plan} now, and had {old.plan} then.")
    return tuple(said)


def describe_attachments(before: Iterable[AttachedThen], now: AttachedNow, config: Mapping[str, str]) -> str | None:
    """A release's description, in Heroku's words; None when it would change nothing. `config` is the one before."""
    old, new = {one.attachment: one for one in before}, {one.attachment: one for one in now.attachments}
    gone = [one for name, one in old.items() if name not in new or new[name].addon_id != one.addon_id]
    come = [one for name, one in new.items() if name not in old or old[name].addon_id != one.addon_id]
    stayed = [one for one in new.values() if one not in come]
    changed = [
        one
        for one in stayed
        if one.variables != old[one.attachment].variables
        or any(config.get(name) != now.config[name] for name in one.variables)
    ]
    parts = [f"Detach {', '.join(one.label for one in gone)}"] if gone else []
    parts += [f"Attach {', '.join(one.label for one in come)}"] if come else []
    for one in changed:
        parts.append(f"Update {one.attachment} by {one.plan.partition(':')[0]}")
    return ", ".join(parts) or None


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
