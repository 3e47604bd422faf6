"""Add-ons' pages, what `addons:open` opens: by a capability URL for one account, which still has to be let in."""

from aiohttp import hdrs, web

from paasd.api import dashboard_page as page
from paasd.api.addon_resources import ON_THE_WIRE
from paasd.api.links import SIGNATURE, dashboard_path
from paasd.api.parts import PARTS
from paasd.api.resources import stamp
from paasd.domain.access import Permission
from paasd.domain.addon import Addon, AddonState, Kind
from paasd.domain.app import App
from paasd.domain.errors import Forbidden, NotFound, PaasError

MEGABYTE = 1024**2
OVER = "This address has expired or was never valid; run addons:open again."
COMMANDS = {
    Kind.POSTGRESQL: ("paas pg:info {name} -a {app}", "paas pg:psql {name} -a {app}", "paas pg:backups -a {app}"),
    Kind.REDIS: ("paas redis:info {name} -a {app}", "paas redis:cli {name} -a {app}"),
    Kind.PARTNER: ("paas addons:info {name} -a {app}",),
}


async def show(request: web.Request) -> web.Response:
    """As HTML, whatever happens: a person looks at it."""
    try:
        return await _show(request)
    except PaasError as error:
        status = 404 if isinstance(error, NotFound) else 403 if isinstance(error, Forbidden) else 503
        return _html(page.render_over(error.message), page.CONTENT_SECURITY, status)


async def _show(request: web.Request) -> web.Response:
    parts = request.app[PARTS]
    addon_id, account_id = request.match_info["addon"], request.match_info["account"]
    if not parts.links.opens(dashboard_path(addon_id, account_id), request.query.get(SIGNATURE, "")):
        raise NotFound(OVER)
    addon = await parts.addons.find(addon_id)
    account, app = await parts.access.find(account_id), await parts.apps.find(addon.app_id)
    held = await parts.access.permissions(account, app)
    users = [await parts.apps.find(one.app_id) for one in await parts.addons.attachments(addon_id=addon.id)]
    seen = [one for one in users if await parts.access.permissions(account, one)]
    if not held and not seen:
        raise NotFound(OVER)
    partner = parts.partners.manifest(addon)
    if partner is None or addon.state is not AddonState.PROVISIONED or partner.sso_url is None:
        return await _own(request, addon, app, seen)
    if Permission.OPERATE not in held:
        raise Forbidden(f"This needs the permission operate on {app.name}; ask its owner.")
    opened = parts.partners.sso(addon, app, account)
    assert opened is not None
    return _html(page.render_sso(addon.name, partner.name, *opened), page.SSO_SECURITY)


async def _own(request: web.Request, addon: Addon, app: App, seen: list[App]) -> web.Response:
    parts = request.app[PARTS]
    service = parts.addons.catalogue.service_of(addon.service)
    shown = parts.addons.shown_state(addon)
    word, look, remark, facts = ON_THE_WIRE.get(shown, shown.value), "", addon.message, {}
    if shown is AddonState.PROVISIONED:
        try:
            condition = await parts.addons.condition(addon)
        except PaasError as error:
            look, word, remark = "down", "down", error.message
        else:
            look, word = ("up", "up") if condition.up else ("down", "down")
            remark, facts = condition.detail or remark, dict(condition.facts)
            if condition.used is not None:
                facts["Data"] = f"{condition.used / MEGABYTE:.1f} MB"
    visible = {one.id: one.name for one in [app, *seen]}
    attached = [one for one in await parts.addons.attachments(addon_id=addon.id) if one.app_id in visible]
    general = {
        "Service": service.human_name,
        "Plan": addon.plan,
        "Price": "free",
        "Owning app": app.name,
        "Attachments": ", ".join(f"{visible[one.app_id]}::{one.name}" for one in attached),
        "Config vars": ", ".join(sorted({name for one in attached for name in one.values})),
        "Installed at": stamp(addon.created_at),
        "State": ON_THE_WIRE.get(shown, shown.value),
        "Provider": addon.provider,
    }
    commands = [one.format(name=addon.name, app=app.name) for one in COMMANDS[service.kind]]
    sections = [("Add-on", general), ("Now", facts)]
    rendered = page.render_addon(addon.name, addon.plan, (word, look), sections, commands, remark)
    return _html(rendered, page.CONTENT_SECURITY)


def _html(text: str, security: str, status: int = 200) -> web.Response:
    headers = {
        "Content-Security-Policy": security,
        "Referrer-Policy": "origin",  # the address opens this page; a partner may want to know whence one comes
        hdrs.CACHE_CONTROL: "no-store",
    }
    return web.Response(text=text, content_type="text/html", status=status, headers=headers)


PUBLIC_ROUTES = (web.get("/dashboards/{addon}/{account}", show),)
