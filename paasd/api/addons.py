"""Add-ons and their attachments. An add-on belongs to the app that it was created for: who may do what there, may
do it to the add-on; an attachment to the app that it is on."""

from aiohttp import web

from paasd.api.addon_resources import (
    addon_resource,
    attachment_resource,
    config_resource,
    plan_resource,
    service_resource,
)
from paasd.api.identity import PARTNER
from paasd.api.paging import reply_list
from paasd.api.parts import PARTS
from paasd.api.replies import reply
from paasd.api.requests import (
    ACCOUNT,
    ACTOR,
    APP,
    TOKEN,
    find_app,
    flag_of,
    identity_of,
    note,
    read_object,
    text_of,
)
from paasd.api.resources import Resource
from paasd.domain.access import Permission, Scope
from paasd.domain.addon import Addon, Attachment
from paasd.domain.app import App
from paasd.domain.errors import InvalidParams, NotFound

CHANGES = (Permission.OPERATE, Scope.WRITE)
SECRETS = (Permission.OPERATE, Scope.READ_PROTECTED)
OPTIONS, OPTION_CHARACTERS = 50, 1000
ATTRIBUTES = ("id", "name", "created_at", "updated_at")
NO_ADDON = "Couldn't find that add-on; see `heroku addons`."
NO_ATTACHMENT = "Couldn't find that add-on attachment; see `heroku addons`."


# --- what there is to be had ------------------------------------------------------------------------------------------


async def index_services(request: web.Request) -> web.Response:
    services = request.app[PARTS].addons.catalogue.services
    return reply_list(request, [service_resource(one) for one in services], ("name", "id", "created_at"), of=services)


async def show_service(request: web.Request) -> web.Response:
    return reply(request, service_resource(request.app[PARTS].addons.catalogue.service(request.match_info["service"])))


async def index_plans(request: web.Request) -> web.Response:
    service = request.app[PARTS].addons.catalogue.service(request.match_info["service"])
    shown = [plan_resource(one, service) for one in service.plans]
    return reply_list(request, shown, ("name", "id", "created_at"), of=service.plans)


# --- add-ons ----------------------------------------------------------------------------------------------------------


async def index(request: web.Request) -> web.Response:
    """Of all apps that the caller may see; `?state=destroyed`: those whose data is kept."""
    parts = request.app[PARTS]
    visible = {app.id for app in await parts.access.visible(request[ACCOUNT], await parts.apps.all())}
    if request.query.get("state") == "destroyed":
        admin = request[ACCOUNT].admin
        found = [one for one in await parts.addons.destroyed() if admin or one.app_id in visible]
    else:
        found = [one for one in await parts.addons.all() if one.app_id in visible]
    return reply_list(request, [await show_addon(request, one) for one in found], ATTRIBUTES, of=found)


async def index_of_app(request: web.Request) -> web.Response:
    """Its own, as Heroku has it; those attached from other apps are among its attachments."""
    app = await find_app(request)
    found = [one for one in await request.app[PARTS].addons.of(app) if one.app_id == app.id]
    return reply_list(request, [await show_addon(request, one) for one in found], ATTRIBUTES, of=found)


async def show(request: web.Request) -> web.Response:
    return reply(request, await show_addon(request, request[PARTNER] if PARTNER in request else await _find(request)))


async def show_config(request: web.Request) -> web.Response:
    """Its password stands in it. A partner's is as its manifest names it."""
    parts = request.app[PARTS]
    addon = request[PARTNER] if PARTNER in request else await _find(request, *SECRETS)
    if parts.partners.manifest(addon) is not None:
        return reply(request, config_resource(parts.partners.config(addon)))
    return reply(request, config_resource((await parts.addons.access(addon)).variables))


async def create(request: web.Request) -> web.Response:
    """Answers once it is recorded; it is provisioned after that."""
    app, body = await find_app(request), await read_object(request)
    attachment = body.get("attachment")
    attach_as = text_of(attachment, "name") if isinstance(attachment, dict) else None
    made = await request.app[PARTS].addons.create(
        request[ACTOR],
        app,
        identity_of(body, "plan"),
        name=text_of(body, "name"),
        attach_as=attach_as,
        options=_options(body),
    )
    note(request, addon=[None, made.name], plan=[None, made.plan])
    return reply(request, await show_addon(request, made), status=201)


