"""Apps: create, look at, put into maintenance, destroy."""

from aiohttp import web

from paasd.api.accounts import check_own_account
from paasd.api.paging import reply_list
from paasd.api.parts import PARTS
from paasd.api.replies import reply
from paasd.api.requests import ACTOR, find_app, flag_of, number_of, read_object, text_of
from paasd.api.resources import app_resource
from paasd.domain.app import App
from paasd.domain.errors import InvalidParams

ATTRIBUTES = ("id", "name", "created_at", "updated_at")


async def index(request: web.Request) -> web.Response:
    parts = request.app[PARTS]
    return reply_list(request, [app_resource(app, parts.links) for app in await parts.apps.all()], ATTRIBUTES)


async def index_of_user(request: web.Request) -> web.Response:
    check_own_account(request)
    return await index(request)


async def create(request: web.Request) -> web.Response:
    parts = request.app[PARTS]
    body = await read_object(request)
    app = await parts.apps.create(request[ACTOR], text_of(body, "name"))
    return reply(request, app_resource(app, parts.links), status=201)


async def show(request: web.Request) -> web.Response:
    return await _reply_app(request, await find_app(request))


async def update(request: web.Request) -> web.Response:
    """Maintenance, and `release_timeout` in seconds. All is checked before anything is done."""
    apps = request.app[PARTS].apps
    body = await read_object(request)
    app = await find_app(request)
    name, maintenance, timeout = text_of(body, "name"), flag_of(body, "maintenance"), number_of(body, "release_timeout")
    if name is not None and name != app.name:
        raise InvalidParams("Apps can't be renamed; create one with the new name and push to it.", resource="app")
    if timeout is not None:
        app = await apps.set_release_timeout(app, timeout)
    if maintenance is not None:
        app = await apps.set_maintenance(request[ACTOR], app, maintenance)
    return await _reply_app(request, app)


async def destroy(request: web.Request) -> web.Response:
    parts = request.app[PARTS]
    app = await find_app(request)
    await parts.apps.destroy(request[ACTOR], app)
    return reply(request, app_resource(app, parts.links))


async def _reply_app(request: web.Request, app: App) -> web.Response:
    parts = request.app[PARTS]
    release = await parts.ledger.current(app)
    build = await parts.ledger.build(app, release.build_id) if release and release.build_id else None
    return reply(request, app_resource(app, parts.links, slug_size=build.size if build else None))


ROUTES = (
    web.get("/apps", index),
    web.get("/users/{user}/apps", index_of_user),
    web.post("/apps", create),
    web.get("/apps/{app}", show),
    web.patch("/apps/{app}", update),
    web.delete("/apps/{app}", destroy),
)
