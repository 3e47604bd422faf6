"""Apps: create, look at, rename, give away, put into maintenance, destroy."""

from collections.abc import Mapping

from aiohttp import web

from paasd.api.accounts import check_own_account
from paasd.api.paging import reply_list
from paasd.api.parts import PARTS
from paasd.api.people_resources import transfer_resource
from paasd.api.platform import heed_place
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
    number_of,
    read_object,
    require,
    text_of,
)
from paasd.api.resources import app_resource
from paasd.domain.access import Permission, Scope
from paasd.domain.app import App
from paasd.services.apps import check_release_timeout

ATTRIBUTES = ("id", "name", "created_at", "updated_at")


async def index(request: web.Request) -> web.Response:
    parts = request.app[PARTS]
    visible = await parts.access.visible(request[ACCOUNT], await parts.apps.all())
    return reply_list(request, [app_resource(app, parts.links) for app in visible], ATTRIBUTES, of=visible)


async def index_of_user(request: web.Request) -> web.Response:
    check_own_account(request)
    return await index(request)


async def transfer(request: web.Request) -> web.Response:
    """At once: on one's own machine nobody needs to accept. Answers with a transfer that was accepted."""
    parts = request.app[PARTS]
    body = await read_object(request)
    app = await parts.apps.find(identity_of(body, "app"))
    await parts.access.admit(request[ACCOUNT], request[TOKEN], app, Permission.MANAGE, Scope.GLOBAL)
    request[APP] = app
    given = await parts.apps.give(request[ACTOR], app, await parts.access.find(identity_of(body, "recipient")))
    note(request, owner=[app.owner_email, given.owner_email])
    return reply(request, transfer_resource(app, given), status=201)


async def create(request: web.Request) -> web.Response:
    parts = request.app[PARTS]
    body = await read_object(request)
    warning = heed_place(body)
    app = request[APP] = await parts.apps.create(request[ACTOR], text_of(body, "name"))
    return await _reply_app(request, app, warning, status=201)


async def show(request: web.Request) -> web.Response:
    return await _reply_app(request, await find_app(request))


async def update(request: web.Request) -> web.Response:
    """Name, maintenance, and `release_timeout` in seconds. All is checked before anything is done."""
    apps = request.app[PARTS].apps
    body = await read_object(request)
    app = await find_app(request)
    name, maintenance, timeout = text_of(body, "name"), flag_of(body, "maintenance"), number_of(body, "release_timeout")
    warning = heed_place({"build_stack": body.get("build_stack")})
    if timeout is not None:
        check_release_timeout(timeout)
    if name is not None and name != app.name:
        require(request, Permission.MANAGE)
        note(request, name=[app.name, name])
        app = await apps.rename(request[ACTOR], app, name)
    if timeout is not None:
        app = await apps.set_release_timeout(app, timeout)
    if maintenance is not None:
        note(request, maintenance=[app.maintenance, maintenance])
        app = await apps.set_maintenance(request[ACTOR], app, maintenance)
    return await _reply_app(request, app, warning)


async def destroy(request: web.Request) -> web.Response:
    parts = request.app[PARTS]
    app = await find_app(request)
    await parts.addons.require_unshared(app)
    await parts.apps.destroy(request[ACTOR], app)
    parts.addons.mend_soon()
    return reply(request, app_resource(app, parts.links))


async def _reply_app(
    request: web.Request, app: App, headers: Mapping[str, str] | None = None, *, status: int = 200
) -> web.Response:
    """With its sizes, which a list of apps does without."""
    parts = request.app[PARTS]
    release = await parts.ledger.current(app)
    build = await parts.ledger.build(app, release.build_id) if release and release.build_id else None
    size = await parts.apps.repository_size(app)
    shown = app_resource(app, parts.links, slug_size=(build.size if build else 0) or 0, repo_size=size)
    return reply(request, shown, status=status, headers=headers)


ROUTES = (
    web.get("/apps", index),
    web.get("/users/{user}/apps", index_of_user),
    web.post("/apps", create),
    web.post("/account/app-transfers", transfer),
    web.get("/apps/{app}", show),
    web.patch("/apps/{app}", update),
    web.delete("/apps/{app}", destroy),
)
