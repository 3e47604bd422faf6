"""Where add-ons are had from: the providers by name, and which of them a daemon opens."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack

from paasd.adapters.docker_addons import DockerAddons
from paasd.adapters.partner_addons import PartnerAddons
from paasd.adapters.process_addons import EmbeddedAddons
from paasd.adapters.shared_addons import SharedAddons
from paasd.adapters.web_fetch import WebFetch
from paasd.engines import docker_settings
from paasd.home import Home
from paasd.ports import AddonProvider, Engine
from paasd.rules import partners
from paasd.settings import Settings, SettingsError, parse_address


def containers(settings: Settings, home: Home, _: Engine) -> AddonProvider:
    """Servers in containers of Docker's engine."""
    return DockerAddons(home.id(), docker_settings(settings), search_path=settings.search_path)


def embedded(settings: Settings, home: Home, _: Engine) -> AddonProvider:
    """Servers that are processes of this machine."""
    return EmbeddedAddons(home.id(), home.path, search_path=f"{settings.search_path}:/usr/bin:/usr/sbin")


def shared(settings: Settings, home: Home, _: Engine) -> AddonProvider:
    """Databases on a server that somebody already runs. SettingsError where its URL is none."""
    path = f"{settings.search_path}:/usr/bin:/usr/sbin"
    containers, url = home.engine("auto") != "process", settings.addons.shared.postgresql
    api = parse_address(settings.api, "api")[1]
    try:
        return SharedAddons(home.id(), home.path, url, search_path=path, containers=containers, api=api)
    except ValueError as error:
        raise SettingsError(str(error)) from None  # the cause's words tell the URL


PROVIDERS: Mapping[str, Callable[[Settings, Home, Engine], AddonProvider]] = {
    "container": containers,
    "embedded": embedded,
    "shared": shared,
}


def default_provider(settings: Settings, home: Home) -> str:
    """The one that add-ons are had from unless their service says another."""
    wanted = settings.addons.provider
    if wanted != "auto":
        return wanted
    return "embedded" if home.engine("auto") == "process" else "container"


def set_up(settings: Settings) -> set[str]:
    """The names of all that a daemon of these settings can have. SettingsError."""
    return {*PROVIDERS, *(one.provider for one in partners(settings))}


async def open_providers(
    settings: Settings, home: Home, engine: Engine, stack: AsyncExitStack, used: Iterable[str]
) -> Mapping[str, AddonProvider]:
    """The default one, those that services are set to, those that add-ons of the ledger were `used` to be had from, as
    far as they are there, and the partners; closed with the stack."""
    web = WebFetch(settings.web.allow_private)
    asked = {
        one.provider: await stack.enter_async_context(PartnerAddons(one, web, settings.api_url, home.url_secret()))
        for one in partners(settings)
    }
    own = (service.provider for service in settings.addons.services.values())
    names = dict.fromkeys([default_provider(settings, home), *own, *used])
    return asked | {
        name: await stack.enter_async_context(PROVIDERS[name](settings, home, engine))
        for name in names
        if name is not None and name in PROVIDERS
    }
