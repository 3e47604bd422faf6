"""From the settings to the rules that the services go by."""

from paasd.domain.disk import MEGABYTE, DiskRules
from paasd.domain.dyno import Limits
from paasd.services.boot import BootRules
from paasd.services.builds import BuildRules
from paasd.services.logs import LogRates
from paasd.settings import Settings, parse_address


def boot_rules(settings: Settings) -> BootRules:
    """How dynos are brought up."""
    dynos = settings.dynos
    limits = Limits(dynos.memory_mb * 1024 * 1024, dynos.cpus, dynos.pids, dynos.open_files)
    return BootRules(port=dynos.port, timeout=dynos.boot_timeout, limits=limits)


def disk_rules(settings: Settings) -> DiskRules:
    """What is kept, and when a disk is too full."""
    disk = settings.disk
    return DiskRules(
        disk.high, disk.full, disk.build_mb * MEGABYTE, disk.build_inodes, disk.keep_releases, disk.keep_output_days
    )


def log_rates(settings: Settings) -> LogRates:
    """How much an app may print."""
    return LogRates(lines=settings.logs.lines_per_second)


def build_rules(settings: Settings) -> BuildRules:
    """How builds are bounded."""
    _, port = parse_address(settings.router, "router")
    return BuildRules(
        timeout=settings.build.timeout,
        parallel=settings.build.parallel,
        queue=settings.deploy.queue,
        web_url=f"http://{{app}}.{settings.domain}:{port}/",
    )
