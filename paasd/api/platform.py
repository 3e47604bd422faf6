"""What the platform itself is: its region, its stack, and features that are on because every release goes that way."""

from aiohttp import web

from paasd.api.paging import reply_list
from paasd.api.replies import reply
from paasd.api.requests import flag_of, read_object
from paasd.api.resources import BUILT_IN_SINCE, Resource, named, region_resource, stack_resource
from paasd.domain.errors import InvalidParams, NotFound

PREBOOT: Resource = {
    **named("preboot", "feature"),
    "created_at": BUILT_IN_SINCE,
    "description": "New dynos answer before the old ones stop: every release goes that way here",
    "display_name": "Preboot",
    "doc_url": "https://devcenter.heroku.com/articles/preboot",
    "enabled": True,
    "feedback_email": "",
    "state": "general",
    "updated_at": BUILT_IN_SINCE,
}
# The last is what heroku3 asks for when nobody told it anything.
HEROKU_STACKS = ("container", "cnb", "heroku-20", "heroku-22", "heroku-24", "heroku-26", "cedar")
HEROKU_REGIONS = (
    *("us", "eu", "dublin", "frankfurt", "london", "montreal", "mumbai", "oregon", "singapore", "sydney", "tokyo"),
    "virginia",
)
WARNING = "X-Heroku-Warning"


async def index_regions(request: web.Request) -> web.Response:
    return reply_list(request, [region_resource()], ("id", "name"))


async def show_region(request: web.Request) -> web.Response:
    return reply(request, _one(region_resource(), request.match_info["region"], "region"))


async def index_stacks(request: web.Request) -> web.Response:
    return reply_list(request, [stack_resource()], ("id", "name"))


async def show_stack(request: web.Request) -> web.Response:
    return reply(request, _one(stack_resource(), request.match_info["stack"], "stack"))


async def index_features(request: web.Request) -> web.Response:
    return reply_list(request, [PREBOOT], ("id", "name"))


async def show_feature(request: web.Request) -> web.Response:
    return reply(request, _one(PREBOOT, request.match_info["feature"], "feature"))


async def update_feature(request: web.Request) -> web.Response:
    """Turning on what is on is fine."""
    feature = _one(PREBOOT, request.match_info["feature"], "feature")
    enabled = flag_of(await read_object(request), "enabled")
    if enabled is None:
        raise InvalidParams("enabled is missing; send true or false.", resource="feature")
    if not enabled:
        raise InvalidParams(
            "preboot can't be turned off; new dynos always start beside the old ones here.", resource="feature"
        )
    return reply(request, feature)


def heed_place(body: Resource) -> dict[str, str]:
    """A header that warns who asks for a stack or region of Heroku's, when there is one of each here; else none.

    Raises InvalidParams for what is neither Heroku's nor ours.
    """
    said = [
        _heed(body.get("stack"), stack_resource(), "stack", HEROKU_STACKS),
        _heed(body.get("build_stack"), stack_resource(), "stack", HEROKU_STACKS),
        _heed(body.get("region"), region_resource(), "region", HEROKU_REGIONS),
    ]
    warnings = " ".join(dict.fromkeys(text for text in said if text))
    return {WARNING: warnings} if warnings else {}


def _heed(wanted: object, own: Resource, kind: str, known: tuple[str, ...]) -> str | None:
    if isinstance(wanted, dict):
        wanted = wanted.get("name") or wanted.get("id")
    if wanted is None or wanted in (own["id"], own["name"]):
        return None
    if kind == "stack":
        instead = "an app with a Dockerfile is built by it, any other on this stack"
    else:
        instead = "every app runs on this machine"
    if wanted in known:
        return f"There is only the {kind} {own['name']} here: {instead}."
    raise InvalidParams(f"That {kind} is not known; there is only {own['name']} here: {instead}.", resource=kind)


def _one(own: Resource, name_or_id: str, kind: str) -> Resource:
    if name_or_id not in (own["id"], own["name"]):
        raise NotFound(f"Couldn't find that {kind}; there is only {own['name']} here.", resource=kind)
    return own


ROUTES = (
    web.get("/regions", index_regions),
    web.get("/regions/{region}", show_region),
    web.get("/stacks", index_stacks),
    web.get("/stacks/{stack}", show_stack),
    web.get("/apps/{app}/features", index_features),
    web.get("/apps/{app}/features/{feature}", show_feature),
    web.patch("/apps/{app}/features/{feature}", update_feature),
)
