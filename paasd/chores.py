"""What the daemon does by itself for as long as it lives: the services it is made of, and their jobs."""

import functools
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from paasd.adapters.backup import DailyBackups
from paasd.services.access import Access
from paasd.services.addon_limits import AddonLimits
from paasd.services.addon_orphans import AddonOrphans
from paasd.services.addon_watch import AddonWatch
from paasd.services.addons import Addons
from paasd.services.apps import Apps
from paasd.services.archives import Archives
from paasd.services.background import Background, attempt, every
from paasd.services.builds import Builds
from paasd.services.certificates import Certificates
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
from paasd.services.recovery import Recovery
from paasd.services.releases import Releases
from paasd.services.routing import Routing
from paasd.services.schedules import Schedules
from paasd.services.transfers import Transfers
from paasd.services.webhooks import Webhooks

RECONCILE_SECONDS = 30
ROUTER_SECONDS = 5
BACKUP_LOOK_SECONDS = 600
DISK_SECONDS = 60
ORPHANS_SECONDS = 3600
LIMITS_SECONDS = 600
CACHES_SECONDS = 600
SCHEDULE_SECONDS = 60
MAINTENANCE_SECONDS = 5
PAGES_SECONDS = 900


@dataclass(frozen=True, slots=True)
class Data:
    """The use cases on what is behind add-ons."""

    databases: Databases
    transfers: Transfers
    schedules: Schedules


@dataclass(frozen=True, slots=True)
class Services:
    """The use cases, wired to the adapters."""

    access: Access
    addons: Addons
    apps: Apps
    ledger: Ledger
    builds: Builds
    archives: Archives
    images: Images
    releases: Releases
    dynos: Dynos
    domains: Domains
    one_offs: OneOffs
    logs: AppLogs
    drains: Drains
    maintenance: Maintenance
    webhooks: Webhooks
    routing: Routing
    recovery: Recovery
    certificates: Certificates
    disk: Disk
    data: Data
    background: Background
    backups: DailyBackups


async def reconcile(services: Services) -> None:
    """Beside what engine events ask for: an event may be lost."""
    await services.recovery.reconcile()


async def mend_router(services: Services) -> None:
    """Often: it asks the router alone, and only one that is not whole is started."""
    await services.routing.mend_router()


async def back_up(services: Services) -> None:
    """Asked often, so that a daemon that is restarted every day has its backups too."""
    await services.backups.take_if_due()


async def watch_disk(services: Services) -> None:
    """Say how full it is, notice images that went, remove what is not retained."""
    await attempt("uploads", services.archives.sweep())
    await attempt("old log lines", services.logs.prune())
    await services.disk.look_after()


async def bound_caches(services: Services) -> None:
    """What an app's builds keep for the next is bounded."""
    await attempt("build caches", services.disk.bound_caches())


async def end_maintenance(services: Services) -> None:
    """The router ends it by its own clock; this makes the ledger follow."""
    await attempt("end maintenance", services.maintenance.end_due())


async def fetch_pages(services: Services) -> None:
    """What apps' config vars point to may have changed; requests never wait for it."""
    await attempt("fetch pages", services.maintenance.fetch_all())


async def sweep_one_offs(services: Services) -> None:
    """What earlier daemons left of one-off dynos, and what runs for too long."""
    await attempt("one-off dynos", services.one_offs.sweep())


async def mend_addons(services: Services) -> None:
    """What was killed runs again; what a daemon left in the middle goes on; data goes that is kept no longer."""
    await attempt("add-ons", services.addons.work.mend())


async def back_up_databases(services: Services) -> None:
    """Whose hour has come; asked by the wall clock each minute, so that a clock that is set costs no day."""
    await attempt("backups of databases", services.data.schedules.run_due())
    living = [app.id for app in await services.apps.all()]
    await attempt("old backups of databases", services.data.transfers.prune(living))


async def look_for_orphans(orphans: AddonOrphans) -> None:
    """At once, for a ledger may have been restored, and each hour."""
    await attempt("orphans of add-ons", orphans.look())
    await every(ORPHANS_SECONDS, "orphans of add-ons", orphans.look)


PERIODIC: tuple[tuple[int, Callable[[Services], Coroutine[Any, Any, None]]], ...] = (
    (RECONCILE_SECONDS, reconcile),
    (ROUTER_SECONDS, mend_router),
    (BACKUP_LOOK_SECONDS, back_up),
    (DISK_SECONDS, watch_disk),
    (CACHES_SECONDS, bound_caches),
    (MAINTENANCE_SECONDS, end_maintenance),
    (PAGES_SECONDS, fetch_pages),
    (RECONCILE_SECONDS, sweep_one_offs),
    (RECONCILE_SECONDS, mend_addons),
    (SCHEDULE_SECONDS, back_up_databases),
)


def keep_mending(services: Services) -> None:
    """Recovery at boot, then for ever: engine events, router lines, and the periodic jobs."""
    background = services.background
    background.spawn("boot", services.recovery.boot())
    background.spawn("add-ons", mend_addons(services))
    AddonWatch(services.addons.work).begin()
    background.spawn("watch engine", services.recovery.watch())
    follow = services.logs.follow_router(services.recovery.ensure_router, services.apps.exists)
    background.spawn("follow router", follow)
    background.spawn("certificates", services.certificates.keep())
    background.spawn("webhooks", services.webhooks.keep())
    background.spawn("log drains", services.drains.keep())
    orphans = AddonOrphans(services.addons.work)
    background.spawn("orphans of add-ons", look_for_orphans(orphans))
    limits = AddonLimits(services.addons.work)
    background.spawn("data of add-ons", every(LIMITS_SECONDS, "data of add-ons", limits.look))
    for seconds, job in PERIODIC:
        background.spawn(job.__name__, every(seconds, job.__name__, functools.partial(job, services)))
