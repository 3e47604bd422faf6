"""The caller's own account over the wire."""

from tests.paasd.api.world import World


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
