"""What there is none of: lists are empty, a name is not found, and who wants one is told what to do instead."""

import pytest

from paasd.api.absent import EMPTY, NONE, WANTED
from tests.paasd.api.world import World

NAMED = [
    (*line.split(), resource) for resource, (_, listed) in NONE.items() for line in listed.split("\n") if line.strip()
]


@pytest.mark.parametrize("path", EMPTY)
async def test_lists_are_empty(world: World, path: str) -> None:
    await world.create()
    answer = await world.call("GET", path.replace("{app}", "shop"))
    assert (answer.status, answer.json, answer.header("Next-Range")) == (200, [], None)


@pytest.mark.parametrize(("method", "path", "resource"), NAMED)
async def test_names_are_not_found(world: World, method: str, path: str, resource: str) -> None:
    """The clients look at `resource` of a 404: `add_on` has them try elsewhere."""
    await world.create()
    missing = await world.call(method, path.replace("{app}", "shop").replace("{", "").replace("}", ""), {})
    assert (missing.status, missing.json["id"], missing.json["resource"]) == (404, "not_found", resource)


@pytest.mark.parametrize(("route", "message"), WANTED)
async def test_wishes_are_answered_with_what_to_do(world: World, route: str, message: str) -> None:
    await world.create()
    method, path = route.split()
    refused = await world.call(method, path.replace("{app}", "shop"), {"name": "x"})
    assert (refused.status, refused.json["id"]) == (422, "invalid_params")
    assert refused.json["message"] == message and ";" in message


async def test_another_accounts_app_is_not_there(world: World) -> None:
    missing = await world.call("POST", "/apps/nobody/addons", {"plan": "x"})
    assert (missing.status, missing.json["resource"]) == (404, "app")


async def test_apps_are_filtered_by_id(world: World) -> None:
    shop, _ = await world.create(), await world.create("blog")
    found = await world.call("POST", "/filters/apps", {"in": {"id": [shop.id, "nobody"]}}, Range="id ..; max=1000;")
    assert (found.status, [app["name"] for app in found.json]) == (200, ["shop"])
    for wrong in ({}, {"in": {"id": shop.id}}, {"in": {"id": [7]}}):
        assert (await world.call("POST", "/filters/apps", wrong)).status == 422
