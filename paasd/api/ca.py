"""Our own: the certificate of the local authority, for clients that are to trust it."""

from aiohttp import web

from paasd.api.parts import PARTS
from paasd.api.replies import reply


async def show(request: web.Request) -> web.Response:
    return reply(request, {"certificate": request.app[PARTS].ca_certificate})


ROUTES = (web.get("/paasd/ca", show),)
