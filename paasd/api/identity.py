"""Who asks, and whether they may: authentication, then the policy of the route, then the audit of what was written.

Default-deny: a route needs a token unless it is registered as public, and an admin's unless it stands in policy.py.
"""

import base64
import binascii
import ipaddress
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog
from aiohttp import hdrs, web

from paasd.api.parts import PARTS
from paasd.api.policy import policy_of
from paasd.api.rates import count
from paasd.api.replies import JSON, Refusal
from paasd.api.requests import ACCOUNT, ACTOR, APP, DETAIL, PERMISSIONS, REQUEST_ID, TOKEN, shown_path
from paasd.domain.access import Account, Actor, Token, TokenKind
from paasd.domain.addon import Addon
from paasd.domain.audit import NewEntry
from paasd.domain.errors import Forbidden, PaasError, Unauthorized
from paasd.services.access import no_app, out_of_scope

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

PUBLIC = web.AppKey("PUBLIC", frozenset[object])
PARTNER = web.RequestKey("PARTNER", Addon)
PARTNERS_ROUTES = frozenset(  # of an add-on whose partner asks; nothing else is open to it
    (
        *("GET /addons/{addon}", "GET /addons/{addon}/config", "PATCH /addons/{addon}/config"),
        *("POST /addons/{addon}/actions/provision", "POST /addons/{addon}/actions/deprovision"),
    )
)
LOGIN = ("POST", "/oauth/authorizations")  # the one call that a password opens
READS = ("GET", "HEAD", "OPTIONS")
GUESS_SECONDS, ADDRESSES = 60.0, 10_000
FIELDS_NOTED = 50

log = structlog.get_logger(__name__)


class Guesses:
    """Wrong tokens and passwords by address. One that guesses is slowed down; right tokens from it still pass."""

    def __init__(self, limit: int) -> None:
        self._limit = limit  # within GUESS_SECONDS
        self._wrong: dict[str, deque[float]] = {}
        self._tried: Counter[str] = Counter()

    def wrong(self, address: str) -> None:
        """One more. Raises Refusal (429) when there were too many within a minute."""
        guesser = guesser_at(address)
        times = self._wrong.setdefault(guesser, deque(maxlen=self._limit + 1))
        times.append(time.monotonic())
        if len(self._wrong) > ADDRESSES:
            del self._wrong[next(iter(self._wrong))]
        self._check(guesser)

    @contextmanager
    def trying(self, address: str) -> Iterator[None]:
        """While a password is looked at, which takes a while: it counts as wrong, or many could be tried at once.

        Raises Refusal (429).
        """
        guesser = guesser_at(address)
        self._check(guesser)
        self._tried[guesser] += 1
        try:
            yield
        finally:
            self._tried[guesser] -= 1
            if not self._tried[guesser]:
                del self._tried[guesser]

    def _check(self, guesser: str) -> None:
        now = time.monotonic()
        recent = [at for at in self._wrong.get(guesser, ()) if at + GUESS_SECONDS > now]
        if len(recent) + self._tried[guesser] > self._limit:
            wait = recent[0] + GUESS_SECONDS - now if recent else 0.0
            headers = {"Retry-After": str(int(wait) + 1)}
            raise Refusal(429, "rate_limit", "Too many wrong tokens or passwords came; wait a minute.", headers)


def guesser_at(address: str) -> str:
    """Who has one IPv6 address has all of its /64."""
    try:
        found = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    mapped = found.ipv4_mapped
    return str(mapped) if mapped is not None else str(ipaddress.IPv6Network((int(found) >> 64 << 64, 64)))


GUESSES = web.AppKey("GUESSES", Guesses)


