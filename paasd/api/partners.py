"""What add-on partners ask of us: OAuth's tokens, an add-on's config, and to say what became of it.

A partner's token is for one add-on and these routes alone. An admin may do the same by hand, for one that is stuck.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from paasd.api.addon_resources import config_resource
from paasd.api.addons import show_addon
from paasd.api.identity import GUESSES, PARTNER, address_of
from paasd.api.parts import PARTS
from paasd.api.replies import Refusal, reply
from paasd.api.requests import note, read_object
from paasd.domain.addon import Addon
from paasd.domain.errors import InvalidParams, Unauthorized

FORM = "application/x-www-form-urlencoded"
FORM_BYTES = 16 * 1024
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def exchange(request: web.Request) -> web.Response:
    """A code, or a refresh token, and the partner's secret for an access token (RFC 6749, 4.1.3 and 6)."""
    body = await _form(request)
    grant = str(body.get("grant_type", ""))
    given = str(body.get("refresh_token" if grant == "refresh_token" else "code", ""))
    try:
        with request.app[GUESSES].trying(address_of(request)):
            tokens = await request.app[PARTS].partners.tokens(grant, given, str(body.get("client_secret", "")))
    except Unauthorized:
        request.app[GUESSES].wrong(address_of(request))
        raise
    return reply(request, dict(tokens))


async def configure(request: web.Request) -> web.Response:
    """Its config vars from now on, each that is named."""
    addon, body = await _find(request), await read_object(request)
    listed = body.get("config")
    if not isinstance(listed, list) or not all(isinstance(one, dict) and "name" in one for one in listed):
        raise InvalidParams('config must be a list, such as [{"name": "ACME_URL", "value": "https://acme.example"}].')
    note(request, config=sorted(str(one["name"])[:100] for one in listed))
    partners = request.app[PARTS].partners
    addon = await partners.configure(addon, {str(one["name"]): one.get("value") for one in listed})
    return reply(request, config_resource(partners.config(addon)))


async def provisioned(request: web.Request) -> web.Response:
    addon = await _find(request)
    note(request, addon=addon.name)
    return reply(request, await show_addon(request, await request.app[PARTS].partners.provisioned(addon)))


async def deprovisioned(request: web.Request) -> web.Response:
    addon = await _find(request)
    note(request, addon=addon.name)
    return reply(request, await show_addon(request, await request.app[PARTS].partners.deprovisioned(addon)))


async def _find(request: web.Request) -> Addon:
    """The partner's own; an admin's by its name."""
    return request[PARTNER] if PARTNER in request else await request.app[PARTS].addons.find(request.match_info["addon"])


async def _form(request: web.Request) -> dict[str, Any]:
    """As OAuth sends it, or as JSON."""
    if request.content_type != FORM:
        return await read_object(request)
    if (request.content_length or FORM_BYTES + 1) > FORM_BYTES:
        raise Refusal(413, "bad_request", "This is more than a code and a secret; send less.")
    return dict(await request.post())


PUBLIC_ROUTES = (web.post("/oauth/token", exchange),)
ROUTES = (
    web.patch("/addons/{addon}/config", configure),
    web.post("/addons/{addon}/actions/provision", provisioned),
    web.post("/addons/{addon}/actions/deprovision", deprovisioned),
)
