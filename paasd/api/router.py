"""Our own: the router's state, its end, and its replacement without a refused connection."""

from aiohttp import web

from paasd.api.parts import PARTS
from paasd.api.replies import reply
from paasd.api.resources import router_resource


async def show(request: web.Request) -> web.Response:
    return reply(request, router_resource(await request.app[PARTS].routing.status()))


async def stop(request: web.Request) -> web.Response:
    return reply(request, router_resource(await request.app[PARTS].routing.stop()))


async def upgrade(request: web.Request) -> web.Response:
    return reply(request, router_resource(await request.app[PARTS].routing.upgrade()))


ROUTES = (
    web.get("/paasd/router", show),
    web.post("/paasd/router/stop", stop),
    web.post("/paasd/router/upgrade", upgrade),
)
