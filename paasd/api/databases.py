"""The data host, on the API's port: what `heroku pg:*` and `redis:*` ask of the PostgreSQL and Redis behind add-ons."""

from aiohttp import web

from paasd.api.database_resources import DEFAULT, credential_resource, database_resource, redis_resource
from paasd.api.one_offs import size_of
from paasd.api.parts import PARTS
from paasd.api.replies import reply
from paasd.api.requests import ACCOUNT, ACTOR, note, read_object, text_of
from paasd.domain.access import Permission
from paasd.domain.addon import Addon, AddonState, Kind, Plan
from paasd.domain.errors import Conflict, Forbidden, InvalidParams, NotFound
from paasd.ports import Shell, Size

SQL_CHARACTERS = 100_000
OF_SERVER = "settings of the server are the plan's here; set your own with `ALTER ROLE … SET` in `paas pg:psql`."
WANTED = {  # what Heroku has there, and what to do instead
    "POST /client/v11/databases/{database}/links": "There are no links here; use postgres_fdw in `paas pg:psql`.",
    "GET /client/v11/databases/{database}/links": "There are no links here; use postgres_fdw in `paas pg:psql`.",
    "PUT /client/v11/databases/{database}/unfollow": "There are no followers here; every database is its own.",
    "POST /client/v11/databases/{database}/upgrade/run": "For another version, `heroku pg:copy` to a new add-on.",
    "POST /client/v11/databases/{database}/connection-pooling": "There is no pooling here; pool in the app.",
    "PUT /client/v11/databases/{database}/stats_reset": "Reset them yourself: `SELECT pg_stat_reset()` in an own role.",
    "POST /postgres/v0/databases/{database}/credentials": "There is one credential here; create roles by SQL.",
    "DELETE /postgres/v0/databases/{database}/credentials/{credential}": "The one credential stays; rotate it instead.",
    "POST /postgres/v0/databases/{database}/repair-default": "The one credential owns its database; nothing to repair.",
    "GET /postgres/v0/databases/{database}/config": f"The {OF_SERVER}",
    "PATCH /postgres/v0/databases/{database}/config": f"The {OF_SERVER}",
    "PATCH /redis/v0/databases/{database}/config": "Memory, its policy and time-outs are the plan's here; change the "
    "plan with `heroku addons:upgrade`.",
    "POST /redis/v0/databases/{database}/stats/reset": "The server's statistics can't be reset here.",
    "POST /redis/v0/databases/{database}/upgrade": "The server's version is that of this machine's packages.",
}


async def find(request: web.Request, kind: Kind, *, owner: bool = False) -> Addon:
    """The add-on that the path names, if the caller operates an app that it is attached to; with `owner`, the app
    that it belongs to. NotFound, Forbidden."""
    databases, access = request.app[PARTS].databases, request.app[PARTS].access
    addon = await databases.find(kind, request.match_info["database"])
    held = [(app, await access.permissions(request[ACCOUNT], app)) for app in await databases.apps(addon)]
    if not any(permissions for _, permissions in held):
        raise NotFound("Couldn't find that add-on; `heroku addons` lists yours.", resource="add_on")
    if not any(Permission.OPERATE in each for app, each in held if not owner or app.id == addon.app_id):
        name = next((app.name for app, _ in held if app.id == addon.app_id), addon.name)
        raise Forbidden(f"This needs the permission operate on {name}; ask its owner.", resource="add_on")
    note(request, addon=addon.name)
    return addon


def _plan(request: web.Request, addon: Addon) -> Plan:
    return request.app[PARTS].databases.work.catalogue.plan_of(addon.service, addon.plan)


def _there(addon: Addon) -> None:
    """The CLI waits on a 404."""
    if addon.state is not AddonState.PROVISIONED:
        raise NotFound(f"{addon.name} is {addon.state.value}; wait with `heroku addons:wait`.", resource="add_on")


async def show(request: web.Request) -> web.Response:
    databases = request.app[PARTS].databases
    addon = await find(request, Kind.POSTGRESQL)
    _there(addon)
    condition, access = await databases.condition(addon), await databases.access(addon)
    return reply(request, database_resource(addon, _plan(request, addon), condition, access))


async def show_redis(request: web.Request) -> web.Response:
    databases = request.app[PARTS].databases
    addon = await find(request, Kind.REDIS)
    _there(addon)
    condition, access = await databases.condition(addon), await databases.access(addon)
    return reply(request, redis_resource(addon, _plan(request, addon), condition, access))


async def _wait(request: web.Request, kind: Kind) -> web.Response:
    addon = await find(request, kind)
    if addon.state is not AddonState.PROVISIONED:
        return reply(request, {"message": addon.state.value, "waiting?": True, "error?": False})
    condition = await request.app[PARTS].databases.condition(addon)
    message = "available" if condition.up else condition.detail or "starting"
    return reply(request, {"message": message, "waiting?": not condition.up, "error?": False})


async def wait_status(request: web.Request) -> web.Response:
    return await _wait(request, Kind.POSTGRESQL)


async def wait_redis(request: web.Request) -> web.Response:
    return await _wait(request, Kind.REDIS)


async def reset(request: web.Request) -> web.Response:
    """Empty it: it loses all its data."""
    body = await read_object(request)
    addon = await find(request, Kind.POSTGRESQL)
    await request.app[PARTS].transfers.reset(addon, extensions_of(body))
    return reply(request, {"message": f"{addon.name} is empty"})


