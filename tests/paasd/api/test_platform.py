"""Region, stack and features; and what is asked for that is only Heroku's."""

import pytest

from tests.paasd.api.world import World


async def test_region_and_stack_are_those_of_the_app(world: World) -> None:
    await world.create()
    app = await world.get("/apps/shop")
    [region], [stack] = await world.get("/regions"), await world.get("/stacks")
    assert {key: region[key] for key in ("id", "name")} == app["region"]
    assert {key: stack[key] for key in ("id", "name")} == app["stack"] == app["build_stack"]
    assert await world.get(f"/regions/{region['id']}") == await world.get("/regions/local") == region
    assert await world.get(f"/stacks/{stack['name']}") == stack
    for path, resource in (("/regions/mars", "region"), ("/stacks/heroku-24", "stack")):
        missing = await world.call("GET", path)
        assert (missing.status, missing.json["resource"]) == (404, resource)


async def test_preboot_is_always_on(world: World) -> None:
    await world.create()
    [preboot] = await world.get("/apps/shop/features")
    assert (preboot["name"], preboot["enabled"], preboot["state"]) == ("preboot", True, "general")
    assert await world.get("/apps/shop/features/preboot") == preboot
    on = await world.call("PATCH", "/apps/shop/features/preboot", {"enabled": True})
    assert (on.status, on.json) == (200, preboot)
    for body in ({"enabled": False}, {}):
        assert (await world.call("PATCH", "/apps/shop/features/preboot", body)).status == 422
    assert (await world.call("GET", "/apps/shop/features/metal")).json["resource"] == "feature"
    assert (await world.call("PATCH", "/apps/shop/features/metal", {"enabled": True})).status == 404


@pytest.mark.parametrize("wanted", [{"stack": "heroku-24"}, {"region": "eu"}, {"stack": {"name": "container"}}])
async def test_herokus_own_are_answered_with_a_warning(world: World, wanted: dict[str, object]) -> None:
    made = await world.call("POST", "/apps", {"name": "shop", **wanted})
    assert made.status == 201 and "There is only" in (made.header("X-Heroku-Warning") or "")
    changed = await world.call("PATCH", "/apps/shop", {"build_stack": "container"})
    assert (changed.status, changed.json["build_stack"]["name"]) == (200, "paasd-bookworm")
    assert "Dockerfile" in (changed.header("X-Heroku-Warning") or "")
    ours = await world.call("PATCH", "/apps/shop", {"build_stack": "paasd-bookworm"})
    assert ours.header("X-Heroku-Warning") is None


async def test_what_nobody_has_is_refused_before_anything_is_done(world: World) -> None:
    for wanted in ({"stack": "windows"}, {"region": "mars"}, {"region": 5}):
        assert (await world.call("POST", "/apps", {"name": "shop", **wanted})).status == 422
    assert await world.get("/apps") == []
    await world.create()
    assert (await world.call("PATCH", "/apps/shop", {"name": "blog", "build_stack": "windows"})).status == 422
    assert [app["name"] for app in await world.get("/apps")] == ["shop"]


async def test_dyno_sizes_are_those_of_the_settings(world: World) -> None:
    await world.create()
    found = await world.get("/dyno-sizes")
    small, large = sorted(found, key=lambda size: str(size["name"]))
    assert (small["name"], small["memory"], large["name"], large["memory"], large["compute"]) == (
        *("Standard-1X", 0.5),
        *("Standard-2X", 1.0, 1),
    )
    assert await world.get("/dyno-sizes/standard-2x") == await world.get(f"/dyno-sizes/{large['id']}") == large
    assert await world.get("/apps/shop/available-dyno-sizes") == found
    assert (await world.call("GET", "/dyno-sizes/gigantic")).json["resource"] == "dyno_size"
