"""SSH keys of the caller's account."""

from aiohttp import web

from paasd.api.paging import reply_list
from paasd.api.parts import PARTS
from paasd.api.people_resources import key_resource
from paasd.api.replies import reply
from paasd.api.requests import ACCOUNT, note, read_object, text_of


async def index(request: web.Request) -> web.Response:
    keys = await request.app[PARTS].authorizations.keys(request[ACCOUNT])
    return reply_list(request, [key_resource(key, request[ACCOUNT]) for key in keys], ("id", "created_at"), of=keys)


async def create(request: web.Request) -> web.Response:
    body = await read_object(request)
    key = await request.app[PARTS].authorizations.add_key(request[ACCOUNT], text_of(body, "public_key") or "")
    note(request, fingerprint=key.fingerprint)
    return reply(request, key_resource(key, request[ACCOUNT]), status=201)


async def show(request: web.Request) -> web.Response:
    key = await request.app[PARTS].authorizations.key(request[ACCOUNT], request.match_info["key"])
    return reply(request, key_resource(key, request[ACCOUNT]))


async def remove(request: web.Request) -> web.Response:
    authorizations = request.app[PARTS].authorizations
    key = await authorizations.key(request[ACCOUNT], request.match_info["key"])
    await authorizations.remove_key(key)
    note(request, fingerprint=key.fingerprint)
    return reply(request, key_resource(key, request[ACCOUNT]))


ROUTES = (
    web.get("/account/keys", index),
    web.post("/account/keys", create),
    web.get("/account/keys/{key}", show),
    web.delete("/account/keys/{key}", remove),
)
