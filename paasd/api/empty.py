"""What Heroku's clients ask after and we have one or none of: truthful answers, so that their commands go on."""

from aiohttp import web

from paasd.api.paging import reply_list
from paasd.api.requests import find_app
from paasd.api.resources import region_resource, stack_resource
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


async def index_regions(request: web.Request) -> web.Response:
    return reply_list(request, [region_resource()], ("id", "name"))


async def index_stacks(request: web.Request) -> web.Response:
    return reply_list(request, [stack_resource()], ("id", "name"))


NOTHING = ("/addons", "/addon-attachments", "/pipelines", "/teams", "/spaces", "/account/features")
NOTHING_OF_APP = ("addons", "addon-attachments", "features", "buildpack-installations", "log-drains", "sni-endpoints")

ROUTES = (
    *(web.get(path, none) for path in NOTHING),
    *(web.get(f"/apps/{{app}}/{noun}", none_of_app) for noun in NOTHING_OF_APP),
    web.get("/apps/{app}/pipeline-couplings", no_coupling),
    web.get("/teams/{team}", no_team),
    web.get("/teams/{team}/apps", no_team),
    web.get("/regions", index_regions),
    web.get("/stacks", index_stacks),
)
