"""What admins do: people come and go; the audit is read page by page."""

from tests.paasd.api.people import Person, person
from tests.paasd.api.world import World


async def test_people_come_and_go(world: World) -> None:
    made = await world.call("POST", "/paasd/accounts", {"email": "Ann@Example.org", "password": "correct horse"})
    assert (made.status, made.json["email"], made.json["admin"]) == (201, "ann@example.org", False)
    ann = Person(world, await world.store.account("ann@example.org"), made.json["token"])
    assert (await ann.call("GET", "/account")).json["email"] == "ann@example.org"
    assert [one["email"] for one in await world.get("/paasd/accounts")] == ["owner@example.org", "ann@example.org"]
    assert (await world.call("POST", "/paasd/accounts", {"email": "ann@example.org"})).status == 409
    assert (await ann.call("PATCH", "/account", {"password": "battery staple"})).status == 200
    assert (await ann.call("PATCH", "/account", {"password": "short"})).status == 422
    await ann.call("POST", "/apps", {"name": "mine"})
    assert (await world.call("DELETE", "/paasd/accounts/ann@example.org")).status == 409
    await world.call("POST", "/account/app-transfers", {"app": "mine", "recipient": "owner@example.org"})
    assert (await world.call("DELETE", "/paasd/accounts/ann@example.org")).status == 200
    assert (await ann.call("GET", "/account")).status == 401
    assert (await world.call("DELETE", "/paasd/accounts/owner@example.org")).status == 403
    for wrong in ("", "ann", "a@b..c", "a b@c", "é@x"):
        assert (await world.call("POST", "/paasd/accounts", {"email": wrong})).status == 422


async def test_the_audit_page_by_page(world: World) -> None:
    for number in range(3):
        await world.create(f"app-{number}")
    newest = await world.get("/paasd/audit?limit=2")
    rest = await world.get(f"/paasd/audit?before={newest[-1]['id']}")
    assert [entry["method"] for entry in [*newest, *rest]] == ["POST"] * 3
    assert [entry["id"] for entry in [*newest, *rest]] == sorted((e["id"] for e in [*newest, *rest]), reverse=True)
    for wrong in ("limit=0", "limit=x", "before=-1"):
        assert (await world.call("GET", f"/paasd/audit?{wrong}")).status == 422
    ann = await person(world, "ann@example.org")
    assert (await ann.call("GET", "/paasd/audit")).status == 403
