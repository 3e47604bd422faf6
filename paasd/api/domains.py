"""Domains: the one that every app has, and those that were added to it."""

from aiohttp import web

from paasd.api.paging import reply_list
from paasd.api.parts import PARTS
from paasd.api.replies import reply
from paasd.api.requests import ACTOR, find_app, note, read_object
from paasd.api.resources import Resource, custom_domain_resource, domain_resource, own_domain
from paasd.domain.errors import InvalidParams
from paasd.domain.hostname import Domain

ATTRIBUTES = ("id", "hostname", "created_at", "updated_at")


async def index(request: web.Request) -> web.Response:
    parts = request.app[PARTS]
    app = await find_app(request)
    added = await parts.domains.of(app)
    shown = [domain_resource(app, parts.links), *(custom_domain_resource(one, app, parts.links) for one in added)]
    return reply_list(request, shown, ATTRIBUTES, of=[own_domain(app, parts.links), *added])


async def show(request: web.Request) -> web.Response:
    return reply(request, await _own(request) or await _added(request, await _find(request)))


async def create(request: web.Request) -> web.Response:
    body = await read_object(request)
    hostname = body.get("hostname")
    if not isinstance(hostname, str):
        raise InvalidParams("hostname is missing; send it as a string, such as www.example.org.", resource="domain")
    _check_endpoint(body)
    added = await request.app[PARTS].domains.add(request[ACTOR], await find_app(request), hostname)
    note(request, domain=[None, added.hostname])
    return reply(request, await _added(request, added), status=201)


async def update(request: web.Request) -> web.Response:
    """Nothing of a domain can be changed but its certificate, and there are none to choose from."""
    _check_endpoint(await read_object(request))
    return await show(request)


async def destroy(request: web.Request) -> web.Response:
    if await _own(request) is not None:
        raise InvalidParams(
            "Every app keeps its own name under this paasd; only domains that were added can be removed.",
            resource="domain",
        )
    domain = await _find(request)
    await request.app[PARTS].domains.remove(request[ACTOR], await find_app(request), domain)
    note(request, domain=[domain.hostname, None])
    return reply(request, await _added(request, domain))


def _check_endpoint(body: Resource) -> None:
    if body.get("sni_endpoint") is not None:
        raise InvalidParams(
            "There are no certificates to choose from yet; leave sni_endpoint out.", resource="sni_endpoint"
        )


async def _find(request: web.Request) -> Domain:
    return await request.app[PARTS].domains.find(await find_app(request), request.match_info["domain"])


async def _added(request: web.Request, domain: Domain) -> Resource:
    return custom_domain_resource(domain, await find_app(request), request.app[PARTS].links)


async def _own(request: web.Request) -> Resource | None:
    """The domain that the app has by its name, if the path means that one."""
    own = domain_resource(await find_app(request), request.app[PARTS].links)
    named = request.match_info["domain"].lower().removesuffix(".")
    return own if named in (own["id"], own["hostname"]) else None


ROUTES = (
    web.get("/apps/{app}/domains", index),
    web.post("/apps/{app}/domains", create),
    web.get("/apps/{app}/domains/{domain}", show),
    web.patch("/apps/{app}/domains/{domain}", update),
    web.delete("/apps/{app}/domains/{domain}", destroy),
)
