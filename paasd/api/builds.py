"""Builds, and slugs: a build that succeeded is also a slug, under the same id."""

import re
from typing import Any

from aiohttp import web

from paasd.api.paging import reply_list
from paasd.api.parts import PARTS
from paasd.api.replies import reply
from paasd.api.requests import ACTOR, find_app, flag_of, note, read_object, text_of
from paasd.api.resources import build_resource, slug_resource
from paasd.domain.app import App
from paasd.domain.errors import InvalidParams, NotFound
from paasd.domain.push import Archive
from paasd.domain.release import BuildStatus

INVISIBLE = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
ATTRIBUTES = ("id", "created_at", "updated_at")


async def index(request: web.Request) -> web.Response:
    parts = request.app[PARTS]
    app = await find_app(request)
    became = await parts.ledger.first_releases(app)
    builds = await parts.ledger.builds(app)
    shown = [build_resource(build, app, parts.links, release_id=became.get(build.id)) for build in builds]
    return reply_list(request, shown, ATTRIBUTES, of=builds)


async def show(request: web.Request) -> web.Response:
    parts = request.app[PARTS]
    app = await find_app(request)
    build = await parts.ledger.build(app, request.match_info["build"])
    became = await parts.ledger.first_releases(app)
    return reply(request, build_resource(build, app, parts.links, release_id=became.get(build.id)))


async def create(request: web.Request) -> web.Response:
    """A build of the archive at `source_blob.url`: one put at a `put_url` of ours, or anywhere in public."""
    parts = request.app[PARTS]
    body = await read_object(request)
    app = await find_app(request)
    blob = body.get("source_blob")
    if not isinstance(blob, dict):
        raise InvalidParams('source_blob is missing; send {"source_blob": {"url": "https://..."}}.')
    build = await parts.archives.begin(_archive_of(request, app, blob, queue=flag_of(body, "queue") or False))
    note(request, build=build.id)
    return reply(request, build_resource(build, app, parts.links, release_id=None), status=201)


def _archive_of(request: web.Request, app: App, blob: dict[str, Any], *, queue: bool) -> Archive:
    url = text_of(blob, "url")
    if not url:
        raise InvalidParams("source_blob.url is missing; give the get_url of `POST /sources`, or a URL of a tar.gz.")
    upload = request.app[PARTS].links.upload_of(url)
    version, description = (text_of(blob, name) or "" for name in ("version", "version_description"))
    if INVISIBLE.search(version + description) or len(version) > 200 or len(description) > 1000:
        raise InvalidParams("version and version_description must be short plain text; give a commit's, for example.")
    return Archive(
        app=app,
        actor=request[ACTOR],
        upload=upload,
        url=None if upload else url,
        version=version.strip(),
        description=description.strip(),
        sha256=_sha256_of(text_of(blob, "checksum")),
        queue=queue,
    )


def _sha256_of(checksum: str | None) -> str | None:
    if not checksum:
        return None
    match = re.fullmatch(r"(?:sha256:)?([0-9a-f]{64})", checksum.lower())
    if match is None:
        raise InvalidParams("checksum must be that of SHA-256, such as SHA256:9f86d08…; or leave it out.")
    return match[1]


async def cancel(request: web.Request) -> web.Response:
    parts = request.app[PARTS]
    app = await find_app(request)
    build = await parts.builds.cancel(request[ACTOR], app, request.match_info["build"])
    return reply(request, build_resource(build, app, parts.links, release_id=None))


async def purge_cache(request: web.Request) -> web.Response:
    """Remove what the app's builds keep for the next one: installed dependencies, and downloads of them."""
    app = await find_app(request)
    freed = await request.app[PARTS].disk.purge_cache(app)
    return reply(request, {"app": {"id": app.id, "name": app.name}, "bytes": freed})


async def show_slug(request: web.Request) -> web.Response:
    parts = request.app[PARTS]
    app = await find_app(request)
    build = await parts.ledger.build(app, request.match_info["slug"])
    if build.status is not BuildStatus.SUCCEEDED:
        raise NotFound("Couldn't find that slug; its build did not succeed.", resource="slug")
    return reply(request, slug_resource(build, app, parts.links))


ROUTES = (
    web.get("/apps/{app}/builds", index),
    web.post("/apps/{app}/builds", create),
    web.get("/apps/{app}/builds/{build}", show),
    web.delete("/apps/{app}/builds/{build}", cancel),
    web.delete("/apps/{app}/build-cache", purge_cache),
    web.get("/apps/{app}/slugs/{slug}", show_slug),
)
