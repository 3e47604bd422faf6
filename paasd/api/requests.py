"""What a request says: who asks, about which app, with what body. Unreadable: Refusal or InvalidParams."""

import math
from typing import Any

import msgspec
from aiohttp import web

from paasd.api.parts import PARTS
from paasd.api.replies import JSON, Refusal
from paasd.domain.access import Account, Actor
from paasd.domain.app import App
from paasd.domain.errors import InvalidParams

ACCOUNT = web.RequestKey("ACCOUNT", Account)
ACTOR = web.RequestKey("ACTOR", Actor)


async def find_app(request: web.Request) -> App:
    """The app that the path names, by name or id. Raises NotFound."""
    return await request.app[PARTS].apps.find(request.match_info["app"])


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
