"""Formation (what should run) and dynos (what runs): scale and restart."""

import os
import platform
import re
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from paasd.api.paging import reply_list
from paasd.api.parts import PARTS
from paasd.api.replies import reply
from paasd.api.requests import ACTOR, find_app, note, read_object, require, text_of
from paasd.api.resources import Resource, dyno_resource, dyno_uuid, formation_resource, named
from paasd.domain.access import Permission, Scope
from paasd.domain.app import App
from paasd.domain.dyno import DEFAULT_SIZE, Dyno, DynoKind, Formation, Limits
from paasd.domain.errors import InvalidParams, NotFound

Wanted = dict[str, tuple[Formation, str | None]]


async def index_formation(request: web.Request) -> web.Response:
    app = await find_app(request)
    formation = await _formation(request, app)
    shown = [formation_resource(wanted, command, app) for wanted, command in formation.values()]
    return reply_list(request, shown, ("id", "type"))


async def show_formation(request: web.Request) -> web.Response:
    app = await find_app(request)
    wanted, command = _of_type(await _formation(request, app), request.match_info["type"])
    return reply(request, formation_resource(wanted, command, app))


async def update_formation(request: web.Request) -> web.Response:
    """Several types at once; answers with those that were named."""
    body = await read_object(request)
    app = await find_app(request)
    updates = body.get("updates")
    if not isinstance(updates, list) or not all(isinstance(update, dict) for update in updates):
        raise InvalidParams('updates must be a list of objects, such as [{"type": "web", "quantity": 2}].')
    if any(update.get("docker_image") for update in updates):
        return reply(request, await _deploy_image(request, app, updates))
    after = await _scale(request, app, updates)
    named = [str(update["type"]) for update in updates]
    return reply(request, [formation_resource(*_of_type(after, kind), app) for kind in dict.fromkeys(named)])


async def update_type(request: web.Request) -> web.Response:
    kind = request.match_info["type"]
    body = await read_object(request)
    app = await find_app(request)
    after = await _scale(request, app, [{**body, "type": kind}])
    return reply(request, formation_resource(*_of_type(after, kind), app))


async def index(request: web.Request) -> web.Response:
    app = await find_app(request)
    extended = "extended" in request.query
    dynos = await _all(request, app)
    return reply_list(request, [dyno_resource(dyno, app, extended=extended) for dyno in dynos], ("id", "name"))


async def show(request: web.Request) -> web.Response:
    app = await find_app(request)
    wanted = request.match_info["dyno"]
    for dyno in await _all(request, app):
        if wanted in (dyno.name, dyno_uuid(dyno)):
            return reply(request, dyno_resource(dyno, app, extended="extended" in request.query))
    raise NotFound("Couldn't find that dyno; see `heroku ps` for those that run.", resource="dyno", app=app.name)


async def restart(request: web.Request) -> web.Response:
    """All dynos, one by name or id, or all of a type. Accepted: it goes on after the answer."""
    app = await find_app(request)
    parts = request.app[PARTS]
    wanted = request.match_info.get("dyno") or request.match_info.get("type")
    found = {name: dyno for dyno in await _all(request, app) for name in (dyno.name, dyno_uuid(dyno))} if wanted else {}
    named = found.get(wanted) if wanted else None
    if named is not None and named.kind is DynoKind.ONE_OFF:
        await parts.one_offs.stop(named)  # nothing takes its place
    else:
        await parts.dynos.restart(app, named.name if named else wanted)
    return reply(request, {}, status=202)


async def stop(request: web.Request) -> web.Response:
    """`heroku ps:stop`: a one-off dyno ends; one of the formation is started again, as on Heroku."""
    return await restart(request)


def size_resource(name: str, limits: Limits) -> Resource:
    """A size of dynos: memory in GB, and the whole CPUs that it may use at most (no bound: the machine's)."""
    return {
        **named(name, "dyno-size"),
        "architecture": "amd64" if platform.machine() == "x86_64" else platform.machine(),
        "compute": max(1, int(os.cpu_count() or 1 if limits.cpus is None else limits.cpus)),
        "cost": None,
        "dedicated": False,
        "generation": named("cedar", "generation"),
        "memory": limits.memory / 1024**3,
        "precise_dyno_units": 0.0,
        "private_space_only": False,
    }


def quantity_after(current: int, asked: object) -> int:
    """The quantity asked for: 3, "3", or "+1" and "-1" from the current one. Raises InvalidParams."""
    if isinstance(asked, int) and not isinstance(asked, bool) and asked >= 0:
        return asked
    if isinstance(asked, str) and re.fullmatch(r"[+-]?[0-9]{1,6}", asked):
        after = current + int(asked) if asked[0] in "+-" else int(asked)
        if after >= 0:
            return after
    raise InvalidParams('quantity must be a whole number not below 0, or a change such as "+1"; send one of these.')


