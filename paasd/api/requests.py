"""What a request says: who asks, about which app, with what body. Unreadable: Refusal or InvalidParams."""

import math
import re
from typing import Any

import msgspec
from aiohttp import web

from paasd.api.parts import PARTS
from paasd.api.replies import JSON, Refusal
from paasd.domain.access import Account, Actor, Permission, Scope, Token
from paasd.domain.app import App
from paasd.domain.errors import Forbidden, InvalidParams
from paasd.services.access import out_of_scope

ACCOUNT = web.RequestKey("ACCOUNT", Account)
TOKEN = web.RequestKey("TOKEN", Token)
ACTOR = web.RequestKey("ACTOR", Actor)
APP = web.RequestKey("APP", App)
PERMISSIONS = web.RequestKey("PERMISSIONS", frozenset[Permission])
DETAIL = web.RequestKey("DETAIL", dict[str, Any])
SECRET_IN_PATH = re.compile(r"(/log-drains/(?![A-Za-z0-9.-]{1,64}$)|/attach/).+")
REQUEST_ID = web.RequestKey("REQUEST_ID", str)


def shown_path(request: web.Request) -> str:
    """The path as it may be logged and kept: a drain may be named by its URL, which may hold a password."""
    return SECRET_IN_PATH.sub(r"\1(url)", request.rel_url.raw_path)


async def find_app(request: web.Request) -> App:
    """The app that the path names, by name or id. Raises NotFound."""
    return request[APP] if APP in request else await request.app[PARTS].apps.find(request.match_info["app"])


def require(request: web.Request, permission: Permission, scope: Scope | None = None) -> None:
    """For what a part of a call needs beyond the policy of its route. Raises Forbidden."""
    if scope is not None and not request[TOKEN].covers(scope):
        raise out_of_scope(request[TOKEN], scope)
    if permission not in request[PERMISSIONS]:
        raise Forbidden(f"This needs the permission {permission.value} on the app; ask its owner.", resource="app")


def note(request: web.Request, **detail: Any) -> None:
    """What the audit says of this write: names before and after, never values."""
    if DETAIL in request:
        request[DETAIL].update(detail)


async def read_object(request: web.Request) -> dict[str, Any]:
    """The body as a JSON object; no body is an empty one."""
    raw = await request.read()
    if not raw.strip():
        return {}
    if request.content_type != JSON and not request.content_type.endswith("+json"):
        raise Refusal(400, "bad_request", f"Send the body as JSON, with the header Content-Type: {JSON}.")
    try:
        body = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(400, "bad_request", f"The body is not valid JSON ({error}); send a JSON object.") from error
    if not isinstance(body, dict):
        raise Refusal(400, "bad_request", "The body is JSON, but not an object; send one, such as {}.")
    return body


def text_of(body: dict[str, Any], name: str) -> str | None:
    """A string, None when it is absent or null."""
    value = body.get(name)
    if value is None or isinstance(value, str):
        return value
    raise InvalidParams(f"{name} must be a string; send it in quotes.")


def identity_of(body: dict[str, Any], name: str) -> str:
    """Whom or what a name, an id, an e-mail address or an object with one of them names. Raises InvalidParams."""
    value = body.get(name)
    if isinstance(value, dict):
        value = next((value[key] for key in ("id", "email", "name") if value.get(key)), None)
    if isinstance(value, str) and value:
        return value
    raise InvalidParams(f"{name} is missing; name it by its id or name, as a string.")


def flag_of(body: dict[str, Any], name: str) -> bool | None:
    """A boolean, also as 0 or 1 or in quotes; None when it is absent or null."""
    value = body.get(name)
    if value is None:
        return None
    if value in (True, "true", "1"):
        return True
    if value in (False, "false", "0"):
        return False
    raise InvalidParams(f"{name} must be true or false; send one of the two.")


def number_of(body: dict[str, Any], name: str) -> float | None:
    """A finite number above 0; None when it is absent or null."""
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not (0 < value < math.inf):
        raise InvalidParams(f"{name} must be a number above 0; send it without quotes.")
    return float(value)
