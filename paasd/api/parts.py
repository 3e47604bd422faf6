"""What the API is made of: the services it calls and the few facts it must know. Handlers reach all of it by PARTS."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from aiohttp import web

from paasd.api.links import Links
from paasd.api.ssh import SshDoor
from paasd.ports import Outputs, RequestStore
from paasd.services.access import Access
from paasd.services.addon_partners import Partners
from paasd.services.addons import Addons
from paasd.services.apps import Apps
from paasd.services.archives import Archives
from paasd.services.audit import Audit
from paasd.services.authorizations import Authorizations
from paasd.services.builds import Builds
from paasd.services.databases import Databases
from paasd.services.disk import Disk
from paasd.services.domains import Domains
from paasd.services.drains import Drains
from paasd.services.dynos import Dynos
from paasd.services.images import Images
from paasd.services.ledger import Ledger
from paasd.services.logs import AppLogs
from paasd.services.maintenance import Maintenance
from paasd.services.one_off import OneOffs
from paasd.services.releases import Releases
from paasd.services.routing import Routing
from paasd.services.schedules import Schedules
from paasd.services.transfers import Transfers
from paasd.services.webhooks import Webhooks


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiParts:
    """`secret` signs capability URLs (32 random bytes); `public_url` is what clients reach us by, without a slash.

    Apps answer at `<name>.<domain>`, on the router's port. `rate_limit`: calls an hour that a token has;
    `guess_limit`: wrong tokens a minute from one address.
    `attach`: how clients of `heroku run` are told to come, "rendezvous" or "ssh"; both are answered.
    `extra_routes` (git) see to authentication and errors alone.
    """

    access: Access
    authorizations: Authorizations
    audit: Audit
    addons: Addons
    partners: Partners
    apps: Apps
    builds: Builds
    archives: Archives
    images: Images
    ledger: Ledger
    releases: Releases
    dynos: Dynos
    domains: Domains
    one_offs: OneOffs
    logs: AppLogs
    drains: Drains
    maintenance: Maintenance
    webhooks: Webhooks
    routing: Routing
    disk: Disk
    databases: Databases
    transfers: Transfers
    schedules: Schedules
    outputs: Outputs
    requests: RequestStore
    secret: bytes = field(repr=False)
    public_url: str
    domain: str = "localhost"
    router_port: int
    version: str
    ssh: SshDoor
    attach: str = "rendezvous"
    ca_certificate: str = ""
    rate_limit: int = 4500
    guess_limit: int = 20
    extra_routes: Sequence[web.RouteDef] = ()

    @property
    def links(self) -> Links:
        """The URLs that resources carry."""
        return Links(self.public_url, self.domain, self.router_port, self.secret, self.attach == "ssh")


PARTS = web.AppKey("PARTS", ApiParts)
