"""Host names of apps' own: taken once over all apps, in one spelling, and served as soon as they are added."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import idna
import structlog

from paasd.domain.access import Actor, Permission
from paasd.domain.app import App
from paasd.domain.errors import InvalidParams, NotFound, PaasError
from paasd.domain.hostname import (
    WILDCARD,
    Domain,
    check_hostname,
    is_address,
    is_within,
    not_a_hostname,
    overlap,
    wildcards_over,
)
from paasd.ports import Store
from paasd.services.access import Access
from paasd.services.logs import AppLogs
from paasd.services.routing import Routing

log = structlog.get_logger(__name__)

DOMAINS_OF_APP = 1000


@dataclass(frozen=True, slots=True)
class Domains:
    """Use cases on host names. `zone` is where apps have their own addresses; `ours` are the API's host names."""

    store: Store
    routing: Routing
    logs: AppLogs
    zone: str
    ours: frozenset[str] = frozenset()

    async def of(self, app: App) -> Sequence[Domain]:
        """Those that were added, by name."""
        return await self.store.domains(app.id)

    async def add(self, actor: Actor, app: App, text: str) -> Domain:
        """Serves it at once. Raises InvalidParams for what is no host name, is ours, or is somebody else's."""
        hostname = self._free(normalize(text))
        if hostname in self._over_ours and not (await self.store.account(actor.account_id)).admin:
            raise InvalidParams(
                f"{hostname} would also be the name of apps that are no more, or of this paasd itself; add the names "
                "that you need one by one, or ask an admin to add it.",
                resource="domain",
            )
        if len(await self.store.domains(app.id)) >= DOMAINS_OF_APP:
            raise InvalidParams(f"An app may have {DOMAINS_OF_APP} domains; remove one first.", resource="domain")
        await self._check_near(actor, app, hostname)
        now = datetime.now(UTC)
        domain = Domain(str(uuid.uuid4()), app.id, hostname, now, now)
        await self.store.insert_domain(domain)
        self.logs.note(app.id, "api", f"Add {hostname} domain by user {actor.shown}", source="app")
        await self._publish(app)
        return domain

    async def find(self, app: App, name_or_id: str) -> Domain:
        """By any spelling of its name, or its id. Raises NotFound."""
        try:
            hostname = normalize(name_or_id)
        except InvalidParams:
            hostname = name_or_id
        for domain in await self.store.domains(app.id):
            if hostname == domain.hostname or name_or_id == domain.id:
                return domain
        raise NotFound("Couldn't find that domain name; see `heroku domains`.", resource="domain")

    async def remove(self, actor: Actor, app: App, domain: Domain) -> None:
        """Served no more when this returns, and free for anybody."""
        await self.store.delete_domain(domain.id)
        self.logs.note(app.id, "api", f"Remove {domain.hostname} domain by user {actor.shown}", source="app")
        await self._publish(app)

    async def _check_near(self, actor: Actor, app: App, hostname: str) -> None:
        """The store sees to it that names of two owners never overlap. Within one owner's apps it is for who may
        operate both: an app can be given to somebody unasked, with its collaborators. Raises InvalidParams."""
        for other in await self.store.apps():
            if other.id == app.id or not any(overlap(hostname, name) for name in other.hostnames):
                continue
            access = Access(self.store)
            if Permission.OPERATE not in await access.permissions(await access.find(actor.account_id), other):
                raise InvalidParams(
                    f"{hostname} overlaps with a domain of an app that you may not operate; ask the owner of this one.",
                    resource="domain",
                )

    @property
    def _over_ours(self) -> frozenset[str]:
        """Wildcards that names of ours fall under: those of the API, and those under the zone that no app has."""
        return frozenset(over for name in (f"app.{self.zone}", *self.ours) for over in wildcards_over(name))

    def _free(self, hostname: str) -> str:
        if is_within(hostname, self.zone) or hostname.removeprefix(WILDCARD) in self.ours:
            raise InvalidParams(
                f"{hostname} belongs to this paasd, which gives every app its own name under {self.zone}; "
                "choose a name of another domain.",
                resource="domain",
            )
        return hostname

    async def _publish(self, app: App) -> None:
        """The store has it; a router that is down learns of it from reconcile, so this call has not failed."""
        try:
            await self.routing.publish_domains(app.id)
        except PaasError as error:
            log.warning("domains left to reconcile", app=app.name, reason=error.message)


def normalize(text: str) -> str:
    """The one spelling of a host name: lower case, punycode, no dot at its end. Raises InvalidParams.

    What looks the same to IDNA (UTS 46: full-width letters, other dots) becomes the same; what only looks alike to the
    eye stays another name, and shows as the punycode it is.
    """
    wildcard = text.startswith(WILDCARD)
    bare = text.removeprefix(WILDCARD)
    bare = bare[:-1] if bare.endswith(".") else bare
    if is_address(bare):
        return check_hostname(bare)
    try:
        ascii_name = idna.encode(bare, uts46=True, std3_rules=True).decode()
    except (idna.IDNAError, UnicodeError) as error:
        raise not_a_hostname(text) from error
    return check_hostname(f"{WILDCARD}{ascii_name}" if wildcard else ascii_name)