async def update(request: web.Request) -> web.Response:
    """Its plan, in force when this answers, or its name."""
    addon, body = await _find(request, *CHANGES), await read_object(request)
    name, plan = text_of(body, "name"), identity_of(body, "plan") if body.get("plan") else None
    addons = request.app[PARTS].addons
    if plan is not None:
        note(request, plan=[addon.plan, plan])
        addon = await addons.upgrade(request[ACTOR], addon, plan)
    if name is not None and name != addon.name:
        note(request, addon=[addon.name, name])
        addon = await addons.rename(request[ACTOR], addon, name)
    message = f"{addon.plan} is in force." if plan is not None else ""
    return reply(request, await show_addon(request, addon, message))


async def destroy(request: web.Request) -> web.Response:
    addon, body = await _find(request, *CHANGES), await read_object(request)
    force = flag_of(body, "force") or False
    note(request, addon=[addon.name, None])
    gone = await request.app[PARTS].addons.destroy(request[ACTOR], addon, force=force)
    return reply(request, await show_addon(request, gone))


async def undestroy(request: web.Request) -> web.Response:
    """Ours alone: a destroyed one again, on its app or another."""
    app, body = await find_app(request), await read_object(request)
    name = identity_of(body, "addon")
    addons = request.app[PARTS].addons
    named = [one for one in await addons.destroyed() if name in (one.id, one.name)]
    former = [one for one in named if one.app_id == app.id] or (named if request[ACCOUNT].admin else [])
    if named and not former:
        raise NotFound(NO_ADDON, resource="add_on")
    wanted = former[-1].id if former else name
    addon = await addons.undestroy(request[ACTOR], wanted, app, attach_as=text_of(body, "name"))
    note(request, addon=[None, addon.name])
    return reply(request, await show_addon(request, addon), status=201)


async def resolve(request: web.Request) -> web.Response:
    """All that the name could mean: of an app, or of all that the caller may see."""
    body = await read_object(request)
    addon = await _named(request, identity_of(body, "addon"), await _app_of(request, body))
    _check_service(request, body, addon.service, "add_on", NO_ADDON)
    return reply(request, [await show_addon(request, addon)])


# --- attachments ------------------------------------------------------------------------------------------------------


async def index_attachments(request: web.Request) -> web.Response:
    parts = request.app[PARTS]
    visible = {app.id for app in await parts.access.visible(request[ACCOUNT], await parts.apps.all())}
    found = [one for one in await parts.addons.attachments() if one.app_id in visible]
    return reply_list(request, [await _attachment(request, one) for one in found], ATTRIBUTES, of=found)


async def index_attachments_of_app(request: web.Request) -> web.Response:
    found = await request.app[PARTS].addons.attachments(app_id=(await find_app(request)).id)
    return reply_list(request, [await _attachment(request, one) for one in found], ATTRIBUTES, of=found)


async def index_attachments_of_addon(request: web.Request) -> web.Response:
    found = await request.app[PARTS].addons.attachments(addon_id=(await _find(request)).id)
    return reply_list(request, [await _attachment(request, one) for one in found], ATTRIBUTES, of=found)


async def show_attachment(request: web.Request) -> web.Response:
    return reply(request, await _attachment(request, await _find_attachment(request)))


async def attach(request: web.Request) -> web.Response:
    """Answers once the release that has its config vars is recorded. Needs the add-on's app too: it opens its data."""
    parts, body = request.app[PARTS], await read_object(request)
    app = request[APP] = await parts.apps.find(identity_of(body, "app"))
    await parts.access.admit(request[ACCOUNT], request[TOKEN], app, Permission.OPERATE, Scope.WRITE)
    addon = await _named(request, identity_of(body, "addon"), None, Permission.OPERATE, Scope.WRITE)
    if body.get("namespace") is not None:
        raise InvalidParams("There is one credential an add-on here; leave --credential out.", resource="add_on")
    made = await parts.addons.attach(
        request[ACTOR], app, addon, name=text_of(body, "name"), confirm=text_of(body, "confirm")
    )
    note(request, attachment=[None, made.name], addon=addon.name)
    return reply(request, await _attachment(request, made), status=201)


