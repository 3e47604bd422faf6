"""Buildpack installations: what the next build goes by, unless the source has a Dockerfile."""

from collections.abc import Sequence

from aiohttp import web

from paasd.api.parts import PARTS
from paasd.api.replies import reply
from paasd.api.requests import find_app, note, read_object
from paasd.api.resources import Resource
from paasd.domain.buildpack import check_buildpacks
from paasd.domain.errors import InvalidParams


async def index(request: web.Request) -> web.Response:
    app = await find_app(request)
    return reply(request, _resources(await request.app[PARTS].apps.buildpacks(app)))


async def update(request: web.Request) -> web.Response:
    """All of them at once."""
    updates = (await read_object(request)).get("updates")
    if not isinstance(updates, list) or not all(isinstance(one, dict) for one in updates):
        raise InvalidParams('Send all buildpacks, as {"updates": [{"buildpack": "heroku/python"}]}.')
    app = await find_app(request)
    wanted = check_buildpacks([one.get("buildpack") for one in updates])
    apps = request.app[PARTS].apps
    note(request, buildpacks=[list(await apps.buildpacks(app)), list(wanted)])
    await apps.set_buildpacks(app, wanted)
    return reply(request, _resources(wanted))


def _resources(buildpacks: Sequence[str]) -> list[Resource]:
    return [{"buildpack": {"name": one, "url": one}, "ordinal": number} for number, one in enumerate(buildpacks)]


ROUTES = (
    web.get("/apps/{app}/buildpack-installations", index),
    web.put("/apps/{app}/buildpack-installations", update),
)