@web.middleware
async def authenticate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A token, as Bearer or as the password of Basic, for all but public routes."""
    if request.match_info.handler in request.app[PUBLIC]:
        return await handler(request)
    if (partner := await request.app[PARTS].partners.authenticate(_credentials(request)[1])) is not None:
        _admit_partner(request, partner)
        return await handler(request)
    try:
        account, token = await _who(request)
    except Unauthorized:
        if _credentials(request)[1]:  # asking without any is no guess: git does so first
            request.app[GUESSES].wrong(address_of(request))
        raise
    request[ACCOUNT], request[TOKEN] = account, token
    request[ACTOR] = Actor(account.id, account.email, token.name, address_of(request))
    count(request, token.id or account.id)
    return await handler(request)


@web.middleware
async def authorize(request: web.Request, handler: Handler) -> web.StreamResponse:
    """What policy.py says of the route. An app that is not the caller's to see is not there."""
    resource = request.match_info.route.resource
    if ACCOUNT not in request or resource is None:
        return await handler(request)
    access, account, token = request.app[PARTS].access, request[ACCOUNT], request[TOKEN]
    policy = policy_of(request.method, resource.canonical)
    if "app" in request.match_info:
        app = await request.app[PARTS].apps.find(request.match_info["app"])
        request[PERMISSIONS] = await access.permissions(account, app)
        if not request[PERMISSIONS]:
            raise no_app()
        request[APP] = app
        if policy.permission is not None:
            await access.admit(account, token, app, policy.permission, policy.scope)
    if not token.covers(policy.scope):
        raise out_of_scope(token, policy.scope)
    if policy.admin and not account.admin:
        raise Forbidden("Only an admin of this paasd may do this; ask its owner.")
    return await handler(request)


@web.middleware
async def audit(request: web.Request, handler: Handler) -> web.StreamResponse:
    """An entry for every write that was done or forbidden, on the disk before its answer goes out."""
    if request.method in READS or ACTOR not in request:
        return await handler(request)
    request[DETAIL] = {}
    try:
        response = await handler(request)
    except Forbidden:
        await _record(request, 403)
        raise
    if response.status < 400:
        await _record(request, response.status)
    return response


async def _record(request: web.Request, status: int) -> None:
    app = request.get(APP)
    detail: dict[str, Any] = {"fields": await _fields(request)} | request[DETAIL]
    entry = NewEntry(
        datetime.now(UTC),
        request[ACTOR],
        request.method,
        shown_path(request),
        status,
        request[REQUEST_ID],
        app.id if app else None,
        app.name if app else None,
        {name: value for name, value in detail.items() if value},
    )
    try:
        await request.app[PARTS].audit.record(entry)
    except PaasError as error:  # what was done is done, and acknowledged by its own record
        log.error("audit entry lost", path=entry.path, user=entry.actor.email, reason=error.message)


async def _fields(request: web.Request) -> list[str]:
    """The names in the body, never their values."""
    if not request.body_exists or request.content_type != JSON:
        return []
    try:
        body = msgspec.json.decode(await request.read())
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
    return sorted(str(name)[:100] for name in body)[:FIELDS_NOTED] if isinstance(body, dict) else []


def _admit_partner(request: web.Request, addon: Addon) -> None:
    """Raises Forbidden for all but what its token is for."""
    resource = request.match_info.route.resource
    method = "GET" if request.method == "HEAD" else request.method
    route = f"{method} {resource.canonical}" if resource is not None else ""
    if route not in PARTNERS_ROUTES or request.match_info["addon"] != addon.id:
        raise Forbidden("This token is for one add-on, by its id, and its config alone.")
    request[PARTNER] = addon
    request[ACTOR] = request.app[PARTS].partners.actor(addon, address_of(request))
    count(request, addon.id)


def address_of(request: web.Request) -> str:
    """Where a request comes from."""
    return request.remote or "unix socket"


async def _who(request: web.Request) -> tuple[Account, Token]:
    access = request.app[PARTS].access
    user, secret = _credentials(request)
    try:
        return await access.authenticate(secret)
    except Unauthorized:
        if (request.method, request.path) != LOGIN or "@" not in user:
            raise
    with request.app[GUESSES].trying(address_of(request)):
        account = await access.authenticate_password(user, secret)
    return account, Token("", account.id, "password", "", datetime.now(UTC), kind=TokenKind.SESSION)


def _credentials(request: web.Request) -> tuple[str, str]:
    scheme, _, value = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    if scheme.lower() == "bearer":
        return "", value.strip()
    if scheme.lower() == "basic":
        try:
            user, _, secret = base64.b64decode(value.strip(), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return "", ""
        return user, secret
    return "", ""
