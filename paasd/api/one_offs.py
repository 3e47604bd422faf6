"""`heroku run`: a command in a dyno of its own, or inside one that runs; attached to, or on its own."""

from typing import Any

from aiohttp import web

from paasd.api.dynos import size_asked
from paasd.api.parts import PARTS
from paasd.api.replies import reply
from paasd.api.requests import ACTOR, find_app, flag_of, note, read_object, text_of
from paasd.api.resources import dyno_resource, dyno_uuid
from paasd.domain.errors import InvalidParams, NotFound
from paasd.ports import Size
from paasd.services.one_off import plain_command

COLUMNS, ROWS = 80, 24  # of a terminal that does not tell its size
LARGEST = 10_000
NO_ENVIRONMENT = 'env must be an object of strings, such as {"TERM": "xterm"}; send one or leave it out.'


async def run(request: web.Request) -> web.Response:
    """With `attach`, the command starts once the client has come to `attach_url`."""
    parts = request.app[PARTS]
    body = await read_object(request)
    app = await find_app(request)
    command, env, dyno_size = _command(body), _environment(body), size_asked(body)
    note(request, fields=[], command=plain_command(command)[0][:200])
    if not flag_of(body, "attach"):
        dyno = await parts.one_offs.start(request[ACTOR], app, command, env, dyno_size)
        return reply(request, dyno_resource(dyno, app), status=201)
    offer = await parts.one_offs.offer(request[ACTOR], app, command, env, size_of(body), dyno_size)
    shown = {**dyno_resource(offer.dyno, app), "attach_url": parts.links.attach(offer.secret)}
    return reply(request, shown, status=201)


async def run_inside(request: web.Request) -> web.Response:
    """A command in a running dyno, by the dyno's name or id."""
    parts = request.app[PARTS]
    body = await read_object(request)
    app = await find_app(request)
    wanted, command = request.match_info["dyno"], _command(body)
    note(request, fields=[], command=plain_command(command)[0][:200])
    for dyno in await parts.dynos.of(app):
        if wanted in (dyno.name, dyno_uuid(dyno)):
            offer = await parts.one_offs.offer_inside(
                request[ACTOR], app, dyno, command, _environment(body), size_of(body)
            )
            shown = {**dyno_resource(dyno, app), "attach_url": parts.links.attach(offer.secret)}
            return reply(request, shown, status=201)
    raise NotFound("Couldn't find that dyno; see `heroku ps` for those that run.", resource="dyno", app=app.name)


def size_of(body: dict[str, Any]) -> Size | None:
    """The terminal's columns and rows, from what the client says of its own; None where it wants none."""
    if flag_of(body, "force_no_tty"):
        return None
    env = _object_of(body)
    return _extent(env.get("COLUMNS"), COLUMNS), _extent(env.get("LINES"), ROWS)


def _extent(asked: object, default: int) -> int:
    text = str(asked) if isinstance(asked, int | str) and not isinstance(asked, bool) else ""
    within = text.isascii() and text.isdecimal() and len(text) <= len(str(LARGEST)) and 0 < int(text) <= LARGEST
    return int(text) if within else default


def _command(body: dict[str, Any]) -> str:
    command = text_of(body, "command")
    if command is None:
        raise InvalidParams("command is missing; name what is to run, such as bash.")
    return command


def _environment(body: dict[str, Any]) -> dict[str, str]:
    """Numbers come as numbers: COLUMNS and LINES do."""
    env = _object_of(body)
    if not all(isinstance(value, str | int | float) for value in env.values()):
        raise InvalidParams(NO_ENVIRONMENT)
    return {str(name): str(value) for name, value in env.items()}


def _object_of(body: dict[str, Any]) -> dict[str, Any]:
    """Its `env`; nothing where there is none. Raises InvalidParams for what is no object."""
    env = body.get("env")
    if env is not None and not isinstance(env, dict):
        raise InvalidParams(NO_ENVIRONMENT)
    return env or {}


ROUTES = (
    web.post("/apps/{app}/dynos", run),
    web.post("/apps/{app}/dynos/{dyno}", run_inside),
)
