"""Buildpacks are kept in order and shown."""

from typing import Any

import pytest

from tests.paasd.api.world import World

PATH = "/apps/shop/buildpack-installations"


async def put(world: World, *names: object) -> Any:
    return await world.call("PUT", PATH, {"updates": [{"buildpack": name} for name in names]})


async def test_they_are_replaced_as_a_whole(world: World) -> None:
    await world.create()
    assert await world.get(PATH) == []
    wanted = ["https://github.com/heroku/heroku-buildpack-python", "heroku/nodejs", "urn:buildpack:heroku/ruby"]
    made = await put(world, *wanted)
    assert made.status == 200
    assert [(one["ordinal"], one["buildpack"]["url"]) for one in made.json] == list(enumerate(wanted))
    assert await world.get(PATH) == made.json
    assert (await put(world, "heroku/go")).json == [
        {"buildpack": {"name": "heroku/go", "url": "heroku/go"}, "ordinal": 0}
    ]
    cleared = await put(world)
    assert (cleared.json, cleared.header("X-Heroku-Warning")) == ([], None)
    assert {"buildpacks": [["heroku/go"], []], "fields": ["updates"]} in [
        entry["detail"] for entry in await world.get("/apps/shop/audit")
    ]


@pytest.mark.parametrize("wrong", ["", "python", "a b/c", "file:///etc/passwd", 7, None, "x/" + "y" * 600, "a/b\n"])
async def test_what_is_none(world: World, wrong: object) -> None:
    await world.create()
    refused = await put(world, "heroku/go", wrong)
    assert (refused.status, refused.json["id"]) == (422, "invalid_params")
    assert await world.get(PATH) == []


async def test_the_shape_is_checked(world: World) -> None:
    await world.create()
    for body in ({}, {"updates": "heroku/go"}, {"updates": ["heroku/go"]}, {"updates": [{"buildpack": "a/b"}] * 51}):
        assert (await world.call("PUT", PATH, body)).status == 422
