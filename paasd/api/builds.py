"""Builds, and slugs: a build that succeeded is also a slug, under the same id."""

from collections.abc import Iterable

from aiohttp import web

from paasd.api.paging import reply_list
from paasd.api.parts import PARTS
from paasd.api.replies import reply
from paasd.api.requests import ACTOR, find_app
from paasd.api.resources import build_resource, slug_resource
from paasd.domain.errors import NotFound
from paasd.domain.release import BuildStatus, Release

ATTRIBUTES = ("id", "created_at", "updated_at")


async def index(request: web.Request) -> web.Response:
    parts = request.app[PARTS]
    app = await find_app(request)
    became = releases_of_builds(await parts.ledger.releases(app))
    builds = await parts.ledger.builds(app)
    shown = [build_resource(build, app, parts.links, release_id=became.get(build.id)) for build in builds]
    return reply_list(request, shown, ATTRIBUTES)


async def show(request: web.Request) -> web.Response:
    parts = request.app[PARTS]
    app = await find_app(request)
    build = await parts.ledger.build(app, request.match_info["build"])
    became = releases_of_builds(await parts.ledger.releases(app))
    return reply(request, build_resource(build, app, parts.links, release_id=became.get(build.id)))


async def cancel(request: web.Request) -> web.Response:
    parts = request.app[PARTS]
    app = await find_app(request)
    build = await parts.builds.cancel(request[ACTOR], app, request.match_info["build"])
    return reply(request, build_resource(build, app, parts.links, release_id=None))


async def show_slug(request: web.Request) -> web.Response:
    parts = request.app[PARTS]
    app = await find_app(request)
    build = await parts.ledger.build(app, request.match_info["slug"])
    if build.status is not BuildStatus.SUCCEEDED:
        raise NotFound("Couldn't find that slug; its build did not succeed.", resource="slug")
    return reply(request, slug_resource(build, app, parts.links))


def releases_of_builds(releases: Iterable[Release]) -> dict[str, str]:
    """Build id -> id of the first release made of it; rollbacks and config changes come later."""
    became: dict[str, str] = {}
    for release in releases:
        if release.build_id is not None:
            became.setdefault(release.build_id, release.id)
    return became


ROUTES = (
    web.get("/apps/{app}/builds", index),
    web.get("/apps/{app}/builds/{build}", show),
    web.delete("/apps/{app}/builds/{build}", cancel),
    web.get("/apps/{app}/slugs/{slug}", show_slug),
)
