"""Apps over the wire."""

import pytest

from tests.paasd.api.world import World


async def test_create_and_look_at_an_app(world: World) -> None:
    created = await world.call("POST", "/apps", {"name": "shop", "region": None, "stack": "heroku-24", "strange": 1})
    assert created.status == 201
    app = created.json
    port = world.parts.router_port
    assert app["web_url"] == f"http://shop.localhost:{port}/"
    assert app["git_url"] == f"{world.parts.public_url}/shop.git"
    assert (app["create_status"], app["generation"]["name"], app["maintenance"]) == ("complete", "cedar", False)
    assert "process_tier" not in app
    for name in ("shop", app["id"]):
        assert await world.get(f"/apps/{name}") == app
    listed = [app | {"repo_size": None, "slug_size": None}]
    assert await world.get("/apps") == await world.get("/users/~/apps") == listed
    assert await world.get("/users/owner@example.org/apps") == listed
    assert (await world.call("GET", "/users/somebody/apps")).json["resource"] == "user"


async def test_an_app_without_a_name_gets_one(world: World) -> None:
    for body in (None, {}, {"name": None}):
        created = await world.call("POST", "/apps", body)
        assert created.status == 201
        assert created.json["name"].count("-") == 2


@pytest.mark.parametrize("name", ["../etc", "a" * 64, "Shop", "1shop", "", "a\0b", "shop.git", 7, ["shop"], True])
async def test_names_that_can_not_be_had(world: World, name: object) -> None:
    refused = await world.call("POST", "/apps", {"name": name})
    assert (refused.status, refused.json["id"]) == (422, "invalid_params")
    assert await world.get("/apps") == []


async def test_a_taken_name(world: World) -> None:
    await world.create("shop")
    refused = await world.call("POST", "/apps", {"name": "shop"})
    assert (refused.status, refused.json["id"]) == (422, "invalid_params")


async def test_unknown_app(world: World) -> None:
    for method, path in (
        ("GET", "/apps/nope"),
        ("PATCH", "/apps/nope"),
        ("DELETE", "/apps/nope"),
        ("GET", "/apps/..%2f..%2fetc"),
        ("GET", "/apps/a%00b"),
        ("GET", "/apps/nope/config-vars"),
        ("GET", "/apps/nope/releases"),
        ("POST", "/apps/nope/log-sessions"),
        ("GET", "/apps/nope/addons"),
    ):
        answer = await world.call(method, path, None if method == "GET" else {})
        assert (answer.status, answer.json["id"], answer.json["resource"]) == (404, "not_found", "app")


async def test_maintenance_is_in_force_when_acknowledged(world: World) -> None:
    app = await world.create()
    for asked, expected in ((True, True), (0, False), (1, True), (False, False)):
        answer = await world.call("PATCH", f"/apps/{app.id}", {"maintenance": asked})
        assert (answer.status, answer.json["maintenance"]) == (200, expected)
        assert [route.maintenance for route in world.router.routes] == [expected]
    assert len(await world.store.releases(app.id)) == 1
    refused = await world.call("PATCH", "/apps/shop", {"maintenance": "perhaps"})
    assert (refused.status, refused.json["id"]) == (422, "invalid_params")


async def test_maintenance_without_a_router(world: World) -> None:
    await world.create()
    world.router.down = True
    answer = await world.call("PATCH", "/apps/shop", {"maintenance": True})
    assert (answer.status, answer.json["id"]) == (503, "service_unavailable")
    assert answer.header("Retry-After")


async def test_release_timeout(world: World) -> None:
    await world.create()
    answer = await world.call("PATCH", "/apps/shop", {"release_timeout": 90})
    assert answer.json["release_timeout"] == 90
    for wrong in (0, -1, "90", True, 1e9):
        assert (await world.call("PATCH", "/apps/shop", {"release_timeout": wrong})).status == 422


async def test_nothing_half_done(world: World) -> None:
    await world.create()
    await world.create("taken")
    wrongs: list[dict[str, object]] = [{"name": "-rf"}, {"name": "taken"}, {"release_timeout": "soon"}]
    for wrong in (*wrongs, {"name": "store", "release_timeout": 1e9}):
        assert (await world.call("PATCH", "/apps/shop", {"maintenance": True, **wrong})).status == 422
    assert not (await world.get("/apps/shop"))["maintenance"]
    assert (await world.call("PATCH", "/apps/shop", {"name": "shop"})).status == 200


async def test_destroy(world: World) -> None:
    app = await world.create()
    destroyed = await world.call("DELETE", "/apps/shop")
    assert (destroyed.status, destroyed.json["id"]) == (200, app.id)
    assert (await world.call("GET", "/apps/shop")).status == 404
    assert (await world.call("GET", f"/apps/{app.id}")).status == 404
    await world.create("shop")


async def test_slug_size_is_that_of_the_served_release(world: World) -> None:
    app = await world.create()
    assert (await world.get("/apps/shop"))["slug_size"] == 0
    await world.deployed(app)
    assert (await world.get("/apps/shop"))["slug_size"] == 123_456
    assert (await world.get("/apps/shop"))["repo_size"] == 4096