async def connection_reset(request: web.Request) -> web.Response:
    """End all connections of the apps' user."""
    addon = await find(request, Kind.POSTGRESQL)
    await request.app[PARTS].databases.hang_up(addon)
    return reply(request, {"message": "Connections terminated"})


async def index_credentials(request: web.Request) -> web.Response:
    addon = await find(request, Kind.POSTGRESQL)
    access = await request.app[PARTS].databases.access(addon)
    return reply(request, [credential_resource(addon, access, addon.secret)])


async def show_credential(request: web.Request) -> web.Response:
    addon = await find(request, Kind.POSTGRESQL)
    _check_credential(request)
    access = await request.app[PARTS].databases.access(addon)
    return reply(request, credential_resource(addon, access, addon.secret))


async def rotate(request: web.Request) -> web.Response:
    """A new password; the one before is refused when this is answered, and each app gets one release."""
    addon = await find(request, Kind.POSTGRESQL, owner=True)
    if "credential" in request.match_info:
        _check_credential(request)
    return await _rotate(request, addon)


async def rotate_redis(request: web.Request) -> web.Response:
    return await _rotate(request, await find(request, Kind.REDIS, owner=True))


async def _rotate(request: web.Request, addon: Addon) -> web.Response:
    _there(addon)
    await request.app[PARTS].addons.rotate(request[ACTOR], addon)
    return reply(request, {"message": f"Rotating the credentials of {addon.name}"})


def _check_credential(request: web.Request) -> None:
    if request.match_info["credential"] != DEFAULT:
        raise NotFound("There is only the default credential here; create roles by SQL.", resource="credential")


async def talk(request: web.Request) -> web.Response:
    """psql for `paas pg:psql`, beside the server: it starts once the client has come to `attach_url`."""
    body = await read_object(request)
    addon = await find(request, Kind.POSTGRESQL)
    sql = text_of(body, "command")
    if sql is not None and (len(sql) > SQL_CHARACTERS or "\0" in sql or not sql.strip()):
        raise InvalidParams(f"SQL has 1 to {SQL_CHARACTERS} characters, none of them NUL; send more of it as stdin.")
    prompt = f"{addon.name}%R%# "
    argv = ["psql", "--no-psqlrc", f"--set=PROMPT1={prompt}", f"--set=PROMPT2={prompt}"]
    if size_of(body) is None or sql is not None:
        argv += ["--set=ON_ERROR_STOP=1", "--pset=pager=off"]
    return _offer(request, addon, argv if sql is None else [*argv, f"--command={sql}"], size_of(body))


async def talk_redis(request: web.Request) -> web.Response:
    """redis-cli for `paas redis:cli`."""
    body = await read_object(request)
    addon = await find(request, Kind.REDIS)
    return _offer(request, addon, ["redis-cli"], size_of(body))


def _offer(request: web.Request, addon: Addon, argv: list[str], size: Size | None) -> web.Response:
    parts = request.app[PARTS]
    if addon.state is not AddonState.PROVISIONED:
        raise Conflict(f"{addon.name} is {addon.state.value}; wait with `heroku addons:wait {addon.name}`.")

    async def opens(now: Size | None) -> Shell:
        return await parts.databases.talk(addon, argv, {"TERM": "xterm-256color"}, now)

    offer = parts.one_offs.offer_tool(request[ACTOR], f"{argv[0]}@{addon.name}", opens, size)
    return reply(request, {"addon": addon.name, "attach_url": parts.links.attach(offer.secret)}, status=201)


def extensions_of(body: dict[str, object]) -> list[str]:
    """Names of extensions; none where none are asked for. InvalidParams."""
    given = body.get("extensions")
    if given is None:
        return []
    if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
        raise InvalidParams('extensions must be a list of names, such as ["pgcrypto"]; send one or leave it out.')
    return [str(each) for each in given]


async def refuse(request: web.Request) -> web.Response:
    """What Heroku has and we have none of."""
    resource = request.match_info.route.resource
    assert resource is not None
    raise InvalidParams(WANTED[f"{request.method} {resource.canonical}"])


PG, ROLES, REDIS = (
    "/client/v11/databases/{database}",
    "/postgres/v0/databases/{database}",
    "/redis/v0/databases/{database}",
)
ROUTES = (
    web.get(PG, show),
    web.get(f"{PG}/wait_status", wait_status),
    web.put(f"{PG}/reset", reset),
    web.post(f"{PG}/connection_reset", connection_reset),
    web.get(f"{ROLES}/credentials", index_credentials),
    web.get(f"{ROLES}/credentials/{{credential}}", show_credential),
    web.post(f"{ROLES}/credentials_rotation", rotate),
    web.post(f"{ROLES}/credentials/{{credential}}/credentials_rotation", rotate),
    web.get(REDIS, show_redis),
    web.get(f"{REDIS}/wait", wait_redis),
    web.post(f"{REDIS}/credentials_rotation", rotate_redis),
    web.post("/paasd/databases/{database}/psql", talk),
    web.post("/paasd/databases/{database}/redis-cli", talk_redis),
    *(web.route(method, path, refuse) for method, path in (name.split() for name in WANTED)),
)
