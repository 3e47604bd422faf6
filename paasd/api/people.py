"""Our own, for admins: the people who may use this paasd, and the audit of what they did."""

from aiohttp import web

from paasd.api.parts import PARTS
from paasd.api.people_resources import audit_resource, person_resource
from paasd.api.replies import reply
from paasd.api.requests import ACCOUNT, find_app, flag_of, note, read_object, text_of
from paasd.domain.errors import InvalidParams
from paasd.services.audit import PAGE


async def index(request: web.Request) -> web.Response:
    return reply(request, [person_resource(account) for account in await request.app[PARTS].access.all()])


async def create(request: web.Request) -> web.Response:
    """With a token, which is told once: the person needs a way in."""
    parts = request.app[PARTS]
    body = await read_object(request)
    account = await parts.access.create_account(
        text_of(body, "email") or "",
        text_of(body, "name"),
        text_of(body, "password"),
        admin=flag_of(body, "admin") or False,
    )
    issued = await parts.authorizations.issue(account, "first token")
    note(request, user=account.email)
    return reply(request, {**person_resource(account), "token": issued.secret}, status=201)


async def remove(request: web.Request) -> web.Response:
    gone = await request.app[PARTS].access.delete_account(request[ACCOUNT], request.match_info["account"])
    note(request, user=gone.email)
    return reply(request, person_resource(gone))


async def index_audit(request: web.Request) -> web.Response:
    return await _audit(request, None)


async def index_audit_of_app(request: web.Request) -> web.Response:
    return await _audit(request, (await find_app(request)).id)


async def _audit(request: web.Request, app_id: str | None) -> web.Response:
    limit, before = _number(request, "limit"), _number(request, "before")
    entries = await request.app[PARTS].audit.entries(app_id=app_id, limit=limit or PAGE, before=before)
    return reply(request, [audit_resource(entry) for entry in entries])


def _number(request: web.Request, name: str) -> int | None:
    text = request.query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 15 and int(text) > 0):
        raise InvalidParams(f"{name} must be a whole number above 0; send one or leave it out.")
    return int(text)


ROUTES = (
    web.get("/paasd/accounts", index),
    web.post("/paasd/accounts", create),
    web.delete("/paasd/accounts/{account}", remove),
    web.get("/paasd/audit", index_audit),
    web.get("/apps/{app}/audit", index_audit_of_app),
)
