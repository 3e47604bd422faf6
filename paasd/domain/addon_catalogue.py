"""Which services and plans there are. Heroku's names, so that its CLI's examples work; all prices are 0."""

import random
import uuid
from collections.abc import Iterable
from dataclasses import replace

from paasd.domain.addon import Kind, Plan, Service
from paasd.domain.app import ADJECTIVES
from paasd.domain.errors import InvalidParams, NotFound
from paasd.domain.partner import Manifest

NAMESPACE = uuid.UUID("5f1d3f4e-6c0b-4c64-9d0e-0f6f70616173")  # ids of what has a name but no id
MEGABYTE, GIGABYTE = 1024**2, 1024**3
PREFIX = "heroku-"
COLORS = (
    *("AMBER", "AQUA", "BLACK", "BLUE", "BRONZE", "BROWN", "CHARCOAL", "COBALT", "COPPER", "CRIMSON", "CYAN", "GOLD"),
    *("GRAY", "GREEN", "IVORY", "JADE", "MAROON", "MAUVE", "NAVY", "OLIVE", "ONYX", "ORANGE", "PINK", "PUCE"),
    *("PURPLE", "RED", "ROSE", "SILVER", "TEAL", "VIOLET", "WHITE", "YELLOW"),
)


def make_plan(
    service: str, name: str, human_name: str, memory: int | None, disk: int | None, connections: int | None
) -> Plan:
    """A plan of a service. Bytes of memory and disk; None: no bound."""
    whole = f"{service}:{name}"
    return Plan(str(uuid.uuid5(NAMESPACE, f"plan/{whole}")), whole, human_name, memory, disk, connections)


def make_service(
    name: str, human_name: str, kind: Kind, variable: str, plans: Iterable[Plan], aliases: tuple[str, ...] = ()
) -> Service:
    """A service; its first plan is its default."""
    first, *rest = plans
    identity = str(uuid.uuid5(NAMESPACE, f"addon-service/{name}"))
    return Service(identity, name, human_name, kind, variable, (replace(first, default=True), *rest), aliases)


def built_in() -> tuple[Service, ...]:
    """PostgreSQL and Redis."""
    pg, redis = f"{PREFIX}postgresql", f"{PREFIX}redis"
    return (
        make_service(
            pg,
            "Heroku Postgres",
            Kind.POSTGRESQL,
            "DATABASE",
            (
                make_plan(pg, "essential-0", "Essential 0", 256 * MEGABYTE, 1 * GIGABYTE, 20),
                make_plan(pg, "essential-1", "Essential 1", 512 * MEGABYTE, 10 * GIGABYTE, 20),
                make_plan(pg, "essential-2", "Essential 2", 1 * GIGABYTE, 32 * GIGABYTE, 40),
                make_plan(pg, "mini", "Mini", 256 * MEGABYTE, 1 * GIGABYTE, 20),
                make_plan(pg, "small", "Small", 512 * MEGABYTE, 10 * GIGABYTE, 50),
                make_plan(pg, "standard-0", "Standard 0", 4 * GIGABYTE, 64 * GIGABYTE, 120),
            ),
            ("postgresql", "postgres"),
        ),
        make_service(
            redis,
            "Heroku Key-Value Store",
            Kind.REDIS,
            "REDIS",
            (
                make_plan(redis, "mini", "Mini", 25 * MEGABYTE, 1 * GIGABYTE, 20),
                make_plan(redis, "small", "Small", 100 * MEGABYTE, 2 * GIGABYTE, 50),
                make_plan(redis, "premium-0", "Premium 0", 50 * MEGABYTE, 1 * GIGABYTE, 40),
                make_plan(redis, "premium-1", "Premium 1", 100 * MEGABYTE, 2 * GIGABYTE, 80),
            ),
            ("redis",),
        ),
    )


def partner_service(manifest: Manifest) -> Service:
    """Somebody else's, as its manifest has it. What bounds its plans is the partner's."""
    plans = [make_plan(manifest.id, slug, name, None, None, None) for slug, name in manifest.plans]
    return replace(
        make_service(manifest.id, manifest.name, Kind.PARTNER, manifest.prefix, plans),
        provider=manifest.provider,
        suffixes=tuple(manifest.suffix(name) for name in manifest.variables),
        several="many_per_app" in manifest.requires,
        shared="attachable" in manifest.requires,
    )


class Catalogue:
    """The services, found by any of their names."""

    def __init__(self, services: Iterable[Service]) -> None:
        self.services = tuple(services)

    def service(self, name_or_id: str) -> Service:
        """By name, alias or id. NotFound."""
        for service in self.services:
            if name_or_id in (service.name, service.id, *service.aliases):
                return service
        raise NotFound(
            f"Couldn't find the add-on service {name_or_id[:80]!r}; see `heroku addons:services`.",
            resource="add_on_service",
        )

    def service_of(self, name: str) -> Service:
        """The one that an add-on is of, by its name; of a service that is not offered any more, no more than that."""
        found = next((one for one in self.services if one.name == name), None)
        return found or Service(str(uuid.uuid5(NAMESPACE, f"addon-service/{name}")), name, name, Kind.PARTNER, "", ())

    def plan(self, text: str) -> tuple[Service, Plan]:
        """Of "heroku-postgresql:essential-0", "postgresql:mini", or "redis" (its default plan), or a plan's id.
        NotFound, in Heroku's words."""
        name, colon, wanted = text.partition(":")
        for service in self.services:
            ours = name in (service.name, *service.aliases)
            for plan in service.plans:
                called = plan.name.partition(":")[2] == wanted or (not colon and plan.default)
                if plan.id == text or (ours and called):
                    return service, plan
        known = ", ".join(plan.name for service in self.services for plan in service.plans)
        raise NotFound(
            f'Couldn\'t find either the add-on service or the add-on plan of "{text[:80]}"; there are {known}.',
            resource="add_on_plan",
        )

    def plan_of(self, service: str, name: str) -> Plan:
        """The plan that an add-on has; one that is not offered any more has no bounds."""
        for one in self.services:
            for plan in one.plans:
                if plan.name == name:
                    return plan
        return make_plan(service, name.partition(":")[2], name.partition(":")[2], None, None, None)

    def sibling(self, service: Service, text: str) -> Plan:
        """A plan of the same service, named whole or alone ("small"). NotFound; InvalidParams for another service's."""
        found, plan = self.plan(text if ":" in text or self._names(text) else f"{service.name}:{text}")
        if found.name != service.name:
            raise InvalidParams(
                f"{plan.name} is a plan of another service; choose one of `heroku addons:plans {service.name}`.",
                resource="add_on",
            )
        return plan

    def _names(self, text: str) -> bool:
        return any(text in (one.name, *one.aliases, *(plan.id for plan in one.plans)) for one in self.services)


def generate_addon_name(service: Service, dice: random.Random) -> str:
    """As Heroku makes them: "postgresql-flat-12345"."""
    return f"{service.name.removeprefix(PREFIX)}-{dice.choice(ADJECTIVES)}-{dice.randrange(100_000):05d}"


def free_attachment_name(service: Service, taken: Iterable[str], dice: random.Random) -> str:
    """What an attachment is called where nobody gave it a name: DATABASE, then HEROKU_POSTGRESQL_BLUE."""
    names = set(taken)
    if service.variable not in names:
        return service.variable
    stem = service.name.upper().replace("-", "_")
    free = [name for color in COLORS if (name := f"{stem}_{color}") not in names]
    if not free:
        raise InvalidParams("The app has too many attachments of this service; name this one with --as.")
    return dice.choice(free)
