"""Who is asking."""

from aiohttp import web

from paasd.api.middleware import RATE_LIMIT
from paasd.api.replies import reply
from paasd.api.requests import ACCOUNT
from paasd.api.resources import account_resource
from paasd.domain.errors import NotFound


async def show(request: web.Request) -> web.Response:
    return reply(request, account_resource(request[ACCOUNT]))


async def show_user(request: web.Request) -> web.Response:
    check_own_account(request)
    return reply(request, account_resource(request[ACCOUNT]))


async def show_rate_limits(request: web.Request) -> web.Response:
    return reply(request, {"remaining": RATE_LIMIT})


def check_own_account(request: web.Request) -> None:
    """Raises NotFound unless the path's `user` is the caller: `~`, id or e-mail."""
    account = request[ACCOUNT]
    if request.match_info["user"] not in ("~", account.id, account.email):
        raise NotFound("Couldn't find that user; use ~ for yourself.", resource="user")


ROUTES = (
    web.get("/account", show),
    web.get("/account/rate-limits", show_rate_limits),
    web.get("/users/{user}", show_user),
)
