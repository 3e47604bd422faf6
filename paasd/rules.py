"""From the settings to the rules that the services go by."""

import json
from dataclasses import replace
from pathlib import Path

from paasd.domain.addon import Service
from paasd.domain.addon_catalogue import Catalogue, built_in, make_plan, partner_service
from paasd.domain.disk import MEGABYTE, DiskRules
from paasd.domain.dyno import DEFAULT_SIZE, Limits
from paasd.domain.partner import Manifest, parse_manifest
from paasd.services.boot import BootRules
from paasd.services.builds import BuildRules
from paasd.services.deploy import DeployRules
from paasd.services.logs import LogRates
from paasd.settings import Settings, SettingsError, SizeSettings, parse_address
from paasd.settings_addons import PartnerSettings, ServiceSettings


def boot_rules(settings: Settings) -> BootRules:
    """How dynos are brought up."""
    dynos = settings.dynos
    limits = Limits(dynos.memory_mb * 1024 * 1024, dynos.cpus, dynos.pids, dynos.open_files)
    sizes = {
        name: replace(limits, memory=size.memory_mb * 1024 * 1024, cpus=size.cpus)
        for name, size in {DEFAULT_SIZE: SizeSettings(dynos.memory_mb, dynos.cpus), **settings.sizes}.items()
    }
    return BootRules(port=dynos.port, timeout=dynos.boot_timeout, limits=limits, sizes=sizes)


def deploy_rules(settings: Settings) -> DeployRules:
    """How dynos are left."""
    return DeployRules(settings.deploy.drain, settings.deploy.grace, settings.deploy.websocket_drain)


def disk_rules(settings: Settings) -> DiskRules:
    """What is kept, and when a disk is too full."""
    disk = settings.disk
    return DiskRules(
        *(disk.high, disk.full, disk.build_mb * MEGABYTE, disk.build_inodes, disk.keep_releases),
        keep_output_days=disk.keep_output_days,
        cache_bytes=settings.build.cache_mb * MEGABYTE,
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
        strict=settings.build.strict,
        aliases=settings.stacks.aliases,
        sizes=tuple(boot_rules(settings).sizes),
        web_url=f"http://{{app}}.{settings.domain}:{port}/",
    )


def catalogue(settings: Settings, provider: str) -> Catalogue:
    """The services that there are, had from `provider` unless they say another. SettingsError for an unknown one."""
    own = settings.addons.services
    known = {service.name for service in built_in()}
    for name in own.keys() - known:
        raise SettingsError(f"Unknown add-on service addons.services.{name}: known are {', '.join(sorted(known))}.")
    ours = [_service(one, own.get(one.name, ServiceSettings()), provider) for one in built_in()]
    return Catalogue([*ours, *map(partner_service, partners(settings))])


def partners(settings: Settings) -> tuple[Manifest, ...]:
    """The third parties whose services there are. SettingsError for a manifest that can't be read or used, and for two
    services of one name."""
    found: dict[str, Manifest] = {}
    taken = {name for one in built_in() for name in (one.name, *one.aliases)}
    for given in settings.addons.partners:
        wanted = PartnerSettings(given) if isinstance(given, str) else given
        file = settings.home / Path(wanted.manifest).expanduser()
        try:
            manifest = parse_manifest(json.loads(file.read_bytes()), wanted.plans, wanted.client_secret)
        except OSError as error:
            raise SettingsError(f"The add-on manifest {file} can't be read ({error.strerror}).") from error
        except (ValueError, RecursionError) as error:
            told = "it is not JSON" if isinstance(error, json.JSONDecodeError | RecursionError) else str(error)
            raise SettingsError(f"The add-on manifest {file} can't be used: {told}.") from None  # it holds secrets
        if manifest.id in taken or manifest.id in found:
            raise SettingsError(f"The add-on manifest {file} is of {manifest.id!r}, a service that there is already.")
        found[manifest.id] = manifest
    return tuple(found.values())


def _service(service: Service, own: ServiceSettings, provider: str) -> Service:
    plans = {plan.name: plan for plan in service.plans}
    for name, wanted in own.plans.items():
        memory, disk = (None if size is None else size * MEGABYTE for size in (wanted.memory_mb, wanted.disk_mb))
        human_name = name.replace("-", " ").title()
        made = make_plan(service.name, name, human_name, memory, disk, wanted.connections)
        if wanted.default:
            plans = {plan.name: replace(plan, default=False) for plan in plans.values()}
        plans[made.name] = replace(made, default=wanted.default or (made.name in plans and plans[made.name].default))
    return replace(service, provider=own.provider or provider, plans=tuple(plans.values()))
