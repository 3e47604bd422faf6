"""What is asked before an add-on is recorded or attached: whether there is room, whether it can be had, its names."""

import random
from collections.abc import Iterable, Mapping, Sequence

from paasd.domain.addon import Addon, Attachment, Kind, Service, check_attachment_name
from paasd.domain.addon_catalogue import free_attachment_name
from paasd.domain.app import App
from paasd.domain.errors import Conflict, InvalidParams
from paasd.ports import AddonProvider, Store

ADDONS_OF_APP = 100


def require_room(app: App, service: Service, there: Sequence[Addon]) -> None:
    """InvalidParams where the app has too many add-ons, or the one of a service that is for one an app."""
    if len(there) >= ADDONS_OF_APP:
        raise InvalidParams(f"An app may have {ADDONS_OF_APP} add-ons; destroy one first.", resource="add_on")
    own = [one.name for one in there if (one.service, one.app_id) == (service.name, app.id)]
    if own and not service.several:
        raise InvalidParams(
            f"{app.name} has {own[0]} of {service.name} already, of which an app has one; change its plan with "
            f"`heroku addons:upgrade {own[0]}`.",
            resource="add_on",
        )


def require_options(service: Service, options: Mapping[str, str]) -> None:
    """InvalidParams where there are any for a service of ours."""
    if options and service.kind is not Kind.PARTNER:
        raise InvalidParams(
            f"Nothing can be set of a new add-on of {service.name} ({', '.join(sorted(options))[:100]}); leave the "
            "options out, and see `heroku addons:plans`.",
            resource="add_on",
        )


async def require_provider(provider: AddonProvider | None, service: Service) -> None:
    """Conflict where it can't be had here, and why."""
    problem = (
        f"no provider {service.provider!r} is set up; see addons.provider in paasd.yaml"
        if provider is None
        else await provider.problem(service.kind)
    )
    if problem is not None:
        raise Conflict(f"{service.human_name} can't be had here: {problem.rstrip('.')}.", resource="add_on_service")


async def attachment_name(
    store: Store, app: App, service: Service, attached: Iterable[Attachment], wanted: str | None, dice: random.Random
) -> str:
    """The wanted one, or one that is free. InvalidParams where it is taken, or a config var of the app's own is."""
    own, taken = await store.own_config(app.id), {one.name for one in attached}
    if wanted is None:
        ends = [f"_{suffix}" for suffix in service.suffixes]
        set_by_hand = {name.removesuffix(end) for name in own for end in ends if name.endswith(end)}
        return free_attachment_name(service, taken | set_by_hand, dice)
    check_attachment_name(wanted)
    if wanted in taken:
        raise InvalidParams(
            f"{app.name} has an add-on attached as {wanted} already; choose another name with --as.",
            resource="add_on attachment",
        )
    for name in (f"{wanted}_{suffix}" for suffix in service.suffixes):
        if name in own:
            raise InvalidParams(
                f"{app.name} has a config var {name} of its own; unset it, or choose another name with --as.",
                resource="add_on attachment",
            )
    return wanted