async def _all(request: web.Request, app: App) -> Sequence[Dyno]:
    parts = request.app[PARTS]
    return [*await parts.dynos.of(app), *parts.one_offs.waiting(app.id)]


async def _formation(request: web.Request, app: App) -> Wanted:
    return {wanted.type: (wanted, command) for wanted, command in await request.app[PARTS].dynos.formation(app)}


def _of_type(formation: Wanted, kind: str) -> tuple[Formation, str | None]:
    if kind not in formation:
        raise NotFound(
            f"Couldn't find the process type {kind[:64]!r}; add it to the Procfile and push.", resource="formation"
        )
    return formation[kind]


async def _scale(request: web.Request, app: App, updates: list[dict[str, Any]]) -> Wanted:
    before = await _formation(request, app)
    changes: dict[str, int] = {}
    sizes: dict[str, str] = {}
    for update in updates:
        kind = update.get("type")
        if not isinstance(kind, str):
            raise InvalidParams("Each update needs the type of the dynos it is about; send a string such as web.")
        wanted, _ = _of_type(before, kind)
        if (size := size_asked(update)) is not None:
            sizes[kind] = size
        if update.get("quantity") is not None:
            changes[kind] = quantity_after(changes.get(kind, wanted.quantity), update["quantity"])
    if not changes and not sizes:
        return before
    note(request, formation={kind: [before[kind][0].quantity, quantity] for kind, quantity in changes.items()})
    note(request, sizes={kind: [before[kind][0].size, size[:64]] for kind, size in sizes.items()})
    after = await request.app[PARTS].dynos.scale(request[ACTOR], app, changes, sizes)
    return {wanted.type: (wanted, command) for wanted, command in after}


async def _deploy_image(request: web.Request, app: App, updates: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Heroku's `container:release`, of an image that the engine has. The release has the types that are named here."""
    require(request, Permission.DEPLOY, Scope.WRITE_PROTECTED)
    images = {text_of(update, "docker_image") for update in updates}
    if len(images) != 1 or any(not isinstance(update.get("type"), str) for update in updates):
        raise InvalidParams("All types of a release run one image: name the same docker_image with each, and its type.")
    if any(update.get("quantity") is not None or update.get("size") for update in updates):
        raise InvalidParams("Set docker_image first, then quantity or size, in a call of its own.")
    commands = {str(update["type"]): text_of(update, "command") for update in updates}
    image = str(images.pop())
    note(request, docker_image=image, types=sorted(commands))
    release = await request.app[PARTS].images.deploy(request[ACTOR], app, image, commands)
    sizes = {entry.type: entry.size for entry, _ in await request.app[PARTS].dynos.formation(app)}
    wanted = [Formation(kind, count, sizes.get(kind, DEFAULT_SIZE)) for kind, count in release.formation.items()]
    return [formation_resource(entry, release.processes.commands[entry.type], app) for entry in wanted]


def size_asked(update: dict[str, Any]) -> str | None:
    """By its name, as a string or within an object; None where none is asked for. Raises InvalidParams."""
    asked = update.get("size") or update.get("dyno_size")
    if asked is None:
        return None
    if isinstance(asked, dict):
        asked = asked.get("name")
    if isinstance(asked, str):
        return asked
    raise InvalidParams("size must be the name of a size, such as standard-2x; send it as a string.")


async def index_sizes(request: web.Request) -> web.Response:
    sizes = [size_resource(name, limits) for name, limits in request.app[PARTS].dynos.sizes.items()]
    return reply_list(request, sizes, ("id", "name"))


async def show_size(request: web.Request) -> web.Response:
    wanted = request.match_info["size"].lower()
    for name, limits in request.app[PARTS].dynos.sizes.items():
        size = size_resource(name, limits)
        if wanted in (name.lower(), size["id"]):
            return reply(request, size)
    raise NotFound("Couldn't find that dyno size; `sizes` in paasd.yaml says which there are.", resource="dyno_size")


ROUTES = (
    web.get("/dyno-sizes", index_sizes),
    web.get("/dyno-sizes/{size}", show_size),
    web.get("/apps/{app}/available-dyno-sizes", index_sizes),
    web.get("/apps/{app}/formation", index_formation),
    web.patch("/apps/{app}/formation", update_formation),
    web.get("/apps/{app}/formation/{type}", show_formation),
    web.patch("/apps/{app}/formation/{type}", update_type),
    web.get("/apps/{app}/dynos", index),
    web.delete("/apps/{app}/dynos", restart),
    web.get("/apps/{app}/dynos/{dyno}", show),
    web.delete("/apps/{app}/dynos/{dyno}", restart),
    web.delete("/apps/{app}/formations/{type}", restart),
    web.post("/apps/{app}/dynos/{dyno}/actions/stop", stop),
    web.post("/apps/{app}/formations/{type}/actions/stop", stop),
)