async def detach(request: web.Request) -> web.Response:
    found = await _find_attachment(request, Permission.OPERATE, Scope.WRITE)
    note(request, attachment=[found.name, None])
    shown = await _attachment(request, found)
    await request.app[PARTS].addons.detach(request[ACTOR], found)
    return reply(request, shown)


async def resolve_attachments(request: web.Request) -> web.Response:
    body = await read_object(request)
    app = await _app_of(request, body)
    found = await request.app[PARTS].addons.find_attachment(identity_of(body, "addon_attachment"), app)
    await _admit_to(request, found.app_id, Permission.VIEW, Scope.READ, "add_on attachment", NO_ATTACHMENT)
    addon = await request.app[PARTS].addons.find(found.addon_id)
    _check_service(request, body, addon.service, "add_on attachment", NO_ATTACHMENT)
    return reply(request, [await _attachment(request, found)])


# --- finding ----------------------------------------------------------------------------------------------------------


async def _find(request: web.Request, permission: Permission = Permission.VIEW, scope: Scope = Scope.READ) -> Addon:
    """By the path. Where that names an app, its policy has admitted already."""
    app = await find_app(request) if "app" in request.match_info else None
    return await _named(request, request.match_info["addon"], app, permission, scope)


async def _named(
    request: web.Request,
    name: str,
    app: App | None,
    permission: Permission = Permission.VIEW,
    scope: Scope = Scope.READ,
) -> Addon:
    """One that could not be provisioned is told of for a day, to whoever waits for it by its name."""
    parts = request.app[PARTS]
    app_name, separator, attachment = name.partition("::")
    if separator:
        app, name = await parts.apps.find(app_name), attachment
        await parts.access.admit(request[ACCOUNT], request[TOKEN], app, Permission.VIEW, Scope.READ)
    try:
        addon = await parts.addons.find(name, app)
    except NotFound:
        addon = await parts.addons.find_failed(name)
    lent = app is not None and any(one.app_id == app.id for one in await parts.addons.attachments(addon_id=addon.id))
    await _admit_to(request, addon.app_id, permission, scope, "add_on", NO_ADDON, of=app if lent else None)
    if addon.failure is not None:
        raise InvalidParams(f"{addon.name} could not be provisioned: {addon.failure}", resource="add_on")
    return addon


async def _admit_to(
    request: web.Request,
    app_id: str,
    permission: Permission,
    scope: Scope,
    resource: str,
    message: str,
    *,
    of: App | None = None,
) -> None:
    """Raises NotFound in the words of what was asked for, Forbidden. `of`: an app that it is attached to, and that the
    caller came by; who may see that may see what is attached to it."""
    parts = request.app[PARTS]
    try:
        app = await parts.apps.find(app_id)
        await parts.access.admit(request[ACCOUNT], request[TOKEN], app, permission, scope)
    except NotFound as error:
        if of is None or permission is not Permission.VIEW:
            raise NotFound(message, resource=resource) from error
        await parts.access.admit(request[ACCOUNT], request[TOKEN], of, permission, scope)


async def _find_attachment(
    request: web.Request, permission: Permission = Permission.VIEW, scope: Scope = Scope.READ
) -> Attachment:
    app = await find_app(request) if "app" in request.match_info else None
    found = await request.app[PARTS].addons.find_attachment(request.match_info["attachment"], app)
    await _admit_to(request, found.app_id, permission, scope, "add_on attachment", NO_ATTACHMENT)
    if app is None:
        request[APP] = await request.app[PARTS].apps.find(found.app_id)
    return found


async def _app_of(request: web.Request, body: dict[str, object]) -> App | None:
    if not body.get("app"):
        return None
    parts = request.app[PARTS]
    app = await parts.apps.find(identity_of(body, "app"))
    await parts.access.admit(request[ACCOUNT], request[TOKEN], app, Permission.VIEW, Scope.READ)
    return app


