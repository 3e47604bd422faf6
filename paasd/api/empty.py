"""What Heroku's clients ask after and we have one or none of: truthful answers, so that their commands go on."""

from aiohttp import web

from paasd.api.paging import reply_list
from paasd.api.parts import PARTS
from paasd.api.replies import reply
from paasd.api.requests import find_app
from paasd.api.resources import Resource, domain_resource, region_resource, stack_resource
from paasd.domain.errors import NotFound


async def none(request: web.Request) -> web.Response:
    return reply_list(request, [], ("id",))


async def none_of_app(request: web.Request) -> web.Response:
    await find_app(request)
    return reply_list(request, [], ("id",))


async def no_coupling(request: web.Request) -> web.Response:
    app = await find_app(request)
    raise NotFound("This app is in no pipeline; there are none here.", resource="pipeline_coupling", app=app.name)


async def no_team(_: web.Request) -> web.Response:
    raise NotFound("Couldn't find that team; there are none here.", resource="team")


async def index_domains(request: web.Request) -> web.Response:
    return reply_list(request, [await _domain(request)], ("id", "hostname"))


async def show_domain(request: web.Request) -> web.Response:
    domain = await _domain(request)
    if request.match_info["domain"] not in (domain["id"], domain["hostname"]):
        raise NotFound("Couldn't find that domain name; see `heroku domains`.", resource="domain")
    return reply(request, domain)


async def index_regions(request: web.Request) -> web.Response:
    return reply_list(request, [region_resource()], ("id", "name"))


async def index_stacks(request: web.Request) -> web.Response:
    return reply_list(request, [stack_resource()], ("id", "name"))


async def _domain(request: web.Request) -> Resource:
    return domain_resource(await find_app(request), request.app[PARTS].links)


NOTHING = ("/addons", "/addon-attachments", "/pipelines", "/teams", "/spaces", "/account/features")
NOTHING_OF_APP = ("addons", "addon-attachments", "features", "buildpack-installations", "log-drains", "sni-endpoints")

ROUTES = (
    *(web.get(path, none) for path in NOTHING),
    *(web.get(f"/apps/{{app}}/{noun}", none_of_app) for noun in NOTHING_OF_APP),
    web.get("/apps/{app}/pipeline-couplings", no_coupling),
    web.get("/apps/{app}/domains", index_domains),
    web.get("/apps/{app}/domains/{domain}", show_domain),
    web.get("/teams/{team}", no_team),
    web.get("/teams/{team}/apps", no_team),
    web.get("/regions", index_regions),
    web.get("/stacks", index_stacks),
)
