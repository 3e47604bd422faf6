"""Who else may do what to an app."""

from typing import Any

from aiohttp import web

from paasd.api.paging import reply_list
from paasd.api.parts import PARTS
from paasd.api.people_resources import collaborator_resource, owner_resource
from paasd.api.replies import reply
from paasd.api.requests import find_app, identity_of, note, read_object
from paasd.domain.access import COLLABORATOR, Permission, parse_permissions
from paasd.domain.errors import InvalidParams


async def index(request: web.Request) -> web.Response:
    app = await find_app(request)
    others = await request.app[PARTS].authorizations.collaborators(app)
    shown = [owner_resource(app), *(collaborator_resource(one, app) for one in others)]
    return reply_list(request, shown, ("id",))


async def show(request: web.Request) -> web.Response:
    app = await find_app(request)
    asked = request.match_info["collaborator"]
    if asked in (app.owner_id, app.owner_email):
        return reply(request, owner_resource(app))
    return reply(request, collaborator_resource(await request.app[PARTS].authorizations.collaborator(app, asked), app))


async def create(request: web.Request) -> web.Response:
    body = await read_object(request)
    app = await find_app(request)
    wanted = COLLABORATOR if body.get("permissions") is None else _permissions(body)
    one = await request.app[PARTS].authorizations.share(app, identity_of(body, "user"), wanted)
    note(request, user=one.email, permissions=sorted(one.permissions))
    return reply(request, collaborator_resource(one, app), status=201)


async def update(request: web.Request) -> web.Response:
    body = await read_object(request)
    app = await find_app(request)
    authorizations = request.app[PARTS].authorizations
    before = await authorizations.collaborator(app, request.match_info["collaborator"])
    one = await authorizations.share(app, before.account_id, _permissions(body))
    note(request, user=one.email, permissions=[sorted(before.permissions), sorted(one.permissions)])
    return reply(request, collaborator_resource(one, app))


async def remove(request: web.Request) -> web.Response:
    app = await find_app(request)
    authorizations = request.app[PARTS].authorizations
    one = await authorizations.collaborator(app, request.match_info["collaborator"])
    await authorizations.unshare(one)
    note(request, user=one.email)
    return reply(request, collaborator_resource(one, app))


def _permissions(body: dict[str, Any]) -> frozenset[Permission]:
    asked = body.get("permissions")
    if not isinstance(asked, list):
        raise InvalidParams('permissions must be a list, such as ["view", "deploy"]; send one.')
    return parse_permissions([each.get("name") if isinstance(each, dict) else each for each in asked])


ROUTES = (
    web.get("/apps/{app}/collaborators", index),
    web.post("/apps/{app}/collaborators", create),
    web.get("/apps/{app}/collaborators/{collaborator}", show),
    web.patch("/apps/{app}/collaborators/{collaborator}", update),
    web.delete("/apps/{app}/collaborators/{collaborator}", remove),
)