def _options(body: dict[str, object]) -> dict[str, str]:
    """What a partner is given: `heroku addons:create acme:basic -- --zone=east`."""
    given = body.get("config") or {}
    if not isinstance(given, dict) or not all(isinstance(value, str | int | float) for value in given.values()):
        raise InvalidParams(
            "Nothing can be set by a config that is no object of names and texts; leave it out.", resource="add_on"
        )
    shown = {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in given.items()}
    if len(shown) > OPTIONS or any(len(name) + len(value) > OPTION_CHARACTERS for name, value in shown.items()):
        raise InvalidParams(f"An add-on has {OPTIONS} options of {OPTION_CHARACTERS} characters at most; say less.")
    return shown


def _check_service(request: web.Request, body: dict[str, object], has: str, resource: str, message: str) -> None:
    wanted = body.get("addon_service")
    if wanted and request.app[PARTS].addons.catalogue.service(identity_of(body, "addon_service")).name != has:
        raise NotFound(message, resource=resource)


# --- showing ----------------------------------------------------------------------------------------------------------


async def show_addon(request: web.Request, addon: Addon, message: str = "") -> Resource:
    """As the wire has it; `message` is what its change has to say."""
    addons = request.app[PARTS].addons
    return addon_resource(
        addon,
        addons.shown_state(addon),
        await _owner(request, addon),
        addons.catalogue.service_of(addon.service),
        addons.catalogue.plan_of(addon.service, addon.plan),
        await addons.attachments(addon_id=addon.id),
        expand=_listed(request, "Accept-Expansion"),
        message=message or addon.message,
        web_url=_dashboard(request, addon),
    )


async def _attachment(request: web.Request, attachment: Attachment) -> Resource:
    parts = request.app[PARTS]
    addon = await parts.addons.find(attachment.addon_id)
    return attachment_resource(
        attachment,
        await parts.apps.find(attachment.app_id),
        addon,
        await _owner(request, addon),
        parts.addons.catalogue.plan_of(addon.service, addon.plan),
        parts.addons.catalogue.service_of(addon.service).suffixes,
        include=_listed(request, "Accept-Inclusion"),
        web_url=_dashboard(request, addon),
    )


def _dashboard(request: web.Request, addon: Addon) -> str | None:
    """What opens it, at its partner's too: None for a token that does not reach all that it shows."""
    if TOKEN not in request or not request[TOKEN].covers(Scope.WRITE_PROTECTED):
        return None
    return request.app[PARTS].links.dashboard(addon.id, request[ACCOUNT].id)


async def _owner(request: web.Request, addon: Addon) -> App | None:
    try:
        return await request.app[PARTS].apps.find(addon.app_id)
    except NotFound:
        return None


def _listed(request: web.Request, header: str) -> frozenset[str]:
    return frozenset(word.strip() for word in request.headers.get(header, "").split(","))


ROUTES = (
    web.get("/addon-services", index_services),
    web.get("/addon-services/{service}", show_service),
    web.get("/addon-services/{service}/plans", index_plans),
    web.get("/addons", index),
    web.get("/addons/{addon}", show),
    web.get("/addons/{addon}/config", show_config),
    web.get("/addons/{addon}/addon-attachments", index_attachments_of_addon),
    web.post("/actions/addons/resolve", resolve),
    web.get("/apps/{app}/addons", index_of_app),
    web.post("/apps/{app}/addons", create),
    web.post("/apps/{app}/addons/actions/undestroy", undestroy),
    web.get("/apps/{app}/addons/{addon}", show),
    web.patch("/apps/{app}/addons/{addon}", update),
    web.delete("/apps/{app}/addons/{addon}", destroy),
    web.get("/addon-attachments", index_attachments),
    web.post("/addon-attachments", attach),
    web.get("/addon-attachments/{attachment}", show_attachment),
    web.delete("/addon-attachments/{attachment}", detach),
    web.post("/actions/addon-attachments/resolve", resolve_attachments),
    web.get("/apps/{app}/addon-attachments", index_attachments_of_app),
    web.get("/apps/{app}/addon-attachments/{attachment}", show_attachment),
)
