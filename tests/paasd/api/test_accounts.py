"""The caller's own account over the wire."""

from paasd.domain.access import TokenKind
from tests.paasd.api.people import Person, person
from tests.paasd.api.world import World

SESSION = TokenKind.SESSION


async def test_account(world: World) -> None:
    account = await world.get("/account")
    assert (account["email"], account["id"]) == ("owner@example.org", world.owner.id)
    for user in ("~", world.owner.id, "owner@example.org"):
        assert await world.get(f"/users/{user}") == account
    answer = await world.call("GET", "/users/somebody@example.org")
    assert (answer.status, answer.json["resource"]) == (404, "user")


async def test_rate_limits(world: World) -> None:
    answer = await world.call("GET", "/account/rate-limits")
    assert str(answer.json["remaining"]) == answer.header("RateLimit-Remaining")


async def test_another_password_ends_the_sessions_of_the_one_before(world: World) -> None:
    """Bites: `update` without `revoke`: who knew the old password, or has its session, stays logged in for 30 days.

    The session that asks, and tokens made by hand, stay.
    """
    ann = await person(world, "ann@example.org", password="correct horse")
    own, other = [
        Person(world, ann.account, (await world.parts.authorizations.issue(ann.account, "x", kind=SESSION)).secret)
        for _ in range(2)
    ]
    assert (await own.call("PATCH", "/account", {"new_password": "battery staple"})).status == 200
    assert [(await each.call("GET", "/account")).status for each in (own, other, ann)] == [200, 401, 200]
