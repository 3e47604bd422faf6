"""Log drains of an app. What stands in a path may be a drain's URL, and so hold a password: see `shown_path`."""

from aiohttp import web

from paasd.api.paging import reply_list
from paasd.api.parts import PARTS
from paasd.api.replies import reply
from paasd.api.requests import ACTOR, find_app, note, read_object
from paasd.api.resources import Resource, of_app
from paasd.domain.app import App
from paasd.domain.drain import Drain


async def index(request: web.Request) -> web.Response:
    app = await find_app(request)
    found = await request.app[PARTS].drains.of(app)
    return reply_list(request, [_drain(one, app) for one in found], ("id", "created_at", "updated_at"), of=found)


async def show(request: web.Request) -> web.Response:
    return reply(request, _drain(await _find(request), await find_app(request)))


async def create(request: web.Request) -> web.Response:
    app, body = await find_app(request), await read_object(request)
    made = await request.app[PARTS].drains.add(request[ACTOR], app, body.get("url"))
    note(request, drain=[None, made.id])
    return reply(request, _drain(made, app), status=201)


async def destroy(request: web.Request) -> web.Response:
    app, drain = await find_app(request), await _find(request)
    await request.app[PARTS].drains.remove(request[ACTOR], app, drain)
    note(request, drain=[drain.id, None])
    return reply(request, _drain(drain, app))


async def _find(request: web.Request) -> Drain:
    return await request.app[PARTS].drains.find(await find_app(request), request.match_info["drain"])


def _drain(drain: Drain, app: App) -> Resource:
    return {
        **of_app(drain, app),
        "addon": None,
        "token": drain.token,
        "url": drain.url,
    }


ROUTES = (
    web.get("/apps/{app}/log-drains", index),
    web.post("/apps/{app}/log-drains", create),
    web.get("/apps/{app}/log-drains/{drain}", show),
    web.delete("/apps/{app}/log-drains/{drain}", destroy),
)
