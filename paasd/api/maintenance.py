"""Our own: maintenance with an end, a pause and a way in; apps' own pages for it and for errors."""

from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from paasd.api.parts import PARTS
from paasd.api.replies import reply
from paasd.api.requests import ACTOR, find_app, flag_of, note, number_of, read_object, text_of
from paasd.api.resources import maintenance_resource
from paasd.domain.app import App
from paasd.domain.errors import InvalidParams
from paasd.domain.upkeep import PAGE_BYTES, PageKind
from paasd.services.maintenance import Wish

BYPASS_SECONDS = 3600.0


async def show(request: web.Request) -> web.Response:
    return await _reply(request, await find_app(request))


async def update(request: web.Request) -> web.Response:
    """`maintenance` (default: on), `until`, `pause`, `allow`, `health_path`."""
    service = request.app[PARTS].maintenance
    body = await read_object(request)
    app = await find_app(request)
    on = flag_of(body, "maintenance")
    note(request, maintenance=[app.maintenance, on is not False])
    wish = Wish(_time_of(body), number_of(body, "pause"), _networks_of(body), text_of(body, "health_path"))
    if on is False:
        if wish.until is not None or wish.pause is not None or wish.allow:
            raise InvalidParams("until, pause and allow are for maintenance that is on: leave them out to turn it off.")
        return await _reply(request, await service.turn_off(request[ACTOR], app, wish))
    return await _reply(request, await service.turn_on(request[ACTOR], app, wish))


async def bypass(request: web.Request) -> web.Response:
    """`seconds` (default: an hour), `path` to open."""
    parts = request.app[PARTS]
    body = await read_object(request)
    app = await find_app(request)
    seconds = number_of(body, "seconds")
    made = await parts.maintenance.bypass(
        request[ACTOR], app, BYPASS_SECONDS if seconds is None else seconds, text_of(body, "path") or "/"
    )
    url = parts.links.web(app).rstrip("/") + made.path
    return reply(request, {"url": url, "expires_at": made.expires_at.strftime("%Y-%m-%dT%H:%M:%SZ")})


async def put_maintenance_page(request: web.Request) -> web.Response:
    return await _put_page(request, PageKind.MAINTENANCE)


async def put_error_page(request: web.Request) -> web.Response:
    return await _put_page(request, PageKind.ERROR)


async def delete_maintenance_page(request: web.Request) -> web.Response:
    return await _delete_page(request, PageKind.MAINTENANCE)


async def delete_error_page(request: web.Request) -> web.Response:
    return await _delete_page(request, PageKind.ERROR)


async def _put_page(request: web.Request, kind: PageKind) -> web.Response:
    app = await find_app(request)
    body = bytearray()
    async for chunk in request.content.iter_chunked(64 * 1024):
        if len(body) <= PAGE_BYTES:  # the rest is read and forgotten: a client that still sends hears no answer
            body += chunk
    await request.app[PARTS].maintenance.set_page(request[ACTOR], app, kind, bytes(body))
    return await _reply(request, app)


async def _delete_page(request: web.Request, kind: PageKind) -> web.Response:
    app = await find_app(request)
    await request.app[PARTS].maintenance.clear_page(request[ACTOR], app, kind)
    return await _reply(request, app)


async def _reply(request: web.Request, app: App) -> web.Response:
    parts = request.app[PARTS]
    app = await parts.apps.find(app.id)
    return reply(request, maintenance_resource(app, await parts.maintenance.pages(app)))


def _time_of(body: dict[str, Any]) -> datetime | None:
    text = text_of(body, "until")
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
        return at if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidParams("until is not a time: write it as 2026-01-31T14:30:00Z.") from error


def _networks_of(body: dict[str, Any]) -> list[str] | None:
    networks = body.get("allow")
    if networks is None:
        return None
    if not isinstance(networks, list) or not all(isinstance(network, str) for network in networks):
        raise InvalidParams('allow must be a list of networks: write it as ["203.0.113.0/24"].')
    return networks


ROUTES = (
    web.get("/apps/{app}/maintenance", show),
    web.patch("/apps/{app}/maintenance", update),
    web.post("/apps/{app}/maintenance/bypass", bypass),
    web.put("/apps/{app}/maintenance-page", put_maintenance_page),
    web.delete("/apps/{app}/maintenance-page", delete_maintenance_page),
    web.put("/apps/{app}/error-page", put_error_page),
    web.delete("/apps/{app}/error-page", delete_error_page),
)
