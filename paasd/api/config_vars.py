"""Config vars of an app: one flat object of strings. Null removes."""

from typing import Any

from aiohttp import web

from paasd.api.parts import PARTS
from paasd.api.replies import reply
from paasd.api.requests import ACTOR, find_app, note, read_object
from paasd.domain.errors import InvalidParams
from paasd.domain.upkeep import PageKind


async def show(request: web.Request) -> web.Response:
    return reply(request, dict(await request.app[PARTS].apps.config(await find_app(request))))


async def update(request: web.Request) -> web.Response:
    parts = request.app[PARTS]
    changes = check_values(await read_object(request))
    app = await find_app(request)
    removed = sorted(name for name, value in changes.items() if value is None)
    note(request, fields=[], set=sorted(changes.keys() - removed), removed=removed)
    await parts.maintenance.check_urls(changes)
    config = await parts.apps.set_config(request[ACTOR], app, changes)
    if any(kind.variable in changes for kind in PageKind):
        parts.maintenance.config_changed(app)
    return reply(request, dict(config))


def check_values(body: dict[str, Any]) -> dict[str, str | None]:
    """The body itself, if all its values are strings or null. Raises InvalidParams, without the value."""
    for name, value in body.items():
        if value is not None and not isinstance(value, str):
            raise InvalidParams(f"The value of {name[:40]!r} must be a string, or null to remove it; put it in quotes.")
    return body


ROUTES = (
    web.get("/apps/{app}/config-vars", show),
    web.patch("/apps/{app}/config-vars", update),
)
