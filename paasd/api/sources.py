"""Sources: a place to put an archive, and to get it from, both by capability URL."""

import uuid

from aiohttp import web

from paasd.api.links import SIGNATURE, source_resource
from paasd.api.parts import PARTS
from paasd.api.replies import reply
from paasd.api.requests import find_app
from paasd.api.streams import send
from paasd.domain.errors import NotFound


async def create(request: web.Request) -> web.Response:
    """Somebody who may write may put an archive here; it is built with `POST /apps/{app}/builds`."""
    if "app" in request.match_info:
        await find_app(request)
    links, key = request.app[PARTS].links, str(uuid.uuid4())
    blob = {"get_url": links.source("GET", key), "put_url": links.source("PUT", key)}
    return reply(request, {"source_blob": blob}, status=201)


async def put(request: web.Request) -> web.Response:
    """A tar archive, as it is, whatever its media type. 422 for one that would not be built."""
    size = await request.app[PARTS].archives.put(_key_of(request), request.content.iter_any())
    return reply(request, {"size": size})


async def get(request: web.Request) -> web.StreamResponse:
    archives = request.app[PARTS].archives
    key = _key_of(request)
    if not await archives.uploads.has(key):
        raise NotFound("No archive was put there, or it was too long ago.", resource="source")
    response = web.StreamResponse(headers={"Cache-Control": "no-store"})
    response.content_type = "application/gzip"
    return await send(request, response, archives.uploads.read(key))


def _key_of(request: web.Request) -> str:
    key = request.match_info["key"]
    resource = source_resource(request.method, key)
    if not request.app[PARTS].links.opens(resource, request.query.get(SIGNATURE, "")):
        raise NotFound("This address has expired or was never valid; ask for a new one.", resource="source")
    return key


PUBLIC_ROUTES = (web.put("/sources/{key}", put), web.get("/sources/{key}", get, allow_head=False))
ROUTES = (web.post("/sources", create), web.post("/apps/{app}/sources", create))
