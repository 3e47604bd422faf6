"""Backups, restores and copies: `heroku pg:backups` and `pg:copy`, on the API's port."""

import re
from contextlib import aclosing

from aiohttp import hdrs, web

from paasd.api.database_resources import schedule_resource, transfer_resource
from paasd.api.databases import extensions_of, find
from paasd.api.links import dump_path
from paasd.api.parts import PARTS
from paasd.api.replies import reply
from paasd.api.requests import ACCOUNT, find_app, note, read_object, text_of
from paasd.api.streams import check_capability, send
from paasd.domain.access import Permission
from paasd.domain.addon import Addon, AddonState, Kind
from paasd.domain.errors import Forbidden, InvalidParams
from paasd.domain.transfer import TransferKind

KEPT_HERE = "Name a database of this paasd; dump and load others yourself, with `paas pg:psql < FILE`."


async def index(request: web.Request) -> web.Response:
    """All of an app's transfers, newest first, in one answer."""
    parts = request.app[PARTS]
    app = await find_app(request)
    return reply(request, [transfer_resource(one, parts.links) for one in await parts.transfers.of(app.id)])


async def show(request: web.Request) -> web.Response:
    """By its number or id; its log with `verbose`."""
    parts = request.app[PARTS]
    app = await find_app(request)
    found = await parts.transfers.find(app.id, request.match_info["transfer"])
    lines = await parts.transfers.lines(found)
    return reply(request, transfer_resource(found, parts.links, lines, verbose="verbose" in request.query))


async def delete(request: web.Request) -> web.Response:
    """A backup's bytes go with it."""
    parts = request.app[PARTS]
    app = await find_app(request)
    found = await parts.transfers.find(app.id, request.match_info["transfer"])
    note(request, backup=found.name)
    await parts.transfers.delete(found)
    return reply(request, transfer_resource(found, parts.links))


async def cancel(request: web.Request) -> web.Response:
    parts = request.app[PARTS]
    app = await find_app(request)
    found = await parts.transfers.find(app.id, request.match_info["transfer"])
    note(request, backup=found.name)
    return reply(request, transfer_resource(await parts.transfers.cancel(found), parts.links))


async def public_url(request: web.Request) -> web.Response:
    """A URL that opens a backup for 2 to 3 hours, without a token. It is https: the CLI asks for nothing else."""
    parts = request.app[PARTS]
    app = await find_app(request)
    found = await parts.transfers.find(app.id, request.match_info["transfer"])
    if found.kind is not TransferKind.BACKUP or not found.succeeded:
        raise InvalidParams(f"{found.name} is no backup that succeeded; `heroku pg:backups` shows those that did.")
    note(request, backup=found.name)
    return reply(request, {"url": parts.links.dump(found.id)})


async def capture(request: web.Request) -> web.Response:
    parts = request.app[PARTS]
    addon = await find(request, Kind.POSTGRESQL)
    begun = await parts.transfers.capture(addon)
    return reply(request, transfer_resource(begun, parts.links), status=201)


async def restore(request: web.Request) -> web.Response:
    """Of one of our own backups, by its `to_url`, or of a dump at somebody's URL."""
    parts = request.app[PARTS]
    body = await read_object(request)
    addon = await find(request, Kind.POSTGRESQL)
    url, extensions = text_of(body, "backup_url"), extensions_of(body)
    if not url:
        raise InvalidParams("backup_url is missing; name a backup of `heroku pg:backups`, or a URL of a dump.")
    if (own := parts.links.dump_of(url)) is not None:
        begun = await parts.transfers.restore(addon, await parts.transfers.backup(own), extensions)
    else:
        begun = await parts.transfers.restore_from(addon, url, extensions)
    note(request, source=begun.from_name)
    return reply(request, transfer_resource(begun, parts.links), status=201)


