"""What `paasd doctor` says of add-ons: data that no row knows, and rows without a provider. Looks only."""

from collections.abc import Sequence

from paasd.adapters.damage import addons_by_provider, addons_in_ledger
from paasd.adapters.docker_addons import DockerAddons
from paasd.adapters.shared_addons import SharedAddons
from paasd.domain.errors import PaasError
from paasd.engines import docker_settings
from paasd.home import Home
from paasd.providers import default_provider, set_up
from paasd.settings import Settings, SettingsError

SHOWN = 5
REMEDIES = {
    "container": "its volume is paasd-{home}-{addon}: look at it, then `docker rm -f` and `docker volume rm` that",
    "embedded": "its folder is {path}/addons/{addon}: look at it, then remove that",
    "shared": "its database's comment is `paasd {home} {addon}`: look at it, then DROP DATABASE and DROP ROLE",
}


async def addon_orphans(settings: Settings, home: Home) -> list[tuple[str, str]]:
    """(what is kept, the remedy) for each provider that keeps what the ledger does not know; those that do not answer
    are left out."""
    own = (service.provider for service in settings.addons.services.values())
    found: list[tuple[str, str]] = []
    known = addons_in_ledger(home.path)
    if known is None:
        return found  # of a ledger that can't be read, or is from before there were add-ons, nothing is known
    for name in dict.fromkeys([default_provider(settings, home), *own, *known.values()]):
        try:
            unknown = await unknown_of(str(name), settings, home)
        except (PaasError, ValueError):
            continue
        if unknown:
            remedy = REMEDIES[str(name)].format(home=home.id(), path=home.path, addon=unknown[0])
            found.append((f"{name} keeps data of add-ons that the ledger does not know: {_listed(unknown)}", remedy))
    return found


def absent_providers(settings: Settings, home: Home) -> list[tuple[str, str]]:
    """(which add-ons, the remedy) for each provider that add-ons are had from and that is not set up any more."""
    found: list[tuple[str, str]] = []
    try:
        there = set_up(settings)
    except SettingsError:
        return found  # `paasd serve` says it, and does not begin
    for provider, names in addons_by_provider(home.path).items():
        if provider not in there:
            detail = f"{_listed(names)}: had from {provider!r}, which is not set up any more"
            found.append((detail, "put it back (addons.partners in paasd.yaml), then destroy what is to go"))
    return found


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more}"


async def unknown_of(name: str, settings: Settings, home: Home) -> Sequence[str]:
    """The ids of those kept by a provider that no row knows."""
    kept = set(await kept_by(name, settings, home))
    known = addons_in_ledger(home.path)  # only now: a row comes before what is kept
    unknown = kept - known.keys() if known is not None else set()
    # Asked once more: what was purged meanwhile is in neither.
    return sorted(unknown & set(await kept_by(name, settings, home))) if unknown else []


async def kept_by(name: str, settings: Settings, home: Home) -> Sequence[str]:
    """The ids of add-ons that a provider of this home keeps something of. Unavailable, ValueError."""
    if name == "container":
        async with DockerAddons(home.id(), docker_settings(settings)) as containers:
            return await containers.kept()
    if name == "shared":
        path = f"{settings.search_path}:/usr/bin:/usr/sbin"
        async with SharedAddons(home.id(), home.path, settings.addons.shared.postgresql, search_path=path) as shared:
            return await shared.kept()
    place = home.path / "addons"
    embedded = name == "embedded" and place.is_dir()
    return [one.name for one in place.iterdir() if not one.name.startswith(".")] if embedded else []
