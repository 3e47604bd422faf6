"""Releases: the ledger page by page, one release with all that is known of it, and rollback."""

from collections.abc import Sequence

from aiohttp import web

from paasd.api.paging import Range, parse_number, parse_range, reply_page
from paasd.api.parts import PARTS
from paasd.api.platform import WARNING
from paasd.api.replies import Refusal, reply
from paasd.api.requests import ACTOR, find_app, flag_of, read_object, text_of
from paasd.api.resources import release_details, release_extension, release_resource
from paasd.domain.addon import attachment_differences
from paasd.domain.app import App
from paasd.domain.errors import InvalidParams, NotFound
from paasd.domain.release import Release, RollbackPart

ATTRIBUTES = ("version", "id")  # ids are random: they are put in the order of the versions


async def index(request: web.Request) -> web.Response:
    parts = request.app[PARTS]
    app = await find_app(request)
    wanted = parse_range(request.headers.get("Range"), ATTRIBUTES)
    releases, more = await _read_page(request, app, wanted)
    current = await parts.ledger.current(app)
    page = [_resource(request, app, release, current) for release in releases]
    if "extended" in request.query:
        page = [
            {**shown, "extended": release_extension(release)} for shown, release in zip(page, releases, strict=True)
        ]
    return reply_page(request, list(zip(page, releases, strict=True)), wanted, ATTRIBUTES, more=more)


async def show(request: web.Request) -> web.Response:
    ledger = request.app[PARTS].ledger
    app = await find_app(request)
    release = await ledger.release(app, request.match_info["release"])
    shown = _resource(request, app, release, await ledger.current(app))
    if "extended" in request.query:
        shown["extended"] = release_details(release, await ledger.details(app, release))
    return reply(request, shown)


async def show_config(request: web.Request) -> web.Response:
    app = await find_app(request)
    release = await request.app[PARTS].ledger.release(app, request.match_info["release"])
    return reply(request, dict(release.config))


async def create(request: web.Request) -> web.Response:
    """A rollback to `release`, or a new release of the build `slug`. Answers once it is recorded."""
    parts = request.app[PARTS]
    body = await read_object(request)
    app = await find_app(request)
    target, slug = _target_of(body), text_of(body, "slug")
    if (target is None) == (slug is None):
        raise InvalidParams(
            "Name either the release to roll back to (`release`) or the slug to release (`slug`).", resource="release"
        )
    if target is not None:
        skip = flag_of(body, "skip_release_phase") or False
        release = await parts.releases.roll_back(
            request[ACTOR], app, target, skip_release_phase=skip, only=_part_of(body)
        )
    else:
        release = await parts.releases.release_build(request[ACTOR], app, str(slug), text_of(body, "description"))
    shown = _resource(request, app, release, await parts.ledger.current(app))
    return reply(request, shown, status=201, headers=await _warning(request, app, target, release))


async def _warning(request: web.Request, app: App, target: str | None, release: Release) -> dict[str, str]:
    """Where a rollback's add-ons, which stay as they are, differ from those of the release that it goes back to."""
    if target is None:
        return {}
    then = await request.app[PARTS].ledger.release(app, target)
    differences = attachment_differences(then.attachments, release.attachments)
    return {WARNING: f"Add-ons stay as they are: {' '.join(differences)}"} if differences else {}


def _resource(request: web.Request, app: App, release: Release, current: Release | None) -> dict[str, object]:
    is_current = current is not None and current.id == release.id
    return release_resource(release, app, request.app[PARTS].links, current=is_current)


def _part_of(body: dict[str, object]) -> RollbackPart | None:
    only = text_of(body, "only")
    if only is not None and only not in [*RollbackPart]:
        raise InvalidParams('only must be "code" or "config"; leave it out to go back to both.', resource="release")
    return RollbackPart(only) if only else None


def _target_of(body: dict[str, object]) -> str | None:
    target = body.get("release")
    if isinstance(target, int) and not isinstance(target, bool):
        return str(target)
    return text_of(body, "release")


async def _read_page(request: web.Request, app: App, wanted: Range) -> tuple[Sequence[Release], bool]:
    ledger = request.app[PARTS].ledger
    step = -1 if wanted.descending else 1
    after = await _version_at(request, app, wanted, wanted.start)
    if after is not None and not wanted.start_excluded:
        after -= step
    last = await _version_at(request, app, wanted, wanted.end)
    releases = await ledger.releases(app, newest_first=wanted.descending, limit=wanted.limit + 1, after=after)
    if last is not None:
        allowed = 0 if wanted.end_excluded else 1
        releases = [release for release in releases if (last - release.version) * step + allowed > 0]
    return releases[: wanted.limit], len(releases) > wanted.limit


async def _version_at(request: web.Request, app: App, wanted: Range, bound: str | None) -> int | None:
    if bound is None:
        return None
    if wanted.attribute == "version":
        return parse_number(bound)
    try:
        return (await request.app[PARTS].ledger.release(app, bound)).version
    except NotFound as error:
        message = "The range names a release that is not here; begin with `version ..`."
        raise Refusal(416, "requested_range_not_satisfiable", message) from error


ROUTES = (
    web.get("/apps/{app}/releases", index),
    web.post("/apps/{app}/releases", create),
    web.get("/apps/{app}/releases/{release}", show),
    web.get("/apps/{app}/releases/{release}/config-vars", show_config),
)
