"""Logging in with a browser: the CLI opens a page of ours, waits for an answer, and gets a token of its own.

The page's address holds a secret of its own, so that nobody can answer for another's login.
"""

import asyncio
import hmac
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass, field

import msgspec
from aiohttp import web

from paasd.api.identity import GUESSES, address_of, guesser_at
from paasd.api.login_page import CONTENT_SECURITY, render
from paasd.api.parts import PARTS
from paasd.api.replies import JSON
from paasd.api.requests import read_object, text_of
from paasd.domain.access import Account, Scope, TokenKind
from paasd.domain.errors import NotFound, PaasError, Unauthorized
from paasd.services.access import fingerprint, out_of_scope

LOGIN_SECONDS = 600.0
HELD_SECONDS = 50.0  # clients give up at 60 and ask again
SESSION_SECONDS = 30 * 24 * 3600.0
PENDING_MAX, PENDING_OF_ADDRESS = 1000, 100
FORM_BYTES = 8 * 1024


@dataclass(slots=True)
class Login:
    """One that was begun. `waiter` is the SHA-256 of the token that may fetch the answer."""

    description: str
    waiter: str
    address: str
    guesser: str
    began: float = field(default_factory=time.monotonic)
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    secret: str = field(default="", repr=False)


class Logins:
    """Those that were begun and not fetched yet, by the secret of their page. Each ends after ten minutes, or once its
    address has begun too many after it: nobody needs a token to begin one, and none is to end another's."""

    def __init__(self) -> None:
        self._begun: OrderedDict[str, Login] = OrderedDict()

    def begin(self, description: str, address: str) -> tuple[str, str]:
        """A page's secret, and the token that may fetch the answer."""
        page, waiter = secrets.token_urlsafe(24), secrets.token_hex(32)
        guesser = guesser_at(address)
        self._begun[page] = Login(description, fingerprint(waiter), address, guesser)
        own = [page for page, login in self._begun.items() if login.guesser == guesser]
        for old in own[:-PENDING_OF_ADDRESS]:
            del self._begun[old]
        while len(self._begun) > PENDING_MAX:
            self._begun.popitem(last=False)
        return page, waiter

    def find(self, page: str) -> Login:
        """Raises NotFound."""
        login = self._begun.get(page)
        if login is None or time.monotonic() - login.began > LOGIN_SECONDS:
            self._begun.pop(page, None)
            raise NotFound("This login is over or was never begun; run `heroku login` again.", resource="login")
        return login

    def fetched(self, page: str) -> None:
        """Its token was told: once is enough."""
        self._begun.pop(page, None)


LOGINS = web.AppKey("LOGINS", Logins)


async def begin(request: web.Request) -> web.Response:
    """What `heroku login` asks first."""
    description = (text_of(await read_object(request), "description") or "heroku login")[:100]
    printable = "".join(letter if letter.isprintable() else " " for letter in description).strip()
    page, waiter = request.app[LOGINS].begin(printable or "heroku login", address_of(request))
    urls = {"browser_url": f"/auth/browser/{page}", "cli_url": f"/auth/cli/{page}", "token": waiter}
    return web.Response(body=msgspec.json.encode(urls), content_type=JSON)


async def wait(request: web.Request) -> web.Response:
    """Held open until somebody has logged in; 202 tells the client to ask again."""
    page = request.match_info["page"]
    login = request.app[LOGINS].find(page)
    token = request.headers.get("Authorization", "").partition(" ")[2].strip()
    if not hmac.compare_digest(fingerprint(token), login.waiter):
        raise Unauthorized("This is not your login; run `heroku login` again.")
    try:
        async with asyncio.timeout(HELD_SECONDS):
            await login.answered.wait()
    except TimeoutError:
        return web.Response(
            body=msgspec.json.encode({"error": "Nobody has logged in yet; run `heroku login` again."}),
            content_type=JSON,
        )
    request.app[LOGINS].fetched(page)
    return web.Response(body=msgspec.json.encode({"access_token": login.secret}), content_type=JSON)


async def show_page(request: web.Request) -> web.Response:
    try:
        login = request.app[LOGINS].find(request.match_info["page"])
    except NotFound as error:
        return _html(render("over", error.message), status=404)
    return _html(render("done") if login.answered.is_set() else _form(login))


async def answer_page(request: web.Request) -> web.Response:
    """The form comes back: a password, or a token in its place."""
    try:
        login = request.app[LOGINS].find(request.match_info["page"])
    except NotFound as error:
        return _html(render("over", error.message), status=404)
    if (request.content_length or FORM_BYTES + 1) > FORM_BYTES:
        return _html(_form(login, "This is more than an address and a password."), status=413)
    form = await request.post()
    email, password = str(form.get("email", "")).strip(), str(form.get("password", ""))
    try:
        account = await _check(request, email, password)
    except PaasError as error:
        request.app[GUESSES].wrong(address_of(request))
        return _html(_form(login, error.message, email), status=401)
    issued = await request.app[PARTS].authorizations.issue(
        account, login.description, seconds=SESSION_SECONDS, kind=TokenKind.SESSION
    )
    login.secret = issued.secret
    login.answered.set()
    return _html(render("done"))


async def _check(request: web.Request, email: str, password: str) -> Account:
    access = request.app[PARTS].access
    with request.app[GUESSES].trying(address_of(request)):
        try:
            account, token = await access.authenticate(password.strip())
        except Unauthorized:
            return await access.authenticate_password(email, password)
    if account.email != email.lower() or token.kind is not TokenKind.AUTHORIZATION:
        raise Unauthorized("This token belongs to somebody else; write the e-mail address it was made for.")
    if not token.covers(Scope.GLOBAL):  # what is made of it may be used for everything
        raise out_of_scope(token, Scope.GLOBAL)
    return account


def _form(login: Login, complaint: str = "", email: str = "") -> str:
    return render("form", complaint, login.description, email, login.address)


def _html(text: str, *, status: int = 200) -> web.Response:
    headers = {"Content-Security-Policy": CONTENT_SECURITY, "Referrer-Policy": "same-origin"}
    return web.Response(text=text, status=status, content_type="text/html", headers=headers)


PUBLIC_ROUTES = (
    web.post("/auth", begin),
    web.get("/auth/cli/{page}", wait, allow_head=False),
    web.get("/auth/browser/{page}", show_page, allow_head=False),
    web.post("/auth/browser/{page}", answer_page),
)
