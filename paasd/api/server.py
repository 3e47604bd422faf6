"""The API as one aiohttp application: every route of ours, in the order of the story, behind the same middleware."""

from aiohttp import web

from paasd.api import (
    absent,
    accounts,
    addons,
    apps,
    attach,
    authorizations,
    buildpacks,
    builds,
    ca,
    collaborators,
    config_vars,
    dashboards,
    databases,
    disk,
    domains,
    drains,
    dynos,
    keys,
    logs,
    maintenance,
    one_offs,
    openapi,
    partners,
    people,
    platform,
    process,
    releases,
    router,
    sources,
    streams,
    transfers,
    webhooks,
)
from paasd.api.identity import GUESSES, PUBLIC, Guesses, audit, authenticate, authorize
from paasd.api.login import LOGINS, Logins
from paasd.api.login import PUBLIC_ROUTES as LOGIN_ROUTES
from paasd.api.middleware import answer_errors, guard, record_access, set_headers
from paasd.api.parts import PARTS, ApiParts
from paasd.api.rates import RATES, Rates
from paasd.api.replay import REPLAYS, Replays, replay
from paasd.api.replies import reply

__all__ = ["ApiParts", "make_api"]

HEADER_BYTES = 32 * 1024  # the CLI's Request-Id grows to 7 KiB
BODY_BYTES = 1024 * 1024
MODULES = (
    *(accounts, authorizations, keys, people, apps, collaborators, config_vars, releases, builds, dynos, one_offs),
    *(
        sources,
        webhooks,
        domains,
        addons,
        partners,
        drains,
        maintenance,
        logs,
        disk,
        process,
        router,
        ca,
        platform,
        buildpacks,
    ),
    *(databases, transfers, absent),
)


def make_api(parts: ApiParts) -> web.Application:
    """The application; whoever runs it owns its sockets. Streams open at shutdown are cancelled by the runner."""
    api = web.Application(
        middlewares=[record_access, answer_errors, guard, authenticate, audit, authorize, replay],
        client_max_size=BODY_BYTES,
        handler_args={"max_line_size": HEADER_BYTES, "max_field_size": HEADER_BYTES, "access_log": None},
    )
    public = [web.get("/health", health), *streams.PUBLIC_ROUTES, *logs.PUBLIC_ROUTES, *LOGIN_ROUTES]
    public += attach.PUBLIC_ROUTES
    public += sources.PUBLIC_ROUTES
    public += transfers.PUBLIC_ROUTES
    public += partners.PUBLIC_ROUTES
    public += dashboards.PUBLIC_ROUTES
    public += openapi.PUBLIC_ROUTES
    public += parts.extra_routes
    api[PARTS] = parts
    api[openapi.VERSION] = parts.version
    api[REPLAYS] = Replays(parts.requests)
    api[GUESSES], api[LOGINS], api[RATES] = Guesses(parts.guess_limit), Logins(), Rates(parts.rate_limit)
    api[PUBLIC] = frozenset(route.handler for route in public)
    api.on_response_prepare.append(set_headers)
    api.add_routes(public)
    for module in MODULES:
        api.add_routes(module.ROUTES)
    return api


async def health(request: web.Request) -> web.Response:
    """For whoever waits for the daemon to come up."""
    return reply(request, {"status": "ok", "version": request.app[PARTS].version})
