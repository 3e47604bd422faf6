"""Who is asking."""

from aiohttp import web

from paasd.api.parts import PARTS
from paasd.api.rates import REMAINING
from paasd.api.replies import reply
from paasd.api.requests import ACCOUNT, TOKEN, read_object, text_of
from paasd.api.resources import account_resource
from paasd.domain.access import TokenKind
from paasd.domain.errors import NotFound


async def show(request: web.Request) -> web.Response:
    return reply(request, account_resource(request[ACCOUNT]))


async def update(request: web.Request) -> web.Response:
    """The password, which `heroku login -i` asks for; whoever has logged in with the one before has to do so again."""
    body = await read_object(request)
    if (password := text_of(body, "new_password") or text_of(body, "password")) is not None:
        await request.app[PARTS].access.set_password(request[ACCOUNT], password)
        authorizations = request.app[PARTS].authorizations
        for session in await authorizations.all(request[ACCOUNT], TokenKind.SESSION):
            if session.id != request[TOKEN].id:
                await authorizations.revoke(session)
    return reply(request, account_resource(request[ACCOUNT]))


async def show_user(request: web.Request) -> web.Response:
    check_own_account(request)
    return reply(request, account_resource(request[ACCOUNT]))


async def show_rate_limits(request: web.Request) -> web.Response:
    return reply(request, {"remaining": request[REMAINING]})


def check_own_account(request: web.Request) -> None:
    """Raises NotFound unless the path's `user` is the caller: `~`, id or e-mail."""
    account = request[ACCOUNT]
    if request.match_info["user"] not in ("~", account.id, account.email):
        raise NotFound("Couldn't find that user; use ~ for yourself.", resource="user")


ROUTES = (
    web.get("/account", show),
    web.patch("/account", update),
    web.get("/account/rate-limits", show_rate_limits),
    web.get("/users/{user}", show_user),
)
