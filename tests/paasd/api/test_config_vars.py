"""Config vars over the wire."""

import pytest

from tests.paasd.api.world import World


async def test_set_look_at_and_remove(world: World) -> None:
    await world.create()
    assert await world.get("/apps/shop/config-vars") == {}
    answer = await world.call("PATCH", "/apps/shop/config-vars", {"GREETING": "hello", "A": ""})
    assert (answer.status, answer.json) == (200, {"GREETING": "hello", "A": ""})
    answer = await world.call("PATCH", "/apps/shop/config-vars", {"A": None})
    assert answer.json == {"GREETING": "hello"} == await world.get("/apps/shop/config-vars")
    newest = await world.get("/apps/shop/releases", Range="version ..; order=desc,max=1")
    assert [(release["version"], release["description"]) for release in newest] == [(3, "Remove A config vars")]


async def test_nothing_changed_makes_no_release(world: World) -> None:
    await world.create()
    for body in ({}, {"NEVER_SET": None}):
        assert (await world.call("PATCH", "/apps/shop/config-vars", body)).status == 200
    assert len(await world.get("/apps/shop/releases")) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"A": "nul\0"},
        {"A\0": "x"},
        {"A": "x" * 65_537},
        {"A" * 65_537: "x"},
        {"A": 1},
        {"A": True},
        {"A": ["x"]},
        {"A": {"b": "c"}},
        {"": "x"},
        {"A=B": "x"},
        {"1A": "x"},
    ],
)
async def test_what_no_environment_can_hold(world: World, body: dict[str, object]) -> None:
    await world.create()
    refused = await world.call("PATCH", "/apps/shop/config-vars", {"GOOD": "x", **body})
    assert (refused.status, refused.json["id"]) == (422, "invalid_params")
    assert len(refused.json["message"]) < 400
    assert await world.get("/apps/shop/config-vars") == {}


async def test_a_value_never_comes_back_in_an_error(world: World) -> None:
    await world.create()
    refused = await world.call("PATCH", "/apps/shop/config-vars", {"A": {"secret": "hunter2"}})
    assert b"hunter2" not in refused.raw
