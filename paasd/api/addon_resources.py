"""Add-ons, attachments, services and plans in Heroku's words. What costs nothing has a price of 0."""

from collections.abc import Mapping, Sequence, Set

from paasd.api.resources import BUILT_IN_SINCE, Resource, app_reference, derived_id, stamp
from paasd.domain.addon import Addon, AddonState, Attachment, Kind, Plan, Service
from paasd.domain.app import App

PRICE = {"cents": 0, "contract": False, "metered": False, "unit": "month"}
ON_THE_WIRE = {AddonState.FAILED: "deprovisioned"}


def service_resource(service: Service) -> Resource:
    """A service. It may be attached to several apps, several of it to one."""
    return {
        "cli_plugin_name": None,
        "created_at": BUILT_IN_SINCE,
        "human_name": service.human_name,
        "id": service.id,
        "name": service.name,
        "state": "ga",
        "supported_generations": [{"id": derived_id("generation", "cedar"), "name": "cedar"}],
        "supports_multiple_installations": service.several,
        "supports_sharing": service.shared,
        "updated_at": BUILT_IN_SINCE,
    }


def plan_resource(plan: Plan, service: Service) -> Resource:
    """A plan, with its bounds in its description."""
    bounds = [
        f"{amount // 1024**2} MB of {what}" if amount is not None else f"{what} without bound"
        for amount, what in ((plan.memory, "memory"), (plan.disk, "disk"))
    ]
    if plan.connections is not None:
        bounds.append(f"{plan.connections} connections")
    if service.kind is Kind.PARTNER:
        bounds = [f"{plan.human_name} of {service.human_name}"]
    return {
        "addon_service": {"id": service.id, "name": service.name},
        "compliance": [],
        "created_at": BUILT_IN_SINCE,
        "default": plan.default,
        "description": ", ".join(bounds),
        "human_name": plan.human_name,
        "id": plan.id,
        "installable_inside_private_network": True,
        "installable_outside_private_network": True,
        "name": plan.name,
        "price": PRICE,
        "space_default": False,
        "state": "public",
        "updated_at": BUILT_IN_SINCE,
        "visible": True,
    }


def addon_resource(
    addon: Addon,
    state: AddonState,
    owner: App | None,
    service: Service,
    plan: Plan,
    attached: Sequence[Attachment],
    *,
    expand: Set[str] = frozenset(),
    message: str = "",
    web_url: str | None = None,
) -> Resource:
    """`expand`: whether "plan" and "addon_service" are whole. `owner` is None where its app is destroyed."""
    app = {"id": addon.app_id, "name": owner.name if owner is not None else ""}
    return {
        "actions": [],
        "addon_service": service_resource(service)
        if "addon_service" in expand
        else {"id": service.id, "name": service.name},
        "app": app,
        "billed_price": PRICE,
        "billing_entity": {**app, "type": "app"},
        "config_vars": variables_of(attached, addon.app_id, service.suffixes),
        "created_at": stamp(addon.created_at),
        "id": addon.id,
        "name": addon.name,
        "plan": plan_resource(plan, service) if "plan" in expand else {"id": plan.id, "name": plan.name},
        "provider_id": addon.resource or addon.provider,
        "provision_message": message,
        "state": ON_THE_WIRE.get(state, state.value),
        "updated_at": stamp(addon.updated_at),
        "web_url": web_url,
    }


def attachment_resource(
    attachment: Attachment,
    app: App,
    addon: Addon,
    owner: App | None,
    plan: Plan,
    suffixes: Sequence[str],
    *,
    include: Set[str] = frozenset(),
    web_url: str | None = None,
) -> Resource:
    """`include`: whether "config_vars" (their names) and "addon:plan" are in it."""
    of: Resource = {"app": {"id": addon.app_id, "name": owner.name if owner else ""}, "id": addon.id}
    of["name"] = addon.name
    if "addon:plan" in include:
        of["plan"] = {"id": plan.id, "name": plan.name}
    shown: Resource = {
        "addon": of,
        "app": app_reference(app),
        "created_at": stamp(attachment.created_at),
        "id": attachment.id,
        "log_input_url": None,
        "name": attachment.name,
        "namespace": None,
        "updated_at": stamp(attachment.updated_at),
        "web_url": web_url,
    }
    if "config_vars" in include:
        shown["config_vars"] = names_of(attachment, suffixes)
    return shown


def config_resource(values: Mapping[str, str]) -> list[Resource]:
    """An add-on's own config: what it gives each app, without the attachment's name before it."""
    return [{"name": name, "value": value} for name, value in sorted(values.items())]


def variables_of(attached: Sequence[Attachment], app_id: str, suffixes: Sequence[str]) -> list[str]:
    """The names of the config vars that the app has of these, of a service whose config vars end like that."""
    mine = [one for one in attached if one.app_id == app_id and one.ended_at is None]
    return [name for one in mine for name in names_of(one, suffixes)]


def names_of(attachment: Attachment, suffixes: Sequence[str]) -> list[str]:
    """Of its config vars; before the app was let in, those that it will have."""
    return sorted(attachment.values) or [f"{attachment.name}_{suffix}" for suffix in suffixes]