async def copy(request: web.Request) -> web.Response:
    """From one add-on to another; both are known by the URLs that the CLI reads from config vars."""
    parts = request.app[PARTS]
    body = await read_object(request)
    named = await find(request, Kind.POSTGRESQL)
    source, target = [await _by_url(request, text_of(body, name)) for name in ("from_url", "to_url")]
    if named.id not in (source.id, target.id):
        raise InvalidParams("The database of the path must be the source or the target; correct one of them.")
    note(request, source=source.name, target=target.name)
    begun = await parts.transfers.copy(source, target)
    return reply(request, transfer_resource(begun, parts.links), status=201)


async def index_schedules(request: web.Request) -> web.Response:
    """Of the app that the database belongs to."""
    addon = await find(request, Kind.POSTGRESQL)
    found = await request.app[PARTS].schedules.of(addon.app_id)
    return reply(request, [schedule_resource(one) for one in found])


async def create_schedule(request: web.Request) -> web.Response:
    """A backup a day, in place of the schedule that the database had."""
    body = await read_object(request)
    addon = await find(request, Kind.POSTGRESQL)
    name = text_of(body, "schedule_name") or f"{addon.name}"
    if re.fullmatch(r"[A-Za-z0-9_-]{1,128}", name) is None:
        raise InvalidParams("schedule_name must be letters, digits, dashes and underscores, such as DATABASE_URL.")
    made = await request.app[PARTS].schedules.put(addon, name, body.get("hour"), body.get("timezone"))
    return reply(request, schedule_resource(made), status=201)


async def delete_schedule(request: web.Request) -> web.Response:
    addon = await find(request, Kind.POSTGRESQL)
    gone = await request.app[PARTS].schedules.delete(addon, request.match_info["schedule"])
    return reply(request, schedule_resource(gone))


async def download(request: web.Request) -> web.StreamResponse:
    """A dump, as pg_dump wrote it, by its capability URL."""
    parts = request.app[PARTS]
    check_capability(request, dump_path(request.match_info["transfer"]))
    backup = await parts.transfers.backup(request.match_info["transfer"])
    response = web.StreamResponse(headers={hdrs.CACHE_CONTROL: "no-store"})
    response.content_type = "application/octet-stream"
    response.content_length = backup.processed_bytes
    response.headers[hdrs.CONTENT_DISPOSITION] = f'attachment; filename="{backup.name}.dump"'
    async with aclosing(parts.transfers.content(backup)) as content:
        return await send(request, response, content)


async def _by_url(request: web.Request, url: str | None) -> Addon:
    """The add-on whose attachment's URL this is, if the caller operates an app that has it."""
    parts = request.app[PARTS]
    for one in await parts.databases.store.attachments():
        if one.ended_at is None and url is not None and url in one.values.values():
            addon = await parts.databases.store.addon(one.addon_id)
            app = await parts.databases.store.app(one.app_id)
            if Permission.OPERATE in await parts.access.permissions(request[ACCOUNT], app):
                if addon.state is not AddonState.PROVISIONED:
                    raise InvalidParams(f"{addon.name} is {addon.state.value}; wait with `heroku addons:wait`.")
                return addon
            raise Forbidden(f"This needs the permission operate on {app.name}; ask its owner.", resource="app")
    raise InvalidParams(KEPT_HERE)


PG, OF_APP = "/client/v11/databases/{database}", "/client/v11/apps/{app}/transfers"
PUBLIC_ROUTES = (web.get(dump_path("{transfer}"), download, allow_head=False),)
ROUTES = (
    web.get(OF_APP, index),
    web.get(f"{OF_APP}/{{transfer}}", show),
    web.delete(f"{OF_APP}/{{transfer}}", delete),
    web.post(f"{OF_APP}/{{transfer}}/actions/cancel", cancel),
    web.post(f"{OF_APP}/{{transfer}}/actions/public-url", public_url),
    web.post(f"{PG}/backups", capture),
    web.post(f"{PG}/restores", restore),
    web.post(f"{PG}/transfers", copy),
    web.get(f"{PG}/transfer-schedules", index_schedules),
    web.post(f"{PG}/transfer-schedules", create_schedule),
    web.delete(f"{PG}/transfer-schedules/{{schedule}}", delete_schedule),
)
