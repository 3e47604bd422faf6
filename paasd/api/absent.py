"""What Heroku has and we have none of: whoever names one is told so (404); who wants one, what to do instead (422)."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from paasd.api.paging import reply_list
from paasd.api.parts import PARTS
from paasd.api.requests import ACCOUNT, read_object
from paasd.api.resources import app_resource
from paasd.domain.errors import InvalidParams, NotFound

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

WANT_CERTIFICATE = (
    "Certificates can't be added here yet; names under the platform's own domain have one (`paas ca`), for others "
    "let a proxy in front end TLS."
)
WANT_AUTOMATIC = (
    "Automatic certificates are for names under the platform's own domain, which have one (`paas ca`); for others let "
    "a proxy in front end TLS."
)
WANT_PIPELINE = "There are no pipelines here; push the same commit to each app instead."
WANT_TEAM = "There are no teams here; let others work on an app with `heroku access:add`."
WANT_SPACE = "There are no spaces here; every app runs on this machine."

NONE: dict[str, tuple[str, str]] = {  # resource -> what to say of one that is named, and the routes that name one
    "sni_endpoint": (
        "Couldn't find that certificate; this app has none of its own.",
        """
        GET /apps/{app}/sni-endpoints/{endpoint}
        PATCH /apps/{app}/sni-endpoints/{endpoint}
        DELETE /apps/{app}/sni-endpoints/{endpoint}
        """,
    ),
    "pipeline": (
        "Couldn't find that pipeline; there are none here.",
        """
        GET /pipelines/{pipeline}
        PATCH /pipelines/{pipeline}
        DELETE /pipelines/{pipeline}
        GET /pipelines/{pipeline}/pipeline-couplings
        GET /pipelines/{pipeline}/review-app-config
        GET /pipelines/{pipeline}/review-apps
        GET /pipeline-promotions/{promotion}
        """,
    ),
    "pipeline_coupling": (
        "This app is in no pipeline; there are none here.",
        """
        GET /apps/{app}/pipeline-couplings
        PATCH /pipeline-couplings/{coupling}
        DELETE /pipeline-couplings/{coupling}
        """,
    ),
    "review_app": ("This is no review app; there are none here.", "GET /apps/{app}/review-app"),
    "team": (
        "Couldn't find that team; there are none here.",
        """
        GET /teams/{team}
        GET /teams/{team}/apps
        GET /teams/{team}/members
        GET /teams/{team}/invitations
        GET /enterprise-accounts/{enterprise}
        """,
    ),
    "space": ("Couldn't find that space; there are none here.", "GET /spaces/{space}"),
    "feature": (
        "Couldn't find that feature; accounts have none here.",
        """
        GET /account/features/{feature}
        PATCH /account/features/{feature}
        """,
    ),
}
WANTED: tuple[tuple[str, str], ...] = (
    ("POST /apps/{app}/sni-endpoints", WANT_CERTIFICATE),
    ("POST /apps/{app}/acm", WANT_AUTOMATIC),
    ("PATCH /apps/{app}/acm", WANT_AUTOMATIC),
    ("DELETE /apps/{app}/acm", WANT_AUTOMATIC),
    ("POST /pipelines", WANT_PIPELINE),
    ("POST /pipeline-couplings", WANT_PIPELINE),
    ("POST /pipeline-promotions", WANT_PIPELINE),
    ("POST /teams", WANT_TEAM),
    ("POST /teams/apps", WANT_TEAM),
    ("POST /spaces", WANT_SPACE),
)
EMPTY = (
    *(
        "/pipelines",
        "/pipeline-couplings",
        "/teams",
    ),
    *("/enterprise-accounts", "/spaces", "/account/features"),
    "/apps/{app}/sni-endpoints",
)


async def none(request: web.Request) -> web.Response:
    return reply_list(request, [], ("id",))


async def filter_apps(request: web.Request) -> web.Response:
    """A POST that reads: the visible apps among those whose ids are sent."""
    parts = request.app[PARTS]
    wanted = (await read_object(request)).get("in")
    ids = wanted.get("id") if isinstance(wanted, dict) else None
    if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
        raise InvalidParams('Send the ids of the apps that are meant, as {"in": {"id": [...]}}.')
    visible = await parts.access.visible(request[ACCOUNT], await parts.apps.all())
    return reply_list(request, [app_resource(app, parts.links) for app in visible if app.id in ids], ("id", "name"))


def _missing(resource: str, message: str) -> Handler:
    async def missing(_: web.Request) -> web.StreamResponse:
        raise NotFound(message, resource=resource)

    return missing


def _wanted(message: str) -> Handler:
    async def wanted(_: web.Request) -> web.StreamResponse:
        raise InvalidParams(message)

    return wanted


def _routes() -> list[web.RouteDef]:
    routes = [web.get(path, none) for path in EMPTY]
    for resource, (message, listed) in NONE.items():
        handler = _missing(resource, message)
        for line in listed.split("\n"):
            if line.strip():
                method, path = line.split()
                routes.append(web.get(path, handler) if method == "GET" else web.route(method, path, handler))
    for route, message in WANTED:
        method, path = route.split()
        routes.append(web.route(method, path, _wanted(message)))
    return routes


ROUTES = (*_routes(), web.post("/filters/apps", filter_apps))
REFUSALS: frozenset[object] = frozenset(route.handler for route in ROUTES if route.handler not in (none, filter_apps))
"""The handlers that only say no: what they answer is not served."""
