"""Sharing an app over the wire."""

from tests.paasd.api.people import person
from tests.paasd.api.world import World


async def test_shared_changed_and_taken_back(world: World) -> None:
    ann = await person(world, "ann@example.org")
    await world.create()
    assert (await ann.call("GET", "/apps/shop")).status == 404
    added = await world.call("POST", "/apps/shop/collaborators", {"user": "ann@example.org"})
    assert (added.status, added.json["role"]) == (201, "collaborator")
    assert [one["name"] for one in added.json["permissions"]] == ["view", "operate", "deploy"]
    assert (await ann.call("GET", "/apps/shop")).status == 200
    assert (await ann.call("DELETE", "/apps/shop")).status == 403
    changed = await world.call("PATCH", "/apps/shop/collaborators/ann@example.org", {"permissions": ["operate"]})
    assert [one["name"] for one in changed.json["permissions"]] == ["view", "operate"]
    listed = await world.get("/apps/shop/collaborators")
    assert {(one["user"]["email"], one["role"]) for one in listed} == {
        ("owner@example.org", "owner"),
        ("ann@example.org", "collaborator"),
    }
    assert (await world.get("/apps/shop/collaborators/ann@example.org"))["id"] == added.json["id"]
    assert (await world.call("DELETE", "/apps/shop/collaborators/ann@example.org")).status == 200
    assert (await ann.call("GET", "/apps/shop")).status == 404
    assert (await world.call("DELETE", "/apps/shop/collaborators/ann@example.org")).json["resource"] == "collaborator"


async def test_what_can_not_be_meant(world: World) -> None:
    await world.create()
    await person(world, "ann@example.org")
    for body, status in (
        ({"user": "nobody@example.org"}, 404),
        ({"user": "owner@example.org"}, 422),
        ({}, 422),
        ({"user": "ann@example.org", "permissions": ["rule"]}, 422),
        ({"user": "ann@example.org", "permissions": "view"}, 422),
    ):
        assert (await world.call("POST", "/apps/shop/collaborators", body)).status == status, body
    assert len(await world.get("/apps/shop/collaborators")) == 1


async def test_given_away(world: World) -> None:
    ann = await person(world, "ann@example.org")
    app = await world.create()
    await world.call("POST", "/apps/shop/collaborators", {"user": "ann@example.org"})
    refused = await ann.call("POST", "/account/app-transfers", {"app": "shop", "recipient": "ann@example.org"})
    assert refused.status == 403
    given = await world.call("POST", "/account/app-transfers", {"app": app.id, "recipient": "ann@example.org"})
    assert (given.status, given.json["state"], given.json["recipient"]["email"]) == (201, "accepted", "ann@example.org")
    assert (await ann.call("GET", "/apps/shop")).json["owner"]["email"] == "ann@example.org"
    assert [one["role"] for one in (await ann.call("GET", "/apps/shop/collaborators")).json] == ["owner"]
    assert (await ann.call("PATCH", "/apps/shop", {"name": "store"})).json["name"] == "store"
