"""Tokens: authorizations (made by hand) and sessions (made by logging in). A secret is told once."""

import base64
import binascii

from aiohttp import hdrs, web

from paasd.api.paging import reply_list
from paasd.api.parts import PARTS
from paasd.api.people_resources import authorization_resource, session_resource
from paasd.api.replies import reply
from paasd.api.requests import ACCOUNT, TOKEN, note, read_object, text_of
from paasd.domain.access import Scope, Token, TokenKind, parse_scopes
from paasd.domain.errors import InvalidParams

ATTRIBUTES = ("id", "created_at")
UNNAMED = "Long-lived user authorization"  # Heroku's words


async def index(request: web.Request) -> web.Response:
    tokens = await request.app[PARTS].authorizations.all(request[ACCOUNT])
    return reply_list(request, [_resource(request, token) for token in tokens], ATTRIBUTES, of=tokens)


async def create(request: web.Request) -> web.Response:
    body = await read_object(request)
    scopes = body.get("scope")
    if scopes is not None and not isinstance(scopes, list):
        raise InvalidParams('scope must be a list, such as ["global"]; send one or leave it out.')
    issued = await request.app[PARTS].authorizations.issue(
        request[ACCOUNT],
        text_of(body, "description") or UNNAMED,
        (Scope.GLOBAL,) if scopes is None else parse_scopes(scopes),
        _seconds(body.get("expires_in")),
    )
    note(request, description=issued.token.name, scope=[scope.value for scope in issued.token.scopes])
    return reply(request, authorization_resource(issued.token, request[ACCOUNT], issued.secret), status=201)


async def show(request: web.Request) -> web.Response:
    return reply(request, _resource(request, await _find(request)))


async def update(request: web.Request) -> web.Response:
    body = await read_object(request)
    token = await _find(request)
    if (name := text_of(body, "description")) is not None:
        note(request, description=[token.name, name])
        token = await request.app[PARTS].authorizations.rename(token, name)
    return reply(request, _resource(request, token))


async def regenerate(request: web.Request) -> web.Response:
    issued = await request.app[PARTS].authorizations.regenerate(await _find(request))
    return reply(request, authorization_resource(issued.token, request[ACCOUNT], issued.secret))


async def revoke(request: web.Request) -> web.Response:
    token = await _find(request)
    await request.app[PARTS].authorizations.revoke(token)
    note(request, description=token.name)
    return reply(request, _resource(request, token))


async def index_sessions(request: web.Request) -> web.Response:
    tokens = await request.app[PARTS].authorizations.all(request[ACCOUNT], TokenKind.SESSION)
    return reply_list(request, [session_resource(token) for token in tokens], ATTRIBUTES, of=tokens)


async def revoke_session(request: web.Request) -> web.Response:
    token = await _find(request, TokenKind.SESSION, "session")
    await request.app[PARTS].authorizations.revoke(token)
    note(request, description=token.name)
    return reply(request, session_resource(token))


async def _find(request: web.Request, kind: TokenKind = TokenKind.AUTHORIZATION, name: str = "authorization") -> Token:
    """By id; `~` is the one that is asking. Raises NotFound."""
    asked = request.match_info[name]
    return await request.app[PARTS].authorizations.find(
        request[ACCOUNT], request[TOKEN].id if asked == "~" else asked, kind
    )


def _resource(request: web.Request, token: Token) -> dict[str, object]:
    own = token.id == request[TOKEN].id
    return authorization_resource(token, request[ACCOUNT], _secret(request) if own else None)


def _secret(request: web.Request) -> str:
    """What the caller has just authenticated with."""
    value = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")[2].strip()
    if request.headers.get(hdrs.AUTHORIZATION, "").lower().startswith("bearer"):
        return value
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _seconds(asked: object) -> float | None:
    """From a number or, as the CLI sends it, a number in quotes; None for no end."""
    if asked is None or asked == "":
        return None
    if isinstance(asked, str) and asked.isascii() and asked.isdecimal():
        return float(asked)
    if isinstance(asked, int | float) and not isinstance(asked, bool):
        return float(asked)
    raise InvalidParams("expires_in must be a number of seconds; send one or leave it out.")


ROUTES = (
    web.get("/oauth/authorizations", index),
    web.post("/oauth/authorizations", create),
    web.get("/oauth/authorizations/{authorization}", show),
    web.patch("/oauth/authorizations/{authorization}", update),
    web.delete("/oauth/authorizations/{authorization}", revoke),
    web.post("/oauth/authorizations/{authorization}/actions/regenerate-tokens", regenerate),
    web.get("/oauth/sessions", index_sessions),
    web.delete("/oauth/sessions/{session}", revoke_session),
)
